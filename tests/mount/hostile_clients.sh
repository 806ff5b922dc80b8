#!/usr/bin/env bash
# Clients that give up, die, lie and race, models that vanish: everybody else is served, nobody waits for ever.
source "$(dirname "$0")/../lib/mount.sh"

# ------------------------------------------------------------------------------- nobody is forgotten

# ends NAME STATUS TEXT LINE: the background line ends within 3 s with this status, having said TEXT.
begin() {
    typed "$1" >"$T/said" 2>&1 &
    waiting=$!
}

ends() {
    check "$1 ends" wait_for 3 process_gone "$waiting"
    check_ends "$1 has its status" "$waiting" "$2"
    check "$1 says why" grep -qF "$3" "$T/said"
}

vanished_model() {
    model_make gone 1M
    wait_for 3 test -d "$M/gone" || fail "gone is not there"
    begin 'exec cat $M/gone/stream'
    wait_for 3 holds_open "$waiting" stream || fail "the reader did not come"
    sleep 0.1 # into the read; too short a time only makes this test easier
    rm "$MODELS/gone.gguf"
    ends "a reader of the stream of a removed model" 1 "Stale file handle"
}

holds_open() { find "/proc/$1/fd" -lname "*/$2" | grep -q .; }

empty_prompt() {
    exec 7>"$M/a/prompt"
    printf '\n' >&7
    begin 'exec cat $M/a/wait'
    sleep 0.1
    exec 7>&-
    ends "a reader of wait, when the prompt turns out empty" 0 idle
}

# A cancelled request and the worker that becomes ready for it meet in one round of the loop.
cancelled_at_the_start() {
    local delay
    for delay in $(seq 0.016 0.0005 0.026); do
        echo unload >"$M/a/ctl"
        wait_for 3 state_is a cold || break
        echo "one two three" >"$M/a/prompt"
        sleep "$delay"
        echo "cancel all" >"$M/a/ctl"
    done
    check "after requests cancelled at the start nothing seems to run" wait_for 2 rests a
    echo again >"$M/a/prompt"
    check "and the model can be used" timeout 3 cat "$M/a/output"
}

rests() { grep -qE '^(cold|ready)$' "$M/$1/state"; }

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

models a b
mount_start budget=100M echo_load_ms=20 echo_token_ms=5
vanished_model
empty_prompt
cancelled_at_the_start
odd_clients
