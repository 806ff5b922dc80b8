"""Small vocabularies of every kind, of exactly SIZE tokens each, in GGUF's and Hugging Face's form.

    bytes   byte-level BPE, as GPT-2, Qwen and Llama 3 have
    ended   the same, with an end token behind a text, as Qwen3-Embedding has
    pieces  SentencePiece BPE with byte fallback, as Llama 2, Phi-3 and Gemma have
    words   WordPiece, as BERT has

All have the same size, so that any of them fits any tiny model. A vocabulary is `tokens` (text,
token_type, score), `merges`, the ids that have a role, and what tokenizer.json says around them.
"""
import dataclasses
import json

SIZE = 384
NORMAL, UNKNOWN, CONTROL, BYTE = 1, 2, 3, 6
WORDS = ("the and ing of to in is it that he was for on are with as his they at be this have from "
         "or one had by word but not what all were we when your can said there use an each which "
         "she do how their if will up other about out many then them these so some her would make "
         "like him into time has look two more write go see number no way could people my than "
         "first water been call who oil its now find long down day did get come made may part").split()
SPACE = "\u2581"


@dataclasses.dataclass
class Vocabulary:
    kind: str                  # tokenizer.ggml.model
    pre: str                   # tokenizer.ggml.pre
    tokens: list               # [(text, token_type, score)]
    merges: list = dataclasses.field(default_factory=list)
    roles: dict = dataclasses.field(default_factory=dict)  # "bos" -> id
    flags: dict = dataclasses.field(default_factory=dict)  # "add_bos_token" -> bool
    around: dict = dataclasses.field(default_factory=dict)  # of tokenizer.json
    model: dict = dataclasses.field(default_factory=dict)  # of tokenizer.json's "model"
    token_types: int = 0       # tokenizer.ggml.token_type_count


def byte_characters():
    """The printable character that stands for each byte: itself, or one from U+0100 on."""
    shown = set(range(33, 127)) | set(range(161, 173)) | set(range(174, 256))
    hidden = iter(range(256, 512))
    return [chr(byte) if byte in shown else chr(next(hidden)) for byte in range(256)]


def grow(start, words, count):
    """Merges that build the words from left to right, until there are `count` new tokens."""
    known, merges = set(start), []
    for word in words:
        for end in range(2, len(word) + 1):
            if len(merges) == count:
                return merges
            if word[:end] not in known:
                known.add(word[:end])
                merges.append((word[:end - 1], word[end - 1]))
    raise ValueError(f"the words give only {len(merges)} of {count} merges")


def bytes_vocabulary():
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    characters = byte_characters()
    space = characters[ord(" ")]
    merges = grow(characters, [space + word for word in WORDS], SIZE - 256 - len(special))
    texts = characters + [left + right for left, right in merges]
    tokens = [(text, NORMAL, 0.0) for text in texts] + [(text, CONTROL, 0.0) for text in special]
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    end = len(texts)
    return Vocabulary("gpt2", "gpt-2", tokens, merges,
                      {"bos": end, "eos": end + 2, "padding": end}, {"add_bos_token": False},
                      {"normalizer": None, "pre_tokenizer": {**level, "use_regex": True},
                       "post_processor": None, "decoder": {**level, "use_regex": True}},
                      {"byte_fallback": False, "ignore_merges": False})


def ended_vocabulary():
    words = bytes_vocabulary()
    eos = words.roles["eos"]
    behind = surround(None, None, words.tokens[eos][0], eos)
    level = {**words.around["decoder"], "trim_offsets": False}
    words.flags["add_eos_token"] = True
    words.around["post_processor"] = {"type": "Sequence", "processors": [level, behind]}
    return words


def pieces_vocabulary():
    special = [("<pad>", CONTROL), ("<eos>", CONTROL), ("<bos>", CONTROL), ("<unk>", UNKNOWN)]
    bytes_ = [(f"<0x{byte:02X}>", BYTE) for byte in range(256)]
    letters = [SPACE, *"etaoinshrdlcumwfgypbvk,.xjqz"]
    count = SIZE - len(special) - len(bytes_) - len(letters)
    grown = [left + right for left, right in grow(letters, [SPACE + word for word in WORDS], count)]
    tokens = [(text, kind, -1000.0 if kind == CONTROL else 0.0) for text, kind in special + bytes_]
    tokens += [(text, NORMAL, -float(rank)) for rank, text in enumerate(grown, 1)]
    tokens += [(text, NORMAL, -1000.0 - rank) for rank, text in enumerate(letters)]
    known = {*letters, *grown}
    merges = [(text[:cut], text[cut:]) for text in grown for cut in range(1, len(text))
              if text[:cut] in known and text[cut:] in known]
    return Vocabulary("llama", "default", tokens, merges,
                      {"bos": 2, "eos": 1, "unknown": 3, "padding": 0},
                      {"add_bos_token": True, "add_eos_token": False, "add_space_prefix": False},
                      {"normalizer": {"type": "Replace", "pattern": {"String": " "},
                                      "content": SPACE},
                       "pre_tokenizer": {"type": "Split", "pattern": {"String": " "},
                                         "behavior": "MergedWithPrevious", "invert": False},
                       "post_processor": surround("<bos>", 2, None, None),
                       "decoder": {"type": "Sequence", "decoders": [
                           {"type": "Replace", "pattern": {"String": SPACE}, "content": " "},
                           {"type": "ByteFallback"}, {"type": "Fuse"}]}},
                      {"byte_fallback": True, "fuse_unk": True, "unk_token": "<unk>",
                       "ignore_merges": False})


