# SPDX-License-Identifier: Apache-2.0
"""The examples in the docstrings and in the guides run as written, with the source tree as the current folder."""

from __future__ import annotations

import doctest
import importlib
import importlib.util
import pkgutil
import re
from pathlib import Path

import pytest

import adesieve

FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
NAMES = ["adesieve", *(f"adesieve.{module.name}" for module in pkgutil.iter_modules(adesieve.__path__))]
#: What a module's examples need beside numpy.
NEEDS = {
    "_arrow": "pyarrow pandas",
    "_parquet": "pyarrow",
    "classifier": "pyarrow pandas",
    "command": "pyarrow",
    "merge": "pyarrow",
    "ray": "ray",
    "results": "pyarrow pandas",
    "screening": "pyarrow pandas",
    "sklearn": "sklearn",
    "spark": "pyspark",
}
GUIDES = sorted(Path(__file__).resolve().parents[1].glob("docs/*.md"))


@pytest.fixture
def names(clf, tiny, root, monkeypatch):
    """What examples may use without saying where it comes from."""
    monkeypatch.chdir(root)
    return {"clf": clf, "adesieve": adesieve}


@pytest.mark.parametrize("name", NAMES)
def test_module(name, names):
    for package in NEEDS.get(name.rpartition(".")[2], "").split():
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    module = importlib.import_module(name)
    assert module.__doc__, f"{name} does not say what it is for"
    result = doctest.testmod(module, extraglobs=names, optionflags=FLAGS)
    assert result.failed == 0


@pytest.mark.parametrize("path", GUIDES, ids=lambda path: path.stem)
def test_guide(path, names):
    result = doctest.testfile(str(path), module_relative=False, globs=names, optionflags=FLAGS)
    assert result.failed == 0


def test_there_are_examples():
    """Else the tests above pass by finding nothing."""
    finder = doctest.DocTestFinder()
    count = sum(len(test.examples) for test in finder.find(adesieve.Classifier, globs={}))
    assert count >= 8
    assert {"choosing", "errors", "transformers"} <= {path.stem for path in GUIDES}
    assert sum(len(re.findall("^>>> ", path.read_text("utf-8"), re.MULTILINE)) for path in GUIDES) >= 6


def test_a_wrong_example_is_found(names):
    wrong = doctest.DocTestParser().get_doctest(">>> len(clf.labels)\n3\n", names, "wrong", None, 0)
    assert doctest.DocTestRunner(optionflags=FLAGS, verbose=False).run(wrong, out=lambda text: None).failed == 1
