# SPDX-License-Identifier: Apache-2.0
"""The notebooks run from their first cell to their last, and what is committed of them is fit to be read by others."""

from __future__ import annotations

import base64
import csv
import importlib.machinery
import importlib.util
import json
import os
import re
import sys

import pytest

NOTEBOOKS = ["ade_in_medline.ipynb"]


@pytest.fixture
def folder(root):
    return root / "python_bindings" / "notebooks"


@pytest.fixture
def script(folder):
    """notebooks/run as a module."""
    loader = importlib.machinery.SourceFileLoader("notebooks_run", str(folder / "run"))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    module = importlib.util.module_from_spec(spec)
    writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = writes
    return module


def code(notebook):
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def outputs(notebook):
    return [output for cell in code(notebook) for output in cell["outputs"]]


def pictures(notebook):
    found = [output["data"]["image/png"] for output in outputs(notebook) if "image/png" in output.get("data", {})]
    return [base64.b64decode("".join(picture)) for picture in found]


@pytest.fixture
def quick(monkeypatch):
    """Where notebooks can be run: on few rows, and with the settings of the process left as they were."""
    for package in ("nbclient", "ipykernel", "matplotlib", "pandas", "pyarrow"):
        pytest.importorskip(package, reason=f"{package} is not installed")
    for name in ("ADE_NOTEBOOK_ROWS", "PYTHONPATH", "ADESIEVE_LIBRARY", "ADESIEVE_MODEL"):
        monkeypatch.setenv(name, os.environ.get(name, ""))
    if not os.environ["ADESIEVE_MODEL"]:
        monkeypatch.delenv("ADESIEVE_MODEL")


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_runs(script, folder, root, tmp_path, quick, monkeypatch, name):
    model = root / "models" / "adesieve-minilm"
    if not (model / "model.safetensors").exists():
        pytest.skip("the default model is not in the tree")
    monkeypatch.setenv("ADESIEVE_MODEL", str(model))
    made = script.run(folder / name, tmp_path / name, rows=60, seconds=120)
    assert [cell["execution_count"] for cell in code(made)] == list(range(1, len(code(made)) + 1))
    assert not [output for output in outputs(made) if output["output_type"] == "error"]
    committed = json.loads((folder / name).read_text("utf-8"))
    for ours, theirs in zip(code(committed), code(made)):
        kinds = [[sorted(output.get("data", {"text": 0})) for output in cell["outputs"]] for cell in (ours, theirs)]
        assert kinds[0] == kinds[1], ours["source"]  # a picture where there was one, a table where there was one
    assert json.loads((tmp_path / name).read_text("utf-8"))["cells"]


def test_a_failing_cell_is_found(script, tmp_path, quick):
    nbformat = pytest.importorskip("nbformat")
    bad = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 / 0")])
    nbformat.write(bad, tmp_path / "bad.ipynb")
    with pytest.raises(Exception, match="ZeroDivisionError"):
        script.run(tmp_path / "bad.ipynb", tmp_path / "out.ipynb")
    assert not (tmp_path / "out.ipynb").exists()


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_committed(folder, name):
    path = folder / name
    assert path.stat().st_size < 600_000
    notebook = json.loads(path.read_text("utf-8"))
    assert [cell["execution_count"] for cell in code(notebook)] == list(range(1, len(code(notebook)) + 1))
    assert {output["output_type"] for output in outputs(notebook)} <= {"display_data", "execute_result", "stream"}
    assert all(output.get("name") != "stderr" for output in outputs(notebook))
    assert set(notebook["metadata"]) == {"kernelspec", "language_info"}
    assert not any(cell["metadata"] for cell in notebook["cells"])
    shown = pictures(notebook)
    assert len(shown) >= 4 and all(picture.startswith(b"\x89PNG") and len(picture) > 5000 for picture in shown)
    readable = json.dumps([[cell["source"] for cell in notebook["cells"]], texts(notebook)], ensure_ascii=False)
    paths = r"(?<![\w:/.<])/(work|tmp|home|root|Users|usr|opt|var|mnt|private|proc)/|\b[A-Z]:\\\\"
    for text in [readable, *(picture.decode("latin-1") for picture in shown)]:
        assert not re.search(paths, text), re.search(paths, text)
        assert "Traceback" not in text


def texts(notebook):
    """What the outputs say in letters."""
    found = []
    for output in outputs(notebook):
        data = {kind: value for kind, value in output.get("data", {}).items() if not kind.startswith("image/")}
        found.append([data, output.get("text", "")])
    return found


def test_seen_rows(folder, data):
    """The rows that are left out are those of which the model's card speaks."""
    lines = (folder / "seen_rows.txt").read_text().splitlines()
    seen = {int(line) for line in lines if not line.startswith("#")}
    with open(data / "test.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    kept = [row for i, row in enumerate(rows) if i not in seen]
    assert len(seen) == 528 and max(seen) < len(rows)
    assert len(kept) == 3000 == len({row["text"] for row in kept})
    assert sum(row["label"] == "1" for row in kept) == 516


def test_usage(script, capsys):
    with pytest.raises(SystemExit) as left:
        script.main(["-o", "x.ipynb", "a.ipynb", "b.ipynb"])
    assert left.value.code == 2 and "one notebook" in capsys.readouterr().err
