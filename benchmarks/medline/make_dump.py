# SPDX-License-Identifier: Apache-2.0
"""Makes a synthetic MEDLINE dump of any size: the real records of tests/data/medline, over and over, under new PMIDs.

    make_dump.py FOLDER [--megabytes N] [--files N] [--records all|recent] [--plain]

Nothing but a record's own PMID changes, where it stands in MedlineCitation and in its ArticleIdList. Records of the old
form (MedlineCitationSet) get a PubmedArticle around them. Files are named pubmed99n0001.xml.gz and so on, with an MD5
sum beside each as NLM writes it. The same arguments give the same bytes; a folder that has them already is left alone.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import multiprocessing
import re
import shutil
import sys
import zlib
from pathlib import Path

SAMPLES = Path(__file__).resolve().parents[2] / "tests" / "data" / "medline"
RECENT = ("pubmed20n1016.xml.gz", "pubmed26n1334.xml.gz")
ALL = (
    "medline16n0902.xml.gz",
    *RECENT,
    "pubmed1.xml",
    "pubmed2.xml",
    "pubmed4.xml",
    "pubmed5.xml",
    "pubmed-29768149.xml",
)
FIRST_PMID = 90_000_001  # none of these is in use
HEAD = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n'
    b'<!DOCTYPE PubmedArticleSet PUBLIC "-//NLM//DTD PubMedArticle, 1st January 2019//EN" '
    b'"http://dtd.nlm.nih.gov/ncbi/pubmed/out/pubmed_190101.dtd">\n<PubmedArticleSet>\n'
)
TAIL = b"</PubmedArticleSet>\n"

ARTICLE = re.compile(rb"<PubmedArticle>.*?</PubmedArticle>", re.DOTALL)
CITATION = re.compile(rb"<MedlineCitation[ >].*?</MedlineCitation>", re.DOTALL)
OWN_PMID = re.compile(rb"<MedlineCitation[^>]*>\s*<PMID[^>]*>(\d+)</PMID>")


def read_sample(name: str) -> bytes:
    data = (SAMPLES / name).read_bytes()
    return gzip.decompress(data) if name.endswith(".gz") else data


def cut_at_pmid(record: bytes) -> list[bytes]:
    """The record's pieces, between which its own PMID stands."""
    own = OWN_PMID.search(record)
    places = [own.span(1)]
    for found in re.finditer(rb'<ArticleId IdType="pubmed">(%b)</ArticleId>' % own.group(1), record):
        places.append(found.span(1))
    pieces, at = [], 0
    for start, end in places:
        pieces.append(record[at:start])
        at = end
    return [*pieces, record[at:]]


def records_of(names: tuple[str, ...]) -> list[list[bytes]]:
    records = []
    for name in names:
        data = read_sample(name)
        articles = ARTICLE.findall(data)
        records += articles or [
            b"<PubmedArticle>" + citation + b"</PubmedArticle>" for citation in CITATION.findall(data)
        ]
    return [cut_at_pmid(record + b"\n") for record in records]


RECORDS: list[list[bytes]] = []  # set before the processes start, which inherit it


def write_file(job: tuple[Path, int, int, bool]) -> dict:
    path, first, count, plain = job
    packer = None if plain else zlib.compressobj(6, zlib.DEFLATED, 31)
    digest, xml, stored = hashlib.md5(), 0, 0
    with open(path, "wb") as file:

        def put(data: bytes) -> None:
            nonlocal stored
            digest.update(data)
            stored += len(data)
            file.write(data)

        def body():
            yield HEAD
            for start in range(first, first + count, 100):
                yield b"".join(
                    (b"%d" % (FIRST_PMID + i)).join(RECORDS[i % len(RECORDS)])
                    for i in range(start, min(start + 100, first + count))
                )
            yield TAIL

        for piece in body():
            xml += len(piece)
            put(packer.compress(piece) if packer else piece)
        if packer:
            put(packer.flush())
    path.with_name(path.name + ".md5").write_text(f"MD5({path.name})= {digest.hexdigest()}\n", encoding="ascii")
    return {"name": path.name, "records": count, "xml_bytes": xml, "stored_bytes": stored, "md5": digest.hexdigest()}


def make(folder: Path, megabytes: float, files: int, records: str = "all", plain: bool = False) -> dict:
    """Returns what was made: its settings and its files. A megabyte is 1,000,000 bytes of XML."""
    global RECORDS
    names = RECENT if records == "recent" else ALL
    made_from = hashlib.sha256(Path(__file__).read_bytes())
    for name in names:
        made_from.update(read_sample(name))
    settings = {"megabytes": megabytes, "files": files, "records": records, "plain": plain}
    settings["made_from"] = made_from.hexdigest()
    listing = folder / "dump.json"
    if listing.exists():
        dump = json.loads(listing.read_text(encoding="utf-8"))
        if dump["settings"] == settings:
            return dump
    if folder.exists():
        if any(folder.iterdir()) and not listing.exists():
            sys.exit(f"make_dump.py: error: {folder} holds something else; name a new folder")
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    RECORDS = records_of(names)
    jobs, index, per_file = [], 0, megabytes * 1e6 / files
    for number in range(1, files + 1):
        first, size = index, len(HEAD) + len(TAIL)
        while size < per_file or index == first:
            pieces = RECORDS[index % len(RECORDS)]
            size += sum(map(len, pieces)) + 8 * (len(pieces) - 1)
            index += 1
        jobs.append((folder / f"pubmed99n{number:04}.xml{'' if plain else '.gz'}", first, index - first, plain))
    with multiprocessing.get_context("fork").Pool() as pool:
        made = pool.map(write_file, jobs, chunksize=1)
    dump = {"settings": settings, "different_records": len(RECORDS), "files": made}
    for key in ("records", "xml_bytes", "stored_bytes"):
        dump[key] = sum(file[key] for file in made)
    listing.write_text(json.dumps(dump, indent=1) + "\n", encoding="utf-8")
    return dump


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--megabytes", type=float, default=1100, help="of XML, in all (1100)")
    parser.add_argument("--files", type=int, default=32, help="how many (32)")
    parser.add_argument(
        "--records", choices=("all", "recent"), default="all", help="recent: only those of 2020 and 2026"
    )
    parser.add_argument("--plain", action="store_true", help="not packed")
    arguments = parser.parse_args()
    if arguments.megabytes <= 0 or not 1 <= arguments.files <= 9999:
        parser.error("--megabytes must be above 0, and --files from 1 to 9999")
    dump = make(arguments.folder, arguments.megabytes, arguments.files, arguments.records, arguments.plain)
    print(f"{dump['records']} records, {dump['xml_bytes']} bytes of XML, {dump['stored_bytes']} stored")


if __name__ == "__main__":
    main()
