#!/usr/bin/env bash
# The size of a finished answer is exact, so that every tool reads all of it and nothing more.
source "$(dirname "$0")/../lib/mount.sh"

readonly reference='cat $M/a/output | sha256sum'

# same_sum NAME LINE: the line's output is the answer.
same_sum() {
    check_same "$1" "$expected" "$(typed "$2")"
}

models a
mount_start
deterministic 400

if [ "$engine" = echo ]; then
    seq 4000 >"$T/question"
else
    echo "Write 300 words" >"$T/question"
fi
check "ask" typed 'cp question $M/a/prompt'
expected=$(typed "$reference")
check_same "the size is the number of bytes" \
    "$(typed 'cat $M/a/output | wc -c')" "$(typed 'stat -c %s $M/a/output')"
if [ "$engine" = echo ]; then
    check_same "the answer is the question" "$(printf %s "$(cat "$T/question")" | sha256sum)" "$expected"
fi

same_sum "head -c" 'head -c 9999999 $M/a/output | sha256sum'
same_sum "Python, shutil.copyfile" 'python3 -c "import shutil,sys;shutil.copyfile(sys.argv[1],\"o\");sys.stdout.write(open(\"o\").read())" $M/a/output | sha256sum'
same_sum "Python, sendfile" 'python3 -c "
import os
source, size = os.open(\"$M/a/output\", os.O_RDONLY), os.stat(\"$M/a/output\").st_size
target, at = os.open(\"o1\", os.O_CREAT | os.O_WRONLY), 0
while at < size: at += os.sendfile(target, source, at, size - at)"; sha256sum < o1'
same_sum "cp" 'cp $M/a/output o2; sha256sum < o2'
same_sum "rsync" 'rsync -q $M/a/output o3; sha256sum < o3'
same_sum "install" 'install $M/a/output o4; sha256sum < o4'
same_sum "dd" 'dd if=$M/a/output bs=7 status=none | sha256sum'
same_sum "tar" 'tar -C $M/a -cf o.tar output && tar -xOf o.tar output | sha256sum'
same_sum "gzip" 'gzip -c $M/a/output | gunzip | sha256sum'
same_sum "shell substitution" 'x=$(<$M/a/output; echo .); [ ${#x} -ge 0 ]; sha256sum < $M/a/output'
same_sum "read while loop" 'while IFS= read -r l || [ -n "$l" ]; do printf "%s\n" "$l"; done < $M/a/output | head -c $(stat -c %s $M/a/output) | sha256sum'
same_sum "tail -c +1" 'tail -c +1 $M/a/output | sha256sum'
check_same "head and tail by lines" "$(typed 'cat $M/a/output | head -n1; cat $M/a/output | tail -n1')" \
    "$(typed 'head -n1 $M/a/output; tail -n1 $M/a/output')"
check_same "tail -c 5" "$(typed 'cat $M/a/output | tail -c5')" "$(typed 'tail -c5 $M/a/output')"
check_same "wc -c" "$(typed 'cat $M/a/output | wc -c')" "$(typed 'wc -c < $M/a/output')"
check "not empty for [ -s ]" typed '[ -s $M/a/output ]'
check_same "seeking backwards" "$(typed 'head -c3 $M/a/output')" \
    "$(typed 'python3 -c "
f = open(\"$M/a/output\", \"rb\"); f.read(); f.seek(0)
import sys; sys.stdout.buffer.write(f.read(3))"')"
check_same "the five of the documentation" 1 "$(typed '
for c in "cat" "head -c 9999999" "python3 -c \"import shutil,sys;shutil.copyfile(sys.argv[1],\\\"o5\\\");sys.stdout.write(open(\\\"o5\\\").read())\""; do eval "$c $M/a/output" | sha256sum; done; cp $M/a/output o2; rsync -q $M/a/output o3; sha256sum <o2; sha256sum <o3' | sort -u | wc -l)"
