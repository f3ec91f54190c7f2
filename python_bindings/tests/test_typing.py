# SPDX-License-Identifier: Apache-2.0
"""The annotations hold: mypy --strict over the package, over a client that is right and over one that is not."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

pytest.importorskip("mypy", reason="mypy is not installed")


@pytest.fixture(scope="module")
def mypy(root, tmp_path_factory):
    """Runs mypy on files, and gives its status and its lines."""
    cache = tmp_path_factory.mktemp("mypy")

    def run(*paths):
        done = subprocess.run(
            [sys.executable, "-m", "mypy", "--config-file", "pyproject.toml", "--cache-dir", cache, *paths],
            cwd=root / "python_bindings",
            env={**os.environ, "MYPYPATH": str(root / "python_bindings"), "MYPY_FORCE_COLOR": "0"},
            capture_output=True,
            text=True,
        )
        assert done.returncode in (0, 1), done.stdout + done.stderr  # 2: mypy itself failed
        return done.returncode, done.stdout

    return run


def test_package(mypy):
    status, said = mypy()
    assert status == 0, said
    assert re.search(r"no issues found in \d\d source files", said), said


def test_client(mypy):
    status, said = mypy("tests/typing_clients/good.py")
    assert status == 0, said


def test_mistakes_are_found(mypy, root):
    path = "tests/typing_clients/bad.py"
    lines = (root / "python_bindings" / path).read_text().splitlines()
    wrong = {number for number, line in enumerate(lines, 1) if line.endswith("# wrong")}
    status, said = mypy(path)
    found = {int(number) for number in re.findall(rf"^{path}:(\d+): error", said, re.MULTILINE)}
    assert status == 1 and found == wrong, said
    assert len(wrong) > 15


def test_marked_as_typed(root):
    assert (root / "python_bindings" / "adesieve" / "py.typed").exists()
