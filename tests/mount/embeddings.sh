#!/usr/bin/env bash
# A model that embeds, through the files: a text a line in, a vector a line out, beside a model that
# talks.
source "$(dirname "$0")/../lib/mount.sh"

readonly width=384 truncated_words=5000 many=20000
# One text of each kind: a plain line, a JSON string with a line feed in it, an empty line.
readonly three=$'a cat\n"two\\nlines"\n\n'

# vectors FILE N: N lines, each an array of `width` numbers whose squares add up to 1.
vectors() {
    jq -es --argjson count "$2" --argjson width $width '
        length == $count and all(.[];
            length == $width and (map(. * .) | add | sqrt | . > 0.99999 and . < 1.00001))' "$1"
}

# ask MODEL PROMPT: the whole answer.
ask() {
    printf '%s' "$2" >"$M/$1/prompt"
    cat "$M/$1/output"
}

chats() { ask chat "Hello" | grep -q .; }

# near FILE FILE: all numbers within 1e-5: a text gets other last bits in other company.
near() {
    jq -en --slurpfile a "$1" --slurpfile b "$2" '
        ($a | flatten) as $a | ($b | flatten) as $b |
        ($a | length) == ($b | length) and
        all(range($a | length); ($a[.] - $b[.]) as $d | $d < 1e-5 and $d > -1e-5)'
}

status_of_minilm() { jq -c "$1" "$M/minilm/status"; }

says_what_it_is() {
    check_same "info says that it embeds" true "$(jq .embeds "$M/minilm/info")"
    check_same "and how wide its vectors are" $width "$(jq .width "$M/minilm/info")"
    check_same "a model that talks does not" false "$(jq .embeds "$M/chat/info")"
    check_same "its weights are the folder" "$MODELS/minilm" "$(readlink "$M/minilm/weights")"
}

lines_and_strings() {
    ask minilm "$three" >"$T/three"
    check "a vector for each line, the empty one too" vectors "$T/three" 3
    check_same "the size is exact" "$(stat -c %s "$T/three")" "$(stat -c %s "$M/minilm/output")"
    ask minilm $'"a cat"\n"two\\nlines"\n""\n' >"$T/strings"
    check_same "JSON strings stand for their values" "$(cat "$T/three")" "$(cat "$T/strings")"
    "$INFERFS_ENGINE" embed "$MODELS/minilm" <<<"${three%$'\n'}" >"$T/command"
    check "as the command line has it" near "$T/three" "$T/command"
    : >"$M/minilm/prompt"
    check_same "no byte asks nothing" 2 "$(jobs_of minilm)"
    echo >"$M/minilm/prompt"
    check_same "nor does one newline" 2 "$(jobs_of minilm)"
    check "a stream gives the same" cmp "$T/strings" "$M/minilm/stream"
}

raw_floats() {
    echo f32 >"$M/minilm/config/format"
    ask minilm "$three" >"$T/floats"
    echo json >"$M/minilm/config/format"
    check_same "floats take 4 bytes" $((3 * width * 4)) "$(stat -c %s "$T/floats")"
    od -An -v -w4 -tf4 "$T/floats" | jq -sc "[range(3) as \$i | .[\$i * $width:(\$i + 1) * $width]][]" \
        >"$T/numbers"
    check "and are the same numbers" near "$T/three" "$T/numbers"
}

long_text() {
    seq -s ' ' $truncated_words >"$T/long"
    cp "$T/long" "$M/minilm/prompt"
    cat "$M/minilm/output" >"$T/cut"
    check "a text of $truncated_words words has a vector" vectors "$T/cut" 1
    check_same "status says that it was cut" 1 "$(status_of_minilm .last_job.truncated_texts)"
    check_same "to what the model reads" 256 "$(status_of_minilm .last_job.prompt_tokens)"
    ask minilm "short" >/dev/null
    check_same "a short one is not" null "$(status_of_minilm .last_job.truncated_texts)"
}

