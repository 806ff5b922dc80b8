#!/usr/bin/env bash
# Models come, change and go without a restart; a file that is still being written is not shown.
source "$(dirname "$0")/../lib/mount.sh"

shown() { [ -d "$M/$1" ] && find "$M" -maxdepth 1 -name "$1" | grep -q .; }
gone() { ! shown "$1"; }
answers() { typed "echo hi > \$M/$1/prompt; cat \$M/$1/output | grep -q ."; }

# adds NAME COMMAND...: a command puts NAME.gguf into the folder.
adds() {
    local name=$1
    shift
    "$@"
    check "$name appears" wait_for 3 shown "$name"
    check "$name answers" answers "$name"
}

half_written() {
    exec 4>"$MODELS/half.gguf"
    head -c 1000000 "$T/model" >&4
    # A model that came later is shown: the folder's news have been read.
    cp "$T/model" "$MODELS/later.gguf"
    check "a later one appears" wait_for 3 shown later
    check "the half-written one does not" gone half
    tail -c +1000001 "$T/model" >&4
    exec 4>&-
    check "it does once its writer is done" wait_for 3 shown half
    check "and answers" answers half
}

replaced() {
    local inode
    echo load >"$M/moved/ctl"
    wait_for 10 state_is moved ready || fail "not loaded"
    inode=$(stat -Lc %i "$M/moved/weights")
    cp "$T/model" "$MODELS/.new"
    mv "$MODELS/.new" "$MODELS/moved.gguf"
    check "a replaced model is unloaded" wait_for 5 state_is moved cold
    check "the new file answers" answers moved
    check "weights is the new file" test "$inode" != "$(stat -Lc %i "$M/moved/weights")"
}

removed() {
    local reader
    rm "$MODELS/linked.gguf"
    check "a removed model goes" wait_for 3 gone linked
    check_refused "and its files with it" "No such file" 'cat $M/linked/output'
    check "so does its worker" wait_for 5 worker_count "$(jq '[.models[] | select(.resident_bytes > 0)] | length' "$M/status")"
    echo 1 >"$M/moved/config/temperature"
    long_prompt >"$M/moved/prompt"
    cat "$M/moved/output" >/dev/null 2>&1 &
    reader=$!
    wait_for 10 state_is moved busy || fail "not busy"
    rm "$MODELS/moved.gguf"
    check "one that was answering goes, too" wait_for 3 gone moved
    wait $reader || true
    check "and the mount lives" cat "$M/status"
}

worker_count() { [ "$(workers | wc -l)" = "$1" ]; }

unsuitable_names() {
    truncate -s 2M "$MODELS/.hidden.gguf" "$MODELS/notes.txt" "$MODELS/status.gguf"
    check "hidden files are not shown" gone .hidden
    check "other files are not shown" gone notes
    check "a model can't hide a file of the root" test -f "$M/status"
}

answers_quoted() { typed "echo hi > \"\$M/$1/prompt\"; cat \"\$M/$1/output\" | grep -q ."; }

if [ "$engine" = echo ]; then
    truncate -s 2M "$T/model"
else
    model_real seed
    mv "$MODELS/seed.gguf" "$T/model"
fi
mount_start echo_token_ms=10
check_same "an empty folder is an empty mount" "" "$(find "$M" -mindepth 1 -type d)"
adds copied cp "$T/model" "$MODELS/copied.gguf"
cp "$T/model" "$T/other"
adds moved mv "$T/other" "$MODELS/moved.gguf"
adds linked ln "$T/model" "$MODELS/linked.gguf"
half_written
replaced
removed
cp "$T/model" "$MODELS/with space.gguf"
check "a name with a space appears" wait_for 3 shown "with space"
check "and answers" answers_quoted "with space"
unsuitable_names
