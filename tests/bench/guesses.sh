#!/usr/bin/env bash
# What guessed tokens gain, or cost, in plain chats and where a text is to be changed a little.
#
#   tests/bench/guesses.sh MODEL.gguf [OPTION OF bench_reuse]...
#
# `bench_reuse guesses` for each prompt, at the temperatures 0 and 0.7.  Needs
# `ninja -C build tests/bench_reuse`; other programs may run beside it.
set -euo pipefail
cd "$(dirname "$0")/../.."

[ $# != 0 ] || {
    sed -n '4s/^# *//p' "$0" >&2
    exit 1
}
model=$1
shift

harbour='The harbour of Lindow lies between two low hills. In the mornig the boats go out before the sun has '
harbour+='risen, and by noon most of them are back with herring and cod. The oldest of the boats, the Margaret '
harbour+='Ann, was built in 1931 by two brothres who had never built one before. Her mast has been replaced '
harbour+='four times.'
program='def total(prices, tax):
    result = 0
    for price in prices:
        result = result + price * (1 + tax)
    return result

def average(prices, tax):
    if len(prices) == 0:
        return 0
    return total(prices, tax) / len(prices)'

for temperature in 0 0.7; do
    for prompt in 'Why is the sky blue?' 'Write a story about a fox.' \
        "Correct the spelling, and return the whole text:"$'\n\n'"$harbour" \
        "Add a docstring to each function:"$'\n\n'"$program"; do
        printf '%s, temperature %s\n' "${prompt%%$'\n'*}" "$temperature"
        printf %s "$prompt" | build/tests/bench_reuse guesses -T "$temperature" "$@" "$model"
    done
done
