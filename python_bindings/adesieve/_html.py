# SPDX-License-Identifier: Apache-2.0
"""Tables that notebooks show: sentences with their scores.

Colours are half transparent and the text keeps the notebook's own, so that both light and dark ones can be read.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence
from typing import Any

from .calibration import Calibration

#: (text, score, label, note); a text of None is a row that has none, a score of None one without.
Row = tuple[object, object, object, object]

SHOWN = 20  #: rows of a table
_LONGEST = 1000  #: characters of a text

_TABLE = '<table style="border-collapse:collapse;text-align:left">'
_CELL = "padding:.2em .6em;text-align:left;vertical-align:top"
_NUMBER = "padding:.2em .6em;text-align:right;vertical-align:top;white-space:nowrap;font-variant-numeric:tabular-nums"
_QUIET = "opacity:.65"
_BAR = "rgba(220,90,20,.45)"


def escape(value: object) -> str:
    """The value as text that HTML shows as it is. Control characters and lone surrogates become U+FFFD."""
    text = "".join("\ufffd" if (c < " " and c not in "\t\n") or "\ud800" <= c <= "\udfff" else c for c in str(value))
    return html.escape(text, quote=True)


def pubmed_link(pmid: int) -> str:
    """The PMID, as a link to its page."""
    return (
        f'<a href="https://pubmed.ncbi.nlm.nih.gov/{int(pmid)}/" target="_blank" rel="noopener noreferrer">'
        f"{int(pmid)}</a>"
    )


def _score_cell(score: object) -> str:
    if score is None:
        return f'<td style="{_NUMBER};{_QUIET}">&ndash;</td>'
    value = float(score)  # type: ignore[arg-type]  # a number, or its error
    share = min(max(value, 0.0), 1.0) if math.isfinite(value) else 0.0
    bar = f"background:linear-gradient(to right,{_BAR} {share:.1%},transparent {share:.1%})"
    return f'<td style="{_NUMBER};min-width:6em;{bar}">{value:.4f}</td>'


def _text_cell(text: object) -> str:
    if text is None:
        return f'<td style="{_CELL};{_QUIET}">no text</td>'
    shown = str(text)
    if len(shown) <= _LONGEST:
        return f'<td style="{_CELL}">{escape(shown)}</td>'
    left = f'<span style="{_QUIET}"> &hellip; ({len(shown) - _LONGEST:,} more characters)</span>'
    return f'<td style="{_CELL}">{escape(shown[:_LONGEST])}{left}</td>'


def _table(heads: Sequence[str], lines: Sequence[str], left: int) -> str:
    head = "".join(f'<th style="{_CELL}">{escape(name)}</th>' for name in heads)
    more = f'<div style="{_QUIET}">and {left:,} more</div>' if left > 0 else ""
    return f"{_TABLE}<thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>{more}"


def sentence_rows(rows: Iterable[Row], total: int | None = None) -> str:
    """A table of sentences: the score with a bar, the label, the text.

    Parameters
    ----------
    rows : iterable of (text, score, label or None, note or None)
        The first 20 are shown, and how many more there are is said. A column that has no value at all is left out.
    total : int, optional
        How many there are, where ``rows`` are not all. By default they are counted.

    Returns
    -------
    str
        HTML. All texts are escaped.

    Examples
    --------
    >>> "Rash &lt;3 days" in sentence_rows([("Rash <3 days after amoxicillin.", 0.93, "ADE", None)])
    True
    """
    taken: list[Row] = []
    count = 0
    for row in rows:
        if count < SHOWN:
            taken.append(row)
        elif total is not None:
            break
        count += 1
    labels = any(label is not None for _, _, label, _ in taken)
    notes = any(note is not None for _, _, _, note in taken)
    heads = ["score", *(["label"] if labels else []), "text", *(["note"] if notes else [])]
    lines = []
    for text, score, label, note in taken:
        cells = [_score_cell(score)]
        if labels:
            cells.append(f'<td style="{_CELL}">{"" if label is None else escape(label)}</td>')
        cells.append(_text_cell(text))
        if notes:
            cells.append(f'<td style="{_CELL};{_QUIET}">{"" if note is None else escape(note)}</td>')
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return _table(heads, lines, (count if total is None else total) - len(taken))


def hit_rows(rows: Iterable[tuple[int, str, object, object, object]]) -> str:
    """A table of a screening's rows: (pmid, where in the record, text, score, label). The PMID is a link to PubMed."""
    lines: list[str] = []
    left = 0
    for pmid, place, text, score, label in rows:
        if len(lines) == SHOWN:
            left += 1
            continue
        cells = [
            f'<td style="{_NUMBER}">{pubmed_link(pmid)}</td>',
            f'<td style="{_CELL};{_QUIET}">{escape(place)}</td>',
            _score_cell(score),
            f'<td style="{_CELL}">{"" if label is None else escape(label)}</td>',
            _text_cell(text),
        ]
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return _table(["PMID", "part", "score", "label", "text"], lines, left)


def facts(title: str, pairs: Iterable[tuple[str, object]]) -> str:
    """A title, and names with their values below it; whole numbers are grouped by thousands."""
    lines = []
    for name, value in pairs:
        shown = f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else escape(value)
        lines.append(f'<tr><td style="{_CELL};{_QUIET}">{escape(name)}</td><td style="{_CELL}">{shown}</td></tr>')
    return f"<div><b>{escape(title)}</b></div>{_TABLE}<tbody>{''.join(lines)}</tbody></table>"


def classifier(info: dict[str, Any], calibration: Calibration | None) -> str:
    """What a `Classifier` is, from its ``info`` and ``calibration``."""
    fitted = "none"
    if calibration is not None:
        on = f", {calibration.data}" if calibration.data else ""
        fitted = f"{calibration.method}, fitted on {calibration.n:,} texts{on}"
    return facts(
        f"Classifier {info['name']}",
        [
            ("model", info["folder"]),
            ("architecture", info["architecture"]),
            ("parameters", info["n_parameters"]),
            ("labels", ", ".join(info["labels"])),
            ("positive label", info["positive_label"]),
            ("device", f"{info['device']}: {info['device_name']}" if info["device_name"] else info["device"]),
            ("precision", info["precision"]),
            ("max_length", info["max_length"]),
            ("calibration", fitted),
        ],
    )
