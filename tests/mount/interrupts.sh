#!/usr/bin/env bash
# Whoever waits for an answer can be interrupted or killed at once, and hurts nobody else.
source "$(dirname "$0")/../lib/mount.sh"

ask_long() { long_prompt >"$M/a/prompt"; }

cancel_all() {
    echo "cancel all" >"$M/a/ctl"
    check "nothing runs after cancel" wait_for 5 jq -e '.running == 0 and .queued == 0' "$M/a/status"
}

timeout_leaves_the_job() {
    local started_ms status=0 output
    ask_long
    started_ms=$(now_ms)
    output=$(timeout 1 cat "$M/a/output") || status=$?
    check_same "timeout ends the reader" 124 $status
    check_same "nothing was printed" "" "$output"
    check "within 1.1 s" test $(($(now_ms) - started_ms)) -le 1100
    check "the job goes on, a later reader has the answer" typed '[ $(cat $M/a/output | wc -c) -gt 0 ]'
}

control_c() {
    local started_ms status=0
    ask_long
    started_ms=$(now_ms)
    timeout --foreground -s INT 0.5 cat "$M/a/output" || status=$?
    check_same "SIGINT ends the reader" 124 $status
    check "within 0.6 s" test $(($(now_ms) - started_ms)) -le 600
    cancel_all
}

readers_do_not_block_others() {
    local reader readers=()
    ask_long
    for reader in $(seq 64); do
        cat "$M/a/output" >/dev/null 2>&1 &
        readers+=($!)
    done
    check_within "ls with 64 waiting readers" 100 ls -l "$M"
    check_within "stat of the output" 100 stat "$M/a/output"
    check "they wait" kill -0 "${readers[@]}"
    disown "${readers[@]}"
    kill -9 "${readers[@]}"
    check_within "status after killing them" 100 cat "$M/status"
    check "every killed reader is gone within a second" wait_for 1 all_gone "${readers[@]}"
    check "none is stuck in the kernel" wait_for 1 not_stuck
    cancel_all
}

all_gone() {
    local process
    for process in "$@"; do process_gone "$process" || return 1; done
}

# A model that loads for long: the reader of a job that has not started is as free.
kill_while_loading() {
    local reader
    unload a
    ask_long
    cat "$M/a/output" >/dev/null 2>&1 &
    reader=$!
    disown $reader
    check "a reader killed while the model loads is gone at once" kill_is_quick $reader
    cancel_all
}

kill_is_quick() {
    kill -9 "$1"
    wait_for 1 all_gone "$1"
}

writers_go_on() {
    ask_long
    cat "$M/a/output" >/dev/null 2>&1 &
    check_within "a prompt is taken while another one runs" 100 typed 'echo second > $M/a/prompt'
    cancel_all
}

models a
mount_start echo_load_ms=300 echo_token_ms=6
deterministic 400
timeout_leaves_the_job
control_c
readers_do_not_block_others
kill_while_loading
writers_go_on
