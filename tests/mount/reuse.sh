#!/usr/bin/env bash
# What a model knows of a user's texts, and what it guesses, changes figures of status and no answer.
source "$(dirname "$0")/../lib/mount.sh"

# answer PROMPT: of model a; its figures are in $T/job then.
answer() {
    printf %s "$1" >"$M/a/prompt"
    cat "$M/a/output"
    jq .last_job "$M/a/status" >"$T/job"
}

figure() {
    jq ".$1" "$T/job"
}

# A long prompt, again, and with another end.
known_prefixes() {
    local text first
    text=$(printf 'The keeper of lighthouse number %d wrote down the weather. ' {1..20})
    first=$(answer "$text")
    check_same "nothing is known of the first prompt" 0 "$(figure cached_tokens)"
    check_same "the same prompt has the same answer" "$first" "$(answer "$text")"
    check "most of it was known" test "$(figure cached_tokens)" -ge 128
    check "but not all" test "$(figure cached_tokens)" -lt "$(figure prompt_tokens)"
    answer "$text And then?" >/dev/null
    check "its beginning was known too" test "$(figure cached_tokens)" -ge 128
    answer "Now $text" >/dev/null
    check_same "its end by itself is not" 0 "$(figure cached_tokens)"
}

guesses() {
    local text plain
    text=$(printf ' one two three four five six seven eight nine ten,%.0s' 1 2 3 4)
    echo 1 >"$M/a/config/raw"
    echo 80 >"$M/a/config/max_tokens"
    echo 0 >"$M/a/config/speculate"
    plain=$(answer "$text")
    check_same "nothing is guessed" 0 "$(figure drafted_tokens)"
    echo 1 >"$M/a/config/speculate"
    check_same "the answer with guesses" "$plain" "$(answer "$text")"
    check "many are right" test "$(figure accepted_tokens)" -ge 20
}

model_real a
mount_start
deterministic 12
known_prefixes
guesses
