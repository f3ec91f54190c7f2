# SPDX-License-Identifier: Apache-2.0
# A reader that goes away ends the run quietly, with status 0.
yes 'Rash after amoxicillin.' | head -3000 >a.txt
set -o pipefail
adesieve tokenize a.txt | head -1 | cut -c1-12
adesieve classify a.txt | head -1 | cut -c1-18
adesieve screen -q --all "$DATA/medline/pubmed26n1334.xml.gz" | head -1 | cut -c1-7
adesieve screen --help | head -1
