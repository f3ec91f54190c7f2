#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Who may include whom, by grep, and for the layers by the compiler: an include over a wall must not compile.
# Usage: walls.sh [BUILD]    BUILD: a build tree with compile_commands.json, for the second part
set -u
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root" || exit 1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
: >"$work/complaints" # a file, since pipelines end in subshells

complain() {
    echo "$1" | tee -a "$work/complaints" >&2
}

# none WHAT: standard input must be empty.
none() {
    lines=$(cat)
    [ -z "$lines" ] || complain "$1:
$lines"
}

sources() { find include src kernels tokenizer -name '*.[ch]' -o -name '*.cc' -o -name '*.cu' -o -name '*.cuh'; }

# includes FILE...: "file:header" of every #include.
includes() {
    [ $# -gt 0 ] || return 0
    grep -HE '^[[:space:]]*#[[:space:]]*include' "$@" | sed -E 's/^([^:]*):[^<"]*[<"]([^>"]*)[>"].*/\1:\2/'
}

# ---- Not round a wall ----
# shellcheck disable=SC2046 # file names of this tree have no blanks
includes $(sources) | grep -E ':(.*/)?\.\./' | none 'an #include climbs out of its folder'

# ---- One library, one door ----
# door PATTERN FILES: headers that match the pattern may be opened by these files alone (an extended regular expression).
door() {
    # shellcheck disable=SC2046
    includes $(sources) | grep -E ":($1)\$" | grep -vE "^($2):" | none "a header of $1 is opened outside its door ($2)"
}
door 'jansson\.h' 'src/json\.h|src/cli/(texts|rows|engine)\.[ch]'
door 'json\.h' 'src/(json|config|safetensors|tokenizer_files|calibration_file)\.c'
door 'expat\.h' 'none'
door 'sqlite3\.h' 'src/screen/(state|export|store)\.c'
door 'zlib\.h' 'src/screen/gzip_in\.c|src/cli/input\.c'
door '(oneapi/)?dnnl/.*|dnnl.*\.h(pp)?|omp\.h' 'kernels/gemm_cpu\.c'
door 'utf8proc\.h' 'tokenizer/characters\.c'
door 'sha2\.h|sha256\.h' 'src/model\.c'
door 'md5\.h' 'src/screen/checksum\.c'
door 'cuda.*|cublas.*|nvrtc.*' 'kernels/[a-z_]*_cuda\.cuh?|kernels/cuda_[a-z_]*\.cuh?'
door 'cublas.*' 'kernels/(gemm|cublaslt)_cuda\.cuh?'
door 'thrust/.*|cub/.*|cuda/.*|cooperative_groups.*|mma\.h|nvrtc.*' 'none'
door 'dlfcn\.h' 'src/(device|default_model)\.c|kernels/cublaslt_cuda\.cu'

# ---- Layers ----
includes include/*.h | grep -vE ':(stddef|stdint)\.h$' | none 'a public header includes more than stddef.h and stdint.h'
includes src/cli/*.[ch] | sed -n 's/^\(.*\):\(.*\)$/\1 \2/p' | while read -r file header; do
    [ "$header" = adesieve.h ] || [ -e "src/cli/$header" ] || grep -qE "include[[:space:]]*<$header>" "$file" || echo "$file: $header"
done | none 'the command includes what a user cannot'
includes src/cli/*.[ch] | sed 's/^.*://' | sort -u | while read -r header; do
    for folder in src/base src src/screen kernels tokenizer; do
        [ -e "$folder/$header" ] && [ ! -e "src/cli/$header" ] && echo "$folder/$header"
    done
done | none 'the command includes a header of the library'
# shellcheck disable=SC2046
includes src/*.[ch] $(find src/screen -name '*.[ch]') | sed 's/^\(.*\):\(.*\)$/\1 \2/' | while read -r file header; do
    [ -e "kernels/$header" ] && [ "$header" != ops.h ] && echo "$file: kernels/$header"
    [ -e "tokenizer/$header" ] && [ "$header" != tokenizer.h ] && [ "$header" != sentences.h ] &&
        [ "$header" != words.h ] && echo "$file: tokenizer/$header"
done | none 'the host side sees more of kernels/ or tokenizer/ than ops.h, tokenizer.h, sentences.h and words.h'
# shellcheck disable=SC2046
includes kernels/*.cu kernels/*.cuh | sed 's/^\(.*\):\(.*\)$/\1 \2/' | while read -r file header; do
    case $header in *.h | *.cuh) ;; *) echo "$file: $header (a C++ library)" ;; esac
    case $header in cpu_* | gemm_cpu.h) echo "$file: $header" ;; esac
done | none 'the plugin sees more than C headers, CUDA and its own'
for pair in 'tokenizer:src src/screen src/cli kernels' 'kernels:src src/screen src/cli tokenizer' \
    'src/base:src src/screen src/cli kernels tokenizer'; do
    layer=${pair%%:*}
    # shellcheck disable=SC2046
    includes $(find "$layer" -maxdepth 1 -name '*.[ch]' -o -maxdepth 1 -name '*.cu' -o -maxdepth 1 -name '*.cuh') | sed 's/^\(.*\):\(.*\)$/\1 \2/' | while read -r file header; do
        for folder in ${pair#*:}; do
            [ -e "$folder/$header" ] && [ ! -e "$layer/$header" ] && echo "$file: $folder/$header"
        done
    done | none "$layer includes what is above or beside it"
done
grep -lE '^[[:space:]]*ade_[a-z_]+ +\*?ade_[a-z_]+\(|^ADE_API' $(find src tokenizer kernels -name '*.c') /dev/null |
    grep -vE '^(src/api|src/base/status)\.c$' | while read -r file; do
    grep -HE '^(ade_status|const char \*|uint32_t|void) *ade_[a-z]+(_[a-z]+)*\(' "$file"
done | none 'a public function is defined outside api.c and status.c'

# ---- Names ----
sources | sed 's|.*/||' | sort | uniq -d | none 'two files have one name'
for file in $(sources); do
    head -n 2 "$file" | grep -q 'SPDX-License-Identifier: Apache-2.0' || echo "$file"
done | none 'no licence line on top'
for file in $(sources); do
    case $file in */classes.h | */lists.h | */words_table.h) continue ;; esac # generated
    lines=$(wc -l <"$file")
    [ "$lines" -lt 1000 ] || echo "$file: $lines lines"
