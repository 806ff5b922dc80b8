# shellcheck shell=bash
# mount.sh - what every mount test shares: a models folder, a running daemon, checks, clean-up.
#
#   source "$(dirname "$0")/../lib/mount.sh"
#   models_two                            models a and b, and $budget with room for one of them
#   mount_start budget="$budget" ttl=5    options as after -o; arguments with a dash as they are
#   check "it answers" typed 'echo hi > $M/a/prompt && cat $M/a/output'
#
# The script's argument is the engine: `echo` (default) or `smollm2`.  However a script ends, the
# daemon is unmounted, what the test started is ended (nothing else is), and the test fails when a
# check failed, when the daemon died by itself, complained in its log, left its mount busy, or when a
# process of the test is stuck in the kernel (state D).

set -euo pipefail
export LC_ALL=C

project=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
: "${INFERFS:=$project/build/inferfs}"
: "${INFERFS_ENGINE:=$project/build/inferfs-engine}"
: "${INFERFS_LONG:=0}" "${INFERFS_NUMBERS:=0}"
export INFERFS INFERFS_ENGINE
PATH=$(dirname "$INFERFS_ENGINE"):$PATH # where the daemon finds it

engine=${1:-echo}
failures=0 checks=0
daemon='' daemon_status=0 # the process that mount_start() started, and how it ended
daemon_may_die=no  # a test that kills it says yes
log_allowed='^$'   # lines of the daemon's log that match are no complaint
readonly log_complaint='abort|assert|sanitizer|runtime error|segmentation|fatal|(^|[^a-z])errors?([^a-z]|$)'

# ------------------------------------------------------------------------------------- verdicts

say() { printf '%s\n' "$*"; }

fail() {
    failures=$((failures + 1))
    say "FAIL $*"
}

skip() {
    say "SKIP $*"
    exit 77
}

# check NAME COMMAND...: the command succeeds.
check() {
    local name=$1 output status=0
    shift
    checks=$((checks + 1))
    output=$("$@" 2>&1) || status=$?
    if [ $status = 0 ]; then
        say "ok   $name"
    else
        fail "$name: status $status from: $*"
        printf '%s\n' "$output" | tail -n 20 | sed 's/^/     | /'
    fi
}

# check_same NAME EXPECTED ACTUAL: two strings are equal.
check_same() {
    checks=$((checks + 1))
    if [ "$2" = "$3" ]; then
        say "ok   $1"
    else
        fail "$1"
        printf '     | expected %q\n     | actual   %q\n' "${2:0:400}" "${3:0:400}"
    fi
}

# check_silent NAME LINE: the shell line prints nothing, neither on stdout nor on stderr.
check_silent() {
    check_same "$1" "" "$(typed "$2" 2>&1 | head -n 20)"
}

# check_refused NAME TEXT LINE: the shell line fails and says TEXT on stderr.
check_refused() {
    local output status=0
    checks=$((checks + 1))
    output=$(typed "$3" 2>&1 >/dev/null) || status=$?
    if [ $status != 0 ] && [[ $output == *"$2"* ]]; then
        say "ok   $1"
    else
        fail "$1: status $status, expected a failure with \"$2\", from: $3"
        printf '%s\n' "$output" | tail -n 5 | sed 's/^/     | /'
    fi
}

# check_ends NAME PROCESS [STATUS]: the background process ends, with this status (0).
check_ends() {
    local status=0
    wait "$2" || status=$?
    check_same "$1" "${3:-0}" $status
}

# check_within NAME MILLISECONDS COMMAND...: it succeeds, and in that time.
check_within() {
    local name=$1 limit_ms=$2 started_ms elapsed_ms
    shift 2
    started_ms=$(now_ms)
    check "$name" "$@"
    elapsed_ms=$(($(now_ms) - started_ms))
    checks=$((checks + 1))
    if [ $elapsed_ms -le "$limit_ms" ]; then
        say "ok   $name: $elapsed_ms ms of $limit_ms ms"
    else
        fail "$name: took $elapsed_ms ms, allowed are $limit_ms ms"
    fi
}

# --------------------------------------------------------------------------------------- helpers

# Run a line as a user types it, in a shell of its own that knows $M and $MODELS.
typed() { (cd "$T" && exec bash -c "$1"); }

now_ms() { say $((${EPOCHREALTIME/[.,]/} / 1000)); }

# wait_for SECONDS COMMAND...: until the command succeeds; fails when it does not in that time.
wait_for() {
    local deadline_ms=$(($(now_ms) + $1 * 1000))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$(now_ms)" -lt $deadline_ms ] || return 1
        sleep 0.02
    done
}

state_is() { [ "$(cat "$M/$1/state")" = "$2" ]; }

jobs_of() { jq .totals.jobs "$M/$1/status"; }

# The daemon's worker processes, one number a line; none is no failure.
workers() { pgrep -P "$daemon" || true; }

no_workers() { [ -z "$(workers)" ]; }

unload() {
    echo unload >"$M/$1/ctl"
    wait_for 10 state_is "$1" cold || fail "$1 is not unloaded after 10 s"
}

# A prompt whose answer takes seconds (echo answers with the prompt, a word per token).
long_prompt() {
    if [ "$engine" = echo ]; then
        say "Count to 500: $(seq -s ' ' 500)"
    else
        say "Tell me a long story about a king, a dragon and a castle."
    fi
}

# ---------------------------------------------------------------------------------------- models

# model_make NAME SIZE: a model of the echo engine.
model_make() { truncate -s "$2" "$MODELS/$1.gguf"; }

