# SPDX-License-Identifier: Apache-2.0
"""Writes tokenizer.jsonl: ids and byte offsets of the reference tokenizer for odd texts in several settings.

    python3 tests/golden/make_golden_tokenizer.py > tests/golden/tokenizer.jsonl

The first line says versions and settings. Every other line is [setting, text, ids, starts, ends]. Besides, the first
line has a SHA-256 for settings c and u, over the results of every code point alone, between letters and behind a
combining mark. Needs the PyPI package tokenizers in the version of compare_tokenizer.py.
"""

import hashlib
import json
import os
import random
import struct
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
SIZES = [7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 99, 100, 101]  # where the C code changes its way, and around
LONG = ("q" * 1019 + " ") * 4  # nearly all that it looks at together
TRAPS = [
    *("a" * n for n in SIZES), *("Hepatotoxicity"[: n % 15] + "ing" * (n // 3) for n in SIZES),
    *("µ" * n for n in SIZES), *("x " * 30 + "-" * n + "Ångström β‐blocker" for n in range(8)),
    *("y" * (60 + n) + ", α1–β2 (5±2)" for n in range(8)), *(" " * (58 + n) + "[SEP]azithromycin" for n in range(8)),
    "é" * 7 + " " + "é" * 8 + " 5±2±5±2±5±2±5 ±5±2±5±2±5±2±5±", "ACGTACGTACGTACGT ACGTACGT zzqzzqzzqzzqzzq zzqzzqzzqzzqzzqz",
    *(LONG + "," * n + "hepatotoxicity of amiodarone" for n in (0, 8, 15, 16)), LONG + "1234567890" * 12 + " [SEP] é",
    "w" * 4095 + " w", "w" * 4096 + " w", "w" * 4000 + "é" * 60 + "-w" * 9, "a\xa0b\u2009c\u202f±\xb15",
    "中" * 5 + "a中b" * 6, "\u200b" * 5 + "a", "a" + "\u200b" * 9 + "b", "\u0301\u0302 \u0301a",
]  # fmt: skip


def code_point_texts():
    """32 code points each, as test_tokenizer_golden.c makes them, too."""
    for first in range(0, 0x110000, 32):
        if not 0xD800 <= first < 0xE000:
            yield "".join(f"{ch} a{ch}b e\u0301{ch} " for ch in map(chr, range(first, first + 32)))


def digest(tokenizer):
    """Over the number of ids, the ids, starts and ends of each text, as little-endian u32."""
    sha256, texts = hashlib.sha256(), list(code_point_texts())
    for text, encoding in zip(texts, tokenizer.encode_batch(texts)):
        offsets = byte_offsets(text, encoding.offsets)
        numbers = [len(offsets), *encoding.ids, *(a for a, _ in offsets), *(b for _, b in offsets)]
        sha256.update(struct.pack(f"<{len(numbers)}I", *numbers))
    return sha256.hexdigest()


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
    paths = {name: os.path.join(folder, f"bert-base-{setting['vocab']}-vocab.txt") for name, setting in SETTINGS.items()}
    digests = {name: digest(reference(paths[name], SETTINGS[name]["lower"])) for name in ("c", "u")}
    print(json.dumps({"tokenizers": VERSION, "seed": SEED, "settings": SETTINGS, "code_points": digests}))
    for name, setting in SETTINGS.items():
        tokenizer = reference(paths[name], setting["lower"], added=setting.get("added", ()))
        tokenizer.encode_special_tokens = setting.get("split", False)
        for text in plain + TRAPS if len(name) == 1 else spiced + TEXTS[:40] if "added" in setting else TEXTS + WORDS:
            encoding = tokenizer.encode(text)
            offsets = byte_offsets(text, encoding.offsets)
            row = [name, text, encoding.ids, [a for a, _ in offsets], [b for _, b in offsets]]
            print(json.dumps(row, separators=(",", ":")))


main()
