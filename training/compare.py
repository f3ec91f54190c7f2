#!/usr/bin/env python3
"""Measures every system on the ADE corpus side by side and writes benchmarks/accuracy.md.

    compare.py --adesieve build/adesieve --data CARD --grouped GROUPED

``CARD`` holds the published train.csv, val.csv and test.csv (``split.py card``), ``GROUPED`` what ``split.py
grouped`` writes. Models are run by ``adesieve evaluate``. On the grouped split the baseline is trained anew
(scikit-learn), and our model is the folder that ``--grouped-model`` names. Means over seeds come from the logs of
finetune.py that ``--runs`` names: files NAME-seedN.json are runs of one recipe.

What is not at hand is shown as "not measured". ``--results`` gets all figures as JSON. The test parts decide nothing
here: this script chooses no model and no threshold.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Mapping, Sequence

import numpy as np

from card import write_text
from corpus import Scores, Split, bootstrap_intervals, distinct_unseen, read_split, score, sha256_of
from decisions import mcnemar, rebuild

ROOT = Path(__file__).resolve().parent.parent
BIOBERT_ERRORS = 145
REPLICATES, SEED = 10_000, 42
"""Of the bootstrap, here and in adesieve evaluate."""
MEASURES = ("accuracy", "weighted_f1", "precision", "recall", "f1")
Bounds = tuple[float, float]


@dataclass(frozen=True)
class Measured:
    """A system on one set of sentences."""

    scores: Scores
    bounds: dict[str, Bounds]

    def as_dict(self) -> dict[str, Any]:
        return {**self.scores.as_dict(),
                "interval_95": {name: None if math.isnan(self.bounds[name][0]) else list(self.bounds[name])
                                for name in MEASURES}}


@dataclass
class System:
    """A row of the tables; a set of sentences that it was not measured on is not in ``measured``."""

    name: str
    measured: dict[str, Measured]
    decisions: dict[str, np.ndarray]
    about: dict[str, Any]


@dataclass(frozen=True)
class Seeds:
    """Runs of one recipe that differ in the seed alone: what each measured, by set."""

    name: str
    seeds: list[int]
    values: dict[str, list[dict[str, float]]]


def from_decisions(labels: Sequence[int], decisions: Sequence[int] | np.ndarray) -> Measured:
    return Measured(score(labels, decisions),
                    bootstrap_intervals(labels, list(decisions), replicates=REPLICATES, seed=SEED))


def from_evaluate(report: Mapping[str, Any]) -> Measured:
    """One set of adesieve evaluate's JSON."""
    (tn, fp), (fn, tp) = report["confusion"]
    labels = [0] * (tn + fp) + [1] * (fn + tp)
    counted = score(labels, [0] * tn + [1] * fp + [0] * fn + [1] * tp)
    ade = report["labels"]["ADE"]
    for name, value in (("accuracy", report["accuracy"]), ("weighted_f1", report["weighted_f1"]), ("f1", ade["f1"])):
        if abs(getattr(counted, name) - value) > 1e-9:
            raise ValueError(f"adesieve evaluate says {name} {value}, its confusion matrix {getattr(counted, name)}")
    bounds = {name: tuple(report[f"{name}_interval"]) for name in ("accuracy", "weighted_f1")}
    bounds |= {name: tuple(ade[f"{name}_interval"]) for name in ("precision", "recall", "f1")}
    return Measured(counted, bounds)


@dataclass(frozen=True)
class Part:
    """A test file, and which of its rows make which set."""

    folder: Path
    test: Split
    sets: dict[str, list[int]]

    @staticmethod
    def read(folder: Path, whole: str, unseen: str | None) -> Part:
        test, train = read_split(folder, "test"), read_split(folder, "train")
        sets = {whole: list(range(len(test)))}
        if unseen:
            sets[unseen] = distinct_unseen(test, train)
        return Part(folder, test, sets)

    def measure(self, decisions: np.ndarray) -> dict[str, Measured]:
        return {name: from_decisions([self.test.labels[row] for row in rows], decisions[rows])
                for name, rows in self.sets.items()}


