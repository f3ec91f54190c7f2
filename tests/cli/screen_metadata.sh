# SPDX-License-Identifier: Apache-2.0
# --metadata: what a reviewer needs; lists are arrays in JSON, and separated by | in tables, in a way that can be undone.
cat >one.xml <<'X'
<PubmedArticleSet><PubmedArticle><MedlineCitation><PMID Version="1">7</PMID><Article><Journal><JournalIssue><PubDate>
<Year>2016</Year><Month>May</Month><Day>3</Day></PubDate></JournalIssue><Title>The "Long" Journal, Ed.</Title></Journal>
<ArticleTitle>A case.</ArticleTitle><ELocationID EIdType="doi" ValidYN="Y">10.1/x,y</ELocationID><Language>eng</Language>
<Language>fre</Language><PublicationTypeList><PublicationType>Case Reports</PublicationType><PublicationType>Retracted
 Publication</PublicationType></PublicationTypeList></Article><MedlineJournalInfo><MedlineTA>Long J</MedlineTA>
</MedlineJournalInfo><ChemicalList><Chemical><NameOfSubstance>a|b\c</NameOfSubstance></Chemical><Chemical>
<NameOfSubstance>N,N-"d"</NameOfSubstance></Chemical></ChemicalList><MeshHeadingList><MeshHeading>
<DescriptorName MajorTopicYN="N">Aspirin</DescriptorName><QualifierName MajorTopicYN="Y">adverse effects</QualifierName>
</MeshHeading><MeshHeading><DescriptorName MajorTopicYN="Y">Exanthema</DescriptorName><QualifierName>chemically induced
</QualifierName></MeshHeading></MeshHeadingList></MedlineCitation></PubmedArticle>
<PubmedArticle><MedlineCitation><PMID Version="1">8</PMID><Article><ArticleTitle>Bare.</ArticleTitle></Article>
</MedlineCitation></PubmedArticle><DeleteCitation><PMID>9</PMID></DeleteCitation></PubmedArticleSet>
X
for shape in '' --document; do
    adesieve screen -q --metadata --precision f32 $shape one.xml | sed 's/0\.5[0-9]*/S/g'
done
adesieve screen -q --metadata --no-text -f tsv one.xml | cut -f 1-3,10-
adesieve screen -q --metadata --document -f csv one.xml | cut -d, -f 1-2,5-12,13-
