#!/usr/bin/env python3
"""Splits the ADE corpus V2 into train.csv, val.csv and test.csv.

    split.py card     CORPUS OUT     the published split, row for row: rows drawn at random, duplicates and all
    split.py distinct CORPUS OUT     every sentence once, drawn at random
    split.py grouped  CORPUS OUT     every sentence once, and no abstract in two parts

CORPUS is the folder with the corpus' own files, DRUG-AE.rel and ADE-NEG.txt. The parts hold 70, 15 and 15 % of the
rows, ADE or not in equal shares, drawn by a seed. A table is printed; OUT/split.json has its figures, the digests of
what was read and written, and the versions.

``grouped`` joins abstracts that have a sentence in common ("A case report." stands in 21 of them), so that neither an
abstract nor a sentence is in two parts. Its files have a third column, the PMIDs of the sentence.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import importlib.metadata
import io
import json
import os
import platform
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterable, Sequence

from corpus import sha256_of

RELATIONS = "DRUG-AE.rel"
NEGATIVES = "ADE-NEG.txt"
PARTS = ("train", "val", "test")
SHARES = (0.70, 0.15, 0.15)
CARD_SEED = 42
CARD_SHA256 = {
    "train.csv": "7d606dfd6e106abd94a9dd931aee5468ec3423c2c3d666f9fe391ada8dec5283",
    "val.csv": "f6bc1f2dc6f80d16a61d01c5f9a03bc5ee94c4a9c1e8820d36b5697a09469996",
    "test.csv": "c03454991a7eb887c34713ea165c295aacd3b4a9bf776104485118653052cfe4",
}
"""The files of the published split."""


@dataclass(frozen=True)
class Row:
    """A sentence, its label, and the abstracts that it stands in; more than one only where duplicates are merged."""

    text: str
    label: int
    pmids: tuple[str, ...]


def read_corpus(folder: Path) -> list[Row]:
    """One row a relation, then the sentences without one: the rows of the Hugging Face data set in its order."""
    rows: list[Row] = []
    path = folder / RELATIONS
    with path.open(encoding="utf-8", newline="\n") as stream:
        for number, line in enumerate(stream, start=1):
            fields = line.rstrip("\r\n").split("|")
            if len(fields) != 8:
                raise ValueError(f"{path}: line {number}: {len(fields)} fields between vertical bars instead of 8; "
                                 "is this the relations file of the ADE corpus V2?")
            rows.append(Row(fields[1], 1, (fields[0],)))
    path = folder / NEGATIVES
    with path.open(encoding="utf-8", newline="\n") as stream:
        for number, line in enumerate(stream, start=1):
            pmid, mark, text = line.rstrip("\r\n").partition(" NEG ")
            if not mark or not pmid.isdigit():
                raise ValueError(f"{path}: line {number}: not of the form 'PMID NEG sentence'")
            rows.append(Row(text, 0, (pmid,)))
    labels: dict[str, int] = {}
    for row in rows:
        if labels.setdefault(row.text, row.label) != row.label:
            raise ValueError(f"{folder}: this sentence has both labels: {row.text!r}")
    return rows


def merged(rows: Sequence[Row]) -> list[Row]:
    """Every sentence once, where it stands first, with the PMIDs of all its rows."""
    pmids: dict[str, dict[str, None]] = defaultdict(dict)
    for row in rows:
        pmids[row.text].update(dict.fromkeys(row.pmids))
    labels = {row.text: row.label for row in rows}
    return [Row(text, labels[text], tuple(found)) for text, found in pmids.items()]


def drawn(rows: Sequence[Row], seed: int) -> list[list[Row]]:
    """The parts of the published recipe: 70 % against 30 %, and those in halves, both stratified by label."""
    try:
        from sklearn.model_selection import train_test_split
    except ImportError:
        raise ValueError("card and distinct are drawn by scikit-learn, which is not installed; "
                         "see requirements.txt") from None
    train, rest = train_test_split(list(rows), test_size=0.30, stratify=[row.label for row in rows], random_state=seed)
    val, test = train_test_split(rest, test_size=0.50, stratify=[row.label for row in rest], random_state=seed)
    return [train, val, test]


def groups_of(rows: Sequence[Row]) -> list[list[Row]]:
    """Rows whose abstracts are the same or have a sentence in common, each group in the order of the rows."""
    parent: dict[str, str] = {}

    def root(pmid: str) -> str:
        parent.setdefault(pmid, pmid)
        while parent[pmid] != pmid:
            parent[pmid] = parent[parent[pmid]]
            pmid = parent[pmid]
        return pmid

    for row in rows:
        for pmid in row.pmids[1:]:
            parent[root(pmid)] = root(row.pmids[0])
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[root(row.pmids[0])].append(row)
    return list(groups.values())


def drawn_key(seed: int, name: str) -> bytes:
    """Sorting by this is a shuffle that is the same with every version of every library."""
    return hashlib.sha256(f"{seed} {name}".encode()).digest()


def grouped(rows: Sequence[Row], seed: int) -> list[list[Row]]:
    """Whole groups, in an order drawn by the seed, each to the part that lacks the most of what the group holds.

    How much a part lacks is a share of its target, for sentences with and without an ADE apart, so that sizes and the
    shares of ADE sentences come out right together. A group's size does not weigh for or against any part.
    """
    targets = [[share * sum(row.label == label for row in rows) for label in (0, 1)] for share in SHARES]
    have = [[0, 0] for _ in PARTS]
    parts: list[list[Row]] = [[] for _ in PARTS]
    for group in sorted(groups_of(rows), key=lambda group: drawn_key(seed, min(min(row.pmids) for row in group))):
        positives = sum(row.label for row in group)
        counts = (len(group) - positives, positives)

        def lack(part: int) -> float:
            return sum(n * (1 - h / t) for n, h, t in zip(counts, have[part], targets[part]) if n)

        chosen = max(range(len(PARTS)), key=lack)
        parts[chosen] += group
        have[chosen] = [h + n for h, n in zip(have[chosen], counts)]
    return [sorted(part, key=lambda row: drawn_key(seed, row.text)) for part in parts]


def make_split(kind: str, rows: Sequence[Row], seed: int) -> list[list[Row]]:
    if kind == "card":
        return drawn(rows, seed)
    return drawn(merged(rows), seed) if kind == "distinct" else grouped(merged(rows), seed)


def csv_bytes(rows: Iterable[Row], with_pmids: bool) -> bytes:
    """RFC 4180 with line feeds, as the published files."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["text", "label"] + ["pmid"] * with_pmids)
    writer.writerows([row.text, row.label] + [" ".join(row.pmids)] * with_pmids for row in rows)
    return out.getvalue().encode("utf-8")


