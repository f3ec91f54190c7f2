# SPDX-License-Identifier: Apache-2.0
"""Packages that may be missing, and progress bars."""

from __future__ import annotations

import sys

import pytest

from adesieve import _optional, _progress


def test_a_missing_package_names_its_extra():
    with pytest.raises(ImportError, match=r"needs no_such_package.*pip install 'adesieve\[arrow\]'") as caught:
        _optional.need("no_such_package.part", "arrow")
    assert caught.value.name == "no_such_package"


def test_a_broken_package_keeps_its_own_error(tmp_path, monkeypatch):
    (tmp_path / "broken_package.py").write_text("import another_that_is_missing\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="another_that_is_missing"):
        _optional.need("broken_package", "arrow")


class Counting:
    def __init__(self, **settings):
        self.settings, self.n, self.total, self.closed = settings, 0, settings["total"], False

    def update(self, n):
        self.n += n

    def refresh(self):
        pass

    def close(self):
        self.closed = True


def test_a_bar_of_ones_own():
    made = []
    bar = _progress.bar(lambda **settings: made.append(Counting(**settings)) or made[-1], 10, "text", "classify")
    bar.update(2)
    bar.move(7)
    bar.move(5)  # never back
    bar.set_total(12)
    bar.close()
    assert (made[0].n, made[0].total, made[0].closed, made[0].settings["unit"]) == (7, 12, True, "text")


def test_what_is_no_bar():
    with pytest.raises(TypeError, match="progress is 'yes'; it can be True, False"):
        _progress.bar("yes", 1, "text", "")


def test_no_bar_needs_nothing(monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    bar = _progress.bar(False, None, "text", "")
    bar.update(1)
    bar.move(3)
    bar.set_total(4)
    bar.close()


def test_tqdm(capsys):
    pytest.importorskip("tqdm")
    bar = _progress.bar(True, 4, "text", "classify")
    bar.move(4)
    bar.close()
    assert "classify: 100%" in capsys.readouterr().err
