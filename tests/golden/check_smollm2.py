#!/usr/bin/env python3
"""SmolLM2-135M (Q4_1) against float32 arithmetic on the same weights: token ids, rendered chats,
greedy continuations, the likelihood of a text.

Our activations are int8, so where the two best logits are close the other one may win: greedy
continuations are compared up to the first gap below GAP_MIN, likelihoods within a tolerance."""
import json
import math
import pathlib
import tempfile

import golden

GAP_MIN = 0.5
NLL_ERROR_MAX = 0.006
ARGMAX_SHARE_MIN = 0.95


def certain(case):
    """How many tokens of a continuation no small error can change."""
    return next((i for i, gap in enumerate(case["gap"]) if gap < GAP_MIN), len(case["gap"]))


def check_greedy(report, model, case, name, kind, prompt):
    count = certain(case)
    if count == 0:
        return
    got = golden.ids(golden.engine("generate", model, kind, "--ids", "--max-tokens",
                                   len(case["greedy"]), text=prompt))
    report.check(got[:count] == case["greedy"][:count],
                 f"{name}: the first {count} of {len(case['greedy'])} tokens equal")


def check_steps(report, model, case, name):
    """Along the reference's own continuation, every step whose gap is wide enough."""
    tokens = case["tokens"] + case["greedy"][:-1]
    with tempfile.TemporaryDirectory() as folder:
        rows = golden.logits(model, tokens, pathlib.Path(folder, "logits"))
    best = [golden.argmax(row) for row in rows[len(case["tokens"]) - 1:]]
    wide = [i for i, gap in enumerate(case["gap"]) if gap >= GAP_MIN]
    equal = sum(best[i] == case["greedy"][i] for i in wide)
    report.check(equal == len(wide), f"{name}: {equal} of {len(wide)} certain steps equal")


def check_raw(report, model, case):
    name = repr(case["text"][:30])
    tokens = golden.ids(golden.engine("tokenize", model, text=case["text"]))
    report.check(tokens == case["tokens"], f"{name}: {len(tokens)} token ids")
    check_greedy(report, model, case, name, "--raw", case["text"])
    check_steps(report, model, case, name)


def check_chat(report, model, case):
    messages = [{"role": role, "content": content} for role, content in case["messages"]]
    name = repr(messages[-1]["content"][:30])
    rendered = golden.engine("render", model, text=json.dumps(messages))
    report.check(rendered == case["rendered"], f"{name}: rendered")
    tokens = golden.ids(golden.engine("tokenize", model, "--special", text=case["rendered"]))
    report.check(tokens == case["tokens"], f"{name}: {len(tokens)} token ids")
    if [message["role"] for message in messages] == ["user"]:
        check_greedy(report, model, case, name, "--chat", messages[0]["content"])
    check_steps(report, model, case, name)


def check_likelihood(report, model, case, kv):
    """The reference's ids are given, not the text: it did not cut digits off before the pattern
    ran, so that two line ends before a digit are one token here and two there."""
    tokens = case["tokens"]
    with tempfile.TemporaryDirectory() as folder:
        rows = golden.logits(model, tokens, pathlib.Path(folder, "logits"), "--kv", kv)
    nll = [math.log(sum(map(math.exp, row))) - row[token]
           for row, token in zip(rows, tokens[1:])]
    mean = sum(nll) / len(nll)
    error = abs(mean - case["mean"])
    rms = math.sqrt(sum((a - b) ** 2 for a, b in zip(nll, case["nll"])) / len(nll))
    report.check(error <= NLL_ERROR_MAX,
                 f"a text, {kv}: mean nll {mean:.4f}, off by {error:.4f} (each by {rms:.3f} rms)")
    equal = sum(golden.argmax(row) == wanted for row, wanted in zip(rows, case["argmax"]))
    share = equal / len(rows)
    report.check(share >= ARGMAX_SHARE_MIN, f"a text, {kv}: {100 * share:.1f} % of argmaxes equal")


def check_text(report, model, case):
    check_likelihood(report, model, case, "f16")
    check_likelihood(report, model, case, "q8_0")
    measured = json.loads(golden.engine("nll", model, text=case["text"]))
    ours = golden.ids(golden.engine("tokenize", model, text=case["text"]))
    report.check(measured["tokens"] == ours and len(measured["nll"]) == len(ours) - 1,
                 f"a text: nll of {len(ours)} tokens, mean {measured['mean']:.4f}")


def main():
    golden.need("INFERFS_ENGINE")
    model = golden.need("INFERFS_SMOLLM2")
    reference = golden.vectors("smollm2.json")
    report = golden.Report()
    for case in reference["raw"]:
        check_raw(report, model, case)
    for case in reference["chat"]:
        check_chat(report, model, case)
    for case in reference["nll"]:
        check_text(report, model, case)
    report.exit()


main()
