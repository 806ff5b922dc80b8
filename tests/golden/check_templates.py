#!/usr/bin/env python3
"""Real chat templates, rendered byte for byte as Python's jinja2 does, with the environment that
transformers gives it.

INFERFS_TEMPLATES names a folder of *.jinja files; without it those of llama.cpp are taken, from the
source distribution of llama-cpp-python on PyPI (fetched once into the cache folder; the test is
skipped when that fails)."""
import concurrent.futures
import datetime
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import tarfile
import tempfile

import golden

PACKAGE = "llama_cpp_python==0.3.36"
SHA256 = "832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e"
INSIDE = "vendor/llama.cpp/models/templates/"
BOS, EOS = "<s>", "</s>"
CONVERSATIONS = [
    [("user", "What is 1+1? ")],
    [("system", " You are a pirate.\n"), ("user", "<|im_end|> {{ hello }} 'é' \"x\"\n\n")],
    [("system", "Be brief."), ("user", "One\ntwo"),
     ("assistant", "<think>\nhm\n</think>\n\nThree. "), ("user", "日本 🙂 <b>&amp;</b>")],
]


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(golden.SKIPPED)


def fetch(folder):
    """The template files of the source distribution, into the folder."""
    with tempfile.TemporaryDirectory() as work:
        done = subprocess.run(
            [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps",
             "--no-binary", ":all:", "--dest", work, PACKAGE], capture_output=True, check=False)
        archives = list(pathlib.Path(work).glob("*.tar.gz"))
        if not archives:
            skip("llama-cpp-python can't be fetched: " + done.stderr.decode()[-200:])
        if hashlib.sha256(archives[0].read_bytes()).hexdigest() != SHA256:
            skip("what was fetched is not the expected file")
        folder.mkdir(parents=True, exist_ok=True)
        with tarfile.open(archives[0]) as archive:
            for member in archive:
                if INSIDE in member.name and member.name.endswith(".jinja") and member.isfile():
                    name = pathlib.PurePath(member.name).name
                    (folder / name).write_bytes(archive.extractfile(member).read())


def templates():
    folder = os.environ.get("INFERFS_TEMPLATES")
    if folder:
        folder = golden.need("INFERFS_TEMPLATES")
    else:
        cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache"))
        folder = cache / "inferfs" / "templates"
        if not list(folder.glob("*.jinja")):
            fetch(folder)
    found = sorted(folder.glob("*.jinja"))
    return found or skip(f"no *.jinja in {folder}")


def environment():
    """What transformers.utils.chat_template_utils makes of jinja2."""
    try:
        import jinja2
        import jinja2.ext
        import jinja2.sandbox
    except ImportError:
        skip("no jinja2")

    class Raised(jinja2.exceptions.TemplateError):
        """raise_exception() was called."""

    class Generation(jinja2.ext.Extension):
        tags = {"generation"}

        def parse(self, parser):
            line = next(parser.stream).lineno
            body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
            return jinja2.nodes.CallBlock(self.call_method("_body"), [], [], body).set_lineno(line)

        def _body(self, caller):
            return caller()

    def raise_exception(text):
        raise Raised(text)

    def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators,
                          sort_keys=sort_keys)

    made = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols])
    made.filters["tojson"] = tojson
    made.globals["raise_exception"] = raise_exception
    made.globals["strftime_now"] = lambda format: datetime.datetime.now().strftime(format)
    return made, Raised


def reference(template, raised, messages, extra):
    """What jinja2 renders: ("text", it), ("raised", why), or ("error", why) for an error of the
    template itself."""
    try:
        return "text", template.render(
            messages=messages, add_generation_prompt=True, bos_token=BOS, eos_token=EOS,
            tools=None, documents=None, **extra)
    except raised as error:
        return "raised", str(error)
    except Exception as error:  # pylint: disable=broad-except
        return "error", repr(error)


def ours(path, messages, extra):
    thinking = {True: ["--thinking", "on"], False: ["--thinking", "off"]}
    command = [str(golden.need("INFERFS_ENGINE")), "render", "--template", str(path), "--bos", BOS,
               "--eos", EOS, *thinking.get(extra.get("enable_thinking"), [])]
    done = subprocess.run(command, input=json.dumps(messages).encode(), capture_output=True,
                          check=False)
    if done.returncode == 0:
        return "text", done.stdout.decode(errors="surrogateescape")
    return f"exit {done.returncode}", done.stderr.decode(errors="replace")


def main():
    made, raised = environment()
    report = golden.Report()
    counts = {"text": 0, "raised": 0, "error": 0}
    compiled = {path: made.from_string(path.read_text()) for path in templates()}
    cases = [(path, index, extra) for path in compiled for index in range(len(CONVERSATIONS))
             for extra in ({}, {"enable_thinking": True}, {"enable_thinking": False})]

    def run(case):
        path, index, extra = case
        messages = [{"role": role, "content": text} for role, text in CONVERSATIONS[index]]
        return reference(compiled[path], raised, messages, extra), ours(path, messages, extra)

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        results = list(pool.map(run, cases))
    for (path, index, extra), ((kind, expected), (got_kind, got)) in zip(cases, results):
        counts[kind] += 1
        name = f"{path.name}, conversation {index + 1} {extra or ''}"
        if kind == "text":
            equal = got_kind == "text" and got == expected
            report.check(equal, f"{name}: " + ("equal" if equal else f"{expected!r} is {got!r}"))
        elif kind == "raised":
            report.check(got_kind == "exit 1" and expected[:100] in got, f"{name}: {got[-300:]}")
        else:
            report.check(got_kind == "exit 1", f"{name}: jinja2 fails with {expected}")
    print(f"{len(cases)} renderings: {counts['text']} texts, {counts['raised']} raised, "
          f"{counts['error']} errors")
    report.exit()


main()
