#!/usr/bin/env bash
# Milliseconds of processor time that each tokenizer takes for 1 MB of each kind of text.
#
#   tests/bench/tokenize.sh MODEL...
#
# The shortest of three runs of `inferfs-engine tokenize`, less the shortest run on no text (opening
# the model).  Needs a build in build/ and a machine that does nothing else.
set -euo pipefail
cd "$(dirname "$0")/../.."

[ $# != 0 ] || {
    sed -n '4s/^# *//p' "$0" >&2
    exit 1
}
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT

# kind NAME UNIT: a file of a megabyte of it; UNIT as printf writes it
kind() {
    printf "$2" >"$work/unit"
    while [ "$(stat -c %s "$work/unit")" -lt 1000000 ]; do
        cat "$work/unit" "$work/unit" >"$work/double"
        mv "$work/double" "$work/unit"
    done
    head -c 1000000 "$work/unit" >"$work/text.$1"
    rm "$work/unit"
    kinds+=("$1")
}

# shortest MODEL FILE: processor time, which other programs disturb less than the clock's
shortest() {
    local TIMEFORMAT='%3U %3S' user_s system_s took_ms shortest_ms=1000000
    for _ in 1 2 3; do
        read -r user_s system_s < <({ time build/inferfs-engine tokenize "$1" <"$2" >/dev/null; } 2>&1)
        took_ms=$((10#${user_s/./} + 10#${system_s/./}))
        [ $took_ms -ge $shortest_ms ] || shortest_ms=$took_ms
    done
    echo $shortest_ms
}

kinds=()
kind letter a
kind space ' '
kind digit 7
kind newline '\n'
kind emoji '\xF0\x9F\x91\xA9\xE2\x80\x8D\xF0\x9F\x92\xBB'
kind invalid '\xFF\xFE'
kind marks '\xCC\x81\xCC\xA3'
kind chinese '\xE4\xBD\xA0\xE5\xA5\xBD'
kind punctuation '!'
cat README.md docs/*.md >"$work/unit"
kind english "$(sed 's/[%\\]//g' "$work/unit")"

: >"$work/nothing"
printf '%-12s' ms
printf '%12s' open "${kinds[@]}"
echo
for model in "$@"; do
    printf '%-12.12s' "$(basename "$model" .gguf | sed 's/^ggml-vocab-//')"
    open_ms=$(shortest "$model" "$work/nothing")
    printf '%12d' $open_ms
    for name in "${kinds[@]}"; do
        printf '%12d' $(($(shortest "$model" "$work/text.$name") - open_ms))
    done
    echo
done
