# SPDX-License-Identifier: Apache-2.0
# A file that may not be read; a folder that may not be written. Root may do both, so root tests as nobody.
as=()
if [[ $(id -u) == 0 ]]; then
    as=(setpriv --reuid 65534 --regid 65534 --clear-groups)
    "${as[@]}" adesieve classify /dev/null 2>/dev/null || { echo "cannot run as another user" >&2; exit 77; }
fi
echo a >a.txt
echo b >b.txt
chmod 000 b.txt
mkdir shut
chmod 555 shut .
"${as[@]}" adesieve classify b.txt || echo "exit $?"
"${as[@]}" adesieve classify -o shut/out a.txt || echo "exit $?"
chmod 755 .
ls -A shut
