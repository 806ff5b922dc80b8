#!/usr/bin/env bash
# The scripts in examples/ do what they say.
source "$(dirname "$0")/../lib/mount.sh"

models a b
mount_start
deterministic 24

printf '%s\n' one two three >"$T/questions"
check "ask-many" typed "$project/examples/ask-many.sh \$M/a questions answers"
check_same "an answer for each question" "1.txt 2.txt 3.txt" "$(cd "$T/answers" && echo *)"
if [ "$engine" = echo ]; then
    check_same "to the right question" "one two three" "$(cd "$T/answers" && paste -sd' ' <(cat 1.txt; echo; cat 2.txt; echo; cat 3.txt))"
fi

mkdir "$T/texts"
echo "The first text." >"$T/texts/one.txt"
echo "The second text." >"$T/texts/two.txt"
check "pipeline" typed "make -f $project/examples/pipeline.mk MODEL=\$M/a TRANSLATOR=\$M/b TEXTS=texts"
check_same "a result for each text" "one.summary two.summary" "$(cd "$T/texts" && echo *.summary)"
check "none is empty" typed '[ -z "$(find texts -name "*.summary" -empty)" ]'
check "make has nothing more to do" typed \
    "make -q -f $project/examples/pipeline.mk MODEL=\$M/a TRANSLATOR=\$M/b TEXTS=texts"
