#!/usr/bin/env python3
"""Gathers sentences without labels for teachers to label: those of the BC5CDR corpus, 1,500 MEDLINE abstracts about
chemicals and diseases, without any that the ADE corpus holds too.

    unlabelled.py --mtl MTL-Bioinformatics-2016 --corpus ADE_V2 > unlabelled.txt

``MTL-Bioinformatics-2016`` is a copy of the GitHub repository cambridgeltl/MTL-Bioinformatics-2016, whose data is
under CC BY 4.0. It has the corpus as one word a line. Only the words are used, not what annotators said of them. Words are joined by blanks: a BERT
tokenizer sees the same tokens in "Parkinson ' s" as in "Parkinson's".
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import Iterator

FILES = tuple(f"data/BC5CDR-IOB/{part}.tsv" for part in ("train", "devel", "test"))
SHORTEST, LONGEST = 5, 100
"""Words; outside of these it is a heading or was not split."""


def sentences(path: Path) -> Iterator[str]:
    words: list[str] = []
    with path.open(encoding="utf-8") as stream:
        for line in stream:
            word = line.rstrip("\n").split("\t")[0]
            if word.strip():
                words.append(word.strip())
            elif words:
                if SHORTEST <= len(words) <= LONGEST:
                    yield " ".join(words)
                words = []
    if SHORTEST <= len(words) <= LONGEST:
        yield " ".join(words)


def letters(sentence: str) -> str:
    """What two spellings of a sentence share."""
    return re.sub(r"[^0-9a-z]", "", sentence.lower())


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mtl", type=Path, required=True, help="folder of MTL-Bioinformatics-2016")
    parser.add_argument("--corpus", type=Path, required=True, help="folder with DRUG-AE.rel and ADE-NEG.txt")
    args = parser.parse_args(argv)
    known = {letters(line.split("|")[1]) for line in (args.corpus / "DRUG-AE.rel").open(encoding="utf-8")}
    known |= {letters(line.rstrip("\n").split(" NEG ", 1)[1]) for line in (args.corpus / "ADE-NEG.txt").open(encoding="utf-8")}
    written = left_out = 0
    for name in FILES:
        for sentence in sentences(args.mtl / name):
            key = letters(sentence)
            if key in known:
                left_out += 1
                continue
            known.add(key)
            print(sentence)
            written += 1
    print(f"{written} sentences; {left_out} left out as repeated or in the ADE corpus", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
