# SPDX-License-Identifier: Apache-2.0
"""`Screening`: a run over MEDLINE/PubMed XML, an iterator of `Hit`."""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
from dataclasses import dataclass
from typing import Any

from . import _ffi
from .calibration import OperatingPoint


@dataclass(frozen=True)
class Record:
    """What a file says of a citation beside its text, and what its sentences came to."""

    title: str
    date: str  #: of publication: "2016", "2016-05" or "2016-05-31"; "" where the file says nothing, as below
    date_revised: str
    journal: str
    doi: str
    languages: tuple[str, ...]
    publication_types: tuple[str, ...]
    mesh: tuple[str, ...]  #: descriptors with their qualifiers, a star before each major topic
    chemicals: tuple[str, ...]
    book: bool
    retracted: bool
    mesh_adverse_effects: bool  #: a MeSH heading has the qualifier "adverse effects"
    mesh_chemically_induced: bool
    n_sentences: int
    n_screened: int
    n_hits: int
    score: float  #: the highest score
    noisy_or: float  #: 1 - product of (1 - score) over all screened sentences


@dataclass(frozen=True)
class Hit:
    """A sentence of a record; with ``all=True`` not necessarily a hit.

    ``start`` and ``end`` are its slice, in code points, of the part's text, or of the section's text where the abstract
    has sections. A record that the input says was deleted is one row with ``part="deleted"``, without text or score.
    """

    pmid: int
    version: int
    part: str  #: "title", "abstract", "other_abstract" or "deleted"
    section: str | None  #: the section's label
    sentence: int  #: from 0 through the record, the title first
    start: int
    end: int
    text: str | None
    label: str | None  #: the best label's name; None for a regression model
    score: float | None  #: the positive label's probability, as the model has it
    calibrated: float | None  #: the calibrated probability; None where the model has no calibration
    hit: bool  #: whether score >= threshold
    scores: tuple[float, ...]  #: every label's probability
    logits: tuple[float, ...]
    tokens: int
    unknown: int
    truncated: bool
    source: str  #: the file's name without its folder
    record: Record | None  #: the citation; None for a deleted one


@dataclass(frozen=True)
class Stats:
    """A run's counts. ``citations = new_citations + revised + unchanged + superseded`` and
    ``sentences = screened + skipped``; the members are explained in adesieve.h, ``ade_screen_stats``."""

    files_failed: int
    files_total: int
    files_done: int
    bytes_read: int
    bytes_xml: int
    citations: int
    new_citations: int
    revised: int
    unchanged: int
    superseded: int
    deleted: int
    without_abstract: int
    without_text: int
    sentences: int
    screened: int
    skipped: int
    hits: int
    rows: int
    confirmed: int
    tokens: int
    unknown_tokens: int
    truncated_texts: int
    replaced: int
    seconds_read: float
    seconds_classify: float
    seconds_total: float
    files_skipped: int
    documents: int
    retracted: int
    books: int
    seconds_starved: float
    prefiltered: int


_PARTS = {part.value: part.name.lower() for part in _ffi.Part}


def _string(text: _ffi.Text) -> str | None:
    return None if text.data is None else ctypes.string_at(text.data, text.size).decode("utf-8", "replace")


def _text(text: _ffi.Text) -> str:
    return _string(text) or ""


def _list(texts: _ffi.TextList) -> tuple[str, ...]:
    return tuple(_text(texts.items[i]) for i in range(texts.n))


def _record(record: _ffi.ScreenRecord) -> Record:
    return Record(
        title=_text(record.title),
        date=_text(record.date),
        date_revised=_text(record.date_revised),
        journal=_text(record.journal),
        doi=_text(record.doi),
        languages=_list(record.languages),
        publication_types=_list(record.publication_types),
        mesh=_list(record.mesh),
        chemicals=_list(record.chemicals),
        book=bool(record.book),
        retracted=bool(record.retracted),
        mesh_adverse_effects=bool(record.mesh_adverse_effects),
        mesh_chemically_induced=bool(record.mesh_chemically_induced),
        n_sentences=record.n_sentences,
        n_screened=record.n_screened,
        n_hits=record.n_hits,
        score=record.score,
        noisy_or=record.noisy_or,
    )


