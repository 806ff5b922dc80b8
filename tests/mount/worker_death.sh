#!/usr/bin/env bash
# A worker dies in the middle of an answer: its readers hear it at once, the mount lives, the next
# prompt starts another worker.
source "$(dirname "$0")/../lib/mount.sh"

# One request running and one reader waiting; leaves the time of death in $died_ms.
kill_the_worker() {
    long_prompt >"$M/a/prompt"
    cat "$M/a/output" >"$T/out" 2>"$T/complaint" &
    reader=$!
    wait_for 10 state_is a busy || fail "not busy"
    died_ms=$(now_ms)
    kill -9 "$(workers)"
}

log_allowed=. # it may well complain
models a b
mount_start echo_token_ms=20
deterministic
kill_the_worker
check_ends "the waiting reader ends" "$reader" 1
check "within a second" test $(($(now_ms) - died_ms)) -le 1000
check "with an input/output error" grep -q "Input/output error" "$T/complaint"
check_same "and no half answer" 0 "$(stat -c %s "$T/out")"
check "the error file says what happened" typed 'grep -iE "worker|signal|kill" $M/a/error'
check_within "the next prompt works" 5000 typed 'echo hi > $M/a/prompt; cat $M/a/output | grep -q .'
check "another model does too" typed 'echo hi > $M/b/prompt; cat $M/b/output | grep -q .'
check_same "a worker for each" 2 "$(workers | wc -l)"
check "its memory is charged once" jq -e '.resident_bytes == ([.models[].resident_bytes] | add)' "$M/status"
check_same "the failed job is counted" 1 "$(jq .totals.errors "$M/a/status")"

for worker in $(workers); do kill -9 "$worker"; done
check "idle workers that die are cold again, nothing is charged" wait_for 3 jq -e \
    '.resident_bytes == 0' "$M/status"
check_within "and load at the next prompt" 5000 typed \
    'echo hi > $M/b/prompt; cat $M/b/output | grep -q .'
