#!/usr/bin/env bash
# The command line, exit codes, signals and mount points of a well-behaved FUSE program.
source "$(dirname "$0")/../lib/mount.sh"

# status_of EXPECTED NAME ARGUMENTS...: it ends with this status and says something on stderr.
status_of() {
    local expected=$1 name=$2 status=0
    shift 2
    timeout 10 "$INFERFS" "$@" >"$T/stdout" 2>"$T/stderr" || status=$?
    if [ "$expected" = any ]; then
        check "$name: status $status is no success" test $status != 0
    else
        check_same "$name" "$expected" $status
    fi
    check "$name: one line says why" test -s "$T/stderr"
    check "$name: nothing stays mounted" typed '! grep -q " $M" /proc/self/mountinfo'
}

command_line() {
    status_of 1 "an unknown option" "$MODELS" "$M" -o nonsense
    check "names the option" grep -q nonsense "$T/stderr"
    status_of 1 "an unknown letter" "$MODELS" "$M" -Z
    status_of 1 "a budget that is no size" "$MODELS" "$M" -o budget=much
    status_of 1 "threads that are no number" "$MODELS" "$M" -o threads=2abc
    status_of 1 "no threads" "$MODELS" "$M" -o threads=0
    status_of 1 "kernels that nobody has" "$MODELS" "$M" -o kernels=sse9
    status_of 1 "a context of nothing" "$MODELS" "$M" -o context=-1
    status_of 1 "an engine that is none" "$MODELS" "$M" -o engine=nonsense
    status_of 2 "no mount point" "$MODELS"
    status_of any "no arguments"
    status_of any "no models folder" "$T/none" "$M"
    status_of any "no such mount point" "$MODELS" "$T/none"
    touch "$T/file"
    status_of any "a file as the models folder" "$T/file" "$M"
    status_of any "a file as the mount point" "$MODELS" "$T/file"
    status_of any "the models folder as the mount point" "$MODELS" "$MODELS"
    mkdir -p "$M/under"
    status_of any "a models folder under the mount point" "$M/under" "$M"
    rmdir "$M/under"
}

help_and_version() {
    check "help" "$INFERFS" -h
    check "help names the options" typed '"$INFERFS" --help 2>&1 | grep -q budget'
    check "version" typed '"$INFERFS" -V | grep -qE "inferfs.*[0-9]+\.[0-9]+"'
}

pid_of_mount() { jq .pid "$M/status"; }

# Mounted by a daemon in the background; $daemon is no child of this shell.
daemonises() {
    check_within "the command returns" 5000 "$INFERFS" "$MODELS" "$M" -o engine=echo
    check "when it is mounted" mounted
    daemon=$(pid_of_mount)
    check "it answers" typed 'echo hi > $M/a/prompt && [ "$(cat $M/a/output)" = hi ]'
}

ends_within_5s() { wait_for 5 process_gone "$1" && ! mounted; }

# ends_by SIGNAL: also with a loaded model, a running job and a waiting reader.
ends_by() {
    local reader processes
    long_prompt >"$M/a/prompt"
    cat "$M/a/output" >/dev/null 2>"$T/complaint" &
    reader=$!
    wait_for 5 state_is a busy || fail "not busy"
    processes=$(workers)
    kill "-$1" "$daemon"
    check "SIG$1 unmounts within 5 s" ends_within_5s "$daemon"
    check_ends "a waiting reader is told" $reader 1
    check "no worker is left" wait_for 2 process_gone "$processes"
    check "the mount point is an empty folder again" typed '[ -z "$(ls $M)" ]'
}

single_threaded() {
    mount_start -s echo_token_ms=2
    check_silent "-s: 8 shells" \
        'seq 8 | xargs -P8 -I{} sh -c '"'"'echo "K{}" > $M/a/prompt; x=$(cat $M/a/output); [ "$x" = K{} ] || echo FAIL {} "$x"'"'"
    mount_stop
}

debugging() {
    "$INFERFS" "$MODELS" "$M" -d -o engine=echo >"$T/debug" 2>&1 &
    daemon=$!
    check "-d mounts and stays in the foreground" wait_for 5 mounted
    check "-d works" typed 'echo hi > $M/a/prompt && cat $M/a/output'
    check "fusermount3 -u ends it" fusermount3 -u "$M"
    check "within 5 s" wait_for 5 daemon_gone
    daemon=''
}

model_make a 2M
command_line
help_and_version
daemonises
check "fusermount3 -u unmounts" fusermount3 -u "$M"
check "the daemon ends" ends_within_5s "$daemon"
daemon=''
for signal in TERM INT HUP; do
    mount_start echo_token_ms=20
    ends_by $signal
    daemon_reap
    check_same "SIG$signal: status" 0 $daemon_status
    daemon=''
done
single_threaded
debugging
mkdir "$T/models/inside"
M=$T/models/inside
mount_start
check "a mount point inside the models folder is fine" typed 'echo hi > $M/a/prompt && cat $M/a/output'
mount_stop
mount_start default_permissions,nosuid,nodev,noatime,fsname=llm,budget=50%,nolineage
check "FUSE's own options are taken" grep -q ' - fuse[.a-z]* llm ' /proc/self/mountinfo
