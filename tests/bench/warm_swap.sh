#!/usr/bin/env bash
# How long from a prompt to the first byte of its answer when the model is not loaded and its file is
# in the page cache?
#
#   tests/bench/warm_swap.sh MOUNTPOINT MODEL [ROUNDS]
#
# Prints one JSON object: the wall time of each round as the shell sees it (written to `prompt` until
# the first byte of `stream`), and the daemon's own phases of the same swaps.  One round before them
# is not counted: it brings the file into the page cache.
set -euo pipefail
export LC_ALL=C

now_us() { echo "${EPOCHREALTIME/[.,]/}"; }

unload() {
    local waited
    echo unload >"$folder/ctl"
    for waited in {1..500}; do
        [ "$(<"$folder/state")" != cold ] || return 0
        sleep 0.02
    done
    echo "warm_swap: the model is not unloaded after $((waited / 50)) s" >&2
    return 1
}

# One swap: leaves the time to the first byte in $elapsed_us.
swap() {
    local started_us byte
    unload
    started_us=$(now_us)
    echo "Say hi" >"$folder/prompt"
    IFS= read -r -N 1 byte <"$folder/stream"
    elapsed_us=$(($(now_us) - started_us))
    [ -n "$byte" ]
    cat "$folder/output" >/dev/null
}

main() {
    [ $# = 2 ] || [ $# = 3 ] || {
        sed -n '5s/^# *//p' "$0" >&2
        exit 1
    }
    folder=$1/$2
    local rounds=${3:-9} old
    old=$(<"$folder/config/max_tokens")
    echo 4 >"$folder/config/max_tokens"
    # shellcheck disable=SC2064
    trap "echo '$old' >'$folder/config/max_tokens'" EXIT
    swap
    for _ in $(seq "$rounds"); do
        swap
        jq -c --argjson wall_us "$elapsed_us" '.last_swap + {wall_ms: ($wall_us / 1000)}' \
            "$folder/status"
    done | jq -s --arg model "$2" '
        def summary: map(select(. != null)) | sort | if length == 0 then null
            else {median: .[length / 2 | floor], worst: .[-1], all: .} end;
        {model: $model, rounds: length, page_cache: (map(.page_cache) | unique),
            wall_ms: map(.wall_ms) | summary, total_ms: map(.total_ms) | summary,
            load_ms: map(.load_ms) | summary, reinit_ms: map(.reinit_ms) | summary,
            first_token_ms: map(.first_token_ms) | summary}'
}

main "$@"
