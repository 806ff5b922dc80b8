#!/usr/bin/env bash
# Do two models that generate at the same time get as much done as one that has the machine for
# itself?
#
#   tests/bench/two_models.sh MOUNTPOINT MODEL OTHER [ROUNDS]
#
# MODEL and OTHER are two names in the mount, of files or of links to one file (-o symlinks); both must
# fit the budget.  A round is: MODEL alone, both, OTHER alone, both; greedy answers of at most 256 tokens.
# Prints one JSON object of medians: tokens per second, from writing the prompt to the end of the last
# answer as the shell sees it, of each alone, of each beside the other, of both together, and `ratio`,
# both together to the mean of each alone.  All it needs is a mount, a shell and jq.
set -euo pipefail
export LC_ALL=C

readonly tokens=256
readonly prompt="Tell me a long story about a king, a dragon and a castle."

now_us() { echo "${EPOCHREALTIME/[.,]/}"; }

# Set a file of a model's config/ and have it as it was at the end.
set_config() { # MODEL NAME VALUE
    local file=$mount/$1/config/$2
    settings+=("$file" "$(<"$file")")
    echo "$3" >"$file"
}

restore() {
    local i
    for ((i = 0; i < ${#settings[@]}; i += 2)); do echo "${settings[i + 1]}" >"${settings[i]}"; done
}

answer() { echo "$prompt" >"$mount/$1/prompt" && cat "$mount/$1/output" >/dev/null; }

# measure KIND MODEL...: ask all at once; prints {kind, each: {MODEL: tokens/s}, sum: tokens/s}.
measure() {
    local kind=$1 model started_us elapsed_us process answers=()
    shift
    started_us=$(now_us)
    for model in "$@"; do
        answer "$model" &
        answers+=($!)
    done
    for process in "${answers[@]}"; do wait "$process"; done
    elapsed_us=$(($(now_us) - started_us))
    for model in "$@"; do jq -c '{model, job: .last_job}' "$mount/$model/status"; done |
        jq -sc --arg kind "$kind" --argjson us $elapsed_us '{kind: $kind,
            each: (map({(.model): (.job.completion_tokens * 1e6 / $us)}) | add),
            sum: ((map(.job.completion_tokens) | add) * 1e6 / $us)}'
}

main() {
    [ $# = 3 ] || [ $# = 4 ] || {
        sed -n '5s/^# *//p' "$0" >&2
        exit 1
    }
    mount=$1 settings=()
    local model=$2 other=$3 rounds=${4:-5} name
    trap restore EXIT
    for name in "$model" "$other"; do
        set_config "$name" temperature 0
        set_config "$name" max_tokens $tokens
        answer "$name" # loads it; not counted
    done
    for _ in $(seq "$rounds"); do
        measure alone "$model"
        measure together "$model" "$other"
        measure alone "$other"
        measure together "$model" "$other"
    done | jq -s --arg model "$model" --arg other "$other" '
        def median: sort | if length % 2 == 1 then .[length / 2 | floor]
            else (.[length / 2 - 1] + .[length / 2]) / 2 end;
        def of(kind; name): map(select(.kind == kind) | .each[name] // empty) | median;
        (map(select(.kind == "together") | .sum) | median) as $sum
        | {alone: {($model): of("alone"; $model), ($other): of("alone"; $other)},
           beside: {($model): of("together"; $model), ($other): of("together"; $other)},
           together: $sum}
        | .ratio = .together / (.alone | add / 2)
        | map_values(if type == "object" then map_values(. * 10 | round / 10)
                     else . * 1000 | round / 1000 end)'
}

main "$@"
