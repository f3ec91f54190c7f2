#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs a build tree into a temporary prefix and runs the consumers against it.
# Usage: install_and_run.sh BUILD
set -eu
here=$(cd "$(dirname "$0")" && pwd)
prefix=$(mktemp -d)
trap 'rm -rf "$prefix"' EXIT
cmake --install "$1" --prefix "$prefix" >/dev/null
"$here/run_consumers.sh" "$prefix"
