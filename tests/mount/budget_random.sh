#!/usr/bin/env bash
# Many requests over four models with room for two, from several shells: none fails, and neither the
# books nor the workers' real memory pass the budget at any sample.
source "$(dirname "$0")/../lib/mount.sh"

requests=300
[ "$engine" = echo ] || [ "$INFERFS_LONG" = 1 ] || requests=60

models a b c d
budget=$((charge * 23 / 10))
mount_start budget=$budget echo_load_ms=2
deterministic 2

python3 "$project/tests/lib/sample_memory.py" "$M" "$daemon" "$T/stop" >"$T/samples" &
sampler=$!
RANDOM=1
for _ in $(seq $requests); do
    printf '%s\n' a b c d | sed -n "$((RANDOM % 4 + 1))p"
done >"$T/sequence"
check_silent "$requests random requests from 4 shells" \
    'xargs -P4 -I{} sh -c '"'"'echo hi > $M/{}/prompt; cat $M/{}/output >/dev/null || echo FAIL {}'"'"' < sequence'
touch "$T/stop"
check_ends "the sampler ends" $sampler
say "$(cat "$T/samples"), budget $budget"
check "enough samples to mean something" jq -e '.samples >= 20' "$T/samples"
check "the charges never passed the budget" jq -e '.over_budget == 0' "$T/samples"
check "two models were in memory at a time" jq -e '.workers_max >= 2' "$T/samples"
check "the workers' memory stayed within the budget and 3 %" \
    jq -e ".worker_rss_bytes_max <= $budget * 1.03" "$T/samples"
check_same "every job is counted" $requests "$(jq .totals.jobs "$M/status")"
check_same "none failed" 0 "$(jq .totals.errors "$M/status")"
