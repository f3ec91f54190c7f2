# SPDX-License-Identifier: Apache-2.0
# Progress is asked for or on a terminal, comes after a second, and never into the rows.
slowly() { echo a; sleep 1.3; echo b; sleep 0.3; echo c; }
slowly | adesieve classify --progress always | wc -l
slowly | adesieve tokenize --progress auto | wc -l
slowly | adesieve classify --progress never --log-json | wc -l
slowly | adesieve classify --progress always --log-json | wc -l
adesieve screen -q --progress never "$DATA/medline/pubmed2.xml" >/dev/null
