#!/usr/bin/env bash
# Models that answer at the same time share the cores; who ends or dies leaves its part to the others.
source "$(dirname "$0")/../lib/mount.sh"

# parts NUMBER...: what a, b and c may compute with, - for one that is not loaded.
parts() { [ "$(jq -r '[.models[] | .threads // "-"] | join(" ")' "$M/status")" = "$*" ]; }

ask() { long_prompt >"$M/$1/prompt"; }

process() { jq .pid "$M/$1/status"; }

answer() { echo "Count to 10: 1 2 3 4 5 6 7 8 9 10" >"$M/$1/prompt" && cat "$M/$1/output"; }

models a b c
mount_start threads=4 echo_token_ms=20 budget=$((charge * 5))
deterministic
for model in a b c; do echo load >"$M/$model/ctl"; done
check "all are loaded" wait_for 20 jq -e '[.models[].state] | all(. == "ready")' "$M/status"
check "each with all cores" parts 4 4 4

ask a
check "one answers" wait_for 5 state_is a busy
check "and keeps all of them" parts 4 4 4
ask b
check "two share them" wait_for 5 parts 2 2 4
ask c
check "three too, and none is left over" wait_for 5 parts 2 1 1
kill -9 "$(process b)"
check "a killed one's part goes to the others" wait_for 5 parts 2 - 2
check "they still answer" jq -e '.running == 2' "$M/status"
echo cancel >"$M/a/ctl"
check "so does a cancelled one's" wait_for 5 parts 2 - 4
echo cancel >"$M/c/ctl"
check "all have ended" wait_for 5 jq -e '.running == 0' "$M/status"

for model in a b c; do echo 32 >"$M/$model/config/max_tokens"; done
answer a >"$T/alone"
answers=()
for model in a b c; do
    answer $model >"$T/together.$model" &
    answers+=($!)
done
for process in "${answers[@]}"; do check_ends "one of three at the same time ends" "$process"; done
for model in a b c; do
    check "$model answers as if alone" cmp "$T/alone" "$T/together.$model"
done
