# SPDX-License-Identifier: Apache-2.0
# Options that change what the model sees: the section's label, the length, special tokens.
xml=$DATA/medline/handmade.xml
tokens() { sed -n 's/^  "tokens": \([0-9]*\),/\1/p' "$1"; }
adesieve screen -q --stats with.json "$xml" >/dev/null
adesieve screen -q --no-section-label --stats without.json "$xml" >/dev/null
test "$(tokens without.json)" -lt "$(tokens with.json)"
adesieve screen -q --max-length 8 --stats s.json "$xml" >rows
grep -q '"truncated":true' rows
grep -q '"max_length": 8,' s.json
printf '<PubmedArticleSet><PubmedArticle><MedlineCitation><PMID Version="1">1</PMID><Article><ArticleTitle>A [SEP] b.</ArticleTitle></Article></MedlineCitation></PubmedArticle></PubmedArticleSet>' >sep.xml
adesieve screen -q --stats one.json sep.xml >/dev/null
adesieve screen -q --split-special-tokens --stats two.json sep.xml >/dev/null
grep '^  "tokens"' one.json two.json
adesieve screen -q -m "$MODEL" --model "$MODEL" --no-text sep.xml | sed 's/0.504[0-9]*/S/'
