# SPDX-License-Identifier: Apache-2.0
# Warnings are silent with -q, errors are not; --log-json gives one object a message; hostile names cannot drive a
# terminal.
printf 'one two three four\n' >a.txt
adesieve classify --max-length 4 -q a.txt >/dev/null
adesieve classify --quiet nowhere || echo "exit $?"
adesieve classify --log-json --max-length 4 a.txt nowhere >/dev/null || echo "exit $?"
adesieve classify --log-json --treads 3 || echo "exit $?"
adesieve screen --log-json nowhere.xml || echo "exit $?"
adesieve info --log-json --quiet -m nowhere || echo "exit $?"
adesieve tokenize --quiet $'bad\033[31m\xff.txt' || echo "exit $?"
