#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs the tests of a build once on each arm of the dispatch that this processor has, the better ones switched off by
# ADESIEVE_MAX_ISA. Left out is what has no arms (headers, the plugin's emulator, stores that are killed), what chooses
# its arms itself, and what shows that a test can fail.
#
#   tests/arms.sh BUILD [ctest argument...]      such as: tests/arms.sh build -L cli
#   ARMS="avx2 baseline" tests/arms.sh BUILD     only these
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
build=${1:?"a build folder is needed: tests/arms.sh BUILD"}
shift
[ -x "$build/adesieve" ] || { echo "tests/arms.sh: $build holds no adesieve; build it first" >&2; exit 2; }

device() { ADESIEVE_MAX_ISA=$1 "$build/adesieve" info -m "$here/data/tiny_bert_cls" --device cpu --precision f32 | sed -n 's/^device *//p'; }

best=$(device '')
[ -n "$best" ] || exit 1
if [ -z "${ARMS:-}" ]; then
    for arm in baseline sse4.2 avx2 avx512 avx512_vnni avx512_bf16 amx; do
        ARMS="${ARMS:-} $arm"
        [ "$(device $arm)" = "$best" ] && break # the arms behind it are this one again
    done
fi

failed=()
for arm in $ARMS; do
    echo "== ADESIEVE_MAX_ISA=$arm: $(device "$arm")"
    ADESIEVE_MAX_ISA=$arm ctest --test-dir "$build" --output-on-failure --no-tests=error -j 2 --timeout 600 -LE 'emulator|screening' \
        -E '^(abi_|header_|walls|readme|cli_max_isa|test_ops_|test_invariance_avx2|compare_)|_can_fail$' "$@" || failed+=("$arm")
done
[ ${#failed[@]} -eq 0 ] && echo "all pass on: $ARMS" && exit 0
echo "tests/arms.sh: tests failed on: ${failed[*]}" >&2
exit 1
