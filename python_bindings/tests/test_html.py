# SPDX-License-Identifier: Apache-2.0
"""What notebooks show: escaped, short, and nothing is consumed by showing it."""

from __future__ import annotations

import os
import re
from html.parser import HTMLParser

import pytest

from adesieve import _html

EVIL = "<script>alert('x')</script> & \"quotes\" \x1b[31m \ud800 α"


class Reader(HTMLParser):
    """The cells' texts; fails where tags are not closed in their order."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open, self.cells, self.links, self.tags = [], [], [], set()
        self.feed(source)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.open.append(tag)
        self.tags.add(tag)
        if tag in ("td", "th"):
            self.cells.append("")
        if tag == "a":
            self.links.append(dict(attributes)["href"])

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.cells:
            self.cells[-1] += data


def test_sentences():
    page = _html.sentence_rows([(EVIL, 0.75, EVIL, EVIL), ("Second.", None, None, None), (None, 1.5, "ADE", None)])
    found = Reader(page)
    shown = EVIL.replace("\x1b", "\ufffd").replace("\ud800", "\ufffd")
    assert found.cells[:4] == ["score", "label", "text", "note"]
    assert found.cells[4:8] == ["0.7500", shown, shown, shown] and "script" not in found.tags
    assert found.cells[8:12] == ["–", "", "Second.", ""] and found.cells[12:15] == ["1.5000", "ADE", "no text"]
    assert "75.0%" in page and "100.0%" in page  # the bars
    page.encode("utf-8")
    for text, score in (("x", float("nan")), ("x", float("inf")), ("x", -3.0)):
        assert "0.0%" in _html.sentence_rows([(text, score, None, None)])
    assert not re.search(r"(?<!-)color:", page)  # the notebook's own, light or dark


def test_long_tables():
    rows = [(f"Sentence {i}.", 0.5, None, None) for i in range(1234)]
    found = Reader(_html.sentence_rows(rows))
    assert found.cells[:2] == ["score", "text"] and len(found.cells) == 2 * (1 + _html.SHOWN) - 0
    assert "and 1,214 more" in _html.sentence_rows(rows)
    assert "and 80 more" in _html.sentence_rows(rows[:30], total=100)
    assert "more" not in _html.sentence_rows(rows[: _html.SHOWN])
    assert "(9,000 more characters)" in _html.sentence_rows([("x" * 10_000, 0.5, None, None)])
    assert Reader(_html.sentence_rows([])).cells == ["score", "text"]


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "a<b>.xml"
    path.write_text(
        "<PubmedArticleSet>"
        + "".join(
            f"<PubmedArticle><MedlineCitation><PMID Version='1'>{i}</PMID><Article><ArticleTitle>Rash &lt;b&gt; {i}."
            f"</ArticleTitle></Article></MedlineCitation></PubmedArticle>"
            for i in range(7, 12)
        )
        + "<DeleteCitation><PMID Version='1'>7</PMID></DeleteCitation></PubmedArticleSet>"
    )
    return path


def test_hits(clf, file):
    *hits, deleted = clf.screen(file, all=True)
    found = Reader(hits[0]._repr_html_())
    assert found.links == ["https://pubmed.ncbi.nlm.nih.gov/7/"]
    assert found.cells[:5] == ["PMID", "part", "score", "label", "text"]
    assert found.cells[5:7] == ["7", "title"] and found.cells[9] == "Rash <b> 7." and "b" not in found.tags - {"b"}
    assert Reader(deleted._repr_html_()).cells[-1] == "no text"


def test_a_run(clf, file):
    run = clf.screen(file, all=True)
    assert "open" in repr(run) and "Screening, open" in run._repr_html_()
    assert next(run).pmid == 7  # showing it took nothing
    Reader(run._repr_html_())
    assert sum(1 for _ in run) == 5
    cells = Reader(run._repr_html_()).cells
    assert dict(zip(cells[::2], cells[1::2]))["rows given"] == "6"
    assert "at its end" in run._repr_html_()
    assert repr(run) == f"<Screening, at its end: 1 of 1 files, {run.stats.hits} hits>"
    other = clf.screen(file)
    other.close()
    assert "closed before its end" in repr(other)
    child = os.fork()
    if child == 0:
        os._exit(0 if "another process" in repr(other) + other._repr_html_() else 1)
    assert os.waitpid(child, 0)[1] == 0
