#!/usr/bin/env python3
"""The documents say what the code does, as far as a script can tell: every named limit with its
value, every option and sub-command, every file of the mount, and no path that is not there.  Prints
every breach as FILE: what, and exits with 1 when there is one."""
import pathlib
import re
import sys

PROJECT = pathlib.Path(__file__).resolve().parents[2]
TOP_FOLDERS = {"docs", "engine", "examples", "fs", "tests"}
ENGINE_FOLDERS = {"base", "generate", "load", "math", "model", "text"}  # includes start below engine/
IS_LIMIT = re.compile(r"_MAX(_|$)|_MIN(_|$)|_(MS|KEPT|INITIAL)$")
UNITS = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40, "PiB": 1 << 50}
C_CONSTANTS = {"INT32_MAX": (1 << 31) - 1, "PATH_MAX": 4096}

breaches = []


def breach(path, text):
    breaches.append(f"{path}: {text}")


def read(path):
    return (PROJECT / path).read_text()


def sources():
    for folder in "fs", "engine":
        for path in sorted((PROJECT / folder).rglob("*.[ch]")):
            yield str(path.relative_to(PROJECT)), path.read_text()


def without_comments(source):
    return re.sub(r"//[^\n]*|/\*.*?\*/", " ", source, flags=re.S)


# --- limits: the code's ---------------------------------------------------------------------------


def split_at_commas(text):
    """At those outside of parentheses."""
    parts, depth, start = [], 0, 0
    for at, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            parts.append(text[start:at])
            start = at + 1
    return parts + [text[start:]]


def constants_of(source):
    """{name: expression} of the enumerators with a value, and of what else is a constant."""
    source = without_comments(source)
    lists = re.findall(r"\benum\b\s*\w*\s*\{(.*?)\}", source, re.S)
    lists += re.findall(r"\bstatic const \w+ ([A-Z][A-Z0-9_]* = [^;{]*);", source)
    found = {}
    for item in (item for text in lists for item in split_at_commas(text)):
        match = re.match(r"\s*([A-Z][A-Z0-9_]*)\s*=(.*)", item, re.S)
        if match:
            found[match.group(1)] = " ".join(match.group(2).split())
    for name, value in re.findall(r"^#define ([A-Z][A-Z0-9_]*)[ \t]+(\S.*)$", source, re.M):
        found[name] = value.strip()
    return found


def evaluate(expression, known):
    """A number, or None for what this parser can't compute (sizeof)."""
    expression = re.sub(r"\bU?INT64_C\((\w+)\)", r"\1", expression)
    expression = re.sub(r"\b(0[xX][0-9a-fA-F]+|\d+)[uUlL]+\b", r"\1", expression)
    for name in re.findall(r"\b[A-Z][A-Z0-9_]*\b", expression):
        value = C_CONSTANTS.get(name)
        if value is None and known.get(name) not in (None, expression):
            value = evaluate(known[name], known)
        if value is None:
            return None
        expression = re.sub(rf"\b{name}\b", str(value), expression)
    if not re.fullmatch(r"[0-9a-fA-FxX.\s()+*/<|&-]+", expression):
        return None
    return eval(expression.replace("/", "//"))


# --- limits: the document's -----------------------------------------------------------------------


def documented_limits():
    """{(file, name): value cell} of the tables' rows `| NAME | value | file | ...`."""
    rows = {}
    for line in read("docs/LIMITS.md").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) >= 3 and re.fullmatch(r"`[A-Z][A-Z0-9_]*`", cells[0]):
            key = (cells[2].strip("`"), cells[0].strip("`"))
            if key in rows:
                breach("docs/LIMITS.md", f"{key[1]} of {key[0]} stands there twice")
            rows[key] = cells[1]
    return rows


def documented_value(cell):
    """`64 MiB`, `10000 ms` or `-50` as a number; None when the cell starts with none."""
    match = re.match(r"(-?\d[\d.]*)(?: (\w+))?", cell)
    if not match:
        return None
    number = float(match.group(1)) if "." in match.group(1) else int(match.group(1))
    return number * UNITS.get(match.group(2), 1)


def check_limits():
    rows = documented_limits()
    by_file = {path: constants_of(source) for path, source in sources()}
    everywhere = {name: value for found in by_file.values() for name, value in found.items()}
    for path, found in by_file.items():
        for name, expression in found.items():
            cell = rows.pop((path, name), None)
            if cell is None:
                if IS_LIMIT.search(name) and not name.startswith("FS_"):
                    breach("docs/LIMITS.md", f"{name} of {path} is missing")
                continue
            value = evaluate(expression, everywhere | found)
            expected = expression if value is None else value
            said = cell.strip("`") if value is None else documented_value(cell)
            if said != expected:
                breach("docs/LIMITS.md", f"{name} of {path} is {expected}, not {cell}")
    for path, name in rows:
        breach("docs/LIMITS.md", f"{path} has no {name}")


