#!/usr/bin/env bash
# examples/quickstart.sh as a user runs it, on the folder of models it is given and on what it
# fetches itself; interrupted, it leaves nothing behind.
source "$(dirname "$0")/../lib/mount.sh"

nothing_left() { [ -z "$(ls "$T/tmp")" ] && ! grep -q " $T/tmp" /proc/self/mountinfo; }

quickstart() { TMPDIR=$T/tmp timeout 300 "$project/examples/quickstart.sh" "$@" </dev/null >"$T/out" 2>&1; }

interrupted() {
    TMPDIR=$T/tmp env --default-signal=INT "$project/examples/quickstart.sh" "$MODELS" </dev/null >"$T/out" 2>&1 &
    local process=$!
    wait_for 60 grep -q "^5\|5\. Asking" "$T/out" || fail "it never got to asking"
    kill -INT $process
    check_ends "an interrupted one ends as such" $process 130
    check "and leaves nothing" wait_for 5 nothing_left
}

[ -x "$project/build/inferfs" ] || skip "no release build in build/"
model_real first
mkdir "$T/tmp"
check "with a folder of models" quickstart "$MODELS"
check "it shows the answer" grep -qi "sky\|light\|blue" "$T/out"
check "and the times" grep -q '"load_ms":[0-9]' "$T/out"
check "it leaves nothing" nothing_left
interrupted
if [ "$INFERFS_SMOLLM2" = "${XDG_CACHE_HOME:-$HOME/.cache}/inferfs/models/$(basename "$INFERFS_SMOLLM2")" ]; then
    check "with the model that it fetches" quickstart
    check "it shows the answer" grep -qi "sky\|light\|blue" "$T/out"
fi
