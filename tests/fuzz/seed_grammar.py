#!/usr/bin/env python3
"""Grammars and schemas to start from, each with a text: seed_grammar.py FOLDER."""
import pathlib
import sys

SEEDS = [
    b'\0root ::= "a" [b-d]* (x | y){2,3}\nx ::= "q"?\ny ::= [^\\n]+ . # c\n\0aqqz',
    b'\0root ::= "(" root? ")" | [0-9]{1,3} root\0((12)',
    b'\0root ::= w w "!"\nw ::= "a" w | [\\u00e0-\\u20ac] | ""\0aa!',
    b'\1{"type":"object","properties":{"a":{"type":"integer","minimum":-3,"maximum":120},"b":{"$ref":"#/$defs/x"}},'
    b'"required":["a"],"additionalProperties":true,"$defs":{"x":{"type":["null","number"]}}}\0{"a":3}',
    b'\1{"oneOf":[{"const":1},{"enum":["a","b"]}]}\0"a"',
    b'\1{"allOf":[{"items":{"$ref":"#"}},{"minItems":1,"maxItems":3,"prefixItems":[{"format":"date"}]}]}\0["2',
    b'\1{"anyOf":[{"type":"string","pattern":"^[a-z]+(?:\\\\d|.){2}$"},{"minLength":2,"maxLength":3}]}\0"ab"',
]

for number, seed in enumerate(SEEDS):
    (pathlib.Path(sys.argv[1]) / f"seed{number}").write_bytes(seed)
