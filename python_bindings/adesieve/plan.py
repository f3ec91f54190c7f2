# SPDX-License-Identifier: Apache-2.0
"""What all of MEDLINE takes: ``python -m adesieve.plan [OPTIONS] SAMPLE...``.

Measures on this machine how fast it reads and classifies a sample, and reckons from that the hours, the cost and the
disk space for a number of workers like it. What was measured and what is assumed is marked.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import io
import json
import math
import os
import platform
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from . import _ffi
from .classifier import Classifier
from .errors import Error, Status


@dataclass(frozen=True)
class Corpus:
    """How much there is to screen.

    Attributes
    ----------
    files, bytes_stored, bytes_xml : float
        gzip files, their bytes, and what they unpack to.
    records, abstracts : float
        Records in all files, those that later files repeat counted each time; distinct citations with an abstract.
    sentences, tokens : float
        Of all records.
    """

    name: str
    files: float
    bytes_stored: float
    bytes_xml: float
    records: float
    abstracts: float
    sentences: float
    tokens: float

    def scaled(self, files: float, name: str) -> Corpus:
        """The same for another number of such ``files``, under another ``name``.

        Examples
        --------
        >>> from adesieve.plan import MEDLINE
        >>> round(MEDLINE.scaled(100, "a hundred files").records / 1e6, 1)
        3.1
        """
        part = files / self.files
        numbers = {
            key: getattr(self, key) * part
            for key in ("bytes_stored", "bytes_xml", "records", "abstracts", "sentences", "tokens")
        }
        return Corpus(name=name, files=files, **numbers)


# The baseline of 2026, as NLM lists it: files and stored bytes. Citations and abstracts are a count of 31 July 2026,
# with the updates until then. Sentences and tokens are estimates: 29.3 million abstracts of about ten sentences and 41
# million titles; 49.5 billion characters of abstracts and 4 of titles at 4.2 a token, and two more tokens a sentence.
# Unpacked bytes: half a terabyte with the updates.
MEDLINE = Corpus(
    name="all of MEDLINE/PubMed: the baseline of 2026",
    files=1_334,
    bytes_stored=51.8e9,
    bytes_xml=0.4e12,
    records=41e6,
    abstracts=29.3e6,
    sentences=330e6,
    tokens=13.4e9,
)
_LIMITS = (  # what the plan leaves out, in both its long forms
    "Sentences and tokens of the whole are estimates; a worker like this machine on other text may be 10 % off.",
    "Starting the cluster, copying the files to it and the merge by PMID are not counted.",
)


@dataclass(frozen=True)
class Measured:
    """What was measured on this machine, with ``source`` saying how; None where it was not.

    Time is reckoned by tokens, not by sentences, whose length differs from text to text.
    """

    source: str
    tokens_per_second: float
    machine: str = ""
    date: str = ""
    device: str | None = None
    precision: str | None = None
    threads: int | None = None
    read_mb_per_second: float | None = None
    sentences_per_second: float | None = None
    tokens_per_sentence: float | None = None
    seconds: float | None = None
    hit_share: float | None = None
    bytes_per_row: float | None = None
    memory_mb: float | None = None
    load: float | None = None


def _read_rate(paths: Sequence[str], threads: int) -> float:
    """XML bytes a second of a run that only reads."""
    library, total, started = _ffi.load(), 0, time.perf_counter()
    session = _ffi.SessionOptions(threads=threads)
    options = _ffi.ScreenOptions(dry_run=1, threshold=-1.0, session=ctypes.pointer(session))
    while time.perf_counter() - started < 1.0:  # a small sample is read more than once
        handle, stats, row = _ffi.Screen(), _ffi.ScreenStats(), _ffi.ScreenRow()
        _ffi.check(library.ade_screen_open(None, options, handle))
        try:
            for path in paths:
                _ffi.check(library.ade_screen_add(handle, os.fsencode(path)))
            status = library.ade_screen_next(handle, row)
            if status != Status.END:
                _ffi.check(status)
            _ffi.check(library.ade_screen_get_stats(handle, stats))
        finally:
            library.ade_screen_close(handle)
        total += stats.bytes_xml
        if not stats.bytes_xml:
            raise Error(f"there is nothing to read in {', '.join(paths)}; a sample with abstracts is needed")
    return total / (time.perf_counter() - started)


def _processor() -> str:
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
        for line in file:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _peak_mb() -> float:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # KiB on Linux


@dataclass
class _Counts:
    """Of the runs that were timed."""

    seconds: float = 0.0
    citations: int = 0
    sentences: int = 0
    tokens: int = 0
    rows: int = 0
    hits: int = 0
    bytes_stored: int = 0  # 0 without pyarrow


def _run(classifier: Classifier, paths: Sequence[str], limit: int, counts: _Counts) -> None:
    """Screens the first records, as a worker does, with a row for every sentence."""
    try:
        import pyarrow.parquet as parquet
    except ImportError:
        parquet = None
    started = time.perf_counter()
    with classifier.screen(paths, all=True, limit=limit) as run:
        if parquet is None:
            for row in run:
                counts.rows, counts.hits = counts.rows + 1, counts.hits + row.hit
        else:
            for batch in run.batches():
                counts.rows += batch.num_rows
                counts.hits += batch.column("hit").true_count
                file = io.BytesIO()
                with parquet.ParquetWriter(file, batch.schema, compression="zstd") as writer:
                    writer.write_batch(batch)
                counts.bytes_stored += len(file.getvalue())
        stats = run.stats
    counts.seconds += time.perf_counter() - started
    counts.citations += stats.citations
    counts.sentences += stats.screened
    counts.tokens += stats.tokens


def measure(paths: Sequence[str], seconds: float = 20.0, **settings: Any) -> Measured:
    """Measures reading and classifying on this machine.

    Parameters
    ----------
    paths : sequence of str
        The sample. For a GPU a whole file of the baseline: small ones do not fill it.
    seconds : float
        How long to classify, about.
    **settings
        Those of `Classifier`.

    Returns
    -------
    Measured

    Raises
    ------
    Error
        Where the sample cannot be read or has nothing to classify, or the model cannot be opened.
    ValueError
        For a time that is not above 0.

    Examples
    --------
    >>> from adesieve.plan import measure
    >>> rate = measure(["tests/data/medline/pubmed1.xml"], seconds=0.1, model="tests/data/tiny_bert_cls", device="cpu")
    >>> rate.source, rate.tokens_per_second > 0
    ('measured on pubmed1.xml', True)
    """
    if not 0 < seconds < math.inf:
        raise ValueError(f"seconds is {seconds}; a number above 0 is needed")
    load = os.getloadavg()[0]
    read = _read_rate(paths, int(settings.get("threads", 0)))
    counts, first = _Counts(), _Counts()
    with Classifier(**settings) as classifier:
        info = classifier.info
        _run(classifier, paths, 100, first)  # warms up, and says how many records are enough
        if not first.sentences:
            raise Error(f"there is no sentence in {', '.join(paths)}; a sample with abstracts is needed")
        limit = max(100, math.ceil(first.citations * seconds / first.seconds))
        while counts.seconds < 0.8 * seconds:  # a small sample is screened more than once
            _run(classifier, paths, limit, counts)
    return Measured(
        source=f"measured on {', '.join(os.path.basename(path) for path in paths)}",
        machine=str(info["device_name"]) if info["device"] == "cuda" else _processor(),
        date=time.strftime("%Y-%m-%d"),
        device=info["device"],
        precision=info["precision"],
        threads=info["threads"],
        read_mb_per_second=read / 1e6,
        sentences_per_second=counts.sentences / counts.seconds,
        tokens_per_second=counts.tokens / counts.seconds,
        tokens_per_sentence=counts.tokens / counts.sentences,
        seconds=counts.seconds,
        hit_share=counts.hits / counts.rows,
        bytes_per_row=counts.bytes_stored / counts.rows or None,
        memory_mb=_peak_mb(),
        load=load,
    )


def plan(corpus: Corpus, rate: Measured, workers: int, price_per_hour: float | None) -> dict[str, Any]:
    """The plan, as numbers.

    Parameters
    ----------
    corpus : Corpus
    rate : Measured
        One worker's.
    workers : int
    price_per_hour : float, optional
        Of one worker, in any currency.

    Returns
    -------
    dict
        ``hours`` from start to end, ``worker_hours`` in all, ``seconds_per_file``, ``cost`` and
        ``cost_per_million_abstracts`` (None without a price), ``worker_hours_per_million_abstracts``, ``gb_input``,
        ``gb_rows_all`` and ``gb_rows_hits`` (None where not measured), ``bound_by``.

    Raises
    ------
    ValueError
        Where there is no worker, or its rate is not above 0.

    Examples
    --------
    >>> from adesieve.plan import MEDLINE, Measured, plan
    >>> made = plan(MEDLINE, Measured("a guess", tokens_per_second=1e6), workers=10, price_per_hour=4.0)
    >>> round(made["hours"], 2), round(made["cost"], 2), made["bound_by"]
    (0.37, 14.96, 'classifying')
    """
    if workers < 1 or not rate.tokens_per_second > 0:
        raise ValueError(
            f"{workers} workers of {rate.tokens_per_second:g} tokens a second; one worker or more, and a rate above 0, "
            f"are needed"
        )
    seconds, bound = corpus.tokens / rate.tokens_per_second, "classifying"
    if rate.read_mb_per_second and corpus.bytes_xml / 1e6 / rate.read_mb_per_second > seconds:
        seconds, bound = corpus.bytes_xml / 1e6 / rate.read_mb_per_second, "reading"
    per_file = seconds / corpus.files
    hours = math.ceil(corpus.files / workers) * per_file / 3600  # the last files keep some workers waiting
    paid = hours * workers
    million = corpus.abstracts / 1e6
    rows_all = None if rate.bytes_per_row is None else corpus.sentences * rate.bytes_per_row / 1e9
    return {
        "workers": workers,
        "hours": hours,
        "worker_hours": paid,
        "seconds_per_file": per_file,
        "bound_by": bound,
        "worker_hours_per_million_abstracts": paid / million,
        "price_per_hour": price_per_hour,
        "cost": None if price_per_hour is None else paid * price_per_hour,
        "cost_per_million_abstracts": None if price_per_hour is None else paid * price_per_hour / million,
        "gb_input": corpus.bytes_stored / 1e9,
        "gb_rows_all": rows_all,
        "gb_rows_hits": None if rows_all is None or rate.hit_share is None else rows_all * rate.hit_share,
    }


def _lines(corpus: Corpus, rate: Measured, made: dict[str, Any]) -> list[tuple[str, str, str]]:
    """(what, value, measured / assumed / reckoned)."""
    lines: list[tuple[str, str, str]] = [
        ("to screen", corpus.name, "assumed"),
        ("files", f"{corpus.files:,.0f}, {corpus.bytes_stored / 1e9:,.1f} GB", "assumed"),
        ("records", f"{corpus.records / 1e6:,.2f} million", "assumed"),
        ("with an abstract", f"{corpus.abstracts / 1e6:,.2f} million", "assumed"),
        ("sentences", f"{corpus.sentences / 1e6:,.1f} million", "assumed"),
        ("tokens", f"{corpus.tokens / 1e6:,.0f} million", "assumed"),
    ]

    def add(what: str, value: float | None, text: str, how: str) -> None:
        if value is not None:
            lines.append((what, text.format(value), how))

    how = "measured" if rate.machine else "given"
    if rate.machine:
        worker = f"{rate.machine}; {rate.device}, {rate.precision}, {rate.threads} threads; {rate.date}"
        lines.append(("a worker", worker, how))
    add("reads", rate.read_mb_per_second, "{:,.0f} MB/s of XML", how)
    add("classifies", rate.tokens_per_second, "{:,.0f} tokens/s", how)
    add("", rate.sentences_per_second, "{:,.1f} sentences/s", how)
    add("tokens a sentence", rate.tokens_per_sentence, "{:.1f}", how)
    add("memory of a worker", rate.memory_mb, "{:,.0f} MB", how)
    add("share of hits", rate.hit_share, "{:.1%}", how)
    add("a row of Parquet", rate.bytes_per_row, "{:.0f} bytes", how)
    lines.append(("workers", f"{made['workers']:,}", "given"))
    add("a file", made["seconds_per_file"], "{:,.1f} s", "reckoned")
    add("hours", made["hours"], "{:,.1f}" + f", bound by {made['bound_by']}", "reckoned")
    add("worker-hours", made["worker_hours"], "{:,.1f}", "reckoned")
    add("  per million abstracts", made["worker_hours_per_million_abstracts"], "{:,.3f}", "reckoned")
    add("price of a worker-hour", made["price_per_hour"], "{:,.2f}", "given")
    add("cost", made["cost"], "{:,.2f}", "reckoned")
    add("  per million abstracts", made["cost_per_million_abstracts"], "{:,.3f}", "reckoned")
    add("disk: input", made["gb_input"], "{:,.1f} GB", "assumed")
    add("disk: rows, all sentences", made["gb_rows_all"], "{:,.1f} GB", "reckoned")
    add("disk: rows, hits only", made["gb_rows_hits"], "{:,.2f} GB", "reckoned")
    return lines


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m adesieve.plan",
        description="Measures a sample on this machine, and reckons what all of MEDLINE takes on workers like it.",
    )
    add = parser.add_argument
    add("sample", nargs="*", help="MEDLINE/PubMed XML, plain or gzip; best a whole file of the baseline")
    add("--files", type=int, metavar="N", help=f"files to screen, in place of the {MEDLINE.files:,.0f} of the baseline")
    add("--inputs", nargs="+", metavar="PATH", help="files or folders to screen: counted, and their size taken")
    add("--workers", type=int, default=1, metavar="N", help="workers like this machine (default: 1)")
    add("--price-per-hour", type=float, metavar="P", help="of one worker")
    add("--rate", type=float, metavar="R", help="tokens a second of one worker; nothing is measured")
    add("--seconds", type=float, default=20.0, metavar="S", help="how long to classify (default: 20)")
    add("--format", choices=["text", "json", "markdown"], default="text")
    add("-m", "--model", metavar="DIR")
    add("--device", default="auto", metavar="auto|cpu|cuda|cuda:N")
    add("--precision", default="auto", metavar="auto|f32|bf16|f16|int8")
    add("--threads", type=int, default=0, metavar="N")
    return parser


def _corpus(arguments: argparse.Namespace) -> Corpus:
    if arguments.inputs is not None:
        from ._inputs import inputs

        paths = inputs(arguments.inputs)
        stored = float(sum(os.path.getsize(path) for path in paths))
        if not stored:
            raise ValueError(f"there is nothing to read in {', '.join(paths)}")
        # By bytes: a sample or an update file is not of the baseline's size.
        like = MEDLINE.scaled(stored / MEDLINE.bytes_stored * MEDLINE.files, f"{len(paths):,} files given")
        return Corpus(**{**vars(like), "files": float(len(paths))})
    if arguments.files is not None:
        return MEDLINE.scaled(arguments.files, f"{arguments.files:,} files like the baseline's")
    return MEDLINE


def main(argv: Sequence[str] | None = None) -> int:
    """The command, ``python -m adesieve.plan``.

    Parameters
    ----------
    argv : sequence of str, optional
        Its arguments. By default those of the process.

    Returns
    -------
    int
        The exit status: 0 done, 1 failed; wrong usage leaves by ``SystemExit`` with 2.

    Examples
    --------
    >>> from adesieve.plan import main
    >>> main(["--rate", "1e6", "--files", "100", "--workers", "10", "--format", "json"])
    {
      "assumed": {
        "name": "100 files like the baseline's",
    ...
    0
    """
    parser = _parser()
    arguments = parser.parse_args(argv)
    for name in ("workers", "files", "rate", "seconds"):
        value = getattr(arguments, name)
        if value is not None and not 0 < value < math.inf:
            parser.error(f"--{name} is {value}; it has to be a number above 0")
    if arguments.price_per_hour is not None and not 0 <= arguments.price_per_hour < math.inf:
        parser.error(f"--price-per-hour is {arguments.price_per_hour}; it has to be a number, and cannot be negative")
    if (arguments.rate is None) == (not arguments.sample):
        parser.error("give a sample to measure, such as a file of the baseline, or --rate")
    if arguments.files is not None and arguments.inputs is not None:
        parser.error("--files and --inputs both say what is to be screened; give one")
    try:
        corpus = _corpus(arguments)
        if arguments.rate is not None:
            rate = Measured(source="given by --rate", tokens_per_second=arguments.rate)
        else:
            settings = {name: getattr(arguments, name) for name in ("model", "device", "precision", "threads")}
            rate = measure(arguments.sample, arguments.seconds, **settings)
    except (Error, OSError, ValueError) as error:
        print(f"adesieve.plan: error: {error}", file=sys.stderr)
        return 1
    if rate.load is not None and rate.load > 0.3 * (os.cpu_count() or 1):
        said = f"this machine was busy (load {rate.load:.1f}); the rates are too low"
        print(f"adesieve.plan: warning: {said}", file=sys.stderr)
    made = plan(corpus, rate, arguments.workers, arguments.price_per_hour)
    if arguments.format == "json":
        print(json.dumps({"assumed": vars(corpus), "measured": vars(rate), "plan": made}, indent=2))
        return 0
    lines = _lines(corpus, rate, made)
    if arguments.format == "markdown":
        print("| | | |\n|---|---|---|")
        for line in lines:
            print("| " + " | ".join(cell.strip() for cell in line) + " |")
        print()
    else:
        for what, value, how in lines:
            print(f"{what:26} {value}  ({how})")
    for limit in _LIMITS:
        print(limit)
    return 0


if __name__ == "__main__":
    sys.exit(main())
