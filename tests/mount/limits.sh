#!/usr/bin/env bash
# What is too much is refused at the call that people check, and leaves nothing behind.
source "$(dirname "$0")/../lib/mount.sh"

too_long() {
    check_refused "a prompt of 32 MB" "Message too long" "head -c 32M /dev/zero | tr '\\0' a > \$M/a/prompt"
    check_same "the writer hears it" 1 \
        "$(typed "head -c 32M /dev/zero | tr '\\0' a > \$M/a/prompt 2>/dev/null; echo \${PIPESTATUS[1]}" 2>/dev/null)"
    check_same "nothing of it was submitted" 0 "$(jobs_of a)"
    check "the next prompt works" typed 'echo hi > $M/a/prompt; cat $M/a/output | grep -q .'
}

at_the_limit() {
    check_refused "one byte over the limit" "Message too long" \
        "head -c $((limit + 1)) /dev/zero | tr '\\0' a | dd bs=1M iflag=fullblock of=\$M/a/prompt"
    check_same "nothing of it was submitted" 1 "$(jobs_of a)"
    check "exactly the limit" typed "head -c $limit /dev/zero | tr '\\0' a > \$M/a/prompt"
    check_same "comes back whole" $limit "$(typed 'cat $M/a/output | wc -c')"
}

nothing_there() {
    check_refused "no prompt, no answer" "No data available" 'cat $M/b/output'
    check "O_NONBLOCK does not wait" python3 - "$M" <<'PYTHON'
import errno, os, sys
model = sys.argv[1] + "/a"
with open(model + "/prompt", "w") as prompt:
    prompt.write("Count to 500: " + " ".join(map(str, range(500))))
for name in "output", "stream":
    try:
        os.read(os.open(f"{model}/{name}", os.O_RDONLY | os.O_NONBLOCK), 1 << 20)
        assert name == "stream", "output was complete at once"
    except BlockingIOError as error:
        assert error.errno == errno.EAGAIN
PYTHON
    echo cancel >"$M/a/ctl"
}

over_the_context() {
    echo 64 >"$M/b/config/context"
    seq -s ' ' 500 >"$M/b/prompt"
    check_refused "a prompt longer than the context" "Message too long" 'cat $M/b/output'
    check "with the reason in words" typed 'grep -q context $M/b/error'
    [ "$engine" = echo ] || echo 16 >"$M/b/config/max_tokens"
    check "a short one works" typed 'echo hi > $M/b/prompt; cat $M/b/output | grep -q .'
}

limit=$((1 << 20))
models a b
mount_start max_prompt=$limit
deterministic 200
too_long
[ "$engine" != echo ] || at_the_limit
mount_stop
mount_start echo_token_ms=5
deterministic 200
nothing_there
over_the_context
