#!/usr/bin/env bash
# `status` is one line of JSON with the promised keys; the phases of a swap add up, and one that did
# not happen is null.
source "$(dirname "$0")/../lib/mount.sh"

readonly phases='queue_ms drain_ms evict_ms shutdown_ms unload_ms load_ms reconfigure_ms reinit_ms
    restore_ms first_token_ms'

# has NAME FILE KEY...: the object has these keys.
has() {
    local name=$1 file=$2
    shift 2
    check_same "$name has all keys" "" \
        "$(jq -r '$ARGS.positional - keys | join(" ")' "$file" --args "$@")"
}

well_formed() {
    for file in "$M/status" "$M/a/status" "$M/a/info"; do
        check_same "${file#"$M/"} is one line" 1 "$(wc -l <"$file")"
        check "${file#"$M/"} is JSON" jq -e 'type == "object"' "$file"
    done
}

keys() {
    has status "$M/status" version pid state budget_bytes resident_bytes pinned_bytes queued running \
        models last_swap totals
    has a/status "$M/a/status" model state resident_bytes pinned queued running last_swap last_job \
        totals error
    jq .totals "$M/status" >"$T/totals"
    has totals "$T/totals" jobs errors cancelled swaps prompt_tokens completion_tokens
    jq .last_swap "$M/a/status" >"$T/swap"
    # shellcheck disable=SC2086
    has last_swap "$T/swap" seq model reason started evicted $phases total_ms loaded_bytes cold_bytes \
        mb_per_s freed_bytes reclaimed_percent page_cache
    jq .last_job "$M/a/status" >"$T/job"
    has last_job "$T/job" id state finish prompt_tokens cached_tokens completion_tokens \
        drafted_tokens accepted_tokens queued_ms prefill_ms decode_ms tok_per_s
    jq '.models[0]' "$M/status" >"$T/model"
    has 'models[]' "$T/model" model state resident_bytes
    check_same "the daemon's own process" "$daemon" "$(jq .pid "$M/status")"
    check_same "every model is listed" "a b" "$(jq -r '[.models[].model] | join(" ")' "$M/status")"
}

# Within 2 %, and 0.1 ms for what rounding does to a swap of a few milliseconds.
adds_up() {
    jq -e '.last_swap | ([.queue_ms, .drain_ms, .evict_ms, .shutdown_ms, .unload_ms, .load_ms,
        .reconfigure_ms, .reinit_ms, .restore_ms, .first_token_ms] | map(. // 0) | add) as $sum
        | ($sum - (.overlap_ms // 0) - .total_ms | fabs) <= .total_ms * 0.02 + 0.1' "$1"
}

first_swap() {
    echo hi >"$M/a/prompt"
    cat "$M/a/output" >"$T/answer"
    check "the phases add up" adds_up "$M/a/status"
    check "without a victim nothing drained or left" jq -e \
        '.last_swap | .evicted == [] and .drain_ms == null and .shutdown_ms == null and .unload_ms == null' \
        "$M/a/status"
    check "there was no swap of b" jq -e '.last_swap == null and .last_job == null' "$M/b/status"
}

second_swap() {
    echo hi >"$M/b/prompt"
    cat "$M/b/output" >"$T/answer"
    check "with a victim they add up too" adds_up "$M/b/status"
    check "the victim is named" jq -e '.last_swap.evicted == ["a"]' "$M/b/status"
    check "its bytes are counted" jq -e '.last_swap.freed_bytes > 0' "$M/b/status"
    check "the root has the newest swap" test \
        "$(jq -c .last_swap "$M/status")" = "$(jq -c .last_swap "$M/b/status")"
    check "numbers go up" jq -e --slurpfile a "$M/a/status" \
        '.last_swap.seq > $a[0].last_swap.seq' "$M/b/status"
}

warm_use() {
    local before
    before=$(jq -c .last_swap "$M/b/status")
    echo hi >"$M/b/prompt"
    cat "$M/b/output" >"$T/answer"
    check_same "a loaded model's job is no swap" "$before" "$(jq -c .last_swap "$M/b/status")"
    check_same "two swaps in all" 2 "$(jq .totals.swaps "$M/status")"
    check_same "three jobs in all" 3 "$(jq .totals.jobs "$M/status")"
    check "a job's tokens are counted" jq -e \
        '.last_job | .finish == "stop" or .finish == "length"' "$M/b/status"
    check "tokens" jq -e '.totals.prompt_tokens > 0 and .totals.completion_tokens > 0' "$M/status"
}

events() {
    timeout 1 cat "$M/events" >"$T/events" || true
    check "events are lines of JSON" jq -es 'length > 0' "$T/events"
    check "with name and time" jq -es 'all(has("ev") and has("t"))' "$T/events"
    check "the swaps are among them" jq -es \
        'map(select(.model == "a") | .ev) | index("load") != null and index("evict") != null' "$T/events"
}

snapshot() {
    check "a handle sees one moment" python3 - "$M" <<'PYTHON'
import json, sys
with open(sys.argv[1] + "/b/status", "rb", buffering=0) as status:
    first = status.read(20)
    with open(sys.argv[1] + "/b/prompt", "w") as prompt:
        prompt.write("hi")
    open(sys.argv[1] + "/b/output").read()
    json.loads(first + status.read())
PYTHON
}

models_two
mount_start budget=$budget echo_load_ms=10 echo_token_ms=5
deterministic 8
first_swap
second_swap
warm_use
well_formed
keys
events
snapshot