# model_real NAME...: SmolLM2 under these names (hard links where possible).
model_real() {
    local name
    [ -r "${INFERFS_SMOLLM2:-}" ] || skip "INFERFS_SMOLLM2 does not name the model file"
    for name in "$@"; do
        ln "$INFERFS_SMOLLM2" "$MODELS/$name.gguf" 2>/dev/null ||
            cp "$INFERFS_SMOLLM2" "$MODELS/$name.gguf"
    done
}

# models NAME...: of the engine under test; afterwards $charge is what one of them holds in bytes.
models() {
    local name
    if [ "$engine" = echo ]; then
        charge=$((64 << 20))
        for name in "$@"; do model_make "$name" $charge; done
    else
        model_real "$@"
        charge=$("$INFERFS_ENGINE" info "$MODELS/$1.gguf" | jq -e .charge_bytes)
    fi
}

models_two() {
    models a b
    budget=$((charge * 13 / 10))
    say "one model holds $charge bytes, the budget is $budget"
}

# Answers that can be compared: greedy, and of a real model no longer than $1 tokens (0: no limit).
deterministic() {
    local model
    for model in "$M"/*/; do
        echo 0 >"$model/config/temperature"
        [ "$engine" = echo ] || echo "${1:-0}" >"$model/config/max_tokens"
    done
}

# ----------------------------------------------------------------------------------------- mount

mounted() { grep -q " $M .* - fuse" /proc/self/mountinfo; }

# Start the daemon in the foreground, as a child of this shell, and wait until it answers.
mount_start() {
    local options="engine=echo" argument arguments=()
    [ "$engine" = echo ] || options=""
    for argument in "$@"; do
        case $argument in
        -*) arguments+=("$argument") ;;
        *) options=${options:+$options,}$argument ;;
        esac
    done
    # A shell makes its background processes ignore SIGINT; the daemon is to take it as ever.
    env --default-signal=INT,QUIT "$INFERFS" "$MODELS" "$M" -f "${arguments[@]}" \
        ${options:+-o "$options"} >>"$T/log" 2>&1 &
    daemon=$!
    if ! wait_for 10 serving_or_gone || daemon_gone; then
        fail "not mounted; options: $options ${arguments[*]}"
        exit 1
    fi
}

# This daemon answers: being mounted is not enough, that may be a dead one before it.
serving_or_gone() { [ "$(jq .pid "$M/status")" = "$daemon" ] || daemon_gone; }

# Unmount and wait for the daemon's end; says what went wrong.
mount_stop() {
    [ -n "$daemon" ] || return 0
    if ! kill -0 "$daemon" 2>/dev/null; then
        daemon_reap
        [ $daemon_may_die = yes ] || fail "the daemon died by itself, status $daemon_status"
        mounted && fusermount3 -uz "$M"
    else
        mount_detach
        wait_for 10 daemon_gone || {
            fail "the daemon still runs 10 s after unmounting"
            kill -9 "$daemon" 2>/dev/null || true
        }
        daemon_reap
        [ $daemon_status = 0 ] || fail "the daemon ended with status $daemon_status"
    fi
    daemon=''
}

daemon_gone() { process_gone "$daemon"; }

# Ended, even if nobody has waited for it yet.
process_gone() {
    case $(ps -o stat= -p "$1") in
    '' | Z*) ;;
    *) return 1 ;;
    esac
}

daemon_reap() {
    daemon_status=0
    wait "$daemon" 2>/dev/null || daemon_status=$?
}

mount_detach() {
    mounted || return 0
    # A process of the test that was just ended may hold a file for a moment.
    wait_for 5 fusermount3 -u "$M" || {
        fail "the mount stays busy"
        fusermount3 -uz "$M" || true
    }
}

# -------------------------------------------------------------------------------------- clean-up

# Processes of this test's session that wait in the kernel and can't be killed.
stuck() {
    ps -o stat=,pid=,args= -s "$(ps -o sid= -p $$ | tr -d ' ')" |
        awk '/^D/ { print; found = 1 } END { exit !found }'
}

not_stuck() { ! stuck; }

log_complaints() {
    [ -s "$T/log" ] && grep -iE "$log_complaint" "$T/log" | grep -vE "$log_allowed"
}

finish() {
    local status=$?
    trap - EXIT INT TERM
    set +e
    end_jobs
    mount_stop
    wait_for 3 not_stuck || fail "stuck in the kernel: $(stuck | head -n 3)"
    [ $status = 0 ] || [ $status = 77 ] || fail "the script ended with status $status"
    if log_complaints >"$T/complaints"; then
        fail "the daemon complains:"
        head -n 10 "$T/complaints" | sed 's/^/     | /'
    fi
    if [ $failures != 0 ] && [ -s "$T/log" ]; then
        say "--- the daemon's last lines:"
        tail -n 15 "$T/log" | sed 's/^/     | /'
    fi
    rm -rf --one-file-system "$T"
    [ $status != 77 ] || [ $failures != 0 ] || exit 77
    say "$checks checks, $failures failed"
    [ $failures = 0 ] && [ $checks -gt 0 ] || exit 1
    exit 0
}

# End the background jobs of this script, but not the daemon.
end_jobs() {
    local job
    for job in $(jobs -p); do
        [ "$job" = "${daemon:-}" ] || kill -9 "$job" 2>/dev/null
    done
}

T=$(mktemp -d "${TMPDIR:-/tmp}/inferfs-test.XXXXXX")
T=$(realpath "$T")
M=$T/mount
MODELS=$T/models
mkdir "$M" "$MODELS"
export M MODELS T
trap finish EXIT
trap 'exit 1' INT TERM
[ -x "$INFERFS" ] || skip "there is no $INFERFS"
[ -w /dev/fuse ] || skip "this user can't open /dev/fuse"
