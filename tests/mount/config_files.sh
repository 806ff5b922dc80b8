#!/usr/bin/env bash
# One value a file: it reads back, what is no value is refused at the write and the old one stays.
source "$(dirname "$0")/../lib/mount.sh"

value() { cat "$M/a/config/$1"; }

# takes KEY VALUE...: it can be set to each of these and reads back.
takes() {
    local key=$1 value
    shift
    for value in "$@"; do
        checks=$((checks + 1))
        echo "$value" >"$M/a/config/$key" || fail "$key refuses $value"
        check_same "$key is $value" "$value" "$(value "$key")"
    done
}

# refuses KEY TEXT VALUE...: the write fails with this text, the old value stays.
refuses() {
    local key=$1 text=$2 old value
    shift 2
    old=$(value "$key")
    for value in "$@"; do
        check_refused "$key refuses $value" "$text" "echo '$value' > \$M/a/config/$key"
        check_same "$key keeps $old" "$old" "$(value "$key")"
    done
}

readonly invalid="Invalid argument" range="Numerical result out of range"

models a
mount_start echo_token_ms=20
check_same "the files" \
    "context dry_allowed_length dry_base dry_multiplier format frequency_penalty grammar json_schema \
kv logit_bias logprobs max_tokens min_p mirostat mirostat_eta mirostat_tau presence_penalty raw \
repeat_penalty seed speculate stop stop_tokens system temperature thinking timeout top_k top_p typical_p" \
    "$(find "$M/a/config" -type f -printf '%f\n' | sort | paste -sd' ')"
check_same "default temperature" 0.7 "$(value temperature)"
check_same "default top_p" 0.95 "$(value top_p)"
check_same "default top_k" 40 "$(value top_k)"
check_same "default raw" 0 "$(value raw)"
check_same "default speculate" 1 "$(value speculate)"

takes temperature 0 1 0.25 10
refuses temperature "$invalid" abc 1x "0 1" nan inf "" 0x1
refuses temperature "$range" 10.5 -1 1e30
takes top_p 1 0.5
refuses top_p "$range" 1.5 -0.1
takes min_p 0 1 0.05
refuses min_p "$range" 1.1 -1
takes top_k 0 1 1000
refuses top_k "$invalid" 1.5 many
refuses top_k "$range" -1 99999999999
takes repeat_penalty 1 0.1 10
refuses repeat_penalty "$range" 0 11
takes seed 0 1 18446744073709551615
refuses seed "$invalid" 1.5 x
refuses seed "$range" -1 18446744073709551616
takes max_tokens 0 1 100
refuses max_tokens "$range" -1 99999999
takes context 0 16 4096
refuses context "$range" 8 99999999
takes kv q8_0 f16
refuses kv "$invalid" q4_0 1
takes presence_penalty 0.5 -10 0
refuses presence_penalty "$range" 11
takes mirostat 2 0
refuses mirostat "$range" 1 3
takes thinking on off auto
refuses thinking "$invalid" yes
takes format f32 json
refuses format "$invalid" xml
takes logprobs 20 0
takes logit_bias "5 -100" "7 0.5"
takes stop_tokens 2 0
takes raw 1 0
refuses raw "$range" 2
takes speculate 0 1
refuses speculate "$range" 2
takes timeout 0 1 3600
refuses timeout "$range" -1

printf ' 0.5 \n' >"$M/a/config/temperature"
check_same "blanks around a value do not matter" 0.5 "$(value temperature)"
check "the reason of a refusal is in the error file" typed \
    'echo abc > $M/a/config/temperature 2>/dev/null; grep -q temperature $M/a/error'

printf 'You are terse.\nAnswer in French.\n' >"$M/a/config/system"
check_same "a text of two lines" $'You are terse.\nAnswer in French.' "$(value system)"
printf 'one\n' >"$M/a/config/system"
check_same "is replaced, not appended to" one "$(value system)"
typed '{ /bin/echo a; /bin/echo b; } > $M/a/config/system'
check_same "written in pieces" $'a\nb' "$(value system)"
: >"$M/a/config/system"
check_same "and can be emptied" "" "$(value system)"
printf 'END\n\\n\\n\n' >"$M/a/config/stop"
check_same "stop strings, one a line" $'END\n\\n\\n' "$(value stop)"
: >"$M/a/config/stop"

check_same "another model has its own" 0.7 "$(model_make b 2M && wait_for 3 test -d "$M/b" && cat "$M/b/config/temperature")"

takes max_tokens 3
echo "one two three four five" >"$M/a/prompt"
check_same "max_tokens is obeyed" "one two three" "$(sed "s, *$,," "$M/a/output")"
check_same "and said" length "$(jq -r .last_job.finish "$M/a/status")"
takes max_tokens 0
takes timeout 1
long_prompt >"$M/a/prompt"
check_within "a timeout ends the job" 2000 typed '! cat $M/a/output'
check_refused "as such" "Connection timed out" 'cat $M/a/output'
takes timeout 0
long_prompt >"$M/a/prompt"
echo 1 >"$M/a/config/max_tokens"
check "a running job keeps what it started with" typed '[ $(head -c 20 $M/a/stream | wc -c) = 20 ]'
echo cancel >"$M/a/ctl"