class Command:
    """The built adesieve."""

    def __init__(self, path: Path, threads: int | None) -> None:
        self.path, self.options = path, ["--threads", str(threads)] if threads else []

    def evaluate(self, name: str, model: Path, part: Part, precision: str | None) -> System:
        with tempfile.TemporaryDirectory() as folder:
            errors = Path(folder) / "errors.csv"
            command = [str(self.path), "evaluate", "-q", "-f", "json", "--bootstrap", str(REPLICATES),
                       "--seed", str(SEED), "-m", str(model), "--seen", str(part.folder / "train.csv"),
                       "--errors", str(errors),
                       *(["--precision", precision] if precision else []), *self.options, str(part.folder / "test.csv")]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise ValueError(f"adesieve evaluate -m {model} ended with status {done.returncode}: "
                                 f"{done.stderr.strip()}")
            report = json.loads(done.stdout)
            decisions = rebuild(part.test, errors)
        measured = {name: from_evaluate(section) for name, section in
                    zip(part.sets, (report, report["unseen"]))}
        for (set_name, ours), rows in zip(measured.items(), part.sets.values()):
            again = score([part.test.labels[row] for row in rows], decisions[rows])
            if again != ours.scores:
                raise ValueError(f"adesieve evaluate -m {model}: its list of errors does not give its figures "
                                 f"({set_name}: {again.errors} and {ours.scores.errors} errors)")
        about = {**{key: report["model"][key] for key in ("name", "sha256", "device", "precision")},
                 "adesieve": report["version"]}
        return System(name, measured, {next(iter(part.sets)): decisions}, about)


def read_seeds(files: Sequence[Path], parts: Mapping[str, Part]) -> list[Seeds]:
    """Groups of finetune.py's logs, the sets by the digest of the test file that a run was measured on."""
    by_digest = {part.test.sha256: list(part.sets) for part in parts.values()}
    groups: dict[str, list[tuple[int, dict[str, Any]]]] = {}
    for path in sorted(files):
        match = re.fullmatch(r"(.+)-seed(\d+)", path.stem)
        log = json.loads(path.read_text(encoding="utf-8"))
        if not match or "test_f32" not in log:
            raise ValueError(f"{path}: not the log of a finished run, or not named NAME-seedN.json")
        if log["recipe"]["seed"] != int(match[2]):
            raise ValueError(f"{path}: the run's seed is {log['recipe']['seed']}")
        groups.setdefault(match[1], []).append((int(match[2]), log))
    found = []
    for name, runs in groups.items():
        alike = {json.dumps([{**log["recipe"], "seed": 0}, log["data_sha256"], log["base_sha256"],
                             log.get("teachers_sha256", [])], sort_keys=True) for _, log in runs}
        if len(alike) > 1:
            raise ValueError(f"the runs {name}-seed*.json differ in more than the seed")
        runs.sort(key=lambda run: run[0])
        sets = by_digest.get(runs[0][1]["data_sha256"]["test.csv"], [])
        values = {set_name: [log[key] for _, log in runs]
                  for set_name, key in zip(sets, ("test_f32", "test_unseen_f32"))}
        found.append(Seeds(name, [seed for seed, _ in runs], values))
    return found


HEADER = ["| system | accuracy | weighted F1 | ADE precision | ADE recall | ADE F1 | errors = FP + FN |",
          "|---|---|---|---|---|---|---|"]


def table(set_name: str, systems: Sequence[System], seeds: Sequence[Seeds]) -> list[str]:
    lines = list(HEADER)
    for system in systems:
        found = system.measured.get(set_name)
        if found is None:
            lines.append(f"| {system.name} | not measured | | | | | |")
            continue
        s = found.scores
        lines.append(f"| {system.name} | " + " | ".join(f"{getattr(s, name):.3f}" for name in MEASURES) +
                     f" | {s.errors} = {s.fp} + {s.fn} |")
        lines.append("| 95 % interval | " + " | ".join(
            "not defined" if math.isnan(low) else f"{low:.3f}-{high:.3f}"
            for low, high in (found.bounds[name] for name in MEASURES)) + " | |")
    for group in seeds:
        values = group.values.get(set_name)
        if not values:
            continue
        cells = []
        for name in MEASURES:
            column = [entry[name] for entry in values]
            spread = f" ± {statistics.stdev(column):.3f}" if len(column) > 1 else ""
            cells.append(f"{statistics.mean(column):.3f}{spread}")
        errors = statistics.mean(entry["errors"] for entry in values)
        lines.append(f"| {group.name}, mean of {len(values)} run{'s' * (len(values) > 1)} "
                     f"(seed{'s' * (len(values) > 1)} {', '.join(map(str, group.seeds))}) | "
                     + " | ".join(cells) + f" | {errors:.0f} |")
        if len(values) > 1:
            lines.append("| lowest to highest | " + " | ".join(
                f"{min(e[name] for e in values):.3f}-{max(e[name] for e in values):.3f}" for name in MEASURES) + " | |")
    return lines


def pairs(set_name: str, part: Part, systems: Sequence[System]) -> list[str]:
    """Each two systems by McNemar's test, on the rows of one set; our model in bf16 only beside itself in f32."""
    whole = next(iter(part.sets))
    known = [system for system in systems if whole in system.decisions]
    if len(known) < 2:
        return []
    rows = part.sets[set_name]
    labels = [part.test.labels[row] for row in rows]
    lines = ["| A | B | only A right | only B right | p |", "|---|---|---|---|---|"]
    for i, first in enumerate(known):
        for second in known[i + 1:]:
            if second.name.endswith("bf16") and not first.name.endswith("f32"):
                continue
            a, b, p = mcnemar(labels, first.decisions[whole][rows], second.decisions[whole][rows])
            lines.append(f"| {first.name} | {second.name} | {a} | {b} | {f'{p:.2g}' if p >= 1e-4 else '< 0.0001'} |")
    return lines


