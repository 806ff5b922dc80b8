#!/usr/bin/env bash
# inferfs-engine against llama.cpp: the same files, the same threads, in turn.
#
#   tests/bench/compare.sh [-r ROUNDS] [-t THREADS] [-o FILE.json] LLAMA_BENCH MODEL.gguf...
#
# Each round runs our `bench` and then the given llama-bench: a prompt of 512 tokens, 128 tokens of
# decoding, and 8 sequences of 128 tokens together where llama-batched-bench lies beside it.  Prints
# the median of each and their ratio, and writes every figure with the machine's description to
# FILE.json.  Both programs read a first prompt that does not count.  INFERFS_KERNELS chooses our
# kernels, as always.  Needs a build in build/, jq, and a machine that does nothing else: the load
# and the time stolen by other guests are recorded.
set -euo pipefail
export LC_ALL=C
here=$(cd "$(dirname "$0")/../.." && pwd)
prompt=512 decode=128 sequences=8

usage() {
    sed -n '4s/^# *//p' "$0" >&2
    exit 1
}

rounds=5 threads=$(nproc) output=''
while getopts r:t:o: option; do
    case $option in
    r) rounds=$OPTARG ;;
    t) threads=$OPTARG ;;
    o) output=$OPTARG ;;
    *) usage ;;
    esac
done
shift $((OPTIND - 1))
[ $# -ge 2 ] || usage
llama_bench=$(realpath "$1")
batched_bench=$(dirname "$llama_bench")/llama-batched-bench
shift
LD_LIBRARY_PATH=$(dirname "$llama_bench")${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export LD_LIBRARY_PATH
work=$(mktemp -d)
trap 'rm -rf --one-file-system "$work"' EXIT

# Ticks stolen by other guests of the host since the start.
stolen() { awk '/^cpu / { print $9 }' /proc/stat; }

machine() {
    jq -n --arg cpu "$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1)" \
        --arg flags "$(grep -m 1 -oE '\b(avx2|avx_vnni|avx512_vnni|amx_int8|asimddp|i8mm)\b' /proc/cpuinfo | sort -u | tr '\n' ' ')" \
        --argjson cores "$(nproc)" --arg kernel "$(uname -r)" --arg load "$(cut -d ' ' -f 1 /proc/loadavg)" \
        --arg date "$(date -u +%FT%RZ)" --argjson threads "$threads" --argjson rounds "$rounds" \
        '{cpu: $cpu, flags: $flags, cores: $cores, kernel: $kernel, load_before: $load, date: $date,
          threads: $threads, rounds: $rounds}'
}

# One line of JSON: {prefill, decode, together} in tokens/s.
ours() {
    "$here/build/inferfs-engine" bench "$1" --json -t "$threads" -p $prompt -n $decode -b 1,$sequences -r 1 |
        jq -c '{prefill: .prefill_tokens_per_s, decode: .decode_tokens_per_s,
                together: (.batch[] | select(.sequences > 1).tokens_per_s), load_ms, kernels}'
}

theirs() {
    local together=null
    [ ! -x "$batched_bench" ] || together=$("$batched_bench" -m "$1" -t "$threads" -tb "$threads" \
        -c $((sequences * 256)) -npp 32 -ntg $decode -npl $sequences --output-format jsonl 2>/dev/null |
        jq -s 'map(select(.pl? != null))[0].speed_tg')
    "$llama_bench" -m "$1" -t "$threads" -p $prompt -n $decode -r 1 -o json 2>/dev/null |
        jq -c --argjson together "$together" \
            '{prefill: (.[] | select(.n_prompt > 0).avg_ts), decode: (.[] | select(.n_gen > 0).avg_ts), $together}'
}

# The medians of both sides and their ratios.
summary() {
    jq -s --slurpfile theirs "$2" --arg model "$(basename "$1")" '
        def median: sort | if length == 0 then null else (.[(length - 1) / 2 | floor] + .[length / 2 | floor]) / 2 end;
        def figure($ours; $theirs): ($ours | median) as $we | ($theirs | map(values) | median) as $they
            | {ours: $we, theirs: $they, ratio: (if $they then $we / $they else null end),
               all_ours: $ours, all_theirs: $theirs};
        . as $ours | {model: $model, kernels: $ours[0].kernels} + (
            ["prefill", "decode", "together"]
            | map(. as $what | {key: $what, value: figure([$ours[][$what]]; [$theirs[][$what]])}) | from_entries)' | jq -c .
}

print() {
    jq -r 'def two: if . == null then "-" else . * 100 | round / 100 | tostring end;
        .model + " (" + .kernels + ")",
        (to_entries[] | select(.value | type == "object")
            | "  " + .key + ": " + (.value.ours | two) + " against " + (.value.theirs | two)
              + " tokens/s, ratio " + (.value.ratio | two))'
}

stolen_before=$(stolen)
machine | tee "$work/machine" | jq -r '"\(.cpu), \(.cores) cores, \(.flags), load \(.load_before), \(.threads) threads"'
: >"$work/models"
for model in "$@"; do
    : >"$work/ours"
    : >"$work/theirs"
    for _ in $(seq "$rounds"); do
        ours "$model" >>"$work/ours"
        theirs "$model" >>"$work/theirs"
    done
    summary "$model" "$work/theirs" <"$work/ours" | tee -a "$work/models" | print
done
jq -n --slurpfile machine "$work/machine" --slurpfile models "$work/models" \
    --argjson stolen $(($(stolen) - stolen_before)) \
    '$machine[0] + {stolen_ticks: $stolen, models: $models}' >"$work/result"
[ -z "$output" ] || cp "$work/result" "$output"
