# SPDX-License-Identifier: Apache-2.0
"""`adesieve.inputs`: the order of files is the library's."""

from __future__ import annotations

import logging
import os

import pytest

from adesieve import Error, Status
from adesieve import inputs

FILE = "<PubmedArticleSet/>"


def test_order(tmp_path):
    names = ["pubmed26n0010.xml.gz", "pubmed26n0009.xml", "pubmed25n1300.xml", "extra.xml", "b2.xml", "b10.xml"]
    for name in ["notes.txt", *names]:
        (tmp_path / name).write_text(FILE)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "pubmed26n0009.xml").write_text(FILE)
    expected = ["extra.xml", "b2.xml", "b10.xml", "pubmed25n1300.xml", "pubmed26n0009.xml", "pubmed26n0010.xml.gz"]
    assert inputs(tmp_path) == inputs(str(tmp_path)) == [str(tmp_path / name) for name in expected]
    several = [tmp_path / "sub", tmp_path / "pubmed26n0010.xml.gz", str(tmp_path / "extra.xml")]
    expected = [tmp_path / "extra.xml", tmp_path / "sub" / "pubmed26n0009.xml", tmp_path / "pubmed26n0010.xml.gz"]
    assert inputs(iter(several)) == list(map(str, expected))
    assert inputs([]) == [] and inputs("-") == ["-"]


def test_it_is_the_order_of_a_run(clf, tmp_path):
    record = (
        "<PubmedArticle><MedlineCitation><PMID>{}</PMID><Article><ArticleTitle>Rash.</ArticleTitle></Article>"
        "</MedlineCitation></PubmedArticle>"
    )
    for i, name in enumerate(["z.xml", "pubmed27n0001.xml", "pubmed26n0003.xml", "a.xml", "pubmed26n0002.xml"]):
        (tmp_path / name).write_text(f"<PubmedArticleSet>{record.format(i + 1)}</PubmedArticleSet>")
    with clf.screen(tmp_path, all=True) as run:
        assert [os.path.basename(path) for path in inputs(tmp_path)] == [row.source for row in run]


def test_names_of_any_bytes(tmp_path):
    name = os.path.join(os.fsencode(tmp_path), b"\xff\xfe 1.xml")
    try:
        with open(name, "w") as file:
            file.write(FILE)
    except OSError:
        pytest.skip("this file system takes no such name")
    (found,) = inputs(tmp_path)
    assert os.fsencode(found) == name


def test_errors(tmp_path, caplog):
    file = tmp_path / "a.xml"
    file.write_text(FILE)
    with pytest.raises(Error, match="missing.xml") as caught:
        inputs([file, tmp_path / "missing.xml"])
    assert caught.value.status is Status.IO
    (tmp_path / "empty").mkdir()
    with pytest.raises(Error, match=r"holds no file named \*.xml"):
        inputs(tmp_path / "empty")
    with pytest.raises(Error, match="given twice") as caught:
        inputs([file, tmp_path])
    assert caught.value.status is Status.INVALID_ARGUMENT
    for wrong in (5, None, [5], [b"a.xml"]):
        with pytest.raises(TypeError):
            inputs(wrong)
    with pytest.raises(ValueError, match="NUL"):
        inputs(f"{file}\0.txt")
    os.symlink("a.xml", tmp_path / "b.xml")
    with caplog.at_level(logging.WARNING, "adesieve"):
        assert inputs(tmp_path) == [str(file)]
    assert "left out" in caplog.text
