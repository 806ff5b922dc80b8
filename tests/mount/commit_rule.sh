#!/usr/bin/env bash
# When is a prompt complete?  However a shell or a program writes it: one open, one prompt; the
# commands that write in pieces, through children or after several flushes are all here.
source "$(dirname "$0")/../lib/mount.sh"

# one_prompt NAME EXPECTED LINE: the line submits one prompt, with this text.
one_prompt() {
    local before after answer
    before=$(jobs_of a)
    checks=$((checks + 1))
    answer=$(typed "$3"$'\ncat $M/a/output; echo .') || fail "$1: no answer"
    after=$(jobs_of a)
    if [ "$after" != $((before + 1)) ]; then
        fail "$1: $((after - before)) prompts from: $3"
    elif [ "$engine" = echo ] && [ "$answer" != "$2." ]; then
        check_same "$1" "$2." "$answer"
    else
        say "ok   $1"
    fi
}

# no_prompt NAME LINE: the line succeeds and submits nothing.
no_prompt() {
    local before
    before=$(jobs_of a)
    check "$1" typed "$2"
    one_prompt "$1, and the next one is one" next 'echo next > $M/a/prompt'
    check_same "$1: nothing was submitted" $((before + 1)) "$(jobs_of a)"
}

shell_builtins() {
    one_prompt "echo of one line" one 'echo one > $M/a/prompt'
    one_prompt "echo of three lines" $'one\ntwo\nthree' 'echo "one
two
three" > $M/a/prompt'
    one_prompt "printf of three lines" $'one\ntwo\nthree' "printf 'one\ntwo\nthree\n' > \$M/a/prompt"
    one_prompt "/bin/echo" one '/bin/echo one > $M/a/prompt'
    one_prompt "dash" $'one\ntwo' 'dash -c "echo one\\\\ntwo > \$M/a/prompt"'
    one_prompt "here document" $'one\ntwo' $'cat > $M/a/prompt <<END\none\ntwo\nEND'
    one_prompt "here string" one 'cat <<< one > $M/a/prompt'
    one_prompt "appending" one 'echo one >> $M/a/prompt'
}

groups_and_children() {
    one_prompt "group of commands" $'one\ntwo' '{ /bin/echo one; /bin/echo two; } > $M/a/prompt'
    one_prompt "group around a file" $'Summarise:\nx\ny\nEnd.' \
        'printf "x\ny\n" > x; { /bin/echo Summarise:; cat x; /bin/echo End.; } > $M/a/prompt'
    one_prompt "subshell with children" $'one\ntwo\nthree' \
        'echo two > x; ( echo one; cat x; echo three ) > $M/a/prompt'
    one_prompt "end of a pipe" $'Review:\ntwo' 'echo two | (echo Review: && cat) > $M/a/prompt'
    one_prompt "xargs with many children" $'1\n2\n3' 'seq 3 | xargs -n1 echo > $M/a/prompt'
    one_prompt "find -exec" $'one\none' \
        'mkdir -p d; echo one > d/1; echo one > d/2; find d -type f -exec cat {} \; > $M/a/prompt'
    one_prompt "a loop" $'1\n2\n3' 'for i in 1 2 3; do /bin/echo $i; done > $M/a/prompt'
}

programs() {
    one_prompt "tee" $'one\ntwo' 'printf "one\ntwo\n" | tee $M/a/prompt > /dev/null'
    one_prompt "tee -a" one 'echo one | tee -a $M/a/prompt > /dev/null'
    one_prompt "cp" $'one\ntwo' 'printf "one\ntwo\n" > q; cp q $M/a/prompt'
    one_prompt "dd in blocks of 2 bytes" abcdef 'printf abcdef | dd bs=2 of=$M/a/prompt status=none'
    one_prompt "sed" $'ONE\nTWO' 'printf "one\ntwo\n" | sed "s/.*/\U&/" > $M/a/prompt'
    one_prompt "Python, with" $'one\ntwo' \
        'python3 -c "with open(\"$M/a/prompt\", \"w\") as f: f.write(\"one\ntwo\n\")"'
    one_prompt "Python, many unbuffered writes" abc \
        'python3 -c "
with open(\"$M/a/prompt\", \"wb\", buffering=0) as f:
    for c in b\"abc\": f.write(bytes([c]))"'
    one_prompt "Python, left open" one 'python3 -c "open(\"$M/a/prompt\", \"w\").write(\"one\")"'
    one_prompt "Python, fsync instead of close" one 'python3 -c "
import os
f = open(\"$M/a/prompt\", \"w\"); f.write(\"one\"); f.flush(); os.fsync(f.fileno())
assert open(\"$M/a/output\").read(), \"no answer while the prompt is open\""'
}

one_descriptor_several_prompts() {
    local before
    before=$(jobs_of a)
    check "a builtin echo to an open descriptor is a prompt each" typed \
        'exec 3>$M/a/prompt; echo one >&3; echo two >&3; exec 3>&-; cat $M/a/output'
    check_same "two prompts" $((before + 2)) "$(jobs_of a)"
    one_prompt "children writing to an open descriptor are one prompt" $'one\ntwo' \
        'exec 3>$M/a/prompt; /bin/echo one >&3; /bin/echo two >&3; exec 3>&-'
}

nothing_to_submit() {
    no_prompt "empty redirection" ': > $M/a/prompt'
    no_prompt "redirection alone" '> $M/a/prompt'
    no_prompt "true" '/bin/true > $M/a/prompt'
    no_prompt "printf of nothing" 'printf "" > $M/a/prompt'
    no_prompt "touch" 'touch $M/a/prompt'
    no_prompt "truncate" 'truncate -s 0 $M/a/prompt'
}

whole_text() {
    one_prompt "only one newline at the end goes" $'one\n' 'printf "one\n\n" > $M/a/prompt'
    one_prompt "no newline at the end" one 'printf one > $M/a/prompt'
    one_prompt "words of two, three and four bytes" 'é 漢字 🦊' 'echo "é 漢字 🦊" > $M/a/prompt'
    one_prompt "blanks stay" $'  a   b\n\n c' $'printf "  a   b\n\n c" > $M/a/prompt'
    check "raw keeps the newline" typed 'echo 1 > $M/a/config/raw'
    one_prompt "raw" $'one\n' 'echo one > $M/a/prompt'
    check "raw off" typed 'echo 0 > $M/a/config/raw'
}

as_in_the_documentation() {
    check_same "three lines are one prompt" PASS "$(typed 'n=$(jq .totals.jobs $M/a/status); printf '"'one\ntwo\nthree\n'"' > $M/a/prompt; cat $M/a/output >/dev/null; [ $(jq .totals.jobs $M/a/status) = $((n+1)) ] && echo PASS')"
    check_same "a group is one prompt" PASS "$(typed 'n=$(jq .totals.jobs $M/a/status); { /bin/echo Summarise:; cat /etc/services | head -n 50; /bin/echo End.; } > $M/a/prompt; cat $M/a/output >/dev/null; [ $(jq .totals.jobs $M/a/status) = $((n+1)) ] && echo PASS')"
}

models a
mount_start
deterministic 4
shell_builtins
groups_and_children
programs
one_descriptor_several_prompts
nothing_to_submit
[ "$engine" != echo ] || whole_text
as_in_the_documentation