CARD_ROWS, CARD_UNSEEN, GROUPED = "card", "card_unseen", "grouped"


def heading(set_name: str, part: Part | None) -> list[str]:
    counts = ""
    if part:
        rows = part.sets[set_name]
        counts = f": {len(rows):,} rows, {sum(part.test.labels[row] for row in rows):,} ADE"
    return {
        CARD_ROWS: [f"## The published test split{counts}", "",
                    "Drawn over rows, one a relation. Many of its rows are verbatim in the training part: to compare "
                    "with published figures, not to quote."],
        CARD_UNSEEN: [f"## Its distinct sentences that do not occur in the training part{counts}", "",
                      "The figures to quote for new sentences. Other sentences of nearly every abstract were seen in "
                      "training."],
        GROUPED: [f"## New documents: the split by abstract{counts}", "",
                  "No abstract and no sentence is in two parts (`training/split.py grouped`). Models here were trained "
                  "on this split's training part; a model of the tables above has seen most of these sentences, so it "
                  "has no row. The intervals take rows for independent, which sentences of one abstract are not "
                  "quite."],
    }[set_name]


def document(systems: dict[str, list[System]], parts: dict[str, Part], seeds: Sequence[Seeds]) -> str:
    lines = [
        "# Accuracy on the ADE corpus V2", "",
        "Made by `training/compare.py`; [results/accuracy.json](results/accuracy.json) has every figure in full, the "
        "digests of the models and of the data. Labels are the likelier of the two; precision, recall and F1 are those "
        "of the label ADE. Rows under a system: 95 % intervals, percentile bootstrap over rows, "
        f"{REPLICATES:,} samples. Means of several runs: ± is the standard deviation between seeds, measured with "
        "PyTorch in f32.", "",
        "- **always negative** says `not ADE` of everything.",
        "- **TF-IDF + logistic regression** is the published baseline, run by `adesieve evaluate` (on the split by "
        "abstract: trained anew with the same settings).",
        "- **BioBERT** is the published `scheun/biobert-ade-classifier`. Its row on the published split is rebuilt "
        f"from its author's list of its {BIOBERT_ERRORS} errors: every other row it labelled rightly.",
        "- **adesieve-minilm** is the model that ships with adesieve, run by `adesieve evaluate`.", ""]
    for set_name in (CARD_ROWS, CARD_UNSEEN, GROUPED):
        part = parts.get(GROUPED if set_name == GROUPED else CARD_ROWS)
        rows = systems[GROUPED if set_name == GROUPED else CARD_ROWS]
        lines += [*heading(set_name, part), "", *table(set_name, rows, seeds), ""]
        tests = pairs(set_name, part, [system for system in rows if "always" not in system.name]) if part else []
        if tests:
            lines += ["Rows that only one of two systems labels rightly, with McNemar's exact test:", "", *tests, ""]
    lines += [
        "## BioBERT with its own weights", "",
        "Whoever has the folder of `scheun/biobert-ade-classifier` runs", "",
        "```sh", "adesieve evaluate -m DIR --precision f32 --errors errors.csv tests/data/test.csv", "```", "",
        f"It must print {BIOBERT_ERRORS} errors, 96 false positives and 49 false negatives. "
        "`training/compare.py --biobert DIR` puts what it measures into the tables instead of the rebuilt row.", "",
        "## To make this file", "",
        "```sh",
        "python training/split.py card CORPUS CARD && python training/split.py grouped CORPUS GROUPED",
        "python training/compare.py --adesieve build/adesieve --data CARD --grouped GROUPED \\",
        "    --grouped-model RUN/best",
        "```", ""]
    return "\n".join(lines)


