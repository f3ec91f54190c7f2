# Shared by tests/gpu/run and benchmarks/gpu/run: is there a GPU, are the libraries there, the build. To be sourced.
# shellcheck shell=bash

. "$(dirname "${BASH_SOURCE[0]}")/../../scripts/common.sh"

build=${ADESIEVE_BUILD:-$root/build-gpu}
gpu_packages=${ADESIEVE_GPU_PACKAGES:-$root/gpu-packages}
gpu_packages_needed="libdnnl-dev libutf8proc-dev libjansson-dev zlib1g-dev libmd-dev libsqlite3-dev
    libcmocka-dev pkgconf"
gpu_cmake=() # more arguments for cmake

# need_gpu: ends the script with 77, and one line that says why, where no GPU can be used.
need_gpu() {
    local why=""
    if ! command -v nvidia-smi >/dev/null; then
        why="no NVIDIA GPU: there is no nvidia-smi, which comes with the driver"
    elif ! gpu_name=$(timeout 60 nvidia-smi --query-gpu=name --format=csv,noheader 2>&1) || [ -z "$gpu_name" ]; then
        why="no NVIDIA GPU can be used: nvidia-smi says: $(printf '%s' "$gpu_name" | tr '\n' ' ')"
    fi
    [ -z "$why" ] && return 0
    printf 'skipped: %s\n' "$why"
    exit 77
}

# find_cuda: nvcc on the PATH.
find_cuda() {
    local home
    for home in "${CUDA_HOME:-}" "${CUDA_PATH:-}" /usr/local/cuda; do
        command -v nvcc >/dev/null && return 0
        [ -n "$home" ] && [ -x "$home/bin/nvcc" ] && export PATH="$home/bin:$PATH"
    done
    command -v nvcc >/dev/null || die "there is no nvcc; install the CUDA toolkit, or set CUDA_HOME to its folder"
}

# The first GPU's compute capability as CMake names it: 90 for 9.0.
gpu_architecture() {
    local capability
    capability=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | sed -n '1s/[^0-9]//gp')
    printf '%s\n' "${capability:-native}"
}

has_libraries() {
    local name
    command -v pkg-config >/dev/null || return 1
    for name in libutf8proc jansson libmd sqlite3 cmocka zlib; do pkg-config --exists "$name" || return 1; done
    printf '#include <oneapi/dnnl/dnnl.h>\n' | "${CC:-cc}" -E -x c - >/dev/null 2>&1
}

# need_libraries: what the system lacks comes from tests/gpu/pack's folder, unpacked into the build folder. Then all of
# it is taken from there, so that no header meets another version's library; nothing is installed.
need_libraries() {
    local sysroot=$build/sysroot arch package file target
    has_libraries && return 0
    compgen -G "$gpu_packages/*.deb" >/dev/null ||
        die "libraries that adesieve builds on are missing, and $gpu_packages holds no packages; install" \
            "$gpu_packages_needed, or run tests/gpu/pack on a machine with network and bring the folder here"
    command -v dpkg-deb >/dev/null || die "dpkg-deb is needed to unpack $gpu_packages"
    say "unpacking $gpu_packages"
    rm -rf "$sysroot"
    mkdir -p "$sysroot/bin" "$sysroot/usr/lib"
    for package in "$gpu_packages"/*.deb; do
        dpkg-deb -x "$package" "$sysroot" || die "$package cannot be unpacked"
    done
    if [ -d "$sysroot/lib" ] && [ ! -L "$sysroot/lib" ]; then # as on a system where /lib is a link to /usr/lib
        cp -a "$sysroot/lib/." "$sysroot/usr/lib/" && rm -rf "${sysroot:?}/lib"
    fi
    arch=$(cd "$sysroot/usr/lib" && compgen -G "*/libdnnl.so") || die "$gpu_packages holds no libdnnl.so"
    arch=${arch%/*}
    for file in "$sysroot/usr/lib/$arch"/*.so*; do # links such as libz.so -> /lib/ARCH/libz.so.1.2.13
        target=$(readlink "$file") || continue
        case "$target" in /*) ln -sf "$(basename "$target")" "$file" ;; esac
        [ -e "$file" ] || die "$file is a broken link"
    done
    for file in "$sysroot/usr/lib/$arch"/pkgconfig/*.pc "$sysroot"/usr/share/pkgconfig/*.pc; do
        [ -f "$file" ] && sed -i "s#=/usr#=$sysroot/usr#" "$file"
    done
    cat >"$sysroot/bin/pkg-config" <<END
#!/bin/sh
export LD_LIBRARY_PATH="$sysroot/usr/lib/$arch"
export PKG_CONFIG_LIBDIR="$sysroot/usr/lib/$arch/pkgconfig:$sysroot/usr/share/pkgconfig"
exec "$sysroot/usr/bin/pkgconf" "\$@"
END
    chmod +x "$sysroot/bin/pkg-config"
    # RPATH, not RUNPATH: it also finds what a library needs that was found by it (libdnnl's OpenCL).
    gpu_cmake+=("-DCMAKE_PREFIX_PATH=$sysroot/usr" "-DPKG_CONFIG_EXECUTABLE=$sysroot/bin/pkg-config"
        "-DCMAKE_EXE_LINKER_FLAGS=-Wl,--disable-new-dtags -Wl,-rpath,$sysroot/usr/lib/$arch"
        "-DCMAKE_SHARED_LINKER_FLAGS=-Wl,--disable-new-dtags -Wl,-rpath,$sysroot/usr/lib/$arch")
    "$sysroot/bin/pkg-config" --exists libutf8proc jansson libmd sqlite3 cmocka zlib ||
        die "the packages of $gpu_packages are not complete: $("$sysroot/bin/pkg-config" --print-errors --exists \
            libutf8proc jansson libmd sqlite3 cmocka zlib 2>&1 | head -n 1)"
}

# build_gpu SECONDS "TARGET..." CMAKE-ARGUMENT...: these targets, for this machine's GPU alone. A warning of a compiler
# newer than the project's is no reason to stop here.
build_gpu() {
    local limit=$1 targets=$2
    shift 2
    find_cuda
    need_libraries
    say "building into $build for architecture $(gpu_architecture)"
    configure "$build" -DADESIEVE_CUDA=ON "-DADESIEVE_CUDA_ARCHITECTURES=$(gpu_architecture)" -DADESIEVE_WERROR=OFF \
        "${gpu_cmake[@]+"${gpu_cmake[@]}"}" "$@"
    # shellcheck disable=SC2086  # a list of words
    timeout "$limit" ninja -C "$build" $targets >"$build/build.log" 2>&1 || {
        grep -E -A8 'FAILED|error' "$build/build.log" | tail -n 60 >&2
        die "the build failed, or took longer than $limit s; see $build/build.log"
    }
}

# build_emulated TARGET...: with the plugin of tests/emulator, and the environment in which the library takes it.
build_emulated() {
    configure "$build" -DADESIEVE_CUDA=OFF -DADESIEVE_TESTS=ON -DADESIEVE_BENCHMARKS=ON
    build_target "$build" adesieve adesieve_command cuda_emulated_plugin cublaslt_standin "$@"
    export ADESIEVE_CUDA_PLUGIN=$build/tests/emulator/libadesieve_cuda.so.0
    export ADESIEVE_CUBLASLT=$build/tests/emulator/libcublasLt.so.13
}
