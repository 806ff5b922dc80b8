#!/usr/bin/env bash
# Install the Debian packages that building inferfs needs, and those named as arguments; only what
# is missing, so nothing at all is asked or run on a machine that has them.
set -euo pipefail

packages=(
    build-essential meson ninja-build pkg-config
    libfuse3-dev fuse3 libjansson-dev libpcre2-dev libutf8proc-dev libxxhash-dev
)

installed() { dpkg-query -W -f '${Status}\n' "$1" 2>/dev/null | grep -q 'ok installed$'; }

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    else
        sudo "$@"
    fi
}

main() {
    local package missing=()
    if ! command -v dpkg-query >/dev/null; then
        echo "This is no Debian: please see to packages like these: ${packages[*]} $*" >&2
        return 0
    fi
    for package in "${packages[@]}" "$@"; do
        installed "$package" || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    echo "Installing ${missing[*]}" >&2
    as_root apt-get update -q >&2
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -q --no-install-recommends "${missing[@]}" >&2
}

main "$@"
