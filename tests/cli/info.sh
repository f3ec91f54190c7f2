# SPDX-License-Identifier: Apache-2.0
# What runs, what the model is, and what it will run as.
adesieve info --precision f32 --threads 1 --max-length 128 --device cpu
adesieve info -m "$MODEL" --format json --token-budget 1000 --output info.json
grep -c -e '"sha256": "[0-9a-f]\{64\}"' -e '"lowercase": true' -e '"token_budget": 1000' -e '"positive_label": "LABEL_1"' info.json