def train_baseline(data: Path, out: Path) -> None:
    done = subprocess.run([sys.executable, str(ROOT / "training" / "baseline.py"), str(out), "--data", str(data)],
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ValueError(f"baseline.py --data {data}: {done.stderr.strip()}")


def try_evaluate(command: Command | None, name: str, model: Path | None, part: Part, precision: str | None) -> System:
    """A row; an empty one, and the reason on standard error, where command, folder or precision is not to be had."""
    empty = System(name, {}, {}, {})
    if command is None or model is None:
        return empty
    if not (model / "config.json").exists():
        print(f"compare.py: {name}: {model} is no model folder; not measured", file=sys.stderr)
        return empty
    try:
        return command.evaluate(name, model, part, precision)
    except ValueError as problem:
        if precision != "bf16":
            raise
        print(f"compare.py: {name}: {problem}; not measured", file=sys.stderr)
        return empty


def always_negative(part: Part) -> System:
    return System("always negative", part.measure(np.zeros(len(part.test), dtype=np.int64)), {}, {})


def card_systems(args: argparse.Namespace, command: Command | None, part: Part) -> list[System]:
    if args.biobert:
        biobert = try_evaluate(command, "BioBERT", args.biobert, part, "f32")
    else:
        decisions = rebuild(part.test, args.biobert_errors)
        wrong = int(np.sum(decisions != np.array(part.test.labels)))
        if wrong != BIOBERT_ERRORS:
            raise ValueError(f"{args.biobert_errors}: {wrong} errors; the published list has {BIOBERT_ERRORS}")
        biobert = System("BioBERT (from its list of errors)", part.measure(decisions), {CARD_ROWS: decisions},
                         {"errors_sha256": sha256_of(args.biobert_errors)})
    return [always_negative(part),
            try_evaluate(command, "TF-IDF + logistic regression", args.baseline, part, None),
            biobert,
            *(try_evaluate(command, f"**{args.model.name}**, {precision}", args.model, part, precision)
              for precision in ("f32", "bf16"))]


def grouped_systems(args: argparse.Namespace, command: Command | None, part: Part | None) -> list[System]:
    names = ("always negative", "TF-IDF + logistic regression", "BioBERT", f"**{args.model.name}'s recipe**, f32",
             f"**{args.model.name}'s recipe**, bf16")
    if part is None:
        return [System(name, {}, {}, {}) for name in names]
    with tempfile.TemporaryDirectory() as folder:
        baseline = args.grouped_baseline
        if baseline is None and command is not None:
            baseline = Path(folder) / "tfidf-logreg-grouped"
            train_baseline(part.folder, baseline)
        return [always_negative(part),
                try_evaluate(command, names[1], baseline, part, None),
                System(names[2], {}, {}, {}),
                *(try_evaluate(command, name, args.grouped_model, part, precision)
                  for name, precision in zip(names[3:], ("f32", "bf16")))]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--adesieve", type=Path, help="the built command; without it no model is run")
    parser.add_argument("--data", type=Path, required=True, help="folder of the published split")
    parser.add_argument("--grouped", type=Path, help="folder of the split by abstract")
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "adesieve-minilm", help="our model")
    parser.add_argument("--baseline", type=Path, default=ROOT / "models" / "tfidf-logreg",
                        help="the published baseline")
    parser.add_argument("--grouped-model", type=Path, help="a model trained on the split by abstract")
    parser.add_argument("--grouped-baseline", type=Path, help="a baseline trained on it (default: one is trained)")
    parser.add_argument("--biobert", type=Path, help="folder of BioBERT's weights, instead of the list of its errors")
    parser.add_argument("--biobert-errors", type=Path, default=ROOT / "tests" / "data" / "biobert_errors.csv",
                        help="its author's list (default: the one in tests/data)")
    parser.add_argument("--runs", type=Path, nargs="*", help="logs of runs (default: training/results/*-seed*.json)")
    parser.add_argument("--threads", type=int, help="of adesieve")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "accuracy.md")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results" / "accuracy.json")
    args = parser.parse_args(argv)
    runs = args.runs if args.runs is not None else sorted((ROOT / "training" / "results").glob("*-seed*.json"))
    command = Command(args.adesieve, args.threads) if args.adesieve else None
    try:
        parts = {CARD_ROWS: Part.read(args.data, CARD_ROWS, CARD_UNSEEN)}
        if args.grouped:
            parts[GROUPED] = Part.read(args.grouped, GROUPED, None)
        seeds = read_seeds(runs, parts)
        systems = {CARD_ROWS: card_systems(args, command, parts[CARD_ROWS]),
                   GROUPED: grouped_systems(args, command, parts.get(GROUPED))}
        text = document(systems, parts, seeds)
        report = {
            "data_sha256": {name: {f"{part_name}.csv": sha256_of(part.folder / f"{part_name}.csv")
                                   for part_name in ("train", "val", "test")} for name, part in parts.items()},
            "bootstrap": {"samples": REPLICATES, "seed": SEED},
            "systems": {which: [{"name": system.name.replace("*", ""), "run": system.about,
                                 "measured": {name: found.as_dict() for name, found in system.measured.items()}}
                                for system in rows] for which, rows in systems.items()},
            "runs": [{"name": group.name, "seeds": group.seeds, "measured": group.values} for group in seeds],
        }
        args.results.parent.mkdir(parents=True, exist_ok=True)
        write_text(args.results, json.dumps(report, indent=2) + "\n")
        write_text(args.out, text)
    except (OSError, ValueError) as problem:
        raise SystemExit(f"compare.py: {problem}") from None
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
