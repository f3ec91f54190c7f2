# SPDX-License-Identifier: Apache-2.0
# Help is data: it goes to standard output with status 0, the same by every way of asking. Commands that do not exist
# are not offered.
adesieve --help >a
adesieve -h | cmp - a
adesieve help | cmp - a
for command in screen classify evaluate calibrate tokenize export info bench; do
    grep -q "^  $command " a
    adesieve "$command" --help >b
    adesieve "$command" -qh not-read | cmp - b
    adesieve help "$command" | cmp - b
    grep -q '^exit status:' b
    adesieve "$command" --version
done
grep -q '^  spans ' a && echo "offers what is not there"
adesieve --version
# Where a GPU comes in, and in which order files are read.
adesieve classify --help | tr -s ' \n' ' ' >flat
grep -q 'an NVIDIA GPU if one can be used (adesieve info says why not), else the CPU' flat
grep -q 'A GPU computes in f16 alone, a CPU in f32, bf16 or int8, and a baseline in f64' flat
grep -q 'int8 is the fastest, and is only used when it is asked for' flat
adesieve screen --help | tr -s ' \n' ' ' | grep -q 'order of year and number in their names (pubmed26n1334: 26, 1334).*not searched recursively'
adesieve screen --help | tr -s ' \n' ' ' | grep -q 'what the name of --output says'
adesieve screen --help | tr -s ' \n' ' ' | grep -q 'with --prefilter, sentences that it leaves out have none'
adesieve evaluate --help | tr -s ' \n' ' ' | grep -q 'means over the labels that occur.*15 bins of equal width'
# Labels come in by the commands that measure, and by no other.
adesieve evaluate --help | grep -q -e --label-field
adesieve classify --help | grep -e --label-field && echo "classify reads labels"
adesieve calibrate --help | tr -s ' \n' ' ' | grep -q 'The weights are not touched'
