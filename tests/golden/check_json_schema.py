#!/usr/bin/env python3
"""JSON schemas against the jsonschema package: what a compiled schema generates must be valid, and
random valid documents, written as docs/GRAMMARS.md says, must be accepted.  Skipped without the
package or without the program sample_schema."""
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile

try:
    import jsonschema
except ImportError:
    print("SKIP there is no jsonschema package")
    sys.exit(77)

SAMPLE = os.environ.get("INFERFS_SAMPLE_SCHEMA", "")
SAMPLES = 40  # of each schema
SCHEMAS = 300  # random ones

NODE = {"$ref": "#/$defs/node"}
FIXED = [
    {}, True,
    {"type": "object"}, {"type": "array"}, {"type": "number"}, {"type": ["string", "null"]},
    {"type": "string", "minLength": 2, "maxLength": 5},
    {"type": "integer", "minimum": -17, "maximum": 1234},
    {"type": "integer", "exclusiveMinimum": 99, "maximum": 100},
    {"type": "integer", "minimum": 999.5}, {"type": "integer", "maximum": -5},
    {"enum": ["a", 1, 1.5, None, {"a": [1, "\u00e9\"\\"]}, [True]]}, {"const": "x\ny"},
    {"type": "array", "items": {"type": "boolean"}, "minItems": 2, "maxItems": 4},
    {"type": "array", "prefixItems": [{"const": 1}, {"const": 2}], "items": False, "minItems": 1},
    {"type": "array", "prefixItems": [{"const": 1}], "items": {"type": "null"}, "maxItems": 3},
    {"type": "array", "maxItems": 0},
    {"type": "object", "properties": {"a": {"type": "integer"}, "b": {}, "c": {"type": "null"}},
     "required": ["b"], "additionalProperties": False},
    {"type": "object", "properties": {"ab": {"type": "integer"}, "a\u00e9": {"const": 1}},
     "additionalProperties": {"type": "string"}},
    {"type": "object", "additionalProperties": {"type": "integer"}, "required": ["x"]},
    {"anyOf": [{"type": "integer"}, {"type": "string"}]},
    {"oneOf": [{"type": "object", "properties": {"k": {"const": "a"}, "v": {"type": "integer"}},
                "required": ["k", "v"]},
               {"type": "object", "properties": {"k": {"const": "b"}, "w": {"type": "string"}},
                "required": ["k"]}]},
    {"allOf": [{"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
               {"properties": {"b": {"type": "null"}, "a": {"minimum": 3}}}]},
    {"type": "object", "properties": {"a": {}, "b": {}}, "anyOf": [{"required": ["a"]},
                                                                   {"required": ["b"]}]},
    {"$ref": "#/$defs/node", "$defs": {"node": {
        "type": "object", "properties": {"value": {"type": "integer"}, "next": {
            "anyOf": [NODE, {"type": "null"}]}}, "required": ["value", "next"]}}},
    {"type": "array", "items": {"$ref": "#"}},
    {"type": "string", "pattern": "^[a-c]{2,3}(?:x|\\d+)\"?$"},
    {"type": "string", "pattern": "^[^a-z]\\S\\W.\\D$"},
    {"type": "string", "format": "date"}, {"type": "string", "format": "date-time"},
    {"type": "string", "format": "uuid"}, {"type": "string", "format": "email"},
    {"type": "string", "format": "ipv4"},
]
REFUSED = [
    ({"type": "integer", "multipleOf": 3}, "multipleOf"), ({"not": {}}, "not"),
    ({"type": "number", "minimum": 1}, "minimum"), ({"type": "objekt"}, "objekt"),
    ({"type": "array", "uniqueItems": True}, "uniqueItems"), (False, "nothing can match"),
    ({"type": "string", "pattern": "abc"}, "^"), ({"type": "string", "pattern": "^(?=a)$"}, "(?:"),
    ({"type": "string", "format": "iri"}, "iri"), ({"$ref": "#/x"}, "#/x"), (3, "schema"),
    ({"$ref": "http://example.com/x"}, "leads nowhere"), ({"$ref": "#"}, "begins with itself"),
    ({"oneOf": [{"type": "integer"}, {"type": "number"}]}, "oneOf"), ({"if": {}}, "if"),
    ({"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]}, "never ends"),
    ({"type": "object", "patternProperties": {}}, "patternProperties"),
    ({"type": "object", "minProperties": 1}, "minProperties"), ({"enum": []}, "nothing can match"),
    ({"allOf": [{"properties": {"a": {}}, "additionalProperties": False},
                {"properties": {"b": {}}}]}, "additionalProperties"),
    ({"type": "integer", "minimum": 3, "maximum": 2}, "no whole number"),
]


def run(arguments, schema, text=""):
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        file.write(schema if isinstance(schema, str) else json.dumps(schema))
        file.flush()
        result = subprocess.run([SAMPLE, "schema", file.name, *arguments], input=text.encode(),
                                capture_output=True, timeout=60, check=False)
    return result.returncode, result.stdout.decode()


def random_schema(source, depth=0):
    kinds = ["integer", "string", "boolean", "null", "enum", "list", "object", "any", "number"]
    kind = source.choice(kinds[:5] if depth > 2 else kinds)
    if kind == "integer":
        low = source.randint(-10 ** source.randint(0, 6), 10 ** source.randint(0, 6))
        return {"type": "integer", "minimum": low,
                "maximum": low + source.randint(0, 10 ** source.randint(0, 6))}
    if kind == "string":
        low = source.randint(0, 3)
        return {"type": "string", "minLength": low, "maxLength": low + source.randint(0, 4)}
    if kind == "enum":
        return {"enum": [source.choice(["a", "b\"", 1, 2.5, None, True, [], {"x": 1}])
                         for _ in range(3)]}
    if kind == "list":
        low = source.randint(0, 2)
        return {"type": "array", "items": random_schema(source, depth + 1), "minItems": low,
                "maxItems": low + source.randint(0, 3),
                "prefixItems": [random_schema(source, depth + 1)
                                for _ in range(source.randint(0, 2))]}
    if kind == "object":
        names = source.sample(["a", "b", "ab", "abc", "\u00e9t\u00e9", "x y", "q\"q"],
                              source.randint(0, 4))
        schema = {"type": "object", "additionalProperties": source.choice([True, False,
                                                                           {"type": "integer"}]),
                  "properties": {name: random_schema(source, depth + 1) for name in names},
                  "required": [name for name in names if source.random() < 0.5]}
        return schema
    if kind == "any":
        return {"anyOf": [random_schema(source, depth + 1) for _ in range(2)]}
    return {"type": kind}


def check_samples(schema, seed):
    """Returns what is wrong."""
    status, out = run([str(SAMPLES), str(seed)], schema)
    if status:
        return [f"{schema}: {out}"]
    checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
    validator = jsonschema.Draft202012Validator(schema, format_checker=checker)
    wrong = []
    texts = out.split("\n")[:-1]
    for text in texts:
        try:
            if not validator.is_valid(json.loads(text)):
                wrong.append(f"{schema}: not valid: {text[:200]}")
        except ValueError as problem:
            wrong.append(f"{schema}: {problem}: {text[:200]}")
    if not texts and schema is not False:
        wrong.append(f"{schema}: no sample")
    # Written again by another program, they are still accepted.
    again = [json.dumps(json.loads(text), ensure_ascii=False, separators=(",", ":"))
             for text in texts if not wrong and not set(text) & set(".eE")]
    again = [text for text in again if "\\u00" not in text and "\x7f" not in text]
    status, judged = run([], schema, "".join(text + "\n" for text in again))
    for text, accepted in zip(again, judged.split()):
        if accepted != "1":
            wrong.append(f"{schema}: refuses {text[:200]}")
    return wrong


def main():
    if not os.access(SAMPLE, os.X_OK):
        print("SKIP INFERFS_SAMPLE_SCHEMA is no program")
        return 77
    wrong = []
    for seed, schema in enumerate(FIXED):
        wrong += check_samples(schema, seed + 1)
    for schema, word in REFUSED:
        status, out = run(["1", "1"], schema)
        if status != 2 or word not in out:
            wrong.append(f"{schema}: status {status}, {out.strip()!r} does not name {word!r}")
    for seed in range(SCHEMAS):
        wrong += check_samples(random_schema(random.Random(seed)), seed + 1)
    print("\n".join(wrong[:20]))
    print(f"{len(FIXED) + SCHEMAS} schemas, {len(REFUSED)} refused, {len(wrong)} wrong")
    return 1 if wrong else 0


sys.exit(main())
