# SPDX-License-Identifier: Apache-2.0
"""Compares the C tokenizer with the reference over every code point and a million strings, on every dispatch arm.

    sweep_tokenizer.py TOKENIZE_STDIN DATA [--strings N] [--seed N] [--arms NAME,NAME..] [--no-code-points]

TOKENIZE_STDIN is tokenize_stdin.c, compiled; DATA is tests/data. Each of the 1,112,064 code points stands alone,
between letters and behind a combining mark, under a vocabulary in which every character is a token (so ids and offsets
show all that normalizing does, and ids need more than 16 bits) and under BERT's. The strings are made of real text and of traps:
specials, long words, marks, CJK, words and borders at the sizes where the code changes its way. Ids, byte offsets and
the counts of unknown and truncated have to agree. An arm is a name that ADESIEVE_MAX_ISA knows; one that the processor
lacks runs as the best one below it. Prints the number of differences, exits 1 if there are any. Needs the PyPI package
tokenizers; takes some minutes on one core.
"""

import argparse
import csv
import os
import random
import struct
import subprocess
import sys
import tempfile

import tokenizers

from compare_tokenizer import SPECIALS, VERSION, byte_offsets, medline_texts, reference
from tokenizer_strings import SPACES, WORDS, random_mark, random_scalar, random_text

ARMS = "avx512,avx2,sse4.2,baseline"
BATCH = 20000
SIZES = [1, 2, 3, 7, 8, 9, 14, 15, 16, 17, 30, 31, 32, 33, 34, 62, 63, 64, 65, 66, 99, 100, 101, 127, 128, 129]
ODD = list("\ufffd\ufffe\uffff\ud7ff\ue000\U0010ffff\U0001fffe\ufeff\x00\x7f\x80\xa0")
MEDICAL = (
    "5±2 ≥5 10°C µg/ml μg TNF-α IL‐6 β-blocker α1-antitrypsin naïve Sjögren CO₂ drug® patch™ “quoted” ‘it’s’ p–value "
    "1·5 mg·kg−1 × 10⁻³ ½ Ménière’s β2‐adrenoceptor Δ9‐THC γ‐aminobutyric Guillain–Barré ≤0·05 → … 中 ΔΔΔ"
).split(" ")


def real_texts(data):
    with open(os.path.join(data, "test.csv"), encoding="utf-8", newline="") as file:
        texts = [row["text"] for row in csv.DictReader(file)]
    return texts + [text for text in medline_texts(os.path.join(data, "medline")) if text]


def long_word(rng):
    letters = rng.choice(["a", "ing", "abcdefgABCDEFG", "ACGT", "µ", "éa", "αβγ", "a\u0301", "0123456789", "a中", "a\xadb"])
    return "".join(rng.choice(letters) for _ in range(rng.choice(SIZES)))


def string(rng, real):
    """A text of one to some hundred characters; one of two hundred is longer than what the code looks at together."""
    parts = []
    if rng.random() < 0.005:
        parts.append("".join(rng.choice(real) for _ in range(40))[: 4096 - rng.randrange(200)])
    elif rng.random() < 0.3:  # puts a border of 64 bytes where it pleases
        parts.append(rng.choice(["x", " ", "x ", "-"]) * rng.randrange(70))
    for _ in range(rng.choice([1, 1, 2, 3, 5])):
        kind = rng.random()
        if kind < 0.45:
            text = rng.choice(real)
            start = rng.randrange(len(text))
            parts.append(text[start : start + rng.choice([3, 10, 30, 60, 150])])
        elif kind < 0.55:
            parts.append(random_text(rng))
        elif kind < 0.65:
            parts.append(long_word(rng))
        elif kind < 0.75:
            parts.append(rng.choice(MEDICAL) + rng.choice(["", "-", rng.choice(MEDICAL)]))
        elif kind < 0.80:
            content = rng.choice(SPECIALS)
            broken = content[0] + "\xad" + content[1:]
            parts.append(rng.choice([content, content[:-1], content.lower(), "[" + content, broken]))
        elif kind < 0.86:
            parts.append(rng.choice(WORDS) + "".join(random_mark(rng) for _ in range(rng.randrange(5))))
        elif kind < 0.92:
            word = rng.choice(WORDS + MEDICAL)
            at = rng.randrange(len(word) + 1)
            parts.append(word[:at] + rng.choice(ODD + [random_scalar(rng)]) + word[at:])
        else:
            parts.append("".join(chr(rng.randint(0x4E00, 0x4E80)) for _ in range(rng.randrange(1, 12))))
        parts.append(rng.choice(SPACES))
    return "".join(parts)


