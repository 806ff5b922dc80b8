#!/usr/bin/env bash
# `echo cancel > ctl` ends what runs and what waits; the next prompt works.
source "$(dirname "$0")/../lib/mount.sh"

running() {
    local cancelled
    cancelled=$(jq .totals.cancelled "$M/a/status")
    long_prompt >"$M/a/prompt"
    wait_for 10 state_is a busy || fail "not busy"
    check "cancel" typed 'echo cancel > $M/a/ctl'
    check_refused "the reader hears it" "Operation canceled" 'cat $M/a/output'
    check_same "with status 1" 1 "$(typed 'cat $M/a/output 2>/dev/null; echo $?')"
    check_same "it is counted" $((cancelled + 1)) "$(jq .totals.cancelled "$M/a/status")"
    check "the error file says it in words" typed 'grep -q . $M/a/error'
    check "the next prompt works" typed 'echo hi > $M/a/prompt; cat $M/a/output | grep -q .'
}

while_a_reader_waits() {
    local reader
    long_prompt >"$M/a/prompt"
    cat "$M/a/output" >"$T/out" 2>"$T/complaint" &
    reader=$!
    wait_for 10 state_is a busy || fail "not busy"
    echo cancel >"$M/a/ctl"
    check_ends "a waiting reader ends with status 1" $reader 1
    check "with the reason" grep -q "Operation canceled" "$T/complaint"
    check_same "and no half answer" 0 "$(stat -c %s "$T/out")"
}

waiting() {
    long_prompt >"$M/a/prompt"
    wait_for 10 state_is a busy || fail "not busy"
    echo "wait for a" >"$M/b/prompt"
    check "cancel one that waits for memory" typed 'echo cancel > $M/b/ctl'
    check_within "its reader hears it at once" 500 not cat "$M/b/output"
    check_same "the other one runs on" busy "$(cat "$M/a/state")"
    echo cancel >"$M/a/ctl"
}

not() { ! "$@"; }

models_two
mount_start budget=$budget echo_token_ms=20
deterministic
running
while_a_reader_waits
waiting
check_refused "an unknown verb is refused" "Invalid argument" 'echo nonsense > $M/a/ctl'
