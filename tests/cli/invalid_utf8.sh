# SPDX-License-Identifier: Apache-2.0
# Replaced bytes are counted, and rows stay valid UTF-8.
printf 'b\xe9d\nok\n\xe2\x82\xff\n' | adesieve classify --invalid-utf8 replace --with-text --stats s.json | sed 's/.*"truncated"/"truncated"/'
grep replaced s.json
printf 'b\xe9d\n' | adesieve classify --invalid-utf8 error || echo "exit $?"
