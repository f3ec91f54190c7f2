#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares the words that tokenizer/words.c finds with those of Python's re, in all 1,112,064 code points and in many
random texts, with and without lower-casing and the stripping of accents. Needs nothing but Python.

    compare_words.py WORDS_STDIN

Where this Python's Unicode is another than the table's (words_table.h), code points that were assigned in between may
differ; they are counted and the first ones are named. Everything else has to agree. With ADE_TEST_WRONG=1 it expects
something wrong, and fails.
"""

import os
import random
import re
import struct
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path

TABLE = Path(__file__).parents[2] / "tokenizer" / "words_table.h"
WORD = re.compile(r"(?u)\b\w\w+\b")
ACCENTS = ("kept", "unicode", "ascii")

# Things that are easily got wrong, for the random texts.
PIECES = [
    *"abzAZ09_ .,-'’·:Σσς", "ΑΣ", "ΣΑ", "ΌΣΟΣ", "İ", "ı", "I\u0307", "ß", "ẞ", "é", "e\u0301", "Å", "Å", "ﬁ", "ﬃ", "½", "²", "①",
    "Ⅷ", "™", "№", "ﷺ", "㎎", "µ", "μ", "Ω", "한국", "각", "日本", "々", "〇", "ก็", "नमस्ते", "ǅ", "Ⱥ", "𝔄", "𝟘", "𐐀", "🙂", "\u00ad",
    "\u200b", "\u200d", "\ufeff", "\u0345", "\u2028", "\x00", "\x1f", "\x7f", "\xa0", "\ufffd", "ª", "º", "ʰ", "\U000107a5", "Ꞔ",
]


def strip_accents(text: str, accents: int) -> str:
    """scikit-learn's strip_accents_unicode and strip_accents_ascii."""
    if accents == 0:
        return text
    text = unicodedata.normalize("NFKD", text)
    if accents == 1:
        return "".join(c for c in text if not unicodedata.combining(c))
    return text.encode("ascii", "ignore").decode("ascii")


def expected(text: bytes, lower: int, accents: int) -> list[str]:
    decoded = text.decode("utf-8", "replace")
    return WORD.findall(strip_accents(decoded.lower() if lower else decoded, accents))


def found(program: str, texts: list[bytes], lower: int, accents: int, replace: int = 1) -> Iterator[list[tuple]]:
    """Of each text its words: (start, end, word)."""
    data = b"".join(struct.pack("<I", len(text)) + text for text in texts)
    out = subprocess.run([program, f"lower={lower}", f"accents={accents}", f"replace={replace}"], input=data,
                         stdout=subprocess.PIPE, check=True).stdout
    at = 0
    for _ in texts:
        (n,) = struct.unpack_from("<I", out, at)
        at += 4
        if n == 0xFFFFFFFF:
            at += 4
            yield [("failed",)]
            continue
        words = []
        for _ in range(n):
            start, end, size = struct.unpack_from("<3I", out, at)
            words.append((start, end, out[at + 12 : at + 12 + size].decode()))
            at += 12 + size
        yield words
    if at != len(out):
        raise SystemExit("compare_words.py: the program wrote more than was asked for")


def random_texts(count: int, rng: random.Random) -> list[bytes]:
    texts = []
    for _ in range(count):
        text = "".join(rng.choice(PIECES) * rng.choice((1, 1, 1, 1, 2)) for _ in range(rng.randrange(30))).encode()
        if rng.random() < 0.3:
            damaged = bytearray(text)
            for _ in range(rng.randrange(1, 4)):
                if damaged:
                    damaged[rng.randrange(len(damaged))] = rng.randrange(256)
            text = bytes(damaged)
        texts.append(text)
    # Longer than what is read at once, with words and characters over every border.
    texts += [b"ab " * 5000, b"a" * 9000 + b" " + b"bc" * 3000, "½".encode() * 4000, "Σ".encode() * 3000, b"", b"a", b"ab",
              ("x" * 2047 + "é" + "y" * 2047 + " zz").encode(), ("A" + "." * 5000 + "Σ").encode(), b"\xff" * 3000]
    return texts


def sweep(program: str) -> int:
    """Every code point within a word, beside a lonely letter, and where it decides on a final sigma."""
    codes = [c for c in range(sys.maxunicode + 1) if not 0xD800 <= c <= 0xDFFF]
    plain = [c for c in codes if unicodedata.category(chr(c)) in ("Cn", "Co", "Lo", "So")]  # many of them at once
    groups = [([c], "ab{0}cd x{0} {0}{0} A{0}Σ {0}Σ Σ{0}A") for c in sorted(set(codes) - set(plain))]
    groups += [(plain[at : at + 256], "ab{0}cd A{0}Σ {0}{0}") for at in range(0, len(plain), 256)]
    wrong, other_version = 0, []
    table_version = re.search(r"Unicode ([0-9.]+[0-9])", TABLE.read_text(encoding="utf-8"))[1]
    for lower, accents in ((1, 0), (1, 1)) if not os.environ.get("ADE_TEST_ALL") else ((0, 0), (0, 1), (1, 0), (1, 1), (1, 2)):
        texts = [" ".join(map(context.format, map(chr, group))).encode() for group, context in groups]
        for (group, _), text, words in zip(groups, texts, found(program, texts, lower, accents)):
            if [word[2] for word in words] == expected(text, lower, accents):
                continue
            if unicodedata.unidata_version != table_version:
                other_version += group
                continue
            wrong += 1
            if wrong <= 10:
                print(f"U+{group[0]:04X} lower={lower} accents {ACCENTS[accents]}: {words}, not "
                      f"{expected(text, lower, accents)}")
    differing = sorted(set(other_version))
    if differing:
        print(f"{len(differing)} code points, or their neighbours, differ between Unicode {table_version} and {unicodedata.unidata_version}: "
              + " ".join(f"U+{code:04X}" for code in differing[:20]) + (" .." if len(differing) > 20 else ""))
        if len(differing) > 15000:
            wrong += 1
    return wrong


def compare_random(program: str) -> int:
    wrong = 0
    texts = random_texts(20000 if os.environ.get("ADE_TEST_ALL") else 3000, random.Random(7))
    for lower in (0, 1):
        for accents in (0, 1, 2):
            for text, words in zip(texts, found(program, texts, lower, accents)):
                places_fit = all(start < end <= len(text) for start, end, _ in words)
                if lower and not accents and text.isascii():
                    places_fit = places_fit and all(text[s:e].lower().decode() == word for s, e, word in words)
                if [word[2] for word in words] != expected(text, lower, accents) or not places_fit:
                    wrong += 1
                    if wrong <= 10:
                        print(f"{text[:200]!r} lower={lower} accents {ACCENTS[accents]}: {words[:20]}")
    for text, words in zip(texts, found(program, texts, 1, 0, replace=0)):
        try:
            text.decode()
            wrong += words == [("failed",)]
        except UnicodeDecodeError:
            wrong += words != [("failed",)]
    return wrong


def main() -> int:
    program = sys.argv[1]
    wrong = compare_random(program)
    if not os.environ.get("ADE_TEST_WRONG"):
        wrong += sweep(program)
    else:
        wrong += [word[2] for word in next(found(program, [b"One two"], 1, 0))] != ["One", "two"]
    print(f"{wrong} differences")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
