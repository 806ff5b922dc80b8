#!/usr/bin/env bash
# The shell blocks of README.md after a line `<!-- tested -->`, one after the other in one shell, as
# a reader would paste them.
source "$(dirname "$0")/../lib/mount.sh"

tested_blocks() {
    awk '/^<!-- tested -->$/ { armed = 1; next }
         armed && /^```sh$/ { inside = 1; armed = 0; next }
         inside && /^```$/ { inside = 0; print ""; next }
         inside { print }' "$project/README.md"
}

[ "$engine" != echo ] || skip "the answers are those of a model"
model_real smollm2
mkdir "$T/bin"
ln -s "$INFERFS" "$INFERFS_ENGINE" "$T/bin/"
tested_blocks >"$T/blocks"
say "$(grep -c . "$T/blocks") lines"
check "README has lines to test" test "$(grep -c . "$T/blocks")" -ge 10
# The reader's home folder: ~/models and ~/llm.
check "they work" env -C "$T" HOME="$T" PATH="$T/bin:$PATH" timeout 120 bash -e -o pipefail "$T/blocks"
check "nothing is left mounted" typed '! grep -q " $T/llm" /proc/self/mountinfo'
