# SPDX-License-Identifier: Apache-2.0
# Wrong usage ends with status 2, an error that names what is wrong, and a hint where there is one.
try() { adesieve "$@" && echo "exit 0: $*" || echo "exit $?"; }
try
try clasify
try frobnicate
try --model
try classify --treads 3
try classify --threads 0
try classify --threads=two
try classify --max-length 2
try classify --format xml
try screen -f parquet x
try classify -o x.parquet x
try classify -o
try classify --quiet=1
try classify --device gpu
try classify --parts x
try classify - -
try screen
try screen --threshold 1.5 x
try screen --thresh 0.5 x
try info model
try info -f tsv
try help nothing
