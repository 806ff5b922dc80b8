#!/usr/bin/env bash
# Several shells use one model's prompt and output at once; each reads its own answer.
source "$(dirname "$0")/../lib/mount.sh"

models a
mount_start echo_token_ms=2
deterministic 16
if [ "$engine" = echo ]; then
    check_silent "8 shells" \
        'seq 8 | xargs -P8 -I{} sh -c '"'"'echo "Repeat exactly: K{}" > $M/a/prompt; cat $M/a/output | grep -q K{} || echo FAIL {}'"'"
    check_silent "64 shells, 16 at a time" \
        'seq 64 | xargs -P16 -I{} sh -c '"'"'echo "Repeat exactly: K{}" > $M/a/prompt; x=$(cat $M/a/output); [ "$x" = "Repeat exactly: K{}" ] || echo FAIL {} "$x"'"'"
    check_silent "8 shells with /bin/echo, tee and Python" \
        'seq 8 | xargs -P8 -I{} sh -c '"'"'/bin/echo K{} | tee $M/a/prompt >/dev/null; x=$(cat $M/a/output); [ "$x" = K{} ] || echo FAIL tee {} "$x"; python3 -c "open(\"$M/a/prompt\", \"w\").write(\"P{}\")"; x=$(cat $M/a/output); [ "$x" = P{} ] || echo FAIL python {} "$x"'"'"
    check_silent "two loops against each other" \
        'seq 2 | xargs -P2 -I{} bash -c '"'"'for i in $(seq 20); do echo "L{} $i" > $M/a/prompt; x=$(cat $M/a/output); [ "$x" = "L{} $i" ] || echo FAIL {} $i "$x"; done'"'"
    check_same "one shell, one way of asking after the other: always the newest" "one two three four five six" \
        "$(typed 'cd $M/a; echo one > prompt; x=$(cat output)
            /bin/echo two > prompt; x="$x $(cat output)"; echo three | tee prompt >/dev/null; x="$x $(cat output)"
            (echo four > prompt); x="$x $(cat output)"; (echo five | tee prompt >/dev/null); x="$x $(cat output)"
            echo six > prompt; x="$x $(bash -c "cat output | cat")"; echo $x')"
    check_same "another shell reads the newest" newest \
        "$(typed 'echo newest > $M/a/prompt; cat $M/a/output >/dev/null'; typed 'cat $M/a/output')"
else
    # A small model does not repeat a key reliably: the same question gives the same answer, whatever
    # else runs, so every shell's answer is known from asking alone.
    check_silent "8 shells" \
        'ask() { echo "Tell me about the number $1." > $M/a/prompt; cat $M/a/output; }; export -f ask
for i in 1 2 3 4 5 6 7 8; do ask $i > alone.$i; done
seq 8 | xargs -P8 -I{} bash -c "ask {} > together.{}"
for i in 1 2 3 4 5 6 7 8; do cmp alone.$i together.$i 2>&1; done'
fi
