# SPDX-License-Identifier: Apache-2.0
"""Compares the C tokenizer with the reference on a lot of text; prints the number of differences, exits 1 if any.

    compare_tokenizer.py TOKENIZE_STDIN VOCABS [--csv CSV].. [--medline FOLDER] [--random N] [--seed N]

TOKENIZE_STDIN is tokenize_stdin.c, compiled; VOCABS a folder with bert-base-{cased,uncased}-vocab.txt; CSV a file
with a column text; FOLDER has PubMed XML, plain or .gz, whose titles and abstract sections are texts. Ids, tokens
(the reference's token of an id) and byte offsets have to agree. Needs the PyPI package tokenizers.
"""

import argparse
import csv
import glob
import gzip
import os
import random
import struct
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

import tokenizers
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, processors

from tokenizer_strings import random_text

VERSION = "0.23.3"
SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def reference(vocab_path, lower, strip=None, clean=True, chinese=True, added=(), chars=100):
    with open(vocab_path, encoding="utf-8", newline="\n") as file:
        vocab = {line.rstrip("\n"): i for i, line in enumerate(file)}
    tokenizer = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]", max_input_chars_per_word=chars))
    tokenizer.normalizer = normalizers.BertNormalizer(
        clean_text=clean, handle_chinese_chars=chinese, strip_accents=lower if strip is None else strip, lowercase=lower
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", vocab["[SEP]"]), ("[CLS]", vocab["[CLS]"]))
    tokenizer.add_special_tokens([s for s in SPECIALS])
    for flags, content in added:
        token = AddedToken(
            content,
            single_word="w" in flags,
            lstrip="l" in flags,
            rstrip="r" in flags,
            normalized="n" in flags,
            special="s" in flags,
        )
        tokenizer.add_tokens([token])
    return tokenizer


def c_tokenizer(program, vocab_path, texts, **options):
    added = options.pop("added", ())
    arguments = [program, vocab_path] + [f"{k}={int(v)}" for k, v in options.items()]
    arguments += [f"added={flags}:{content}" for flags, content in added]
    data = b"".join(struct.pack("<I", len(t)) + t for t in texts)
    out = subprocess.run(arguments, input=data, stdout=subprocess.PIPE, check=True).stdout
    at = 0
    for _ in texts:
        (n,) = struct.unpack_from("<I", out, at)
        at += 4
        if n == 0xFFFFFFFF:
            yield struct.unpack_from("<I", out, at)[0]
            at += 4
            continue
        numbers = struct.unpack_from(f"<{3 * n + 3}I", out, at)
        at += 4 * (3 * n + 3)
        yield list(numbers[:n]), list(zip(numbers[n : 2 * n], numbers[2 * n : 3 * n])), numbers[3 * n :]
    assert at == len(out)


def byte_offsets(text, offsets):
    """Code points to bytes."""
    if text.isascii():
        return offsets
    at, places = 0, [0]
    for ch in text:
        at += len(ch.encode())
        places.append(at)
    return [(places[a], places[b]) for a, b in offsets]


def compare(name, program, vocab_path, texts, limit=None, split=False, **options):
    """The number of texts that differ, of (str or invalid bytes)."""
    lower = options.get("lower", False)
    options.setdefault("strip", lower)
    tokenizer = reference(vocab_path, **options)
    tokenizer.encode_special_tokens = split
    extra = {"max": limit} if limit else {}
    if limit:
        tokenizer.enable_truncation(limit)
    differences = tokens = 0
    unk = tokenizer.token_to_id("[UNK]")
    for first in range(0, len(texts), 20000):
        part = texts[first : first + 20000]
        raw = [t.encode() for t in part]
        got = c_tokenizer(program, vocab_path, raw, split=split, **extra, **options)
        for text, want, have in zip(part, tokenizer.encode_batch(part), got):
            tokens += len(want.ids)
            unknown = want.ids.count(unk)
            truncated = int(bool(want.overflowing))
            if have != (want.ids, byte_offsets(text, want.offsets), (unknown, truncated, 0)):
                differences += 1
                if differences <= 3:
                    print("DIFFERS", name, ascii(text[:300]))
                    print("  reference", want.ids[:40], byte_offsets(text, want.offsets)[:40])
                    print("  C        ", *([x[:40] for x in have] if isinstance(have, tuple) else [have]))
    print(f"{name}: {len(texts)} texts, {tokens} tokens, {differences} differences", flush=True)
    return differences


def medline_texts(folder):
    for path in sorted(glob.glob(os.path.join(folder, "*.xml*"))):
        opener = gzip.open if path.endswith(".gz") else open
        with opener(path, "rb") as file:
            for _, element in xml.etree.ElementTree.iterparse(file):
                if element.tag in ("ArticleTitle", "AbstractText", "VernacularTitle"):
                    yield "".join(element.itertext())
                elif element.tag == "PubmedArticle":
                    element.clear()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("vocabs")
    parser.add_argument("--csv", action="append", default=[])
    parser.add_argument("--medline")
    parser.add_argument("--random", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    if tokenizers.__version__ != VERSION:
        sys.exit(f"tokenizers {VERSION} is needed, this is {tokenizers.__version__}")
    cased = os.path.join(args.vocabs, "bert-base-cased-vocab.txt")
    uncased = os.path.join(args.vocabs, "bert-base-uncased-vocab.txt")
    settings = [("cased c", cased, False), ("cased u", cased, True), ("uncased u", uncased, True)]
    sources = []
    for path in args.csv:
        with open(path, encoding="utf-8", newline="") as file:
            sources.append((os.path.basename(path), [row["text"] for row in csv.DictReader(file)]))
    if args.medline:
        sources.append(("medline", list(medline_texts(args.medline))))
    differences = 0
    for source, texts in sources:
        for name, vocab, lower in settings:
            differences += compare(f"{source} {name}", args.program, vocab, texts, lower=lower)
            differences += compare(f"{source} {name} max 32", args.program, vocab, texts, 32, lower=lower)
    if args.random:
        rng = random.Random(args.seed)
        texts = [random_text(rng) for _ in range(args.random)]
        for name, vocab, lower in settings:
            differences += compare(f"random {name}", args.program, vocab, texts, lower=lower)
        few = texts[: max(args.random // 20, 1)]
        for bits in range(16):
            clean, chinese, strip, lower = (bool(bits >> i & 1) for i in range(4))
            options = {"clean": clean, "chinese": chinese, "strip": strip, "lower": lower}
            differences += compare(f"random {options}", args.program, cased, few, **options)
        differences += compare("random split", args.program, cased, few, split=True, lower=True)
        differences += compare("random max 7", args.program, cased, few, 7, lower=True)
        differences += compare("random chars 3", args.program, cased, few, lower=True, chars=3)
        added = [
            ("n", "Hello World"),
            ("nw", "ÉcoLe"),
            ("lr", "<ae>"),
            ("w", "tok"),
            ("nlr", "中 A"),
            ("wlr", "é"),
            ("s", "[SPECIAL]"),
            ("", "[SEP"),
            ("ls", "[MASK]"),
            ("n", "ing"),
            ("nr", "β-"),
            ("r", "a "),
            ("l", " b"),
        ]
        spiced = []
        for text in few:
            for _ in range(rng.randrange(4)):
                content = rng.choice(added)[1]
                content = rng.choice([content, content.lower(), content.upper(), content.swapcase()])
                at = rng.randrange(len(text) + 1)
                text = text[:at] + rng.choice(["", " ", "  ", "\u2009"]) + content + rng.choice(["", " ", "\n "]) + text[at:]
            spiced.append(text)
        for lower in (False, True):
            for split in (False, True):
                name = f"random added lower={lower} split={split}"
                differences += compare(name, args.program, cased, spiced, split=split, lower=lower, added=added)
        broken = []
        for text in few:
            data = bytearray(text.encode())
            for _ in range(rng.randrange(1, 6)):
                at = rng.randrange(len(data) + 1)
                data[at : at + rng.randrange(2)] = bytes(rng.choice([0x80, 0xC0, 0xE2, 0xED, 0xA0, 0xF0, 0x90, 0xF4, 0xFF, 0x61])
                                                         for _ in range(rng.randrange(1, 4)))
            broken.append(bytes(data))
        differences += compare_broken(args.program, cased, broken)
        differences += compare_characters(args.program, texts[: max(args.random // 4, 1)])
    print(f"all: {differences} differences")
    sys.exit(differences > 0)


def compare_characters(program, texts):
    """A vocabulary of single characters, so that the offsets of every normalized character are seen."""
    differences = 0
    for strip, lower in ((True, False), (True, True), (False, True)):
        normalize = normalizers.BertNormalizer(strip_accents=strip, lowercase=lower).normalize_str
        characters = sorted({ch for text in texts for ch in normalize(text)} - set("\n"))
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", newline="\n") as file:
            file.write("\n".join(SPECIALS + characters + ["##" + ch for ch in characters]) + "\n")
            file.flush()
            name = f"characters strip={strip} lower={lower}"
            differences += compare(name, program, file.name, texts, strip=strip, lower=lower)
    return differences


def compare_broken(program, vocab_path, texts):
    """Invalid UTF-8: ids as of the text that Python's errors="replace" makes; an error without replace=1."""
    tokenizer = reference(vocab_path, lower=True)
    differences = 0
    replacing = c_tokenizer(program, vocab_path, texts, lower=True, strip=True, replace=True)
    strict = c_tokenizer(program, vocab_path, texts, lower=True, strip=True)
    for data, have, error in zip(texts, replacing, strict):
        text = data.decode(errors="replace")
        count = text.count("\ufffd") - data.count("\ufffd".encode())
        want = tokenizer.encode(text)
        # a replaced part has as many bytes as it has in the data: walk both
        places, at = [0], 0
        for ch in text:
            size = len(ch.encode())
            if ch == "\ufffd" and data[at : at + 3] != b"\xef\xbf\xbd":
                size = next(n for n in (3, 2, 1) if at + n <= len(data) and
                            data[at : at + n].decode(errors="replace") == "\ufffd")
            at += size
            places.append(at)
        assert at == len(data)
        offsets = [(places[a], places[b]) for a, b in want.offsets]
        expected = 6 if count else None
        if have[:2] != (want.ids, offsets) or have[2][2] != count or (count and error != expected):
            differences += 1
            if differences <= 3:
                print("DIFFERS broken", data[:100], have, want.ids, offsets, count, error)
    print(f"invalid UTF-8: {len(texts)} texts, {differences} differences", flush=True)
    return differences


if __name__ == "__main__":
    main()
