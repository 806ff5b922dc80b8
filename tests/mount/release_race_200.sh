#!/usr/bin/env bash
# Prompt and answer in turn, many times: close() may return before the daemon hears of it, and the
# reader that comes at once must wait for this prompt's answer, not read the one before.
source "$(dirname "$0")/../lib/mount.sh"

rounds=200
[ "$engine" = echo ] || [ "$INFERFS_LONG" = 1 ] || rounds=20

models a
mount_start
deterministic 12
check_silent "$rounds rounds, an answer each" "for i in \$(seq $rounds)"'; do echo "Repeat: $i" > $M/a/prompt; cat $M/a/output | grep -q . || echo FAIL $i; done'
if [ "$engine" = echo ]; then
    check_silent "200 rounds, this prompt's answer" \
        'for i in $(seq 200); do echo "Repeat: $i" > $M/a/prompt; x=$(cat $M/a/output); [ "$x" = "Repeat: $i" ] || echo FAIL $i $x; done'
    check_silent "200 rounds committed by the release" \
        'for i in $(seq 200); do echo "Repeat: $i" | xargs -n1 > $M/a/prompt; x=$(tail -n1 $M/a/output); [ "$x" = "$i" ] || echo FAIL $i $x; done'
    check_silent "50 rounds of a slow writer in the background" \
        'for i in $(seq 50); do exec 3>$M/a/prompt; (echo "$i" >&3) & exec 3>&-; wait; x=$(cat $M/a/output); [ "$x" = "$i" ] || echo FAIL $i $x; done'
fi
