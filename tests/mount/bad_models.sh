#!/usr/bin/env bash
# A file that is no model, or none that this engine runs: an errno and a reason, never a crash, and
# the good model beside it works on.
source "$(dirname "$0")/../lib/mount.sh"

# refuses NAME WORDS: a prompt to it fails, and its error file says why.
refuses() {
    check_refused "$1 is refused" "Exec format error" "echo hi > \$M/$1/prompt; cat \$M/$1/output"
    check "$1: the reason speaks of $2" typed "grep -iE '$2' \$M/$1/error"
    check_same "$1: its reason is one line" 1 "$(grep -c . "$M/$1/error")"
    check "$1: the good one works on" typed 'echo hi > $M/good/prompt; cat $M/good/output | grep -q .'
}

make_bad_ones() {
    local bytes
    bytes=$(stat -c %s "$INFERFS_SMOLLM2")
    head -c $((bytes / 2)) "$INFERFS_SMOLLM2" >"$MODELS/half.gguf"
    head -c 1000 "$INFERFS_SMOLLM2" >"$MODELS/header.gguf"
    seq 100000 >"$MODELS/text.gguf"
    python3 - "$INFERFS_SMOLLM2" "$MODELS/strange.gguf" <<'PYTHON'
import sys
data = open(sys.argv[1], "rb").read()
key = b"general.architecture"
at = data.index(key) + len(key) + 4 + 8  # the value's type and length
assert data[at:at + 5] == b"llama"
open(sys.argv[2], "wb").write(data[:at] + b"lamma" + data[at + 5:])
PYTHON
    mkdir "$MODELS/folder.gguf"
    mkfifo "$MODELS/pipe.gguf"
    ln -s /etc/passwd "$MODELS/link.gguf"
}

as_in_the_documentation() {
    typed ': > $MODELS/bad.gguf; echo rescan > $M/ctl'
    check "rescan shows the new file at once" test -d "$M/bad"
    check "echo to it is taken" typed 'echo hi > $M/bad/prompt'
    check_same "cat fails, the error file has a reason" reason \
        "$(typed 'x=$(cat $M/bad/output 2>/dev/null) || { grep -q . $M/bad/error && echo reason; }')"
}

model_real good
make_bad_ones
log_allowed='bad|half|header|text|strange'
mount_start
deterministic 4
as_in_the_documentation
refuses bad 'empty|short|magic|gguf|truncated|ends'
refuses half 'beyond|end|truncated|past|size'
refuses header 'end|truncated|short|past|beyond'
refuses text 'magic|gguf'
refuses strange 'lamma'
check_same "what is no regular file is no model" "bad good half header strange text" \
    "$(find "$M" -mindepth 1 -maxdepth 1 -type d -printf '%f\n' | sort | paste -sd' ')"
check_within "listing is not held up by the pipe" 200 ls -lR "$M/good"
check_same "a failed model says so" failed "$(cat "$M/strange/state")"
cp "$INFERFS_SMOLLM2" "$MODELS/.new" && mv "$MODELS/.new" "$MODELS/strange.gguf"
check "mended, it works without a wait" wait_for 5 typed \
    'echo hi > $M/strange/prompt; cat $M/strange/output | grep -q .'