# --- names ----------------------------------------------------------------------------------------


def man_page(path):
    """Without comments, and with plain dashes."""
    return re.sub(r'^\.\\".*$', "", read(path), flags=re.M).replace("\\-", "-")


def names_in(path, pattern):
    names = re.findall(pattern, read(path))
    if not names:
        breach(path, f"the test finds nothing like {pattern} there any more")
    return names


def check_named(names, path, form=r"(?<![\w-])NAME(?![\w-])"):
    """Each name stands in the document, in this form."""
    text = man_page(path) if path.endswith(".1") else read(path)
    for name in names:
        if not re.search(form.replace("NAME", re.escape(name)), text, re.M):
            breach(path, f"{name} is missing")


def check_options():
    names = names_in("fs/options.c", r'OPTION\("(\w+)')
    check_named(names, "docs/inferfs.1", r"^\.BI? NAME\b")
    check_named(names, "README.md", r"`NAME\b")
    printed = set(names_in("fs/options.c", r'" +-o (\w+)'))
    for name in sorted(set(names) ^ printed):
        breach("fs/options.c", f"{name} is either not in the help, or only there")


def check_engine():
    page = "docs/inferfs-engine.1"
    check_named(names_in("engine/main.c", r'\{"(\w+)", +cli_\w+\}'), page, r'^\.BI NAME " MODEL"')
    options = set()
    for path in sorted((PROJECT / "engine").glob("cli*.c")):
        source = path.read_text()
        options |= {"--" + name for name in re.findall(r'\{"([\w-]+)", \w+_argument', source)}
        for letters in re.findall(r'cli_option\(argc, argv, "([^"]*)"', source):
            options |= {"-" + letter for letter in letters if letter != ":"}
    parameters = names_in("engine/base/sampling.c", r'\{"(\w+)", SAMPLING_')
    options |= {"--" + name.replace("_", "-") for name in parameters}
    if not options:
        breach("engine/cli.c", "the test finds no option in engine/cli*.c any more")
    check_named(sorted(options), page)


def check_tree():
    files = names_in("fs/nodes.c", r'\[NODE_\w+\] = \{"(\w+)"')
    keys = names_in("fs/config.c", r'\{"(\w+)", KIND_')
    keys += names_in("engine/base/sampling.c", r'\{"(\w+)", SAMPLING_')
    names = sorted(set(files + keys))
    check_named(names, "docs/FILES.md", r"`NAME(/|`|/\*`)|^## NAME$")
    check_named(names, "README.md")
    check_named(names, "fs/readme.c")


def check_modules():
    """A folder's README that lists its files lists all of them; docs/TESTING.md the mount tests."""
    for folder in "fs", "engine", "engine/load":
        check_named([path.name for path in sorted((PROJECT / folder).glob("*.c"))],
                    f"{folder}/README.md", "`NAME`")
    check_named([path.stem for path in sorted((PROJECT / "tests/mount").glob("*.sh"))],
                "docs/TESTING.md", "`NAME`")


# --- paths ----------------------------------------------------------------------------------------


def exists(name, folder):
    """`NAME` in a path stands for anything, as `*` does."""
    pattern = re.sub(r"NAME|MODULE", "*", name)
    return any(True for base in (PROJECT, folder, PROJECT / "engine") for _ in base.glob(pattern))


def check_paths():
    documents = [*PROJECT.glob("*.md"), *PROJECT.glob("docs/*.1")]
    for folder in TOP_FOLDERS:
        documents += (PROJECT / folder).rglob("*.md")
    for path in sorted(documents):
        text = path.read_text()
        names = {target.split("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", text)
                 if "://" not in target}
        for name in re.findall(r"`([\w.*-]+(?:/[\w.*-]+)+\.[\w*]+)`", text):
            if name.split("/")[0] in TOP_FOLDERS | ENGINE_FOLDERS:
                names.add(name)
        for name in sorted(names - {""}):
            if not exists(name, path.parent):
                breach(path.relative_to(PROJECT), f"there is no {name}")
    for path, source in sources():
        for name in sorted(set(re.findall(r"\b(?:docs|tests)/[\w/-]+\.\w+", source))):
            if not exists(name, PROJECT):
                breach(path, f"there is no {name}")


def main():
    check_limits()
    check_options()
    check_engine()
    check_tree()
    check_modules()
    check_paths()
    print("\n".join(breaches))
    return 1 if breaches else 0


sys.exit(main())
