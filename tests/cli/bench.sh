# SPDX-License-Identifier: Apache-2.0
# How fast a model is, and where the time goes: the parts add up to the whole.
adesieve bench --seconds 0.1 --threads 1 --precision f32 --device cpu --token-budget 600 --max-length 100

# number NAME: the member's value, wherever it stands in the object; sums to a hundredth.
number() { sed -n "s/^ *\"$1\": \([0-9.e-]*\),\{0,1\}$/\1/p" o.json | head -"${2:-1}" | tail -1; }
same() { awk "BEGIN { a = $1; b = $2; exit !(a - b < 0.01 * b + 1e-6 && b - a < 0.01 * b + 1e-6) }" || echo "$1 is not $2"; }
positive() { for name; do awk "BEGIN { exit !($(number "$name") > 0) }" || echo "$name is $(number "$name")"; done; }
printf 'id,sentence\n1,Rash after amoxicillin.\n2,No rash.\n3,Caf\351\n' >notes.csv
adesieve bench --model "$MODEL" --seconds 0.2 --threads 2 --precision f32 --format json --input-format csv --text-field sentence --output o.json \
    --invalid-utf8 replace notes.csv
positive seconds threads texts tokens batches operations encoding products attention elementwise p50_ms p99_ms calls \
    texts_per_second tokens_per_second products_seconds gflops_per_thread products_gflops_per_thread share mean_tokens count
same "$(number products) + $(number attention) + $(number elementwise) + $(number waiting) + $(number other)" "$(number encoding)"
same "$(number tokenizing) + $(number encoding) + $(number idle)" "2 * $(number seconds 2)"
same "$(number texts 1) * $(number mean_tokens)" "$(number tokens 1)"
sed -n '/"texts": {/,/}/p' o.json

# A baseline has one stage; standard input is read where it is named, and only there.
root=$(dirname "$(dirname "$DATA")")
printf 'Rash after amoxicillin. \351\n\n' | adesieve bench --quiet --invalid-utf8 replace -m "$root/models/tfidf-logreg" --seconds 0.1 - | sed -n '/^texts/p;/on average/p;/^stage/,$p'
echo 'not read' | adesieve bench --log-json --seconds 0.1 | grep ^texts

# What is made by chance is the same every time.
adesieve bench --seconds 0.1 --threads 1 -f json | sed -n '/"count"/p' >a
adesieve bench --seconds 0.1 --threads 1 -f json | sed -n '/"count"/p' | cmp - a

try() { adesieve "$@" >&2 && echo "exit 0: $*" || echo "exit $?"; }
try bench --seconds 0
try bench --precision int9
try bench not-there.txt
try bench /dev/null
echo 'No rash.' >one.txt
try bench --seconds 0.1 not-there.txt one.txt
try bench -o "$MODEL/config.json"
