# SPDX-License-Identifier: Apache-2.0
# The report, as text and Markdown, of texts whose labels the model's scores cannot get wrong by rounding.
cat >a.csv <<'END'
text,label
Rash after amoxicillin.,1
No event.,0
"Nausea, then rash.",1
Nothing was found.,0
A case report.,0
END
# What hangs on the last bits of scores is left out.
shown() { sed -E '/^(\| )?(AUROC|average p|Brier|log l|(expected )?calib)/s/[01]\.[0-9]+( to |-)?/#/g'; }
adesieve evaluate --threshold 0 --labels 'not ADE,ADE' --bootstrap 0 a.csv | shown
adesieve evaluate --threshold 1 --labels 'not ADE,ADE' -f markdown a.csv | shown
# One class only.
printf 'text,label\na,1\nb,1\n' >one.csv
adesieve evaluate --labels 'not ADE,ADE' --bootstrap 0 one.csv | shown
printf 'text,label\na,0\nb,0\n' >zero.csv
adesieve evaluate --labels 'not ADE,ADE' -f json zero.csv | grep -E '"(auroc|auroc_reason|average_precision|n)"|NaN|inf'
# Long names are cut between characters, and say so.
long=$(printf '%059d' 0)
adesieve evaluate --labels "b,$long"$'\xc3\xa9' --bootstrap 0 -f json zero.csv | grep auroc_reason
adesieve evaluate --labels "b,$long" --bootstrap 0 -f json zero.csv | grep auroc_reason
# A model with three labels: means over those that occur, the first kind of errors for the positive one.
cp -r "$DATA/models/multi_label" three
chmod -R u+w three
sed -i 's/"multi_label_classification"/"single_label_classification"/' three/config.json
printf 'text,label\na,drug\nb,EFFECT\nc,1\n' >three.csv
adesieve evaluate -m three --precision f32 --bootstrap 0 three.csv | shown
adesieve evaluate -m three --threshold 0.5 three.csv || echo "exit $?"
