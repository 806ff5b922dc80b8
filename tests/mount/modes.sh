#!/usr/bin/env bash
# What a newcomer sees: modes, refusals in both directions, and a README whose examples work.
source "$(dirname "$0")/../lib/mount.sh"

mode_of() { stat -c '%A' "$M/$1"; }

models a
mount_start
deterministic
for folder in . a a/config; do check_same "mode of $folder" drwxr-xr-x "$(mode_of $folder)"; done
for file in a/prompt a/ctl ctl; do check_same "mode of $file" --w--w--w- "$(mode_of $file)"; done
for file in a/output a/stream a/status a/state a/error a/wait a/info a/logprobs README status events resident; do
    check_same "mode of $file" -r--r--r-- "$(mode_of $file)"
done
for file in a/config/temperature a/config/system budget; do
    check_same "mode of $file" -rw-r--r-- "$(mode_of $file)"
done
check_same "the root" "README a budget ctl events resident status" "$(cd "$M" && printf '%s\n' * | sort | paste -sd' ')"
check_same "a model" "config ctl error info logprobs output prompt state status stream wait weights" \
    "$(cd "$M/a" && printf '%s\n' * | sort | paste -sd' ')"
check "weights leads to the file" typed 'cmp $M/a/weights $MODELS/a.gguf'
check "the owner is who mounted" test "$(stat -c %u "$M/a/prompt")" = "$(id -u)"

check_refused "a prompt can't be read" "Permission denied" 'cat $M/a/prompt'
check_refused "nor opened for both" "Permission denied" 'exec 3<>$M/a/prompt'
check_refused "an output can't be written" "Permission denied" '/bin/echo x > $M/a/output'
check_refused "nor a status" "Permission denied" '/bin/echo x > $M/status'
check_refused "a ctl can't be read" "Permission denied" 'cat $M/a/ctl'
for line in 'mkdir $M/new' 'touch $M/a/new' '/bin/echo x > $M/a/new' 'rm -f $M/a/prompt' \
    'rmdir $M/a' 'mv $M/a $M/b' 'ln -s x $M/link' 'ln $M/status $M/other'; do
    check_refused "nobody changes the tree: $line" "not permitted" "$line"
done
check "no file can be made" typed '! touch $M/new && ! mkdir $M/new && ! touch $M/a/new'
check "none can go" typed '! rm -f $M/a/prompt && ! rmdir $M/a && ! mv $M/a $M/b'
check "no mode can change" typed '! chmod 777 $M/a/prompt'
check_refused "a file that is not there" "No such file" 'cat $M/a/nothing'

check "nothing above loaded the model" state_is a cold
check_within "ls -l" 100 ls -l "$M/a"
check_within "ls -lR" 200 ls -lR "$M/a"
check_within "find" 200 find "$M"
check "listing loads nothing" state_is a cold

# The README of the root: the commands at its beginning, without what they say at the right, with
# this model's name.
sed -nE '/^  (echo|cat) /s/( {3,}|  #).*//p' "$M/README" | sed 's/MODEL/a/g' >"$T/examples"
check "README has examples" grep -q prompt "$T/examples"
check "they work as they are" typed 'cd $M && timeout 20 bash -e -x $T/examples'
check "wait ends when nothing runs" timeout 5 cat "$M/a/wait"
