#!/usr/bin/env bash
# readme.sh BUILD: the C program and the first command of README.md do what it says.
set -euo pipefail
build=$(cd "$1" && pwd)
cd "$(dirname "$0")/.."
[ -f models/adesieve-minilm/model.safetensors ] || { echo "no default model" >&2; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
sed -n '/^```c$/,/^```$/p' README.md | sed '1d;$d' >"$work/example.c"
${CC:-cc} -std=c99 -Wall -Wextra -Werror -Iinclude "$work/example.c" -o "$work/example" -L"$build" -ladesieve \
    -Wl,-rpath,"$build" ${ADE_LINK_FLAGS:-}
"$work/example" | tee "$work/said"
grep -qE '^ADE 0\.99[0-9]{2}$' "$work/said"
# Scores differ in their last digits between processors; label, tokens and the keys do not.
echo 'Rash after amoxicillin.' | "$build/adesieve" classify | sed -E 's/-?[0-9]+\.[0-9]+(e-[0-9]+)?/#/g' >"$work/row"
sed -n "/^{\"label\":\"ADE\"/p" README.md | head -n 1 | sed -E 's/-?[0-9]+\.[0-9]+(e-[0-9]+)?/#/g' | diff - "$work/row"
