# SPDX-License-Identifier: Apache-2.0
"""Writes classes.h: what the reference tokenizer does with each code point, found by asking it.

    python3 tokenizer/make_classes.py > tokenizer/classes.h

Needs the PyPI package tokenizers in the version below. Every scalar value is run through the normalizers, the
pre-tokenizer and the added-token matcher of that package; nothing is copied from Unicode's files, whose versions the
package mixes (NFD of Unicode 9, categories of Unicode 8, lower case of Unicode 17).
"""

import sys

import tokenizers
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers

VERSION = "0.23.3"
BLOCK = 128
FLAGS = ["DELETED", "SPACE", "CHINESE", "MARK", "WHITESPACE", "PUNCTUATION", "WORD", "DECOMPOSES", "UPPER"]
SCALARS = [c for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]


def bert(clean=False, chinese=False, strip=False, lower=False):
    return normalizers.BertNormalizer(
        clean_text=clean, handle_chinese_chars=chinese, strip_accents=strip, lowercase=lower
    ).normalize_str


def word_characters():
    """The code points that keep a single_word token from matching (Rust's regex class \\w)."""
    tokenizer = Tokenizer(models.WordPiece({"[UNK]": 0}, unk_token="[UNK]"))
    tokenizer.add_tokens([AddedToken("<w>", single_word=True, normalized=False)])
    found = set()
    for first in range(0, len(SCALARS), 65536):
        part = SCALARS[first : first + 65536]
        for c, encoding in zip(part, tokenizer.encode_batch(["<w>" + chr(c) for c in part])):
            if 1 not in encoding.ids:
                found.add(c)
    return found


def combining_classes(nfd):
    """ccc of every code point that the reference reorders: two probes find them, one per known class ranks them."""
    import unicodedata  # proposes; the reference decides

    low, high = chr(0x334), chr(0x345)  # classes 1 and 240, the ends of the scale
    assert unicodedata.combining(low) == 1 and unicodedata.combining(high) == 240

    def moves_before(a, b):  # does a, written after b, come out before it?
        return nfd("a" + b + a) == "a" + a + b

    reordered = []
    for c in SCALARS:
        ch = chr(c)
        if nfd(ch) == ch and (ch in (low, high) or moves_before(ch, high) or moves_before(low, ch)):
            reordered.append(ch)
    references = {}
    for ch in reordered:
        references.setdefault(unicodedata.combining(ch), ch)
    assert 0 not in references

    result = {}
    for ch in reordered:
        equal = [
            k for k, r in references.items() if r == ch or not (moves_before(r, ch) or moves_before(ch, r))
        ]
        assert len(equal) == 1, (hex(ord(ch)), equal)
        result[ord(ch)] = equal[0]
    return result


def lower_ranges(lower):
    """(first, last, step, delta) with as few rows as a greedy walk gives."""
    rows = []
    for c, target in sorted(lower.items()):
        delta = target - c
        if rows and rows[-1][3] == delta:
            first, last, step, _ = rows[-1]
            if first == last and c - last in (1, 2):
                rows[-1] = (first, c, c - last, delta)
                continue
            if first != last and c - last == step:
                rows[-1] = (first, c, step, delta)
                continue
        rows.append((c, c, 1, delta))
    return rows


def rows_of(values, per_line, form):
    for i in range(0, len(values), per_line):
        print("    " + ", ".join(form(v) for v in values[i : i + per_line]) + ",")


def main():
    if tokenizers.__version__ != VERSION:
        sys.exit(f"tokenizers {VERSION} is needed, this is {tokenizers.__version__}")
    clean, chinese, strip, lowercase = bert(clean=True), bert(chinese=True), bert(strip=True), bert(lower=True)
    nfd = normalizers.NFD().normalize_str
    split = pre_tokenizers.BertPreTokenizer().pre_tokenize_str
    words = word_characters()
    ccc = combining_classes(nfd)

    lower = {}
    classes = {(0, 0): 0}
    table = [0] * 0x110000
    for c in SCALARS:
        ch = chr(c)
        text = "a" + ch + "b"
        flags = set()
        cleaned = clean(text)
        if cleaned == "ab":
            flags.add("DELETED")
        elif cleaned == "a b":
            flags.add("SPACE")
        else:
            assert cleaned == text, hex(c)
        spaced = chinese(text)
        if spaced != text:
            assert spaced == "a " + ch + " b", hex(c)
            flags.add("CHINESE")
        if nfd(ch) != ch:
            flags.add("DECOMPOSES")
        elif strip(text) == "ab":
            flags.add("MARK")
        else:
            assert strip(text) == text, hex(c)
        lowered = lowercase(ch)
        if lowered != ch:
            flags.add("UPPER")
            if len(lowered) == 1:
                lower[c] = ord(lowered)
            else:
                assert c == 0x130 and lowered == "i\u0307", hex(c)
        parts = [part for part, _ in split(text)]
        if parts == ["a", "b"]:
            flags.add("WHITESPACE")
        elif parts == ["a", ch, "b"]:
            flags.add("PUNCTUATION")
        else:
            assert parts == [text], hex(c)
        if c in words:
            flags.add("WORD")
        key = (sum(1 << FLAGS.index(f) for f in flags), ccc.get(c, 0))
        table[c] = classes.setdefault(key, len(classes))
    assert len(classes) <= 256

    blocks, index = {}, []
    for first in range(0, 0x110000, BLOCK):
        index.append(blocks.setdefault(tuple(table[first : first + BLOCK]), len(blocks)))
    assert len(blocks) <= 256
    rows = lower_ranges(lower)

    print("/* Generated by tokenizer/make_classes.py; do not edit.")
    print(" * SPDX-License-Identifier: Apache-2.0")
    print(f" * What tokenizers {VERSION} does with each code point; characters.h says what the flags mean. */")
    print("#ifndef ADE_CLASSES_H\n#define ADE_CLASSES_H\n")
    print('#include "characters.h"\n')
    print("/* Flags and combining class of a kind of code points. */")
    print(f"const ade__class ade__classes[{len(classes)}] = {{")
    for flags, k in classes:
        names = " | ".join("ADE_CHAR_" + f for i, f in enumerate(FLAGS) if flags >> i & 1) or "0"
        print(f"    {{{names}, {k}}},")
    print("};\n")
    print(f"/* The block of code points [{BLOCK} i, {BLOCK} i + {BLOCK}). */")
    print(f"const uint8_t ade__class_blocks[{len(index)}] = {{")
    rows_of(index, 23, str)
    print("};\n")
    print("/* The kind of each code point of a block. */")
    print(f"const uint8_t ade__class_indices[{len(blocks)}][{BLOCK}] = {{")
    for block in blocks:
        print("    {")
        for i in range(0, BLOCK, 26):
            print("        " + ", ".join(str(v) for v in block[i : i + 26]) + ",")
        print("    },")
    print("};\n")
    print("/* Code points first, first + step, .. last become lower case by adding delta. */")
    print(f"const ade__lower_range ade__lower_ranges[{len(rows)}] = {{")
    rows_of(rows, 4, lambda r: f"{{0x{r[0]:x}, 0x{r[1]:x}, {r[2]}, {r[3]}}}")
    print("};")
    print(f"const size_t ade__n_lower_ranges = {len(rows)};\n")
    print("#endif")


main()
