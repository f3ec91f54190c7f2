#!/usr/bin/env bash
# Every layer compiles by a bare compiler, without CMake: the folders are the only include paths that it needs.
set -euo pipefail
cd "$(dirname "$0")/.."
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
flags=$(pkg-config --cflags jansson libutf8proc libmd sqlite3)
# shellcheck disable=SC2086  # a list of words
${CC:-cc} -std=gnu11 -O0 -fPIC -shared -fopenmp -Wno-psabi $flags \
    -Iinclude -Isrc/base -Isrc -Isrc/screen -Itokenizer -Ikernels \
    src/base/*.c src/*.c src/screen/*.c tokenizer/*.c kernels/*.c -o "$out/libadesieve.so" -Wl,--no-undefined \
    $(pkg-config --libs jansson libutf8proc libmd sqlite3) -lz -ldnnl -lm -lpthread
