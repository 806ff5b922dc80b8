#!/usr/bin/env python3
"""The rules of the house that a script can check: lengths, who may include whom, what a library
never does, white space.  Prints every breach as FILE:LINE and exits with 1 when there is one."""
import pathlib
import re
import sys

PROJECT = pathlib.Path(__file__).resolve().parents[2]
FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 800

# Who may include whom: the layers of engine/, each with those below it.
BELOW = {
    "base": {"base"},
    "load": {"base", "load"},
    "text": {"base", "load", "text"},
    "math": {"base", "math"},
    "model": {"base", "load", "math", "model"},
    "generate": {"base", "load", "text", "math", "model", "generate", "engine.h"},
}
FS_MAY_INCLUDE = re.compile(r"fs/|base/|(engine/)?protocol\.h$")
FORBIDDEN_CALL = re.compile(r"(?<!\w)(exit|abort|assert)\s*\(")
MAY_EXIT = {"engine/main.c", "fs/main.c"}

breaches = []


def breach(path, line, text):
    breaches.append(f"{path.relative_to(PROJECT)}:{line}: {text}")


def without_comments_and_strings(source):
    """The same lines, with comments, strings and characters emptied."""
    pattern = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)

    def emptied(match):
        text = match.group(0)
        return "\n" * text.count("\n") if text.startswith("/") else text[0] * 2

    return pattern.sub(emptied, source)


def allowed_lengths():
    lines = (PROJECT / "tests/length.allow").read_text().splitlines()
    return {line.strip() for line in lines if line.strip() and not line.startswith("#")}


def check_lengths(path, lines, allowed):
    """A function's body stands between a `{` and a `}` in the first column."""
    if len(lines) > FILE_LINES_MAX:
        breach(path, len(lines), f"the file has more than {FILE_LINES_MAX} lines")
    start = None
    for number, line in enumerate(lines, 1):
        if line.startswith("{"):
            start = number
        elif line.startswith("}") and start is not None:
            name = function_before(lines, start)
            length = number - start - 1
            if length > FUNCTION_LINES_MAX and f"{path.relative_to(PROJECT)}:{name}" not in allowed:
                breach(path, start, f"{name}() has {length} lines, at most {FUNCTION_LINES_MAX}")
            start = None


def function_before(lines, brace):
    """The name in the declaration that ends above line number `brace`."""
    declaration = ""
    for line in reversed(lines[:brace - 1]):
        declaration = line + " " + declaration
        if re.match(r"\w", line):
            break
    match = re.search(r"(\w+)\s*\(", declaration)
    return match.group(1) if match else "?"


def check_includes(path, source):
    parts = path.relative_to(PROJECT).parts
    for number, line in enumerate(source.splitlines(), 1):
        match = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
        if not match:
            continue
        included = match.group(1)
        if "../" in included or included.endswith(".c"):
            breach(path, number, f"includes {included}")
        elif parts[0] == "fs":
            if not FS_MAY_INCLUDE.match(included):
                breach(path, number, f"fs/ may not include {included}")
        elif included.startswith("fs/"):
            breach(path, number, "engine/ may not include fs/")
        elif len(parts) > 2 and included.split("/")[0] not in BELOW.get(parts[1], set()):
            breach(path, number, f"{parts[1]}/ may not include {included}")


def check_calls(path, lines):
    if str(path.relative_to(PROJECT)) in MAY_EXIT:
        return
    for number, line in enumerate(lines, 1):
        match = FORBIDDEN_CALL.search(line)
        if match:
            breach(path, number, f"calls {match.group(1)}()")


def check_header_comment(path, source):
    """Each field of a header's first comment begins a line: clang-format joins them to the text
    before when a line was too long."""
    for number, line in enumerate(source.split("*/")[0].splitlines(), 1):
        if re.match(r" \* .*\S\s+(Owns|Promise|Threads|Limits|Source):(\s|$)", line):
            breach(path, number, "a field of the header's comment does not begin its line")


def check_white_space(path, source):
    for number, line in enumerate(source.splitlines(), 1):
        if "\t" in line:
            breach(path, number, "tab")
        if line != line.rstrip():
            breach(path, number, "space at the end of the line")
    if source and not source.endswith("\n"):
        breach(path, source.count("\n") + 1, "no newline at the end of the file")


def files(folders, suffixes):
    for folder in folders:
        for path in sorted((PROJECT / folder).rglob("*")):
            if path.is_file() and (path.suffix in suffixes or path.name == "meson.build"):
                yield path


def main():
    allowed = allowed_lengths()
    for path in files(["engine", "fs"], {".c", ".h"}):
        source = path.read_text()
        bare_lines = without_comments_and_strings(source).splitlines()
        check_lengths(path, bare_lines, allowed)
        check_includes(path, source)
        check_calls(path, bare_lines)
        check_header_comment(path, source)
    for path in files(["tests"], {".c", ".h"}):
        check_lengths(path, without_comments_and_strings(path.read_text()).splitlines(), allowed)
    for path in files(["engine", "fs", "tests", "examples"], {".c", ".h", ".sh", ".py"}):
        check_white_space(path, path.read_text())
    print("\n".join(breaches))
    return 1 if breaches else 0


sys.exit(main())
