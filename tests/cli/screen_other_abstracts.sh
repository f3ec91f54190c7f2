# SPDX-License-Identifier: Apache-2.0
# --other-abstracts: a part of its own kind, in rows and in --parts.
cat >one.xml <<'X'
<PubmedArticleSet><PubmedArticle><MedlineCitation><PMID Version="1">7</PMID><Article><ArticleTitle>Title.</ArticleTitle>
<Abstract><AbstractText>Abstract.</AbstractText></Abstract></Article>
<OtherAbstract Type="plain-language-summary" Language="eng"><AbstractText>Plain words.</AbstractText></OtherAbstract>
<OtherAbstract Type="Publisher" Language="pol"><AbstractText>Po polsku.</AbstractText></OtherAbstract>
</MedlineCitation></PubmedArticle></PubmedArticleSet>
X
for which in none english all; do
    adesieve screen -q --other-abstracts $which --parts "parts.$which" -f tsv one.xml | cut -f 3,5,13 | tail -n +2
done
grep -o '"part".*' parts.all
adesieve screen -q --other-abstracts some one.xml || echo "exit $?"
