# SPDX-License-Identifier: Apache-2.0
# Rows come as soon as their texts do: the reader answers before the writer goes on.
mkfifo texts rows
adesieve classify <texts >rows &
exec 3>texts 4<rows
echo 'first' >&3
read -r -t 20 row <&4
echo "${row:0:18}"
echo 'second' >&3
read -r -t 20 row <&4
echo "${row:0:18}"
exec 3>&-
wait
