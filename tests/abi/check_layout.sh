#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The layout that this compiler gives the public structs = layout.txt, and layout.c names every member of the header.
# layout.txt is for 64-bit machines. Usage: check_layout.sh PROGRAM HEADER
set -eu
here=$(cd "$(dirname "$0")" && pwd)
"$1" | diff "$here/layout.txt" - || { echo "layout.txt (<) and this build (>) differ" >&2; exit 1; }
command -v python3 >/dev/null || exit 0
python3 "$here/make_layout.py" "$2" | diff "$here/layout.c" - || { echo "layout.c is not make_layout.py's" >&2; exit 1; }
