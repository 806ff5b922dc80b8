#!/usr/bin/env bash
# What config/ says about an answer, with a real model: grammars, schemas, biases, stop tokens, seeds
# and probabilities.
source "$(dirname "$0")/../lib/mount.sh"

[ "$engine" != echo ] || skip "the echo engine chooses no tokens"

ask() { printf '%s\n' "$1" >"$M/a/prompt" && cat "$M/a/output"; }

reset() {
    local file
    for file in grammar json_schema logit_bias stop_tokens; do : >"$M/a/config/$file"; done
    echo 0 >"$M/a/config/temperature"
    echo 0 >"$M/a/config/logprobs"
    echo 60 >"$M/a/config/max_tokens"
}

a_grammar_is_followed() {
    printf 'root ::= "The answer is " ("yes" | "no") "."\n' >"$M/a/config/grammar"
    check "only what it allows" grep -qE '^The answer is (yes|no)\.$' <(ask "Is the sky blue?")
    check_same "and a complete answer ends" stop "$(jq -r .last_job.finish "$M/a/status")"
    printf 'root ::= "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"\n' >"$M/a/config/grammar"
    check_same "characters of several tokens" $'\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80' "$(ask "Hi")"
}

a_bad_grammar_is_refused() {
    printf 'root ::= "a"\nitem ::= [a-\n' >"$M/a/config/grammar"
    check_refused "a bad grammar fails" "Invalid argument" 'echo hi >$M/a/prompt; cat $M/a/output'
    check "its line is named" grep -q 'grammar, line 2: ' "$M/a/error"
    printf '{"type": "integer", "multipleOf": 2}' >"$M/a/config/json_schema"
    : >"$M/a/config/grammar"
    check_refused "so does a schema" "Invalid argument" 'echo hi >$M/a/prompt; cat $M/a/output'
    check "its keyword is named" grep -q 'multipleOf' "$M/a/error"
    printf 'root ::= "a"\n' >"$M/a/config/grammar"
    printf '{}' >"$M/a/config/json_schema"
    check_refused "one of them only" "Invalid argument" 'echo hi >$M/a/prompt; cat $M/a/output'
}

a_schema_is_followed() {
    cat >"$M/a/config/json_schema" <<'END'
{"type": "object", "additionalProperties": false, "required": ["name", "age", "tags"],
 "properties": {"name": {"type": "string", "minLength": 1, "maxLength": 20},
                "age": {"type": "integer", "minimum": 0, "maximum": 120},
                "tags": {"type": "array", "items": {"enum": ["a", "b"]}, "maxItems": 3}}}
END
    ask "Describe a cat called Tom, who is 3 years old." >"$T/answer"
    check "its answer is such an object" jq -e '
        keys == ["age", "name", "tags"] and (.name | length >= 1 and length <= 20) and
        .age >= 0 and .age <= 120 and .age == (.age | floor) and
        (.tags | length <= 3 and all(. == "a" or . == "b"))' "$T/answer"
    echo 1.5 >"$M/a/config/temperature"
    ask "Describe a cat called Tom, who is 3 years old." >"$T/answer"
    check "at a high temperature too" jq -e 'keys == ["age", "name", "tags"]' "$T/answer"
}

tokens_are_forbidden_and_end() {
    echo 1 >"$M/a/config/logprobs"
    ask "What is the capital of France?" >"$T/answer"
    jq -j '.token // ""' "$M/a/logprobs" | sed 's/<|im_end|>$//' >"$T/joined"
    check "the tokens join to the answer" cmp "$T/joined" <(printf %s "$(cat "$T/answer")")
    check "each with its probability" jq -es 'all(.logprob <= 0 and (.top | length) == 1)' "$M/a/logprobs"
    local first third
    first=$(jq -s '.[0].id' "$M/a/logprobs") third=$(jq -s '.[2].id' "$M/a/logprobs")
    echo "$third" >"$M/a/config/stop_tokens"
    ask "What is the capital of France?" >/dev/null
    check_same "a stop token ends" 3 "$(jq -s length "$M/a/logprobs")"
    : >"$M/a/config/stop_tokens"
    echo "$first -100" >"$M/a/config/logit_bias"
    ask "What is the capital of France?" >/dev/null
    check "a forbidden token never comes" jq -es "all(.id != $first)" "$M/a/logprobs"
}

a_seed_repeats() {
    echo 1 >"$M/a/config/temperature"
    echo 42 >"$M/a/config/seed"
    check_same "the same seed, the same answer" "$(ask "Tell me a story.")" "$(ask "Tell me a story.")"
    local first
    first=$(ask "Tell me a story.")
    echo 43 >"$M/a/config/seed"
    check "another seed, another answer" [ "$first" != "$(ask "Tell me a story.")" ]
}

models a
mount_start
for part in a_grammar_is_followed a_bad_grammar_is_refused a_schema_is_followed \
    tokens_are_forbidden_and_end a_seed_repeats; do
    reset
    $part
done
