#!/usr/bin/env bash
# Ask a model many questions, several at a time, and keep each answer in a file of its own.
#
#   examples/ask-many.sh MODEL_FOLDER QUESTIONS ANSWERS [AT_A_TIME]
#
# QUESTIONS has a question a line; ANSWERS/N.txt gets the answer to line N.  Each question is asked
# by a shell of its own, and a shell reads its own answers: nothing gets mixed up.  A question that
# fails is named on stderr, with the reason, and the exit status is not 0.
set -euo pipefail

ask() {
    printf '%s\n' "$2" >"$MODEL/prompt"
    # A half answer can't happen: `output` opens when it is complete, or fails.
    cat "$MODEL/output" >"$ANSWERS/$1.txt" || {
        echo "line $1: $(cat "$MODEL/error")" >&2
        rm -f "$ANSWERS/$1.txt"
        return 1
    }
}

main() {
    [ $# -ge 3 ] || {
        sed -n '4s/^# *//p' "$0" >&2
        exit 1
    }
    export MODEL=$1 ANSWERS=$3
    mkdir -p "$ANSWERS"
    # shellcheck disable=SC2016
    awk '{ printf "%d%c%s%c", NR, 0, $0, 0 }' "$2" |
        xargs -0 -n 2 -P "${4:-4}" bash -c 'set -euo pipefail; ask "$0" "$1"'
}

export -f ask
main "$@"