def write_character_vocabulary(file):
    """Every character but the line feed, alone and continuing."""
    characters = [chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000 and c != 0x0A]
    file.write("\n".join(SPECIALS + characters + ["##" + c for c in characters]) + "\n")
    file.flush()


def expected(tokenizer, texts, unk):
    """What tokenize_stdin prints, as the reference has it."""
    out = []
    for text, encoding in zip(texts, tokenizer.encode_batch(texts)):
        ids, offsets = encoding.ids, byte_offsets(text, encoding.offsets)
        counts = [ids.count(unk), int(bool(encoding.overflowing)), 0]
        numbers = [len(ids), *ids, *(a for a, _ in offsets), *(b for _, b in offsets), *counts]
        out.append(struct.pack(f"<{len(numbers)}I", *numbers))
    return out


def run(program, vocabulary, texts, arm, options):
    data = b"".join(struct.pack("<I", len(t)) + t for t in (text.encode() for text in texts))
    arguments = [program, vocabulary] + [f"{k}={int(v)}" for k, v in options.items()]
    environment = dict(os.environ, ADESIEVE_MAX_ISA=arm)
    return subprocess.run(arguments, input=data, stdout=subprocess.PIPE, check=True, env=environment).stdout


def show_difference(name, arm, texts, want, got):
    differences = at = 0
    for text, record in zip(texts, want):
        n = struct.unpack_from("<I", got, at)[0]
        size = 8 if n == 0xFFFFFFFF else 4 * (3 * n + 4)
        if got[at : at + size] != record:
            differences += 1
            if differences <= 3:
                print("DIFFERS", name, arm, ascii(text[:300]))
                print("  reference", struct.unpack(f"<{len(record) // 4}I", record)[:60])
                print("  C        ", struct.unpack(f"<{size // 4}I", got[at : at + size])[:60])
        at += size
    return max(differences, 1)


def compare(name, program, vocabulary, batches, arms, options, tokenizer):
    """The number of differences over all arms."""
    differences = total = tokens = 0
    unk = tokenizer.token_to_id("[UNK]")
    for texts in batches:
        want = expected(tokenizer, texts, unk)
        together = b"".join(want)
        total += len(texts)
        tokens += sum(struct.unpack_from("<I", record)[0] for record in want)
        for arm in arms:
            got = run(program, vocabulary, texts, arm, options)
            if got != together:
                differences += show_difference(name, arm, texts, want, got)
    print(f"{name}: {total} texts, {tokens} tokens, {len(arms)} arms, {differences} differences", flush=True)
    return differences


def code_points(step):
    texts = []
    for c in range(0x110000):
        if 0xD800 <= c < 0xE000:
            continue
        ch = chr(c)
        texts += [ch, "a" + ch + "b", "e\u0301" + ch]
        if len(texts) >= step:
            yield texts
            texts = []
    yield texts


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("data")
    parser.add_argument("--strings", type=int, default=1000000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--arms", default=ARMS)
    parser.add_argument("--no-code-points", action="store_true")
    args = parser.parse_args()
    if tokenizers.__version__ != VERSION:
        sys.exit(f"tokenizers {VERSION} is needed, this is {tokenizers.__version__}")
    arms = args.arms.split(",")
    cased, uncased = (os.path.join(args.data, "vocab", f"bert-base-{name}-vocab.txt") for name in ("cased", "uncased"))
    differences = 0
    if not args.no_code_points:
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", newline="\n") as file:
            write_character_vocabulary(file)
            for vocabulary, lower in ((file.name, False), (file.name, True), (cased, False), (uncased, True)):
                kind = "BERT's" if vocabulary != file.name else "characters"
                tokenizer = reference(vocabulary, lower)
                step = 3 * 400000 if vocabulary == file.name else 3 * BATCH  # so large a vocabulary takes its time
                differences += compare(f"code points, {kind}, lower={lower}", args.program, vocabulary,
                                       code_points(step), arms, {"lower": lower, "strip": lower}, tokenizer)
    real = real_texts(args.data)
    settings = [("cased c", cased, False, None), ("uncased u", uncased, True, None), ("cased u, 64", cased, True, 64)]
    for number, (name, vocabulary, lower, limit) in enumerate(settings):
        rng = random.Random(args.seed * 1000 + number)
        n = args.strings if limit is None else args.strings // 10
        batches = ([string(rng, real) for _ in range(min(BATCH, n - at))] for at in range(0, n, BATCH))
        tokenizer = reference(vocabulary, lower)
        options = {"lower": lower, "strip": lower}
        if limit:
            tokenizer.enable_truncation(limit)
            options["max"] = limit
        differences += compare(f"strings {name}", args.program, vocabulary, batches, arms, options, tokenizer)
    print(f"all: {differences} differences")
    sys.exit(differences > 0)


if __name__ == "__main__":
    main()
