#!/usr/bin/env python3
"""Averages the weights of several runs of finetune.py, and can move the decision between the two labels.

    average.py RUN... --data DATA --out OUT [--bias]

The runs must have begun with the same weights (same base, same ``head_seed``) and have the same data; they may differ
in everything else. ``--bias`` adds to the ADE logit the shift that the validation part likes best: the highest mean
of the ADE F1 on all its rows and on its distinct rows that are not in train.csv. The shift goes into the classifier's
bias, so that the likelier label is the decision and nothing needs to be known of it later. One run alone can be given
for that.

Only the validation part is measured; the test part is not read. OUT gets ``best/``, a folder like a run's, and
``log.json`` with the scores of every run and of the average.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer, PreTrainedModel

from bias import best_shift
from corpus import Scores, Split, distinct_unseen, read_split, score, sha256_of
from finetune import Encoded, encode, predict, round_scores, write_json

PARTS = ("train.csv", "val.csv", "test.csv")


def read_logs(runs: list[Path]) -> list[dict[str, Any]]:
    """The runs' logs; refuses runs whose weights cannot be averaged."""
    logs = [json.loads((run / "log.json").read_text(encoding="utf-8")) for run in runs]
    for run, log in zip(runs, logs):
        if len(log["epochs"]) < log["recipe"]["epochs"]:
            raise ValueError(f"{run}: the run has made {len(log['epochs'])} of {log['recipe']['epochs']} epochs; "
                             "go on with finetune.py --resume")
        if log["base_sha256"] != logs[0]["base_sha256"]:
            raise ValueError(f"{run}: its base is another than that of {runs[0]}; such weights have no useful average")
        for name in PARTS:
            if log["data_sha256"][name] != logs[0]["data_sha256"][name]:
                raise ValueError(f"{run}: its {name} is another than that of {runs[0]}; what one run has trained on "
                                 "another one may be measured with")
        if log["recipe"]["head_seed"] != logs[0]["recipe"]["head_seed"]:
            raise ValueError(f"{run}: head_seed is {log['recipe']['head_seed']}, that of {runs[0]} is "
                             f"{logs[0]['recipe']['head_seed']}; such weights have no useful average")
    return logs


def mean_weights(files: list[Path]) -> dict[str, torch.Tensor]:
    """The mean of each tensor, summed in F64."""
    total = {name: tensor.double() for name, tensor in load_file(files[0]).items()}
    for path in files[1:]:
        tensors = load_file(path)
        if {name: tensor.shape for name, tensor in total.items()} != {
                name: tensor.shape for name, tensor in tensors.items()}:
            raise ValueError(f"{path}: other tensors than in {files[0]}")
        for name, tensor in tensors.items():
            total[name] += tensor.double()
    return {name: (tensor / len(files)).float() for name, tensor in total.items()}


class Validation:
    """The validation part, as a run sees it."""

    def __init__(self, data: Path, best: Path, recipe: dict[str, Any]) -> None:
        self.split: Split = read_split(data, "val")
        self.unseen = distinct_unseen(self.split, read_split(data, "train"))
        self.tokenizer = AutoTokenizer.from_pretrained(best, local_files_only=True)
        self.encoded: Encoded = encode(self.split, self.tokenizer, recipe["max_length"])

    def margins(self, model: PreTrainedModel) -> np.ndarray:
        logits = predict(model, self.encoded, int(self.tokenizer.pad_token_id))
        return np.asarray(logits[:, 1].astype(np.float64) - logits[:, 0])

    def measure(self, margins: np.ndarray) -> dict[str, Any]:
        predicted = (margins > 0).astype(np.int64)
        everything = score(self.split.labels, predicted)
        unseen = score([self.split.labels[row] for row in self.unseen], predicted[self.unseen])
        return {"validation": round_scores(everything), "validation_unseen": round_scores(unseen),
                "mean_f1": round((everything.f1 + unseen.f1) / 2, 6)}


def load(folder: Path) -> PreTrainedModel:
    model: PreTrainedModel = AutoModelForSequenceClassification.from_pretrained(
        folder, local_files_only=True, dtype=torch.float32)
    return model


def say(what: str, measured: dict[str, Any]) -> None:
    everything, unseen = (Scores(**measured[name]) for name in ("validation", "validation_unseen"))
    print(f"{what:30}  ADE P/R/F1  all rows {everything.precision:.4f}/{everything.recall:.4f}/{everything.f1:.4f}  "
          f"unseen {unseen.precision:.4f}/{unseen.recall:.4f}/{unseen.f1:.4f}  mean F1 {measured['mean_f1']:.4f}",
          flush=True)


def run_average(args: argparse.Namespace) -> None:
    logs = read_logs(args.runs)
    for name in ("train.csv", "val.csv"):
        if sha256_of(args.data / name) != logs[0]["data_sha256"][name]:
            raise ValueError(f"{args.data / name}: not the file that the runs were made with")
    files = [run / "best" / "model.safetensors" for run in args.runs]
    weights = mean_weights(files)
    validation = Validation(args.data, args.runs[0] / "best", logs[0]["recipe"])
    report: list[dict[str, Any]] = []
    for run, log in zip(args.runs, logs):
        measured = validation.measure(validation.margins(load(run / "best")))
        say(f"{run.name}, epoch {log['best_epoch']}", measured)
        report.append({"name": run.name, "recipe": log["recipe"], "best_epoch": log["best_epoch"],
                       "model_sha256": sha256_of(run / "best" / "model.safetensors"), **measured})

    model = load(args.runs[0] / "best")
    model.load_state_dict(weights)
    margins = validation.margins(model)
    average = validation.measure(margins)
    say(f"average of {len(files)}", average)
    result: dict[str, Any] = {
        "average_of": report,
        "versions": {name: importlib.metadata.version(name) for name in ("torch", "transformers", "numpy")},
        **{key: logs[0].get(key) for key in ("base", "base_sha256", "split")},
        "data_sha256": {name: logs[0]["data_sha256"][name] for name in PARTS},
        "average": average,
    }
    if args.bias:
        found = best_shift(margins, validation.split.labels, validation.unseen)
        bias = dict(model.named_parameters()).get("classifier.bias")
        if bias is None:
            raise ValueError(f"{args.runs[0]}: the model has no tensor classifier.bias to put a shift into; "
                             "leave --bias out")
        with torch.no_grad():
            bias[1] += found.shift
        shifted = validation.measure(validation.margins(model))
        say(f"with the ADE logit {found.shift:+.4f}", shifted)
        result["bias"] = {"shift": round(found.shift, 6), **shifted}
    best = args.out / "best"
    best.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(best)
    validation.tokenizer.save_pretrained(best)
    (best / "model.safetensors").chmod(0o644)
    result["model_sha256"] = sha256_of(best / "model.safetensors")
    write_json(args.out / "log.json", result)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", help="folders of finished runs of finetune.py")
    parser.add_argument("--data", type=Path, required=True, help="the folder of the runs' train.csv and val.csv")
    parser.add_argument("--out", type=Path, required=True, help="folder for best/ and log.json")
    parser.add_argument("--bias", action="store_true", help="move the decision by the validation part")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    try:
        run_average(args)
    except (OSError, ValueError) as problem:
        raise SystemExit(f"average.py: {problem}") from None
    return 0


if __name__ == "__main__":
    sys.exit(main())
