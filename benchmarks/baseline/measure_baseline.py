# SPDX-License-Identifier: Apache-2.0
"""Measures the baseline, models/tfidf-logreg, beside scikit-learn on one thread; benchmarks/README.md says how.

Python strings in, an array of probabilities out, in one process and in turn (A B, A B, ..): adesieve's Python binding,
and TfidfVectorizer.transform with LogisticRegression.predict_proba on the same weights. The median counts. Before that
all probabilities are compared.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable

import numpy as np
import sklearn

import adesieve

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "training"))
from baseline import published_in_scikit_learn  # noqa: E402

MODEL = ROOT / "models" / "tfidf-logreg"
BAR = 10.0
"""Times scikit-learn's speed that is wanted."""


def peer() -> Callable[[list[str]], np.ndarray]:
    vectorizer, classifier = published_in_scikit_learn(MODEL)
    return lambda texts: classifier.predict_proba(vectorizer.transform(texts))


def processor() -> str:
    for line in open("/proc/cpuinfo", encoding="utf-8"):
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


def timed(fn: Callable[[list[str]], Any], texts: list[str]) -> tuple[float, float]:
    """Wall and processor seconds."""
    wall, used = time.perf_counter(), time.process_time()
    fn(texts)
    return time.perf_counter() - wall, time.process_time() - used


def print_table(result: dict[str, Any]) -> None:
    print(f"Processor: {result['processor']}; {result['date']}, commit {result['commit']}. {result['texts']} texts a call, "
          f"{result['rounds']} rounds, one thread. Load while measuring: {result['load']}.\n")
    print("| | version | texts/s | texts per CPU second | times as fast |\n|---|---|---|---|---|")
    for name, row in result["contenders"].items():
        print(f"| {name} | {row['version']} | {row['texts_per_second']:,.0f} | {row['texts_per_cpu_second']:,.0f} | "
              f"{row['times_as_fast']:.1f} |")
    print(f"\nLargest difference of a probability: {result['largest_difference']:.1e}. "
          f"{'Met' if result['met'] else 'MISSED'}: at least {BAR:g} times scikit-learn's speed per core.")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--repeat", type=int, default=4, help="how often the 3,528 sentences are in a call")
    parser.add_argument("--output", type=Path, help="JSON with every round")
    parser.add_argument("--table", type=Path, help="print the table of an earlier run and do nothing else")
    args = parser.parse_args()
    if args.table:
        print_table(json.loads(args.table.read_text(encoding="utf-8")))
        return 0
    with (ROOT / "tests" / "data" / "test.csv").open(encoding="utf-8", newline="") as stream:
        texts = [row["text"] for row in csv.DictReader(stream)] * args.repeat
    ours = adesieve.Classifier(MODEL, device="cpu", threads=1).predict_proba
    contenders: dict[str, tuple[Callable[[list[str]], Any], str]] = {
        "adesieve": (ours, adesieve.__version__), "scikit-learn": (peer(), sklearn.__version__)}
    results = [np.asarray(fn(texts)) for fn, _ in contenders.values()]  # which is the warm-up, too
    difference = float(np.abs(results[0] - results[1]).max())
    rounds: dict[str, list[tuple[float, float]]] = {name: [] for name in contenders}
    loads = []
    for _ in range(args.rounds):
        for name, (fn, _) in contenders.items():
            rounds[name].append(timed(fn, texts))
        loads.append(os.getloadavg()[0])
    commit = subprocess.run(["git", "-C", ROOT, "describe", "--always", "--dirty", "--abbrev=12"], check=False,
                            capture_output=True, text=True).stdout.strip()
    wall = {name: statistics.median(seconds for seconds, _ in values) for name, values in rounds.items()}
    used = {name: statistics.median(seconds for _, seconds in values) for name, values in rounds.items()}
    result = {
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(), "commit": commit,
        "processor": processor(), "python": platform.python_version(), "texts": len(texts), "rounds": args.rounds,
        "load": round(max(loads), 1), "largest_difference": difference,
        "contenders": {name: {
            "version": version, "texts_per_second": len(texts) / wall[name],
            "texts_per_cpu_second": len(texts) / used[name], "times_as_fast": used["scikit-learn"] / used[name],
            "wall_and_cpu_seconds": rounds[name]} for name, (_, version) in contenders.items()},
    }
    result["met"] = result["contenders"]["adesieve"]["times_as_fast"] >= BAR and difference < 1e-6
    if args.output:
        args.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print_table(result)
    return 0 if result["met"] else 1


if __name__ == "__main__":
    sys.exit(main())
