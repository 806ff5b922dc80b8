#!/usr/bin/env bash
# The figures of docs/PERFORMANCE.md, measured on this machine.
#
#   tests/bench/numbers.sh MODEL.gguf [ROUNDS]
#
# Prints the machine, `inferfs-engine bench`, the warm swap (the model mounted under two names that do
# not fit together), and what the file system itself costs (the echo engine).  Needs a build in build/
# and a machine that does nothing else.
set -euo pipefail
export LC_ALL=C
cd "$(dirname "$0")/../.."

[ $# = 1 ] || [ $# = 2 ] || {
    sed -n '4s/^# *//p' "$0" >&2
    exit 1
}
model=$(realpath "$1") rounds=${2:-9}
work=$(mktemp -d)
daemon=''

clean_up() {
    if [ -n "$daemon" ]; then
        fusermount3 -u "$work/mount" || fusermount3 -uz "$work/mount"
        wait "$daemon" || true
    fi
    rm -rf --one-file-system "$work"
}
trap clean_up EXIT

mount_it() { # OPTIONS
    build/inferfs "$work/models" "$work/mount" -f -o "$1" &
    daemon=$!
    until [ "$(jq .pid "$work/mount/status" 2>/dev/null)" = "$daemon" ]; do
        kill -0 "$daemon"
        sleep 0.02
    done
}

unmount() {
    fusermount3 -u "$work/mount"
    wait "$daemon"
    daemon=''
}

machine() {
    grep -m 1 'model name' /proc/cpuinfo
    printf 'cores: %s, load: %s, kernel: %s\n' "$(nproc)" "$(cut -d ' ' -f 1 /proc/loadavg)" "$(uname -r)"
}

# Requests a second through the files: a shell's echo and cat, nothing computed.
file_rate() {
    local count=500 started_us elapsed_us
    started_us=${EPOCHREALTIME/[.,]/}
    for _ in $(seq $count); do
        echo hi >"$work/mount/echo/prompt"
        cat "$work/mount/echo/output" >/dev/null
    done
    elapsed_us=$((${EPOCHREALTIME/[.,]/} - started_us))
    jq -n --argjson us $elapsed_us --argjson n $count '{echo_requests_per_s: ($n * 1e6 / $us)}'
}

mkdir "$work/models" "$work/mount"
echo "== machine"
machine
echo "== engine"
build/inferfs-engine bench "$model" -r "$rounds"

echo "== warm swap"
ln "$model" "$work/models/one.gguf" 2>/dev/null || cp "$model" "$work/models/one.gguf"
mount_it "budget=60%"
tests/bench/warm_swap.sh "$work/mount" one "$rounds" | jq -c 'map_values(if type == "object" then del(.all) else . end)'
unmount

echo "== files"
rm "$work/models/one.gguf"
truncate -s 1M "$work/models/echo.gguf"
mount_it "engine=echo"
file_rate
unmount
