#!/usr/bin/env bash
# Build inferfs and run its tests; see tests/README.md.
#
#   tests/run.sh            everything, in a length that suits continuous integration
#   tests/run.sh --fast     unit tests and mounts with the fake engine: no model, no download
#   tests/run.sh --long     long tests with their full counts
#   tests/run.sh NAME...    only tests with these names, e.g. `config` or `commit_rule_echo`
#
# The last line is `N passed, N failed, N skipped`; the status is 1 when any failed or none ran.
set -euo pipefail
cd "$(dirname "$0")/.."

cache=${XDG_CACHE_HOME:-$HOME/.cache}/inferfs
passed=0 failed=0 skipped=0
mode=all names=()

step() { printf '\n== %s\n' "$*"; }

usage() {
    sed -n '2,9s/^# \{0,1\}//p' "$0"
    exit "$1"
}

parse() {
    local argument
    for argument in "$@"; do
        case $argument in
        --fast) mode=fast ;;
        --long) mode=long ;;
        -h | --help) usage 0 ;;
        -*) usage 1 >&2 ;;
        *) names+=("$argument") ;;
        esac
    done
}

# The last line, also when a build failed: that is one failure.
summary() {
    local status=$?
    trap - EXIT
    [ $status = 0 ] || [ $failed != 0 ] || failed=1
    [ $((passed + failed)) != 0 ] || failed=1
    printf '\n%d passed, %d failed, %d skipped\n' $passed $failed $skipped
    [ $failed = 0 ] || exit 1
    exit 0
}

# Nothing here is fatal: a test that misses something says so and is skipped.
prepare() {
    step "packages"
    examples/install-packages.sh libcmocka-dev libopenblas-dev libsimde-dev jq rsync procps python3 python3-pip python3-venv ||
        echo "Not all packages could be installed; going on with what is there."
    [ $mode != fast ] || return 0

    step "packages for the kernels of other processors"
    examples/install-packages.sh gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user ||
        echo "Not installed: the kernels for ARM will not be compared."

    step "Python for the golden tests, and the models"
    [ -x "$cache/python/bin/python3" ] || python3 -m venv "$cache/python" || true
    "$cache/python/bin/python3" -c 'import gguf, jinja2, jsonschema, numpy' 2>/dev/null ||
        "$cache/python/bin/python3" -m pip install --quiet gguf jinja2 jsonschema numpy ||
        echo "No numpy, gguf, jinja2 and jsonschema: tests that need them will be skipped."
    export PATH="$cache/python/bin:$PATH"
    INFERFS_SMOLLM2=$(examples/fetch-smollm2.sh) || INFERFS_SMOLLM2=
    echo "model: ${INFERFS_SMOLLM2:-none, tests that need it will be skipped}"
    INFERFS_MINILM=$(examples/fetch-minilm.sh) || INFERFS_MINILM=
    echo "model: ${INFERFS_MINILM:-no all-MiniLM-L6-v2, tests that need it will be skipped}"
    export INFERFS_SMOLLM2 INFERFS_MODEL=$INFERFS_SMOLLM2 INFERFS_MINILM
    if [ -z "${INFERFS_SHARED:-}" ] && [ -d ../shared ]; then
        INFERFS_SHARED=$(realpath ../shared)
        export INFERFS_SHARED
    fi
}

# build FOLDER MESON_OPTIONS...
build() {
    local folder=$1 log
    shift
    step "build $folder"
    log=$(mktemp)
    if { [ -f "$folder/build.ninja" ] && meson setup --reconfigure "$folder" "$@" ||
        meson setup "$folder" "$@"; } >"$log" 2>&1 &&
        ninja -C "$folder" all meson-test-prereq >>"$log" 2>&1; then
        tail -n 1 "$log"
        rm "$log"
    else
        grep -m 20 -A 12 -iE 'error|FAILED' "$log" || tail -n 30 "$log"
        rm "$log"
        return 1
    fi
}

# run FOLDER SUITE MESON_OPTIONS...: run a suite (or the named tests of it) and count.
run() {
    local folder=$1 suite=$2 log wanted=()
    shift 2
    log=$folder/meson-logs/$suite.json
    step "$suite tests on $folder"
    if [ ${#names[@]} != 0 ]; then
        mapfile -t wanted < <(tests_of "$folder" "$suite" | grep -Fxf <(printf '%s\n' "${names[@]}"))
        [ ${#wanted[@]} != 0 ] || return 0
    fi
    rm -f "$log"
    meson test -C "$folder" --no-rebuild --suite "$suite" --logbase "$suite" --print-errorlogs \
        --num-processes 2 "$@" "${wanted[@]}" >/dev/null 2>&1 || true
    [ -s "$log" ] || return 0
    report "$log"
    passed=$((passed + $(count "$log" '.result == "OK"')))
    skipped=$((skipped + $(count "$log" '.result == "SKIP"')))
    failed=$((failed + $(count "$log" '.result | IN("OK", "SKIP") | not')))
}

tests_of() {
    meson introspect --tests "$1" |
        jq -r --arg suite "$2" '.[] | select(.suite | any(endswith($suite))) | .name'
}

count() { jq -s "map(select($2)) | length" "$1"; }

# A line a test; of one that did not pass, what it said last.
report() {
    jq -r '
        "\(.result) \(.name | sub("^.* / "; "")) \(.duration | . * 10 | round / 10) s",
        (select(.result != "OK")
            | (.stdout // "") + "\n" + (.stderr // "") | split("\n")
            | map(select(test("^ok ") or . == "" | not))
            | .[-40:][] | "      " + .)' "$1"
}

main() {
    parse "$@"
    trap summary EXIT
    prepare
    [ $mode != long ] || export INFERFS_LONG=1
    build build -Dwerror=true
    run build unit
    run build mount
    if [ $mode != fast ]; then
        run build model
        run build golden --timeout-multiplier 2
        run build cross
        [ $mode != long ] || run build long
        build build-asan --buildtype=debugoptimized -Dwerror=true -Db_sanitize=address,undefined
        run build-asan unit
        run build-asan mount
    fi
}

main "$@"
