# SPDX-License-Identifier: Apache-2.0
# On a terminal: no input is not read from it without a word; NO_COLOR is honoured.
command -v script >/dev/null || { echo "no script(1)" >&2; exit 77; }
script -qec true /dev/null </dev/null >/dev/null 2>&1 || { echo "no pseudo-terminal" >&2; exit 77; }
on_terminal() { script -qec "$1" /dev/null </dev/null | tr -d '\r\004\b' | sed 's/\^D//'; }
on_terminal 'adesieve classify || echo "exit $?"'
on_terminal 'adesieve tokenize -'
on_terminal 'NO_COLOR= TERM=xterm adesieve classify nowhere' | sed 's/\x1b/ESC/g'
on_terminal 'NO_COLOR=1 TERM=xterm adesieve classify nowhere' | sed 's/\x1b/ESC/g'
