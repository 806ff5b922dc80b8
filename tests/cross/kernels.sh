#!/usr/bin/env bash
# Build the kernels for 64-bit ARM and compare them with the portable ones under qemu, on three
# processors: with all instructions, with dotprod but not i8mm (Raspberry Pi 5, Jetson Orin), and with
# neither (Raspberry Pi 4).
#
#     tests/cross/kernels.sh [aarch64]
#
# Skipped (status 77) without the Debian packages gcc-aarch64-linux-gnu, libc6-dev-arm64-cross and
# qemu-user.  INFERFS_CROSS_BUILD is the folder to build in (build-aarch64).
set -euo pipefail
cd "$(dirname "$0")/../.."

build=${INFERFS_CROSS_BUILD:-build-aarch64}

for program in aarch64-linux-gnu-gcc qemu-aarch64; do
    command -v "$program" >/dev/null && continue
    echo "skipped: there is no $program"
    exit 77
done

[ -f "$build/build.ninja" ] ||
    meson setup "$build" --cross-file tests/cross/aarch64.txt -Dkernels_only=true -Dwerror=true
ninja -C "$build" tests/compare_kernels

on() {
    local cpu=$1
    shift
    printf '\n%s\n' "$cpu"
    qemu-aarch64 -L /usr/aarch64-linux-gnu -cpu "$cpu" "$build/tests/compare_kernels" "$@"
}

on max i8mm dotprod neon
on cortex-a76 dotprod neon
on cortex-a72 neon