# Each shell asks for texts of its own and compares with what it got alone.
side_by_side() {
    local i shells=()
    for i in 1 2 3 4; do seq -f "text %g of shell $i" 50 >"$T/texts.$i"; done
    for i in 1 2 3 4; do ask minilm "$(cat "$T/texts.$i")" >"$T/alone.$i"; done
    for i in 1 2 3 4; do
        typed "for round in 1 2 3 4 5; do cat texts.$i > \$M/minilm/prompt
            cmp \$M/minilm/output alone.$i || exit 1; done" &
        shells+=($!)
    done
    for i in 0 1 2 3; do check_ends "shell $i gets its own vectors" "${shells[i]}"; done
    check "which differ" typed '! cmp -s alone.1 alone.2'
}

# Anonymous memory of its process.
anonymous_bytes() { awk '/RssAnon/ { print $2 * 1024 }' "/proc/$(status_of_minilm .pid)/status"; }

resident_bytes() { awk '/VmRSS/ { print $2 * 1024 }' "/proc/$(status_of_minilm .pid)/status"; }

cancelled() {
    seq -f "the text of number %g is about a cat and a dog" $many >"$T/many"
    cp "$T/many" "$M/minilm/prompt"
    check "vectors come before the last is there" typed 'head -n 600 $M/minilm/stream | wc -l | grep -qx 600'
    check_same "it still runs" 1 "$(status_of_minilm .running)"
    echo cancel >"$M/minilm/ctl"
    check_within "a cancelled prompt of $many lines ends" 2000 wait_for 5 state_is minilm ready
    check_refused "as cancelled" "Operation canceled" 'cat $M/minilm/output'
}

stays_in_its_charge() {
    local charge fixed
    head -n 4000 "$T/many" >"$T/some"
    cat "$T/texts."* "$T/long" >>"$T/some"
    cp "$T/some" "$M/minilm/prompt"
    check "many texts have vectors" vectors "$M/minilm/output" 4201
    charge=$(status_of_minilm .resident_bytes) fixed=$(jq .fixed_bytes "$M/minilm/info")
    say "charged $charge, resident $(resident_bytes); fixed $fixed, anonymous $(anonymous_bytes)"
    check "it holds no more than it is charged" test "$(resident_bytes)" -le "$charge"
    check "its own memory is what the plan says" test "$(anonymous_bytes)" -le "$fixed"
}

# A budget that holds one of both.
takes_turns() {
    local charge=$1
    unload minilm
    unload chat
    echo $((charge * 11 / 10)) >"$M/budget"
    ask minilm "$three" >"$T/before"
    check "a chat takes its place" chats
    check_same "it left for that" '["minilm"]' "$(jq -c .last_swap.evicted "$M/chat/status")"
    ask minilm "$three" >"$T/after"
    check_same "and came back" '["chat"]' "$(jq -c .last_swap.evicted "$M/minilm/status")"
    check "with the same vectors" cmp "$T/before" "$T/after"
    check "never over the budget" jq -e '.resident_bytes <= .budget_bytes' "$M/status"
}

as_documented() {
    check "the example of docs/FILES.md" typed "cd \$M; printf '%s\n' 'a cat' 'a dog' > minilm/prompt; jq -ce '.[:3]' minilm/output"
    echo 0 >"$M/minilm/config/temperature"
    echo "be brief" >"$M/minilm/config/system"
    check "other settings do not matter" typed \
        'printf "%s\n" "a cat" "two lines" > $M/minilm/prompt; head -n 1 $M/minilm/output > one
         : > $M/minilm/config/system; printf "%s\n" "a cat" "two lines" > $M/minilm/prompt
         head -n 1 $M/minilm/output | cmp - one'
}

[ -r "${INFERFS_MINILM:-}/model.safetensors" ] || skip "INFERFS_MINILM does not name the model's folder"
ln -s "$(realpath "$INFERFS_MINILM")" "$MODELS/minilm"
models chat
mount_start symlinks budget=$((charge * 4))
deterministic 4
says_what_it_is
lines_and_strings
raw_floats
long_text
side_by_side
cancelled
stays_in_its_charge
as_documented
takes_turns "$charge"
