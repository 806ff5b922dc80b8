#!/usr/bin/env bash
# Clients that give up, die and race, models that vanish: everybody else is served, and nobody waits
# for ever.
source "$(dirname "$0")/../lib/mount.sh"

# ------------------------------------------------------------------------------- nobody is forgotten

# begin COMMAND...; ends NAME STATUS TEXT: it ends within 3 s with this status, having said TEXT.
begin() {
    "$@" >"$T/said" 2>&1 &
    waiting=$!
}

ends() {
    check "$1 ends" wait_for 3 process_gone "$waiting"
    kill -9 "$waiting" 2>/dev/null || true
    check_ends "$1 has its status" "$waiting" "$2"
    check "$1 says why" grep -qF "$3" "$T/said"
}

vanished_model() {
    model_make gone 1M
    wait_for 3 test -d "$M/gone" || fail "gone is not there"
    begin cat "$M/gone/stream"
    wait_for 3 holds_open "$waiting" stream || fail "the reader did not come"
    sleep 0.1 # into the read; too short a time only makes this test easier
    rm "$MODELS/gone.gguf"
    ends "a reader of the stream of a removed model" 1 "Stale file handle"
}

holds_open() { find "/proc/$1/fd" -lname "*/$2" | grep -q .; }

empty_prompt() {
    exec 7>"$M/a/prompt"
    /bin/echo >&7 # a child's close commits nothing yet
    begin cat "$M/a/wait"
    sleep 0.1
    exec 7>&-
    ends "a reader of wait, when the prompt turns out empty" 0 idle
}

# The worker gets ready and its only request is cancelled, and the daemon learns both at once.
cancelled_at_the_start() {
    local writer
    wait_for 3 state_is a cold || fail "a is in memory"
    echo "one two three" >"$M/a/prompt"
    wait_for 3 state_is a loading || fail "a does not load"
    kill -STOP "$daemon"
    sleep 0.4 # the worker is ready by now
    typed 'echo "cancel all" >$M/a/ctl' &
    writer=$!
    sleep 0.1
    kill -CONT "$daemon"
    check_ends "the cancel is heard" $writer
    check "a cancelled request does not seem to run for ever" wait_for 2 rests a
    echo again >"$M/a/prompt"
    check_same "the model can be used" again "$(timeout 3 cat "$M/a/output")"
}

rests() { grep -qE '^(cold|ready|failed)$' "$M/$1/state"; }

# -------------------------------------------------------------------------------- odd clients

odd_clients() {
    exec 7>"$M/a/ctl"
    check_refused "a wrong verb" "Invalid argument" 'echo nonsense >&7'
    check "does not spoil the next one" typed 'echo unload >&7'
    exec 7>&-
    check "any position in a folder is harmless" python3 - "$M" <<'PYTHON'
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
for folder in sys.argv[1], sys.argv[1] + "/a/config":
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    for position in list(range(0, 400)) + [10**6, 2**31 - 1, 2**62]:
        try:
            os.lseek(fd, position, os.SEEK_SET)
        except OSError:
            continue
        buffer = ctypes.create_string_buffer(280)
        libc.syscall(217, fd, buffer, 280) # getdents64
    os.close(fd)
assert "a" in os.listdir(sys.argv[1])
PYTHON
    printf -v name 'caf\xe9' # no UTF-8
    model_make "$name" 1M
    wait_for 3 test -d "$M/$name" || fail "a name of any bytes is no model"
    check "a name of any bytes is in the status" jq -e '[.models[].model] | all(type == "string")' "$M/status"
    rm "$MODELS/$name.gguf"
}

# ---------------------------------------------------------------------------------- the books

# The phases are none below 0, and they add up.
adds_up() {
    jq -e '.last_swap | ([to_entries[] | select(.key | endswith("_ms")) | select(.key != "total_ms")
        | .value // 0]) as $phases | ($phases | all(. >= 0)) and
        (($phases | add) - .total_ms | fabs) <= 0.1 + .total_ms / 50' "$M/$1/status"
}

many_victims() {
    local name size
    unload a
    for name in one two big; do
        size=40M
        [ $name != big ] || size=90M
        model_make $name $size
        wait_for 3 test -d "$M/$name" || fail "$name is not there"
    done
    for name in one two; do
        echo hi >"$M/$name/prompt"
        cat "$M/$name/output" >/dev/null
    done
    echo hi >"$M/big/prompt"
    check_same "the big one answers" hi "$(cat "$M/big/output")"
    check_same "both are named" '["one","two"]' "$(jq -c '.last_swap.evicted | sort' "$M/big/status")"
    check "its swap adds up" adds_up big
}

