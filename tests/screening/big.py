# SPDX-License-Identifier: Apache-2.0
"""Much MEDLINE is read in constant memory: 100 MB, and with ADE_TEST_ALL=1 a gigabyte.

    big.py --command PATH

The real records, numbered anew, in files of 32,000 citations as NLM's are (in the short test of 4,000): first two of
them, then all. The peak of memory must not grow by more than threads may read ahead, and stay small."""
import gzip
import json
import os
import re

import common
from common import check

MEGABYTE = 1 << 20
AHEAD = 192 * MEGABYTE  # what src/screen/screen.c lets wait in the queues of a dry run
PEAK = AHEAD + 100 * MEGABYTE
FILE = 32000 if common.ALL else 4000
GOAL = (1000 if common.ALL else 100) * MEGABYTE


def make_file(path, first, templates):
    """The XML's size."""
    size = 0
    with gzip.open(path, "wb", compresslevel=1) as file:
        def put(text):
            nonlocal size
            data = text.encode()
            size += len(data)
            file.write(data)

        put(common.HEADER)
        for i in range(first, first + FILE):
            before, behind = templates[i % len(templates)]
            put(f"{before}{i}{behind}\n")
        put(common.FOOTER)
    return size


def dry_run(command, what):
    result = command.run("screen", "--dry-run", "--threads", "2", "--stats", "stats", "in", limit=300, status=0)
    with open(command.at("stats"), encoding="utf-8") as file:
        stats = json.load(file)
    print(f"{what}: {stats['bytes_xml'] / MEGABYTE:.0f} MB of XML, {result.seconds:.1f} s, "
          f"{stats['bytes_xml'] / MEGABYTE / result.seconds:.0f} MB/s, a peak of {result.peak / MEGABYTE:.0f} MB")
    return result.peak, stats


def test(command, _):
    folder = command.new("in")
    templates = []
    for record in common.real_records():
        before, behind = re.split(r"(?<=<PMID Version=\"1\">)\d+", record.xml, maxsplit=1)
        templates.append((before, behind))
    size = n = 0
    first_peak = None
    while size < GOAL:
        n += 1
        size += make_file(os.path.join(folder, f"pubmed26n{n:04}.xml.gz"), 1 + FILE * (n - 1), templates)
        if n == 2:
            first_peak, _ = dry_run(command, "two files")
    peak, stats = dry_run(command, f"{n} files")
    check((stats["bytes_xml"], stats["citations"], stats["new"]) == (size, n * FILE, n * FILE),
          f"{stats['bytes_xml']} bytes and {stats['citations']} citations ({stats['new']} new) were read, "
          f"not {size} and {n * FILE}")
    if not command.sanitized:
        # 12 to 14 bytes a PMID are remembered, and that is no secret.
        allowed = first_peak + AHEAD + n * FILE * 16
        check(peak < PEAK and peak < allowed,
              f"{peak / MEGABYTE:.0f} MB at the peak, after {first_peak / MEGABYTE:.0f} MB for two files")
    return 0


common.main("big", test)
