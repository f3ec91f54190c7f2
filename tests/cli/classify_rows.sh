# SPDX-License-Identifier: Apache-2.0
# One object a text, in input order; an empty text has one too.
printf 'Rash after amoxicillin.\n\ncaf\xc3\xa9 \xf0\x9f\x98\x80\n' >texts.txt
adesieve classify --precision f32 texts.txt
adesieve classify --with-text --input-format lines --device cpu - <texts.txt | sed 's/.*"truncated"/"truncated"/'
# Standard input is lines unless said otherwise; a final line feed may be missing; CRLF is a line end.
printf 'Rash after amoxicillin.\r\n\r\ncaf\xc3\xa9 \xf0\x9f\x98\x80' | adesieve classify --precision=f32 >crlf
adesieve classify --precision f32 texts.txt | cmp - crlf