# What was asked for and given up is no part of the next swap.
given_up() {
    unload a
    echo hi >"$M/a/prompt"
    echo "cancel all" >"$M/a/ctl"
    wait_for 3 state_is a cold || fail "a is loaded for nobody"
    check_refused "load takes no argument" "Invalid argument" 'echo "load now" > $M/a/ctl'
    sleep 1
    echo hi >"$M/a/prompt"
    cat "$M/a/output" >/dev/null
    check "the swap begins with the request that was served" \
        jq -e '.last_swap.total_ms < 900 and .last_swap.reason == "request"' "$M/a/status"
    check "and adds up" adds_up a
}

new_context() {
    echo "one two three" >"$M/a/prompt"
    cat "$M/a/output" >/dev/null
    echo 16 >"$M/a/config/context"
    seq 40 >"$M/a/prompt"
    check_refused "a new context counts for the next prompt" "Message too long" 'cat $M/a/output'
    echo 0 >"$M/a/config/context"
}

# ------------------------------------------------------------------------------------- the storm

# One client: a random act, killed at a random moment.
client() {
    local model acts=(
        'echo "one two three $RANDOM" > $M/$model/prompt; cat $M/$model/output'
        'cat $M/$model/stream' 'cat $M/$model/wait' 'cat $M/$model/info' 'cat $M/events'
        '(echo part; sleep 0.2; echo rest) > $M/$model/prompt'
        'echo cancel > $M/$model/ctl' 'echo load > $M/$model/ctl' 'echo unload > $M/$model/ctl'
        'echo pin > $M/$model/ctl; echo unpin > $M/$model/ctl'
        'echo $((RANDOM % 90 + 10)) > $M/$model/config/max_tokens; ls -lR $M')
    while [ "$(now_ms)" -lt "$storm_end_ms" ]; do
        model=$([ $((RANDOM % 2)) = 0 ] && echo a || echo b)
        model=$model timeout -s KILL 0.$((RANDOM % 40 + 10)) bash -c "${acts[RANDOM % ${#acts[@]}]}"
    done >/dev/null 2>&1
}

# What happens to the daemon meanwhile.
trouble() {
    local worker
    while [ "$(now_ms)" -lt "$storm_end_ms" ]; do
        worker=$(workers | shuf -n 1)
        case $((RANDOM % 4)) in
        0) [ -z "$worker" ] || kill -9 "$worker" || true ;; # it may just have left
        1) rm -f "$MODELS/b.gguf" && sleep 0.1 && model_make b 64M ;;
        2) model_make new 64M && mv "$MODELS/new.gguf" "$MODELS/b.gguf" ;;
        3) echo $((RANDOM % 100 + 70))M >"$M/budget" ;;
        esac
        sleep 0.2
    done >/dev/null 2>&1
}

storm() {
    local clients=()
    storm_end_ms=$(($(now_ms) + 6000))
    while [ ${#clients[@]} -lt 24 ]; do
        client &
        clients+=($!)
    done
    trouble
    wait "${clients[@]}" || true # the last act was killed, or not
    [ -e "$MODELS/b.gguf" ] || model_make b 64M
    echo rescan >"$M/ctl"
    echo 100M >"$M/budget"
    for name in a b; do printf 'cancel all\nunpin\n' >"$M/$name/ctl"; done
    check "after the storm nothing is queued or running" wait_for 5 \
        jq -e '.queued == 0 and .running == 0 and .pinned_bytes == 0' "$M/status"
    check "nothing is loading or busy" wait_for 5 rests a
    for name in a b; do
        echo 0 >"$M/$name/config/max_tokens"
        echo "after all" >"$M/$name/prompt"
        check_same "$name answers" "after all" "$(timeout 5 cat "$M/$name/output")"
    done
}

# ---------------------------------------------------------------------------------------- the end

# Told to stop with everything open: who waits is told so, who has something open hurts nothing.
stopped_in_the_middle() {
    local name reader readers=()
    (long_prompt) >"$M/a/prompt"
    exec 7>"$M/b/prompt" 8<"$M/status" 9<"$M"
    /bin/echo begun >&7
    for name in a/output a/stream a/wait b/output b/stream b/wait; do
        cat "$M/$name" >/dev/null 2>>"$T/last_words" &
        readers+=($!)
    done
    sleep 0.3
    kill -TERM "$daemon"
    check "the daemon ends within 5 s" wait_for 5 daemon_gone
    check "so does everybody who waited" wait_for 1 all_gone "${readers[@]}"
    for reader in "${readers[@]}"; do
        check_ends "and knows that it was no answer" "$reader" 1
    done
    exec 7>&- 8<&- 9<&-
    daemon_reap
    check_same "its status" 0 "$daemon_status"
    daemon=''
}

all_gone() {
    local process
    for process in "$@"; do process_gone "$process" || return 1; done
}

log_allowed='ended: killed by SIGKILL' # the workers that the storm kills
models a b
mount_start budget=100M echo_load_ms=200 echo_token_ms=5
vanished_model
empty_prompt
cancelled_at_the_start
odd_clients
many_victims
given_up
new_context
storm
stopped_in_the_middle
