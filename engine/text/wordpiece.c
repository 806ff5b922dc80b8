/* wordpiece.c - see wordpiece.h.  In the vocabulary a token that starts a word begins with U+2581,
 * so the search for the first one starts at the trie's node of that character. */
#include "text/wordpiece.h"

#include "base/memory.h"
#include "text/codepoint.h"
#include "text/normalizer.h"
#include "text/trie.h"
#include "text/words.h"

#include <errno.h>
#include <stdlib.h>

struct wordpiece {
    struct trie *trie;
    int32_t word_start; /* node */
    int32_t unknown;
    int32_t word_characters_max; /* 0: llama.cpp's rules, see vocabulary.h */
};

enum character { LETTER, SPACE, PUNCTUATION };

int wordpiece_open(const struct vocabulary *vocabulary, struct wordpiece **out, struct error *error)
{
    struct wordpiece *wordpiece = memory_try(1, sizeof *wordpiece);
    *out = NULL;
    int status = wordpiece ? trie_open(&wordpiece->trie) : -ENOMEM;
    for (int32_t id = 0; id < vocabulary->token_count && !status; id++) {
        uint8_t kind = vocabulary->kinds[id];
        if (kind != TOKEN_CONTROL && kind != TOKEN_UNKNOWN)
            status = trie_insert(wordpiece->trie, vocabulary_token(vocabulary, id), id);
    }
    if (status) {
        wordpiece_close(wordpiece);
        return status == -ENOMEM
                   ? error_set(error, ENOMEM, "no memory for %d tokens", vocabulary->token_count)
                   : error_set(error, ENOEXEC, "the vocabulary is too large");
    }
    wordpiece->word_start = trie_walk(wordpiece->trie, TRIE_ROOT, text_of(WORDS_SPACE));
    wordpiece->unknown = vocabulary->unknown;
    wordpiece->word_characters_max = vocabulary->word_characters_max;
    *out = wordpiece;
    return 0;
}

void wordpiece_close(struct wordpiece *wordpiece)
{
    if (!wordpiece)
        return;
    trie_close(wordpiece->trie);
    free(wordpiece);
}

size_t wordpiece_bytes(const struct wordpiece *wordpiece)
{
    return sizeof *wordpiece + trie_bytes(wordpiece->trie);
}

static enum character classify(int32_t point)
{
    if (normalizer_is_space(point))
        return SPACE;
    if (point < 0x80) /* ASCII symbols count as punctuation too */
        return (point > ' ' && point < '0') || (point > '9' && point < 'A') ||
                       (point > 'Z' && point < 'a') || (point > 'z' && point < 0x7F)
                   ? PUNCTUATION
                   : LETTER;
    utf8proc_category_t category = utf8proc_category(point);
    return category >= UTF8PROC_CATEGORY_PC && category <= UTF8PROC_CATEGORY_PO ? PUNCTUATION
                                                                                : LETTER;
}

/* The longest token that the word has after `node`; returns its id and length, or
 * VOCABULARY_NONE. */
static int32_t longest(const struct trie *trie, int32_t node, struct text word, size_t *length)
{
    int32_t id = VOCABULARY_NONE;
    for (size_t i = 0; i < word.length && node != TRIE_NOWHERE; i++) {
        node = trie_step(trie, node, (unsigned char)word.bytes[i]);
        if (node != TRIE_NOWHERE && trie_value(trie, node) >= 0) {
            id = trie_value(trie, node);
            *length = i + 1;
        }
    }
    return id;
}

static int encode_word(const struct wordpiece *wordpiece, struct text word, struct tokens *out)
{
    size_t count_before = out->count, length = 0;
    int32_t node = wordpiece->word_start;
    for (size_t at = 0; at < word.length; at += length) {
        struct text rest = {word.bytes + at, word.length - at};
        bool at_mark = at && rest.length >= WORDS_SPACE_BYTES &&
                       memcmp(rest.bytes, WORDS_SPACE, WORDS_SPACE_BYTES) == 0;
        int32_t id = at_mark && wordpiece->word_characters_max
                         ? VOCABULARY_NONE
                         : longest(wordpiece->trie, node, rest, &length);
        if (id == VOCABULARY_NONE) {
            out->count = count_before;
            return wordpiece->unknown == VOCABULARY_NONE ? 0
                                                         : tokens_append(out, wordpiece->unknown);
        }
        int status = tokens_append(out, id);
        if (status)
            return status;
        node = TRIE_ROOT;
    }
    return 0;
}

static int encode_unless_too_long(const struct wordpiece *wordpiece, struct text word,
                                  int32_t characters, struct tokens *out)
{
    if (word.length == 0)
        return 0;
    bool too_long = wordpiece->word_characters_max && characters > wordpiece->word_characters_max;
    if (!too_long)
        return encode_word(wordpiece, word, out);
    return wordpiece->unknown == VOCABULARY_NONE ? 0 : tokens_append(out, wordpiece->unknown);
}

int wordpiece_encode(const struct wordpiece *wordpiece, struct text text, struct tokens *out)
{
    struct text word = {text.bytes, 0};
    int32_t characters = 0;
    int status = 0;
    for (size_t at = 0, length; at < text.length && !status; at += length) {
        int32_t point;
        length = codepoint_at(text, at, &point);
        enum character character = classify(point);
        if (character == LETTER) {
            word.length += length;
            characters++;
            continue;
        }
        status = encode_unless_too_long(wordpiece, word, characters, out);
        if (!status && character == PUNCTUATION)
            status = encode_word(wordpiece, (struct text){text.bytes + at, length}, out);
        word = (struct text){text.bytes + at + length, 0};
        characters = 0;
    }
    return status ? status : encode_unless_too_long(wordpiece, word, characters, out);
}
