#!/usr/bin/env bash
# `stream` shows tokens as they come, to any number of readers, and ends with the answer.
source "$(dirname "$0")/../lib/mount.sh"

live() {
    local bytes
    long_prompt >"$M/a/prompt"
    bytes=$(timeout 2 cat "$M/a/stream" | wc -c) || true
    check "text before the end ($bytes bytes)" test "$bytes" -gt 0
    check_same "the output's size is 0 as long as it is not known" 0 "$(stat -c %s "$M/a/output")"
    echo cancel >"$M/a/ctl"
}

readers_agree() {
    local first second
    echo "Name three colours." >"$M/a/prompt"
    cat "$M/a/stream" >"$T/first" &
    first=$!
    cat "$M/a/stream" >"$T/second" &
    second=$!
    check_ends "the first reader ends" $first
    check_ends "the second reader ends" $second
    cat "$M/a/output" >"$T/answer"
    check "the first reader has the answer" cmp "$T/first" "$T/answer"
    check "the second reader has the answer" cmp "$T/second" "$T/answer"
    check "so has a late one" typed 'cat $M/a/stream | cmp - answer'
    check_same "the size is exact at the end" "$(stat -c %s "$T/answer")" "$(stat -c %s "$M/a/stream")"
}

characters_stay_whole() {
    echo "é 漢字 🦊 $(seq -s ' ß ' 50)" >"$M/a/prompt"
    check "each read gives whole characters" python3 - "$M/a/stream" <<'PYTHON'
import os, sys
stream, pieces = os.open(sys.argv[1], os.O_RDONLY), []
while piece := os.read(stream, 7):
    pieces.append(piece)
assert len(pieces) > 4, pieces  # guessed tokens come together
for piece in pieces[:-1]:  # a model may stop in the middle of its last one
    piece.decode("utf-8")
PYTHON
}

partial_then_error() {
    long_prompt >"$M/a/prompt"
    cat "$M/a/stream" >"$T/partial" 2>"$T/complaint" &
    local reader=$!
    wait_for 5 test -s "$T/partial" || fail "nothing came"
    echo cancel >"$M/a/ctl"
    check_ends "a cancelled stream fails" $reader 1
    check "and says so" grep -q "Operation canceled" "$T/complaint"
    check "after the text that there was" test -s "$T/partial"
}

reader_first() {
    timeout 20 cat "$M/b/stream" >"$T/early" &
    local reader=$!
    echo "hello" >"$M/b/prompt"
    check_ends "a reader that came before the prompt ends" $reader
    check "and has the answer" typed 'cat $M/b/output | cmp - early'
}

closing_does_not_cancel() {
    long_prompt >"$M/a/prompt"
    check "take three bytes and go" typed '[ $(head -c 3 $M/a/stream | wc -c) = 3 ]'
    check_same "the job runs on" busy "$(cat "$M/a/state")"
    echo cancel >"$M/a/ctl"
}

models a b
mount_start echo_token_ms=10
deterministic
live
echo 40 >"$M/a/config/max_tokens"
echo 40 >"$M/b/config/max_tokens"
readers_agree
reader_first
[ "$engine" != echo ] || echo 0 >"$M/a/config/max_tokens"
characters_stay_whole
echo 0 >"$M/a/config/max_tokens"
partial_then_error
closing_does_not_cancel
