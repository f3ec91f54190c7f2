# SPDX-License-Identifier: Apache-2.0
# Offsets count code points: the accent and the smiley are one each.
printf 'Rash.\n\nCafe\xcc\x81 [SEP] \xf0\x9f\x98\x80x\n' >texts.txt
adesieve tokenize texts.txt
adesieve tokenize --with-text --max-length 4 texts.txt
printf 'a [SEP] b\n' | adesieve tokenize --split-special-tokens | sed 's/,"offsets.*//'