done | none 'too long a file'

# ---- Kernels compile for the GPU and for the processor: each thing that C++ cannot say has one file ----
# only PATTERN FILE WHAT: the pattern occurs in that file alone.
only() {
    grep -nE -- "$1" kernels/*.cu kernels/*.cuh | grep -vE '^[^:]*:[0-9]+: *(/?\*|//)' | grep -v "^kernels/$2:" |
        none "$3 outside kernels/$2"
}
only '(^|[^a-z_])asm([^a-z_]|$)' cuda_mma.cuh 'inline assembly'
only '<<<|__shared__' cuda_common.cuh 'a launch or shared memory without ADE_LAUNCH and ADE_SHARED'
only '__CUDACC__|__CUDA_ARCH__' 'cuda_\(common\|mma\).cuh' 'a difference between the compilers'

# ---- Each op: a version for each backend, a reference, a test ----
ops=$(sed -n 's/^    ade_status (\*\([a-z]*\))(ade_exec \*exec, const ade_[a-z]*_args \*args);$/\1/p' kernels/ops.h)
[ "$(echo "$ops" | wc -w)" -ge 7 ] || complain 'the ops are not found in kernels/ops.h'
for op in $ops; do
    file=kernels/${op}_cpu.c
    [ "$op" = linear ] && file=kernels/gemm_cpu.c
    [ -e "$file" ] || complain "op $op has no $file"
    file=${file%_cpu.c}_cuda.cu
    [ -e "$file" ] || complain "op $op has no $file"
    grep -qE "^static void test_$op(_[a-z]+)*\(" tests/ops/test_ops_device.c || complain "op $op has no test_$op on a device"
    grep -q "^void reference_$op(" tests/ops/reference.c || complain "op $op has no reference_$op"
    grep -q "^static void test_$op(" tests/ops/test_ops.c || complain "op $op has no test_$op"
    grep -q "cmocka_unit_test(test_$op)" tests/ops/test_ops.c || complain "test_$op is not run"
done

# ---- The compiler keeps the walls ----
# wall SOURCE HEADER...: with SOURCE's own flags, each header must not be found; adesieve.h must be.
commands=${1:+$1/compile_commands.json}
wall() {
    source=$1
    shift
    flags=$(tr -d '\n' <"$commands" | sed 's/}/}\n/g' | grep "\"file\": *\"$root/$source\"" | head -n 1 |
        grep -oE -- '(-I|-isystem) *[^ "]+' | tr '\n' ' ')
    [ -n "$flags" ] || { complain "no compile command for $source"; return; }
    echo '#include "adesieve.h"' >"$work/good.c"
    # shellcheck disable=SC2086 # flags are words
    ${CC:-cc} $flags -fsyntax-only "$work/good.c" 2>"$work/log" || complain "$source: adesieve.h does not compile: $(cat "$work/log")"
    for header in "$@"; do
        [ -n "$(find include src kernels tokenizer -name "$header")" ] || complain "there is no $header any more"
        echo "#include \"$header\"" >"$work/wrong.c"
        # shellcheck disable=SC2086
        if ${CC:-cc} $flags -fsyntax-only "$work/wrong.c" 2>"$work/log"; then
            complain "$source could include $header"
        else
            grep -q 'No such file\|file not found' "$work/log" || complain "$source, $header: $(cat "$work/log")"
        fi
    done
}
if [ -n "$commands" ]; then
    if [ ! -e "$commands" ]; then
        complain "there is no $commands"
    else
        wall src/base/alloc.c ops.h tokenizer.h model.h medline.h
        wall tokenizer/tokenizer.c ops.h cpu_common.h model.h config.h medline.h
        wall kernels/cpu_backend.c tokenizer.h model.h session.h medline.h
        wall kernels/layernorm_cpu.c tokenizer.h model.h session.h
        if grep -q 'kernels/layernorm_cuda\.cu"' "$commands"; then # by nvcc or by tests/emulator
            wall kernels/layernorm_cuda.cu status.h alloc.h fp16.h tokenizer.h model.h session.h
        fi
        wall src/cli/main.c status.h alloc.h model.h session.h tokenizer.h ops.h medline.h
    fi
fi

[ -s "$work/complaints" ] && exit 1
echo 'all walls stand'
