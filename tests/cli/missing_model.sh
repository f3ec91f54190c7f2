# SPDX-License-Identifier: Apache-2.0
# A model that is not there is an error with a hint, whichever way it was named.
echo a | adesieve classify --model nowhere || echo "exit $?"
echo a | ADESIEVE_MODEL=nowhere adesieve tokenize || echo "exit $?"
mkdir empty
adesieve info --model empty || echo "exit $?"
adesieve screen --model=empty "$DATA/medline/pubmed2.xml" || echo "exit $?"
