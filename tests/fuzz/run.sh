#!/usr/bin/env bash
# Build the fuzz targets with clang's sanitizers and feed each a number of inputs.
#
#   tests/fuzz/run.sh [-n INPUTS] [-o FOLDER] [NAME...]
#
#   -n   inputs for each target (default 100000)
#   -o   where programs, inputs and logs are kept (default: a new folder under /tmp)
#   NAME gguf safetensors tokenizer_json tokenizer template grammar pattern protocol (default: all)
#
# Prints a line a target: inputs, seconds, the most memory, findings.  A crash, an input of more than
# 10 s, and memory over 256 MB are findings; the input is kept in the folder.  Status 1 if there was
# one.
set -euo pipefail
cd "$(dirname "$0")/../.."

inputs=100000 folder=''
while getopts n:o: option; do
    case $option in
    n) inputs=$OPTARG ;;
    o) folder=$OPTARG ;;
    *) sed -n '2,12s/^# \{0,1\}//p' "$0" && exit 2 ;;
    esac
done
shift $((OPTIND - 1))
[ -n "$folder" ] || folder=$(mktemp -d /tmp/inferfs-fuzz.XXXXXX)
mkdir -p "$folder/objects"
[ $# != 0 ] || set -- gguf safetensors tokenizer_json tokenizer template grammar pattern protocol
export INFERFS_CACHE= # no index of a tokenizer is kept
# Freed memory that the sanitizer holds back is not the program's.
export ASAN_OPTIONS=quarantine_size_mb=16:malloc_context_size=2

: "${CLANG:=clang}"
flags=(-std=gnu17 -D_GNU_SOURCE -Iengine -I. -g -O2 -fno-sanitize-recover=undefined)

# Everything that a target may need, instrumented once; comparisons are not traced, which more than
# halves the inputs in a second.
build_library() {
    local source object
    for source in engine/protocol.c engine/base/*.c engine/load/*.c engine/text/*.c \
        engine/text/*/*.c engine/generate/{grammar,matcher,schema}*.c \
        tests/lib/sample_vocabulary.c; do
        [ -f "$source" ] || continue
        object=$folder/objects/${source//\//_}.o
        [ "$object" -nt "$source" ] ||
            "$CLANG" "${flags[@]}" -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-coverage=trace-cmp -c "$source" -o "$object"
    done
    rm -f "$folder/library.a"
    ar rcs "$folder/library.a" "$folder"/objects/*.o
}

# Inputs to start from, where there is a program that writes some.
seed() {
    local name=$1
    mkdir -p "$folder/$name"
    [ ! -f "tests/fuzz/seed_$name.py" ] || python3 "tests/fuzz/seed_$name.py" "$folder/$name"
    [ -f "tests/fuzz/seed_$name.c" ] || return 0
    "$CLANG" "${flags[@]}" "tests/fuzz/seed_$name.c" tests/lib/{gguf,safetensors}_writer.c \
        engine/base/{memory,tensor}.c -lm -o "$folder/seed_$name"
    "$folder/seed_$name" "$folder/$name"
}

length_max() {
    case $1 in
    gguf | safetensors) echo 1500 ;;
    protocol | tokenizer_json) echo 700 ;;
    tokenizer) echo 96 ;;
    *) echo 200 ;;
    esac
}

run() {
    local name=$1 log=$folder/$1.log begin=$SECONDS verdict='0 findings' status=0 words=()
    "$CLANG" "${flags[@]}" -fsanitize=fuzzer,address,undefined "tests/fuzz/fuzz_$name.c" \
        "$folder/library.a" -lpcre2-8 -lutf8proc -lxxhash -ljansson -lm -o "$folder/fuzz_$name"
    seed "$name"
    [ ! -f "tests/fuzz/$name.dict" ] || words=("-dict=tests/fuzz/$name.dict")
    "$folder/fuzz_$name" "${words[@]}" -runs="$inputs" -rss_limit_mb=256 -timeout=10 -print_final_stats=1 -entropic=0 -shrink=0 \
        -artifact_prefix="$folder/$name-" -max_len="$(length_max "$name")" "$folder/$name" \
        >"$log" 2>&1 || status=1
    [ $status = 0 ] || verdict="FINDING, see $log"
    printf '%-15s %10d inputs  %6d s  %4d MB  %s\n' "$name" \
        "$(figure number_of_executed_units "$log")" $((SECONDS - begin)) \
        "$(figure peak_rss_mb "$log")" "$verdict"
    return $status
}

figure() { sed -n "s/^stat::$1: *//p" "$2" | tail -n 1; }

build_library
failed=0
for name; do
    run "$name" || failed=1
done
exit $failed
