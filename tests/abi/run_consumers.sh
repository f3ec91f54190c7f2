#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds the two consumers against an installation and runs them on the tiny model; their outputs must agree.
# Usage: run_consumers.sh PREFIX [MODEL]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
prefix=$(cd "$1" && pwd)
model=${2:-$here/../data/tiny_bert_cls}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
package=$(find "$prefix" -name adesieve.pc | head -n 1)
[ -n "$package" ] || { echo "no adesieve.pc below $prefix" >&2; exit 1; }
PKG_CONFIG_PATH=$(dirname "$package")
export PKG_CONFIG_PATH
#: the prefix may be another than the one that was configured.
libraries=$(pkg-config --variable=libdir adesieve)
# shellcheck disable=SC2046 # flags are words
${CC:-cc} -std=c99 -Wall -Wextra -Wpedantic -Werror $(pkg-config --cflags adesieve) "$here/consumer_c/main.c" \
    -o "$work/consumer_c" $(pkg-config --libs adesieve) -Wl,-rpath,"$libraries" ${ADE_LINK_FLAGS:-}
"$work/consumer_c" "$model" >"$work/c.txt"
cmake -G Ninja -S "$here/consumer_cxx" -B "$work/cxx" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_EXE_LINKER_FLAGS="${ADE_LINK_FLAGS:-}" \
    -DCMAKE_BUILD_TYPE=Release >"$work/cmake.log" || { cat "$work/cmake.log" >&2; exit 1; }
cmake --build "$work/cxx" >"$work/build.log" || { cat "$work/build.log" >&2; exit 1; }
"$work/cxx/consumer" "$model" >"$work/cxx.txt"
diff "$work/c.txt" "$work/cxx.txt"
[ "$(wc -l <"$work/c.txt")" -eq 2 ]
cat "$work/c.txt"
