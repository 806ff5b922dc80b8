#!/usr/bin/env bash
# Another user gets answers of his own and nobody else's; without allow_other he gets nothing.
source "$(dirname "$0")/../lib/mount.sh"

[ "$(id -u)" = 0 ] || skip "only root can be two users"

# The line as another user types it.
other() { (cd / && exec setpriv --reuid=65534 --regid=65534 --clear-groups env M="$M" bash -c "$1"); }

model_make a 2M
chmod 755 "$T"
mount_start
check_same "permission denied" "Permission denied" "$(other 'ls $M 2>&1' | grep -o 'Permission denied')"
mount_stop

mount_start allow_other default_permissions
echo "my secret" >"$M/a/prompt"
check_same "one's own answer" "my secret" "$(cat "$M/a/output")"
check "another user does not read it" other 'x=$(cat $M/a/output 2>&1); [ $? = 1 ] &&
    case $x in *"No data available"* | *"Permission denied"*) ;; *) exit 1 ;; esac'
check "nor by the stream" other '! timeout 1 cat $M/a/stream 2>/dev/null | grep -q secret'
check "nor the error text" other '[ -z "$(cat $M/a/error 2>/dev/null)" ]'
check "he asks" other 'echo "his own" > $M/a/prompt'
check_same "and reads his answer" "his own" "$(other 'cat $M/a/output')"
check_same "the first still has the first answer" "my secret" "$(cat "$M/a/output")"
check "he can't change the configuration" other '! echo 1 > $M/a/config/temperature'
check "nor the budget" other '! echo 1 > $M/budget'
check "he sees the status" other 'jq -e .state $M/a/status'
check "but no prompt in it" other '! grep -q secret $M/a/status $M/status'
