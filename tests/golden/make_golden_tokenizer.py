# SPDX-License-Identifier: Apache-2.0
"""Writes tokenizer.jsonl: ids and byte offsets of the reference tokenizer for odd texts in several settings.

    python3 tests/golden/make_golden_tokenizer.py > tests/golden/tokenizer.jsonl

The first line says versions and settings. Every other line is [setting, text, ids, starts, ends]. Needs the PyPI package
tokenizers in the version of compare_tokenizer.py.
"""

import json
import os
import random
import sys

import tokenizers

from compare_tokenizer import VERSION, byte_offsets, reference
from tokenizer_strings import WORDS, random_text

SEED, N_RANDOM, N_ADDED = 20240229, 250, 50
ADDED = [
    ["n", "Hello World"],
    ["nw", "ÉcoLe"],
    ["lr", "<ae>"],
    ["w", "tok"],
    ["nlr", "中 A"],
    ["wlr", "é"],
    ["s", "[SPECIAL]"],
    ["", "[SEP"],
    ["ls", "[MASK]"],
    ["nr", "β-"],
    ["r", "a "],
    ["", " b"],
]
SETTINGS = {
    "c": {"vocab": "cased", "lower": False},
    "u": {"vocab": "cased", "lower": True},
    "x": {"vocab": "uncased", "lower": True},
    "c+": {"vocab": "cased", "lower": False, "added": ADDED},
    "u+": {"vocab": "cased", "lower": True, "added": ADDED},
    "u-": {"vocab": "cased", "lower": True, "split": True},
}
TEXTS = [
    "", " \t\n ", "a\x0bb", "a\x0cb", "a\x1cb", "a\x85b", "a\u200bb", "a\xadb", "\ufeffab", "a\u180eb", "a\x7fb", "a\x00b",
    "a\ufffdb", "a\ue000b", "a\xa0b", "a\u2009b", "a\u202fb", "a\u2028b", "a\u2029b", "a\u3000b", "\u0378", "\uffff",
    "\U0001f971", "a[SEP]b", "[MASK]b", "[UNK]", "[sep]", "[SE\u200bP]", "a" * 100, "a" * 101, "µ" * 100, "µ" * 101,
    "a\u0301" * 100, "a\u0301" * 51, "a中b", "a\U0002b820b", "a\U0002b91fb", "a\U0002b920b", "\uac00", "é", "naïve",
    "nai\u0308ve", "Å", "\u212b", "\u2126", "\u212a", "İstanbul", "ΟΔΟΣ", "ẞ", "ı", "\u01c5", "µ", "μ", "ﬁ ² ½",
    "a\U0001e944b", "a\u0898b", "a\u08e2b", "a\u2e43b", "TNF-α", "IL‐6", "5′-UTR", "α/β", "a·b", "mg·kg−1", "pH=7", "a_b",
    "10^5", "<5", "$5", "p<.05", "µg/ml", "~5", "5%", "5±2 a×b 10°C ≥5 x→y €5 kg−1 ½ ™drug® a⁄b 1⋅2", "E. coli", "abz",
    "he\u200bllo", "\u0301a", "a \u0301", "-\u0301-", "\u0344\u0f73\u0f75", "a\u0315\u0300\u05ae\u0327b", "\U0001d15e\U0001d16d\u0301",
    "a\u302e\u0301b", "[SEP][SEP] [CLS]", "\u2028[SEP]\u2029", "  a  ", "\U0010ffff", "x\u0323\u0307" * 9, "\u3099\u309a\u094d",
    "Intravenous azithromycin-induced ototoxicity.", "Stevens–Johnson syndrome (SJS)", "“quoted” ‘single’ «guillemets»",
]  # fmt: skip


def main():
    if tokenizers.__version__ != VERSION:
        sys.exit(f"tokenizers {VERSION} is needed, this is {tokenizers.__version__}")
    folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "data", "vocab")
    rng = random.Random(SEED)
    plain = TEXTS + WORDS + [random_text(rng) for _ in range(N_RANDOM)]
    spiced = []
    for _ in range(N_ADDED):
        text = random_text(rng)[:40]
        for _ in range(rng.randint(1, 3)):
            content = rng.choice(ADDED)[1]
            content = rng.choice([content, content.lower(), content.swapcase()])
            at = rng.randrange(len(text) + 1)
            text = text[:at] + rng.choice(["", " ", "\u2009 "]) + content + rng.choice(["", " ", "\n "]) + text[at:]
        spiced.append(text)
    print(json.dumps({"tokenizers": VERSION, "seed": SEED, "settings": SETTINGS}))
    for name, setting in SETTINGS.items():
        path = os.path.join(folder, f"bert-base-{setting['vocab']}-vocab.txt")
        tokenizer = reference(path, setting["lower"], added=setting.get("added", ()))
        tokenizer.encode_special_tokens = setting.get("split", False)
        for text in plain if len(name) == 1 else spiced + TEXTS[:40] if "added" in setting else TEXTS + WORDS:
            encoding = tokenizer.encode(text)
            offsets = byte_offsets(text, encoding.offsets)
            row = [name, text, encoding.ids, [a for a, _ in offsets], [b for _, b in offsets]]
            print(json.dumps(row, separators=(",", ":")))


main()
