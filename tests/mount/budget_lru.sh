#!/usr/bin/env bash
# The budget holds, the least recently used model leaves, pins are kept, unloading gives all back.
source "$(dirname "$0")/../lib/mount.sh"

ask() { typed "echo hi > \$M/$1/prompt && cat \$M/$1/output >/dev/null"; }

loaded() {
    jq -r '[.models[] | select(.state == "ready" or .state == "busy") | .model] | join(" ")' "$M/status"
}

never_over() {
    check_silent "two models in turn are never over the budget" 'for i in 1 2 3 4 5; do for m in a b; do echo hi > $M/$m/prompt; cat $M/$m/output >/dev/null; jq -e ".resident_bytes<=.budget_bytes" $M/status >/dev/null || echo OVER; done; done; df -h $M >/dev/null'
    check_same "df shows the budget" $((budget - budget % 4096)) "$(df -B1 --output=size "$M" | tail -n1 | tr -d " ")"
}

least_recently_used() {
    echo unload all >"$M/ctl"
    wait_for 10 no_workers || fail "workers after unload all"
    echo $((charge * 23 / 10)) >"$M/budget"
    for model in a b a c; do ask $model; done
    check_same "the oldest left" "a c" "$(loaded)"
    check_same "and is named" '["b"]' "$(jq -c .last_swap.evicted "$M/c/status")"
    ask b
    check_same "then the next oldest" "b c" "$(loaded)"
}

pinned_stays() {
    echo pin >"$M/c/ctl"
    for model in a b a b; do ask $model; done
    check_same "a pinned model stays" "b c" "$(loaded)"
    check "status says that it is pinned" jq -e .pinned "$M/c/status"
    check_same "and counts its bytes" "$(jq .resident_bytes "$M/c/status")" "$(jq .pinned_bytes "$M/status")"
    echo unpin >"$M/c/ctl"
    for model in a b; do ask $model; done
    check_same "unpinned, it leaves as others" "a b" "$(loaded)"
}

too_large() {
    echo pin >"$M/a/ctl"
    echo $((charge * 12 / 10)) >"$M/budget"
    wait_for 10 test "$(loaded)" = a || true
    echo hi >"$M/b/prompt"
    check_refused "no room beside a pinned model" "Cannot allocate memory" 'cat $M/b/output'
    check "the reason has the numbers" typed 'grep -E "[0-9].*[0-9]" $M/b/error'
    check_same "nobody left for it" a "$(loaded)"
    echo unpin >"$M/a/ctl"
    check "once unpinned, there is room" ask b
}

smaller_budget() {
    echo $((charge * 23 / 10)) >"$M/budget"
    ask a
    ask b
    echo $((charge * 13 / 10)) >"$M/budget"
    check_same "the budget is read back" $((charge * 13 / 10)) "$(cat "$M/budget")"
    check "a smaller budget unloads" wait_for 5 jq -e '.resident_bytes<=.budget_bytes' "$M/status"
    check_same "the last used stays" b "$(loaded)"
    check_same "resident is the sum" "$(jq .resident_bytes "$M/status")" "$(cat "$M/resident")"
    check_refused "a budget that is no size" "Invalid argument" 'echo much > $M/budget'
}

by_hand() {
    unload b
    check "unloaded: its worker is gone" no_workers
    check_same "and so is its memory" 0 "$(cat "$M/resident")"
    echo load >"$M/a/ctl"
    check "load without a prompt" wait_for 10 state_is a ready
    check "it is resident" test "$(cat "$M/resident")" -gt 0
    unload a
    check "loads again after unload" ask a
}

idle_time() {
    unload a
    mount_stop
    mount_start budget=$budget ttl=1
    ask a
    check "an idle model is unloaded after its time" wait_for 5 state_is a cold
    check "its worker is gone" wait_for 1 no_workers
}

models_two
models c
mount_start budget=$budget
deterministic 2
never_over
least_recently_used
pinned_stays
too_large
smaller_budget
by_hand
idle_time
