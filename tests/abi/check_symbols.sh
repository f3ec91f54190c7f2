#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What the shared library exports = symbols.txt = the functions of the header; nothing but ade_*, each with a version.
# Usage: check_symbols.sh LIBRARY HEADER
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
nm -D --defined-only "$1" | awk '$2 != "A" {print $3}' | LC_ALL=C sort >"$work/versioned"
if grep -v '^ade_[a-z0-9_]*@@ADESIEVE_[0-9]*$' "$work/versioned"; then
    echo "the lines above are exported by $1 and should not be, or have no version" >&2
    exit 1
fi
sed 's/@@.*//' "$work/versioned" >"$work/exported"
sed -n 's/^ADE_API[^(]*[ *]\(ade_[a-z0-9_]*\)(.*/\1/p' "$2" | LC_ALL=C sort >"$work/declared"
diff "$here/symbols.txt" "$work/exported" || { echo "symbols.txt (<) and $1 (>) differ" >&2; exit 1; }
diff "$work/declared" "$work/exported" || { echo "$2 (<) and $1 (>) differ" >&2; exit 1; }
# Neither a GPU library nor a C++ runtime of ours may be needed.
if readelf -d "$1" | grep NEEDED | grep -Ei 'cuda|cublas|nvrtc|stdc\+\+'; then
    echo "$1 needs a GPU's library" >&2
    exit 1
fi
