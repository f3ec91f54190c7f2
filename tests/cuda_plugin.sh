#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# cuda_plugin.sh BUILD: the plugin by nvcc, as far as it can be looked at without a GPU: what it exports and needs, that
# the library needs nothing of CUDA, and what a user reads on a machine whose GPU cannot be used.
set -euo pipefail
build=$(cd "$1" && pwd)
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
wrong() {
    echo "cuda_plugin.sh: $*" >&2
    exit 1
}
library=$build/libadesieve.so plugin=$build/libadesieve_cuda.so.0
[ -e "$plugin" ] || wrong "there is no $plugin"

exported=$(nm -D --defined-only "$plugin" | awk '{print $3}')
[ "$exported" = ade_plugin ] || wrong "the plugin exports more, or less, than ade_plugin: $exported"

# needs FILE: the libraries that it is linked to. The CUDA runtime is inside, cuBLASLt and the driver are opened.
needs() { readelf -d "$1" | sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p'; }
needs "$plugin" | grep -vE '^(libc|libm|libdl|libpthread|librt|ld-linux.*)\.so\.[0-9]+$' &&
    wrong "the plugin needs the libraries above"
needs "$library" | grep -E 'cuda|cublas|nvrtc|stdc\+\+' && wrong "libadesieve.so needs the libraries above"

# An installation has them side by side.
cmake --install "$build" --prefix "$work/prefix" >/dev/null
installed=$(cd "$work/prefix" && find . -name 'libadesieve*.so*' | sort | tr '\n' ' ')
folder=$(dirname "$(find "$work/prefix" -name libadesieve.so)")
[ -f "$folder/libadesieve_cuda.so.0" ] || wrong "the plugin is not beside the library: $installed"

# Asked for, the GPU is used or refused with a sentence; not asked for, it is used or the reason is in `info`.
model=tests/data/tiny_bert_cls
for command in "$build/adesieve" "$work/prefix/bin/adesieve"; do
    "$command" info -m "$model" >"$work/info" 2>&1 || wrong "$command info failed: $(cat "$work/info")"
    status=0
    echo 'Rash after amoxicillin.' | "$command" classify -m "$model" --device cuda >"$work/row" 2>"$work/refusal" || status=$?
    if command -v nvidia-smi >/dev/null && nvidia-smi >/dev/null 2>&1; then
        echo "cuda_plugin.sh: this machine has a GPU; tests/gpu/run tests more"
        [ "$status" -eq 0 ] || wrong "--device cuda failed: $(cat "$work/refusal")"
    else
        [ "$status" -eq 1 ] || wrong "--device cuda ended with status $status: $(cat "$work/refusal")"
        [ -s "$work/row" ] && wrong "--device cuda wrote rows: $(cat "$work/row")"
        grep -qi 'driver' "$work/refusal" || wrong "the refusal does not name the driver: $(cat "$work/refusal")"
        grep -qi 'driver' "$work/info" || wrong "info does not say why there is no GPU: $(cat "$work/info")"
        sed 's/^/    /' "$work/refusal"
    fi
done