class Screening:
    """An iterator over a run's rows; made by `Classifier.screen`.

    Use it in a ``with`` block, or let it go out of scope, to stop before the end. Several threads may take rows from
    one run, each row once. A run cannot be used after a fork.

    Attributes
    ----------
    threshold : float
        The score from which on a sentence is a hit.
    operating_point : OperatingPoint or None
        What to expect of the threshold, where it was given as ``"recall=0.95"`` or the like.
    prefilter_point : OperatingPoint or None
        What the prefilter lets pass: its recall multiplies the run's.
    """

    threshold: float
    operating_point: OperatingPoint | None
    prefilter_point: OperatingPoint | None

    def __init__(
        self, handle: Any, interrupt: _ffi.Interrupt, labels: tuple[str, ...], columns: int, stored: bool
    ) -> None:
        self._handle = handle
        self._stored = stored
        self._interrupt = interrupt
        self._labels = labels
        self._columns = columns
        self._row = _ffi.ScreenRow()
        self._final: Stats | None = None
        self._lock = threading.RLock()
        self._pid = os.getpid()
        self.threshold = 0.5
        self.operating_point = self.prefilter_point = None

    def _add(self, path: Any) -> None:
        if not isinstance(path, (str, os.PathLike)):
            raise TypeError(f"a path is {type(path).__name__}, not str or os.PathLike")
        _ffi.check(_ffi.load().ade_screen_add(self._handle, os.fsencode(path)))

    def _check_process(self) -> None:
        if self._pid != os.getpid():
            raise RuntimeError("this run belongs to another process, before a fork; start one of its own here")

    def __iter__(self) -> Screening:
        return self

    def __next__(self) -> Hit:
        self._check_process()
        with self._lock:
            if self._handle is None:
                raise StopIteration
            status = _ffi.load().ade_screen_next(self._handle, self._row)
            if status == _ffi.Status.END:
                self._final = self._stats()
                if not self._stored:  # else confirm() is still to come
                    self.close()
                raise StopIteration
            self._interrupt.check(status)
            return self._hit(self._row)

    def _hit(self, row: _ffi.ScreenRow) -> Hit:
        deleted = row.part == _ffi.Part.DELETED
        result = row.result
        count = 0 if deleted else self._columns
        return Hit(
            pmid=row.pmid,
            version=row.version,
            part=_PARTS[row.part],
            section=_string(row.section),
            sentence=row.sentence,
            start=row.start_char,
            end=row.end_char,
            text=None if deleted else _string(row.text) or "",
            label=self._labels[result.label] if self._labels and not deleted else None,
            score=None if deleted else result.score,
            calibrated=None if deleted or row.calibrated < 0 else row.calibrated,
            hit=bool(row.hit),
            scores=tuple(row.probabilities[:count]) if count else (),
            logits=tuple(row.logits[:count]) if count else (),
            tokens=result.tokens,
            unknown=result.unknown,
            truncated=bool(result.truncated),
            source=row.source.decode("utf-8", "surrogateescape") if row.source else "",
            record=_record(row.record.contents) if row.record else None,
        )

    def confirm(self) -> None:
        """Says that the rows so far are safe. With a store, files that have been passed are noted in it as done; what
        is not confirmed is done again by the next run."""
        self._check_process()
        with self._lock:
            if self._handle is None:
                raise ValueError("this run is closed; confirm before closing it, or before leaving the with block")
            _ffi.check(_ffi.load().ade_screen_confirm(self._handle))
            if self._final is not None:
                self._final = self._stats()

    @property
    def stats(self) -> Stats:
        """The counts so far; after the end, the final ones."""
        self._check_process()
        with self._lock:
            return self._stats() if self._final is None else self._final

    def _stats(self) -> Stats:
        stats = _ffi.ScreenStats()
        _ffi.check(_ffi.load().ade_screen_get_stats(self._handle, stats))
        return Stats(**{name: getattr(stats, name) for name in Stats.__dataclass_fields__})

    def close(self) -> None:
        """Ends the run. Closing twice is fine; ``stats`` remain."""
        if self._pid != os.getpid():  # it is the parent's
            self._handle = None
            return
        with self._lock:
            if self._handle is None:
                return
            self._final = self._stats()
            handle, self._handle = self._handle, None
            _ffi.load().ade_screen_close(handle)

    def __enter__(self) -> Screening:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __del__(self) -> None:
        with contextlib.suppress(Exception):
            self.close()
