# SPDX-License-Identifier: Apache-2.0
# The manual page is good roff, and has every option of every command.
command -v groff >/dev/null || { echo "no groff" >&2; exit 77; }
adesieve --help-man >adesieve.1
groff -man -Tascii -ww adesieve.1 >page
grep -q -- '--threshold' page
grep -q 'ADESIEVE_MODEL' page