def counts_of(part: Sequence[Row], train: Sequence[Row]) -> dict[str, int]:
    """What the table shows of a part."""
    texts, pmids = {row.text for row in train}, {pmid for row in train for pmid in row.pmids}
    own = {pmid for row in part for pmid in row.pmids}
    counts = {
        "rows": len(part),
        "ade": sum(row.label for row in part),
        "sentences": len({row.text for row in part}),
        "abstracts": len(own),
    }
    return counts if part is train else {
        **counts,
        "rows_also_in_train": sum(row.text in texts for row in part),
        "ade_rows_also_in_train": sum(row.text in texts for row in part if row.label),
        "abstracts_also_in_train": len(own & pmids),
    }


def write(path: Path, content: bytes) -> None:
    """Under a temporary name first: a file that is there is complete."""
    temporary = path.with_name(path.name + ".part")
    temporary.write_bytes(content)
    os.replace(temporary, path)


def table(parts: dict[str, dict[str, int]]) -> str:
    lines = [f"{'part':6}{'rows':>8}{'share':>8}{'ADE':>7}{'share':>8}{'sentences':>11}{'abstracts':>11}"
             f"{'rows in train':>15}{'abstracts in train':>20}"]
    total = sum(part["rows"] for part in parts.values())
    for name, part in parts.items():
        also = ("", "") if name == "train" else (f"{part['rows_also_in_train']:,}",
                                                 f"{part['abstracts_also_in_train']:,}")
        lines.append(f"{name:6}{part['rows']:8,}{part['rows'] / total:8.2%}{part['ade']:7,}"
                     f"{part['ade'] / part['rows']:8.2%}{part['sentences']:11,}{part['abstracts']:11,}"
                     f"{also[0]:>15}{also[1]:>20}")
    return "\n".join(lines)


def versions(kind: str) -> dict[str, str]:
    found = {"python": platform.python_version()}
    if kind != "grouped":
        found |= {name: importlib.metadata.version(name) for name in ("numpy", "scikit-learn")}
    return found


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=("card", "distinct", "grouped"))
    parser.add_argument("corpus", type=Path, help=f"folder with {RELATIONS} and {NEGATIVES}")
    parser.add_argument("out", type=Path, help="folder for train.csv, val.csv, test.csv and split.json")
    parser.add_argument("--seed", type=int, default=CARD_SEED, help="of the draw (default: 42, the published split's)")
    args = parser.parse_args(argv)
    if args.kind == "card" and args.seed != CARD_SEED:
        parser.error(f"the published split has the seed {CARD_SEED}; leave --seed out")
    try:
        rows = read_corpus(args.corpus)
        parts = dict(zip(PARTS, make_split(args.kind, rows, args.seed)))
        files = {f"{name}.csv": csv_bytes(part, args.kind == "grouped") for name, part in parts.items()}
        digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
        if args.kind == "card" and digests != CARD_SHA256:
            other = ", ".join(name for name in digests if digests[name] != CARD_SHA256[name])
            raise ValueError(f"{args.corpus}: the parts are not those of the published split ({other} differ): the "
                             "corpus files are not the ones it was made from, or this scikit-learn draws otherwise")
        args.out.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            write(args.out / name, content)
        counts = {name: counts_of(part, parts["train"]) for name, part in parts.items()}
        report: dict[str, Any] = {
            "kind": args.kind,
            "seed": args.seed,
            "shares": dict(zip(PARTS, SHARES)),
            "a_row_is": "a relation or a sentence without one" if args.kind == "card" else "a distinct sentence",
            "parts": {name: {**counts[name], "sha256": digests[f"{name}.csv"]} for name in PARTS},
            "corpus_sha256": {name: sha256_of(args.corpus / name) for name in (RELATIONS, NEGATIVES)},
            "versions": versions(args.kind),
        }
        write(args.out / "split.json", (json.dumps(report, indent=2) + "\n").encode())
    except (OSError, ValueError) as problem:
        raise SystemExit(f"split.py: {problem}") from None
    print(f"{args.kind}, seed {args.seed}: {sum(map(len, parts.values())):,} rows of {len(rows):,} in the corpus; "
          f"a row is {report['a_row_is']}")
    print(table(counts))
    return 0


if __name__ == "__main__":
    sys.exit(main())
