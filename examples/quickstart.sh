#!/usr/bin/env bash
# From a fresh checkout to the first answer: install what is missing, build, fetch a small model,
# mount, ask, unmount.  Leaves the build folder and the model in the cache; nothing else.
#
#   examples/quickstart.sh [MODELS_FOLDER]
#
# With a folder of GGUF files of your own, its first model is asked and nothing is downloaded.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/build:$PATH"

readonly question="Why is the sky blue? Answer in one sentence."
work='' models=${1:-}

bold='' plain=''
[ ! -t 1 ] || bold=$'\033[1m' plain=$'\033[0m'
step() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }

clean_up() {
    local status=$?
    trap - EXIT INT TERM
    if [ -n "$work" ]; then
        if mountpoint -q "$work/mount"; then
            fusermount3 -u "$work/mount" || fusermount3 -uz "$work/mount"
        fi
        rm -rf --one-file-system "$work"
    fi
    exit $status
}

build() {
    [ -f build/build.ninja ] || meson setup build -Dwerror=false
    ninja -C build inferfs inferfs-engine
}

# Show a command as a user would type it, then run it.
show() {
    printf '$ %s\n' "$1"
    (cd "$work/mount" && bash -c "$1")
}

main() {
    local model
    trap clean_up EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM

    step "1. The packages that building needs"
    examples/install-packages.sh jq python3 python3-pip

    step "2. Building (a minute or two the first time)"
    build

    step "3. A model"
    work=$(mktemp -d)
    mkdir "$work/mount"
    if [ -z "$models" ]; then
        models=$(dirname "$(examples/fetch-smollm2.sh)")
    fi
    ls -lhL "$models"

    step "4. Mounting: every model is a folder"
    printf '$ inferfs %s %s -o budget=60%%\n' "$models" "$work/mount"
    inferfs "$models" "$work/mount" -o budget=60%
    model=$(find "$work/mount" -mindepth 1 -maxdepth 1 -type d -printf '%f\n' | sort | head -n 1)
    [ -n "$model" ] || {
        echo "There is no model in $models" >&2
        exit 1
    }
    show "ls"

    step "5. Asking: the model loads by itself"
    echo 120 >"$work/mount/$model/config/max_tokens"
    show "echo '$question' > '$model/prompt'"
    show "cat '$model/output'"
    echo

    step "6. What the swap took, in milliseconds"
    show "jq -c '.last_swap | {queue_ms, load_ms, reinit_ms, first_token_ms, total_ms}' '$model/status'"

    step "7. Unmounting: all memory is given back"
    printf '$ fusermount3 -u %s\n' "$work/mount"
    fusermount3 -u "$work/mount"
    printf '\nThat is all. For your own models:\n$ sudo ninja -C build install\n$ inferfs ~/models ~/llm\n'
}

main "$@"
