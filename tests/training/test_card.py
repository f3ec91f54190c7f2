"""card.py: the card says what the log says, and the checksums are those of the files."""

import json
import struct
import subprocess

import pytest

import card
from corpus import score
from split import CARD_SHA256


@pytest.fixture
def run(tmp_path):
    best = tmp_path / "best"
    best.mkdir()
    (best / "config.json").write_text(json.dumps({
        "architectures": ["BertForSequenceClassification"], "num_hidden_layers": 2, "hidden_size": 8,
        "num_attention_heads": 2}))
    header = json.dumps({"__metadata__": {"format": "pt"},
                         "a": {"dtype": "F32", "shape": [3, 4], "data_offsets": [0, 48]},
                         "b": {"dtype": "F32", "shape": [], "data_offsets": [48, 52]}}).encode()
    (best / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(52))
    scores = score([1] * 10 + [0] * 90, [1] * 9 + [0] * 1 + [1] * 3 + [0] * 87).as_dict()
    epoch = {"train_loss": 0.5, "validation": scores, "validation_unseen": scores}
    log = {"recipe": {"epochs": 2, "learning_rate": 2e-05, "max_length": 128, "choose_by": "weighted_f1", "seed": 42},
           "versions": {"python": "3.11.7", "torch": "1"}, "machine": {"device": "cpu", "threads": 2},
           "split": {"kind": "card", "seed": 42}, "data_sha256": {"train.csv": "abc"}, "base": "bert",
           "base_sha256": {"model.safetensors": "def"}, "training_sentences": 70, "steps_per_epoch": 5, "max_steps": 0,
           "epochs": [{"epoch": 1, **epoch}, {"epoch": 2, **epoch}], "best_epoch": 2,
           "test_f32": scores, "test_unseen_f32": scores}
    (tmp_path / "log.json").write_text(json.dumps(log))
    return tmp_path


def test_card(run):
    assert card.main([str(run)]) == 0
    text = (run / "best" / "README.md").read_text()
    assert text.startswith("---\n") and "13 parameters" in text
    assert "| test.csv | 100 | 10 | 0.9600 | 0.9616 | 0.7500 | 0.9000 | **0.8182** | 4 = 3 + 1 |" in text
    assert "| 2 (kept) | 0.500 |" in text and "| learning_rate | 2e-05 |" in text and "`abc`" in text
    assert "verbatim in train.csv" in text and "Not a trained model" not in text
    subprocess.run(["sha256sum", "--check", "--quiet", "--strict", card.CHECKSUMS], cwd=run / "best", check=True)
    assert (run / "best" / card.CHECKSUMS).read_text().count("\n") == 3


def test_it_is_the_same_again(run):
    card.main([str(run)])
    before = {path.name: path.read_bytes() for path in (run / "best").iterdir()}
    card.main([str(run)])
    assert before == {path.name: path.read_bytes() for path in (run / "best").iterdir()}


def test_a_run_that_is_not_finished_has_no_card(run):
    log = json.loads((run / "log.json").read_text())
    del log["test_f32"]
    (run / "log.json").write_text(json.dumps(log))
    with pytest.raises(SystemExit, match="not finished"):
        card.main([str(run)])
    assert not (run / "best" / "README.md").exists()


def test_a_split_is_known_by_its_digests(tmp_path, monkeypatch):
    parts = {}
    for name in ("train", "val", "test"):
        (tmp_path / f"{name}.csv").write_text("text,label\nx,1\n")
        parts[name] = {"sha256": card.sha256_of(tmp_path / f"{name}.csv")}
    assert card.split_of(tmp_path) is None
    (tmp_path / "split.json").write_text(json.dumps({"kind": "grouped", "seed": 7, "parts": parts}))
    assert card.split_of(tmp_path) == {"kind": "grouped", "seed": 7}
    (tmp_path / "val.csv").write_text("text,label\ny,1\n")
    assert card.split_of(tmp_path) is None
    monkeypatch.setattr(card, "sha256_of", lambda path: CARD_SHA256[path.name])
    assert card.split_of(tmp_path) == {"kind": "card", "seed": 42}
