# SPDX-License-Identifier: Apache-2.0
"""What a screening gives: `Hit`, its `Record`, the `InputFile`s and the counts, `Stats`."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass, field

from . import _ffi, _html
from ._arrow import PARTS
from .errors import Status

__all__ = ["Hit", "InputFile", "Record", "Stats"]


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
    With ``documents=True``, a record of which no sentence was screened has neither part, text nor score.

    Examples
    --------
    >>> hit = next(clf.screen("tests/data/medline/pubmed1.xml", all=True))
    >>> hit.part, hit.sentence, hit.text[hit.start : hit.end] == hit.text
    ('title', 0, True)
    """

    pmid: int
    version: int
    part: str | None  #: "title", "abstract", "other_abstract", "deleted", or "record" where ``record_rows`` asks for it
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
    record: Record | None = field(repr=False)  #: the citation; None for a deleted one
    text_hash: int | None = None  #: of a row of part "record": equal for equal texts

    def _repr_html_(self) -> str:
        return _html.hit_rows([_shown(self)])


def _shown(hit: Hit) -> tuple[int, str, object, object, object]:
    place = ", ".join(filter(None, [hit.part, hit.section]))
    return hit.pmid, place, hit.text, hit.score, hit.label


@dataclass(frozen=True)
class InputFile:
    """An input whose end was passed."""

    name: str  #: the last part of its path
    path: str
    status: str  #: "done", "skipped" (the store has it), "cut" (the limit was reached in it) or "failed"
    error: str | None  #: why it failed, in one sentence
    md5: str | None  #: of the file as stored, where it was read whole
    md5_checked: bool  #: whether FILE.md5 says the same
    bytes: int
    bytes_xml: int
    citations: int
    new_citations: int
    revised: int
    unchanged: int
    superseded: int
    deleted: int
    sentences: int
    screened: int
    hits: int
    rows: int
    tokens: int
    seconds: float


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


# ---- From what the library gives ---------------------------------------------------------------------------------


def _string(text: _ffi.Text) -> str | None:
    return None if text.data is None else ctypes.string_at(text.data, text.size).decode("utf-8", "replace")


def _text(text: _ffi.Text) -> str:
    return _string(text) or ""


def _list(texts: _ffi.TextList) -> tuple[str, ...]:
    return tuple(_text(texts.items[i]) for i in range(texts.n))


def _name(name: bytes | None) -> str:
    return name.decode("utf-8", "surrogateescape") if name else ""


def record_of(record: _ffi.ScreenRecord) -> Record:
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


def file_of(file: _ffi.ScreenFile) -> InputFile:
    failed = file.status not in (Status.OK, Status.END)
    counts = [name for name, kind in InputFile.__annotations__.items() if kind in ("int", "float")]
    return InputFile(
        name=_name(file.name),
        path=_name(file.path),
        status="skipped" if file.skipped else "failed" if failed else "cut" if file.status == Status.END else "done",
        error=(file.error or b"").decode("utf-8", "replace") if failed else None,
        md5=file.md5.decode("ascii") if file.md5 else None,
        md5_checked=bool(file.md5_checked),
        **{name: getattr(file, name) for name in counts},
    )


def hit_of(row: _ffi.ScreenRow, record: Record | None, labels: tuple[str, ...], columns: int) -> Hit:
    """A row as the library gave it. ``labels`` is () for a regression model; ``columns`` are there in either case."""
    marks = row.part in (_ffi.Part.DELETED, _ffi.Part.RECORD)
    scored = not marks and row.sentence >= 0
    result = row.result
    count = columns if scored else 0
    return Hit(
        pmid=row.pmid,
        version=row.version,
        part=PARTS[row.part] if scored or marks else None,
        section=_string(row.section),
        sentence=row.sentence,
        start=row.start_char,
        end=row.end_char,
        text=_text(row.text) if scored else None,
        label=labels[result.label] if labels and scored else None,
        score=result.score if scored else None,
        calibrated=row.calibrated if scored and row.calibrated >= 0 else None,
        hit=bool(row.hit),
        scores=tuple(row.probabilities[:count]) if count else (),
        logits=tuple(row.logits[:count]) if count else (),
        tokens=result.tokens,
        unknown=result.unknown,
        truncated=bool(result.truncated),
        source=_name(row.source),
        record=record,
        text_hash=row.text_hash if row.part == _ffi.Part.RECORD else None,
    )
