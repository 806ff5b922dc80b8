#!/usr/bin/env bash
# A conversation that outgrows what its load reserved gets memory from an idle model, or is told that
# there is none; either way the budget holds and the model goes on.
source "$(dirname "$0")/../lib/mount.sh"

[ "$engine" != echo ] || skip "the echo engine keeps no context"

ask_long() { seq 1 400 >"$M/a/prompt"; } # 1,600 tokens; a load reserves 1,024

within_budget() { jq -e '.resident_bytes <= .budget_bytes' "$M/status"; }

room_from_an_idle_model() {
    check "the other model is loaded" typed 'echo hi > $M/b/prompt; cat $M/b/output'
    ask_long
    check "a long prompt is answered" typed 'cat $M/a/output | grep -q .'
    check_same "the idle model made room" cold "$(cat "$M/b/state")"
    check "what was taken is charged" jq -e ".resident_bytes > $charge" "$M/a/status"
    check "within the budget" within_budget
}

no_room_at_all() {
    ask_long
    check_refused "a long prompt is refused" "Cannot allocate memory" 'cat $M/a/output'
    check "with the numbers" grep -qE 'context: [0-9.]+ MB more .* budget is [0-9.]+ MB' "$M/a/error"
    check "within the budget" within_budget
    check "a short one works" typed 'echo hi > $M/a/prompt; cat $M/a/output | grep -q .'
}

models a b
mount_start budget=$((charge * 2 + (8 << 20)))
deterministic 4
room_from_an_idle_model
mount_stop
mount_start budget=$((charge + (8 << 20)))
deterministic 4
no_room_at_all
