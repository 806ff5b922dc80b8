#!/usr/bin/env bash
# config/thinking reaches a template that knows enable_thinking.
source "$(dirname "$0")/../lib/mount.sh"

# thinker NAME: SmolLM2 with another template, one that says which of the three it was told.
thinker() {
    [ -r "${INFERFS_SMOLLM2:-}" ] || skip "INFERFS_SMOLLM2 does not name the model file"
    python3 - "$INFERFS_SMOLLM2" "$MODELS/$1.gguf" <<'PYTHON'
import struct
import sys

data = open(sys.argv[1], "rb").read()
at = data.index(b"tokenizer.chat_template") + len("tokenizer.chat_template") + 4  # type
length = struct.unpack_from("<Q", data, at)[0]
ours = (b"{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
        b"<|im_start|>assistant\n{% if enable_thinking is defined %}"
        b"{% if enable_thinking %}<think>\n{% else %}<think>\n\n</think>\n\n{% endif %}{% endif %}")
ours += b"{#" + b" " * (length - len(ours) - 4) + b"#}"
assert len(ours) == length
open(sys.argv[2], "wb").write(data[:at + 8] + ours + data[at + 8 + length:])
PYTHON
}

readonly chat='[{"role":"user","content":"Hi"}]'
readonly plain=$'<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n|'

# rendered [OPTIONS...]: with a bar at its end, which keeps the line feeds before it.
rendered() {
    "$INFERFS_ENGINE" render "$MODELS/a.gguf" "$@" <<<"$chat"
    printf '|'
}

# prompt_tokens VALUE: of a prompt with this config/thinking.
prompt_tokens() {
    echo "$1" >"$M/a/config/thinking"
    echo Hi >"$M/a/prompt"
    cat "$M/a/output" >/dev/null
    jq .last_job.prompt_tokens "$M/a/status"
}

# tokens [OPTIONS...]: of what is rendered.
tokens() { "$INFERFS_ENGINE" render "$MODELS/a.gguf" "$@" <<<"$chat" | "$INFERFS_ENGINE" tokenize "$MODELS/a.gguf" --special | wc -w; }

thinker a
check_same "by itself" "$plain" "$(rendered)"
check_same "on" "${plain%|}"$'<think>\n|' "$(rendered --thinking on)"
check_same "off" "${plain%|}"$'<think>\n\n</think>\n\n|' "$(rendered --thinking off)"

mount_start
deterministic 1
check_same "in the mount, auto" "$(tokens)" "$(prompt_tokens auto)"
check_same "on" "$(tokens --thinking on)" "$(prompt_tokens on)"
check_same "off" "$(tokens --thinking off)" "$(prompt_tokens off)"
check_same "auto again" "$(tokens)" "$(prompt_tokens auto)"
check "all three differ" test "$(tokens)" -lt "$(tokens --thinking on)" -a \
    "$(tokens --thinking on)" -lt "$(tokens --thinking off)"
