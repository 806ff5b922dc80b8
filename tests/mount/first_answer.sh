#!/usr/bin/env bash
# A model loads on its first prompt, answers, leaves for the other one, and says how long it took.
source "$(dirname "$0")/../lib/mount.sh"

answer_from_cold() {
    check_same "cold before the first prompt" cold "$(cat "$M/a/state")"
    check "a cold model answers" typed \
        'echo "Say hi" > $M/a/prompt && cat $M/a/output'
    check "the answer is not empty" typed 'cat $M/a/output | grep -q .'
    [ "$engine" != echo ] || check_same "echo gives the prompt back" "Say hi" "$(cat "$M/a/output")"
    check_same "ready afterwards" ready "$(cat "$M/a/state")"
    check "status has the times of the swap" typed \
        "jq -e '.last_swap|.load_ms>0 and .first_token_ms>0' \$M/a/status"
}

swap_says_who_left() {
    # shellcheck disable=SC2016
    check "the other model evicts it, every phase is a number" typed \
        'echo x > $M/b/prompt; cat $M/b/output >/dev/null; jq -e '"'"'.last_swap|.evicted==["a"] and ([.drain_ms,.evict_ms,.unload_ms,.load_ms,.first_token_ms]|all(type=="number"))'"'"' $M/b/status'
    check_same "the evicted one is cold" cold "$(cat "$M/a/state")"
    check_same "one worker is left" 1 "$(workers | wc -l)"
    check "the evicted one comes back" typed 'echo again > $M/a/prompt && cat $M/a/output | grep -q .'
}

models_two
mount_start budget=$budget echo_load_ms=10 echo_token_ms=1
deterministic 32
answer_from_cold
swap_says_who_left
