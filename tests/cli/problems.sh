# SPDX-License-Identifier: Apache-2.0
# A regression model has no label; a multi-label model's scores are independent of each other.
printf 'rash\n' >a.txt
adesieve classify --precision f32 -m "$DATA/models/regression" a.txt
adesieve classify --precision f32 -m "$DATA/models/regression" -f csv a.txt
adesieve classify --precision f32 -m "$DATA/models/multi_label" a.txt
printf '<PubmedArticleSet><PubmedArticle><MedlineCitation><PMID Version="1">1</PMID><Article><ArticleTitle>rash</ArticleTitle></Article></MedlineCitation></PubmedArticle></PubmedArticleSet>' >rash.xml
adesieve screen -q -m "$DATA/models/regression" --threshold 1.2 rash.xml
adesieve screen -q -m "$DATA/models/regression" --threshold 1.2 -f csv rash.xml | tail -1
adesieve screen -q -m "$DATA/models/regression" --threshold 100 rash.xml
adesieve screen -q -m "$DATA/models/multi_label" --threshold 100 rash.xml || echo "exit $?"
