# SPDX-License-Identifier: Apache-2.0
"""The examples in the documentation run as written."""

from __future__ import annotations

import doctest

import adesieve
from adesieve import classifier, screening


def test_docstrings(clf, tiny, monkeypatch):
    monkeypatch.chdir(tiny.parent.parent.parent)
    ran = 0
    for module in (adesieve, classifier, screening):
        result = doctest.testmod(module, extraglobs={"clf": clf}, optionflags=doctest.NORMALIZE_WHITESPACE)
        assert result.failed == 0
        ran += result.attempted
    assert ran >= 8
