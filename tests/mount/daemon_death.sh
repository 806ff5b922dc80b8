#!/usr/bin/env bash
# The daemon is killed: waiting readers end with an error, no worker stays behind, and the next start
# takes over the dead mount point.
source "$(dirname "$0")/../lib/mount.sh"

kill_daemon() {
    local processes
    processes=$(workers)
    kill -9 "$daemon"
    check "no worker outlives it by a second" wait_for 1 none_of "$processes"
    daemon_may_die=yes
}

none_of() {
    local process
    for process in $1; do process_gone "$process" || return 1; done
}

readers_end() {
    long_prompt >"$M/a/prompt"
    cat "$M/a/stream" >"$T/partial" 2>"$T/complaint" &
    local streaming=$!
    cat "$M/a/output" >/dev/null 2>&1 &
    local waiting=$!
    wait_for 10 test -s "$T/partial" || fail "nothing came"
    kill_daemon
    check_ends "a streaming reader ends with an error" $streaming 1
    check_ends "a waiting reader ends with an error" $waiting 1
    check_refused "the mount says that it is dead" "not connected" 'cat $M/status'
}

works() { typed 'echo hi > $M/a/prompt; cat $M/a/output | grep -q .'; }

models_two
mount_start budget=$budget echo_token_ms=20
readers_end
check "fusermount3 -u detaches it" fusermount3 -u "$M"
mount_start budget=$budget
check "a restart works" works
kill_daemon
wait_for 1 daemon_gone || fail "not dead"
check "the mount point is dead" typed '! stat $M/status'
fake=$daemon
mount_start budget=$budget
check "a dead mount point is taken over" works
check "by another process" test "$fake" != "$daemon"
check_same "nothing is mounted under it" 1 "$(grep -c " $M " /proc/self/mountinfo)"
daemon_may_die=no
