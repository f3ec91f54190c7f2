# SPDX-License-Identifier: Apache-2.0
# The same bytes with any number of threads, any batch size, and in any company.
head -300 "$DATA/test.csv" >a.csv
adesieve classify --threads 1 -q a.csv >one
adesieve classify --threads 2 -q a.csv | cmp - one
adesieve classify --threads 2 --token-budget 700 -q a.csv | cmp - one
sed -n '1p;200,210p' a.csv >few.csv
adesieve classify few.csv >few
sed -n '199,209p' one | cmp - few
xml=$DATA/medline/pubmed2.xml
adesieve screen -q --threads 1 "$xml" >one
adesieve screen -q --threads 2 --token-budget 600 "$xml" | cmp - one