def words_vocabulary():
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    letters = [*"abcdefghijklmnopqrstuvwxyz0123456789.,!?'-:;()"]
    texts = letters + ["##" + letter for letter in letters if letter.isalnum()]
    texts += [word for word in WORDS if len(word) > 1]
    texts += ["##" + a + b for b in "aeiou" for a in "bcdfghklmnprstvwyz"]
    texts += ["##" + a + b for a in "aeiou" for b in "bcdfghklmnprstvwyz"]
    texts = [f"[unused{i}]" for i in range(SIZE - len(special) - len(texts))] + texts
    tokens = [(text, CONTROL, 0.0) for text in special] + [(text, NORMAL, 0.0) for text in texts]
    return Vocabulary("bert", "jina-v2-en", tokens, [],
                      {"bos": 2, "eos": 3, "unknown": 1, "seperator": 3, "padding": 0, "cls": 2,
                       "mask": 4}, {},
                      {"normalizer": {"type": "BertNormalizer", "clean_text": True,
                                      "handle_chinese_chars": True, "strip_accents": None,
                                      "lowercase": True},
                       "pre_tokenizer": {"type": "BertPreTokenizer"},
                       "post_processor": surround("[CLS]", 2, "[SEP]", 3),
                       "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True}},
                      {"unk_token": "[UNK]", "continuing_subword_prefix": "##",
                       "max_input_chars_per_word": 100}, token_types=2)


def surround(first, first_id, last, last_id):
    """The post-processor that puts a token before a text, or behind it, or both."""
    ends = [(token, id_) for token, id_ in ((first, first_id), (last, last_id)) if token]

    def around(letter, kind):
        parts = [{"SpecialToken": {"id": token, "type_id": kind}} for token, _ in ends]
        parts.insert(1 if first else 0, {"Sequence": {"id": letter, "type_id": kind}})
        return parts

    return {"type": "TemplateProcessing", "single": around("A", 0),
            "pair": around("A", 0) + around("B", 1),
            "special_tokens": {token: {"id": token, "ids": [id_], "tokens": [token]}
                               for token, id_ in ends}}


VOCABULARIES = {"bytes": bytes_vocabulary, "ended": ended_vocabulary, "pieces": pieces_vocabulary, "words": words_vocabulary}


def phantom(text, kind):
    """How GGUF writes a WordPiece token: a mark before what starts a word, none within a word."""
    if kind == CONTROL:
        return text
    return text[2:] if text.startswith("##") else SPACE + text


def add_to_gguf(vocabulary, writer):
    texts = [phantom(text, kind) if vocabulary.kind == "bert" else text
             for text, kind, _ in vocabulary.tokens]
    writer.add_tokenizer_model(vocabulary.kind)
    writer.add_tokenizer_pre(vocabulary.pre)
    writer.add_token_list(texts)
    writer.add_token_types([kind for _, kind, _ in vocabulary.tokens])
    if vocabulary.kind == "llama":
        writer.add_token_scores([score for _, _, score in vocabulary.tokens])
    elif vocabulary.merges:
        writer.add_token_merges([f"{left} {right}" for left, right in vocabulary.merges])
    for role, token in vocabulary.roles.items():
        writer.add_uint32(f"tokenizer.ggml.{role}_token_id", token)
    for flag, value in vocabulary.flags.items():
        writer.add_bool(f"tokenizer.ggml.{flag}", value)
    if vocabulary.token_types:
        writer.add_uint32("tokenizer.ggml.token_type_count", vocabulary.token_types)


def tokenizer_json(vocabulary):
    """tokenizer.json, as the tokenizers library writes it."""
    added = [{"id": id_, "content": text, "single_word": False, "lstrip": False, "rstrip": False,
              "normalized": False, "special": True}
             for id_, (text, kind, _) in enumerate(vocabulary.tokens)
             if kind in (CONTROL, UNKNOWN)]
    model = {"type": "WordPiece" if vocabulary.kind == "bert" else "BPE", **vocabulary.model,
             "vocab": {text: id_ for id_, (text, _, _) in enumerate(vocabulary.tokens)}}
    if model["type"] == "BPE":
        model["merges"] = [list(merge) for merge in vocabulary.merges]
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added,
            **vocabulary.around, "model": model}


def tokenizer_config(vocabulary):
    names = {"bos": "bos_token", "eos": "eos_token", "unknown": "unk_token",
             "padding": "pad_token", "seperator": "sep_token", "cls": "cls_token",
             "mask": "mask_token"}
    config = {names[role]: vocabulary.tokens[id_][0] for role, id_ in vocabulary.roles.items()}
    if vocabulary.kind == "bert":
        config = {name: config[name] for name in config if name not in ("bos_token", "eos_token")}
        config.update(tokenizer_class="BertTokenizer", do_lower_case=True)
    else:
        config["tokenizer_class"] = "PreTrainedTokenizerFast"
        config.update({flag: value for flag, value in vocabulary.flags.items()
                       if flag != "add_space_prefix"})
    return config


def write_folder(vocabulary, folder):
    for name, content in (("tokenizer.json", tokenizer_json(vocabulary)),
                          ("tokenizer_config.json", tokenizer_config(vocabulary))):
        (folder / name).write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n",
                                   encoding="utf-8")
