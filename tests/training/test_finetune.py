"""finetune.py and average.py on a tiny model: a run that was interrupted ends with the weights of one that was not."""

import filecmp
import json
import os
import subprocess
import sys

import pytest

from conftest import ROOT

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

import average  # noqa: E402
import card  # noqa: E402

DRIVER = """
import os, sys
sys.dont_write_bytecode = True
sys.path.insert(0, {training!r})
import finetune
where, wanted = sys.argv[1], int(sys.argv[2])
owner, name = {{"loss": (finetune.Trainer, "loss"), "state": (finetune, "save_state"),
               "card": (finetune, "write_card"), "none": (finetune, "main")}}[where]
calls, real = 0, getattr(owner, name)
def end(*a, **k):
    global calls
    calls += 1
    if calls == wanted:
        os._exit(9)
    return real(*a, **k)
if where != "none":
    setattr(owner, name, end)
sys.exit(finetune.main(sys.argv[3:]))
"""

RECIPE = """distinct = true
epochs = 3
batch = 16
bucket = 2
learning_rate = 3e-3
layer_decay = 0.9
warmup = 0.1
tag_weight = 0.5
drug_swap = 0.3
average = 0.5
choose_by = "mean_f1"
precision = "f32"
"""


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finetune")
    rows = (ROOT / "tests" / "data" / "test.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    short = [rows[0]] + [row for row in rows[1:] if not row.startswith('"') and len(row) < 90]
    for i, name in enumerate(("train", "val", "test")):
        (folder / f"{name}.csv").write_text(rows[0] + "".join(short[1 + 80 * i:81 + 80 * i]), encoding="utf-8")
    with (folder / "DRUG-AE.rel").open("w", encoding="utf-8") as out:
        for row in short[1:]:
            text, label = row.rstrip("\n").rsplit(",", 1)
            words = text.split()
            if label == "1" and len(words) > 2:
                effect, drug = words[0], words[-1]
                out.write(f"1|{text}|{effect}|0|{len(effect)}|{drug}|{text.rindex(drug)}|{len(text)}\n")
    (folder / "recipe.toml").write_text(RECIPE)
    (folder / "driver.py").write_text(DRIVER.format(training=str(ROOT / "training")))
    return folder


def finetune(material, out, where, number, *more):
    return subprocess.run(
        [sys.executable, str(material / "driver.py"), where, str(number), str(material / "recipe.toml"), "--base",
         str(ROOT / "tests" / "data" / "tiny_bert_cls"), "--data", str(material), "--relations",
         str(material / "DRUG-AE.rel"), "--out", str(out), "--device", "cpu", "--threads", "1", "--max-steps", "3",
         *more],
        env={**os.environ, "HF_HUB_OFFLINE": "1"}, capture_output=True, text=True, check=False).returncode


@pytest.fixture(scope="module")
def whole(material):
    assert finetune(material, material / "whole", "none", 0) == 0
    return material / "whole"


def same(a, b):
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


def test_interrupted_runs_end_alike(material, whole, tmp_path):
    # In the middle of the second epoch; after the best weights of it, before the state; before the card.
    for where, number, more in (("loss", 5, ()), ("state", 1, ("--resume",)), ("card", 1, ("--resume",))):
        assert finetune(material, tmp_path / "cut", where, number, *more) == 9
    assert finetune(material, tmp_path / "cut", "none", 0, "--resume") == 0
    states = [torch.load(run / "state.pt", weights_only=True) for run in (whole, tmp_path / "cut")]
    assert all(same(states[0][key], states[1][key]) for key in states[0] if key != "log")
    names = sorted(path.name for path in (whole / "best").iterdir())
    assert {"README.md", "checksums.sha256", "config.json", "model.safetensors", "tokenizer.json"} <= set(names)
    assert filecmp.cmpfiles(whole / "best", tmp_path / "cut" / "best", names, shallow=False) == (names, [], [])


def test_another_seed_makes_another_model(material, whole, tmp_path):
    assert finetune(material, tmp_path / "other", "none", 0, "--seed", "7") == 0
    files = [run / "best" / "model.safetensors" for run in (whole, tmp_path / "other")]
    assert not filecmp.cmp(*files, shallow=False)

    out = tmp_path / "average"
    runs = [str(whole), str(tmp_path / "other")]
    assert average.main([*runs, "--data", str(material), "--out", str(out), "--bias"]) == 0
    log = json.loads((out / "log.json").read_text())
    assert "test" not in " ".join(log) and log["bias"]["mean_f1"] >= log["average"]["mean_f1"]
    a, b, c = (average.load_file(run / "best" / "model.safetensors") for run in (whole, tmp_path / "other", out))
    for name in c:
        mean = (a[name].double() + b[name].double()) / 2
        if name == "classifier.bias":
            mean[1] += log["bias"]["shift"]
        assert torch.allclose(c[name].double(), mean, rtol=1e-6, atol=2e-6), name

    log = json.loads((whole / "log.json").read_text())
    log["recipe"]["head_seed"] += 1
    (tmp_path / "third").mkdir()
    (tmp_path / "third" / "log.json").write_text(json.dumps(log))
    with pytest.raises(SystemExit, match="head_seed"):
        average.main([str(whole), str(tmp_path / "third"), "--data", str(material), "--out", str(out)])


def test_resuming_with_another_recipe_is_refused(material, whole):
    assert finetune(material, whole, "none", 0, "--resume", "--seed", "8") not in (0, 9)
    assert card.main([str(whole)]) == 0  # nothing was broken by it
