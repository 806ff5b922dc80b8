#!/usr/bin/env bash
# The time of a warm swap, from the shell's write to the first byte of `stream`.  Always measured and
# printed; a requirement only with INFERFS_NUMBERS=1 or --long, since a busy machine can't keep it.
source "$(dirname "$0")/../lib/mount.sh"

readonly wall_ms_max=150 load_ms_max=60

models a
mount_start
deterministic
check "measure" "$project/tests/bench/warm_swap.sh" "$M" a 1
"$project/tests/bench/warm_swap.sh" "$M" a 9 >"$T/result"
jq -r '"wall   median \(.wall_ms.median) ms, worst \(.wall_ms.worst) ms",
    "load   median \(.load_ms.median) ms, worst \(.load_ms.worst) ms",
    "first token   median \(.first_token_ms.median) ms, worst \(.first_token_ms.worst) ms"' "$T/result"
check "nine rounds were measured" jq -e '.rounds == 9 and .wall_ms.median > 0' "$T/result"
check "the shell's time is no less than the daemon's" jq -e '.wall_ms.median >= .total_ms.median * 0.9' "$T/result"
if [ "$engine" != echo ]; then
    check "the file was in the page cache" jq -e '.page_cache == ["warm"]' "$T/result"
fi
if [ "$INFERFS_NUMBERS" = 1 ] || [ "$INFERFS_LONG" = 1 ]; then
    check "median at most $wall_ms_max ms" jq -e ".wall_ms.median <= $wall_ms_max" "$T/result"
    check "loading at most $load_ms_max ms" jq -e ".load_ms.median <= $load_ms_max" "$T/result"
fi
