#!/usr/bin/env bash
# A folder with config.json and safetensors is a model: it comes, changes and goes as a file does.
source "$(dirname "$0")/../lib/mount.sh"

shown() { [ -d "$M/$1" ] && find "$M" -maxdepth 1 -name "$1" | grep -q .; }
gone() { ! shown "$1"; }
answers() { typed "echo hi > \$M/$1/prompt; cat \$M/$1/output | grep -q ."; }

# folder PATH: the files that make a model, the tensors last.
folder() {
    mkdir -p "$1"
    echo '{"architectures": ["LlamaForCausalLM"]}' >"$1/config.json"
    echo '{}' >"$1/tokenizer.json"
    truncate -s 2M "$1/model.safetensors"
}

appears() {
    folder "$MODELS/copied"
    check "a folder appears" wait_for 3 shown copied
    check "and answers" answers copied
    folder "$T/elsewhere"
    mv "$T/elsewhere" "$MODELS/moved"
    check "one that is moved in appears" wait_for 3 shown moved
    check "and answers" answers moved
    check_same "weights leads to it" "$MODELS/copied" "$(readlink "$M/copied/weights")"
}

half_downloaded() {
    mkdir "$MODELS/half"
    echo '{}' >"$MODELS/half/config.json"
    exec 4>"$MODELS/half/model.safetensors"
    head -c 1000000 /dev/zero >&4
    folder "$MODELS/later" # which is shown: the news have been read
    check "a later one appears" wait_for 3 shown later
    check "one whose tensors are being written does not" gone half
    exec 4>&-
    check "it does once they are there" wait_for 3 shown half
    check "and answers" answers half
}

changed() {
    echo load >"$M/copied/ctl"
    wait_for 10 state_is copied ready || fail "not loaded"
    echo '{"new": 1}' >"$MODELS/copied/tokenizer.json"
    check "a changed file of it unloads it" wait_for 5 state_is copied cold
    check "and it answers again" answers copied
}

removed() {
    rm "$MODELS/moved/config.json"
    check "without its configuration it goes" wait_for 3 gone moved
    rm -r "$MODELS/copied"
    check "a removed folder goes" wait_for 3 gone copied
}

unsuitable() {
    folder "$MODELS/.hidden"
    folder "$MODELS/status"
    folder "$MODELS/named.gguf"
    mkdir "$MODELS/photos"
    ln -s "$MODELS/later" "$MODELS/link"
    folder "$MODELS/last"
    check "a last one appears" wait_for 3 shown last
    for name in .hidden photos link named named.gguf; do
        check "$name is not shown" gone "$name"
    done
    check "a model can't hide a file of the root" test -f "$M/status"
}

mount_start echo_token_ms=1
appears
half_downloaded
changed
removed
unsuitable
