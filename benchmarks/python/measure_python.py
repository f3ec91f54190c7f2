# SPDX-License-Identifier: Apache-2.0
"""Measures what the Python package adds to ade_classify called by a C program; benchmarks/README.md says how.

The C program is a process of its own that sleeps between its turns; all Python contenders share one Classifier. They
take turns (A B C, A B C, ..) on the same texts and with the same number of threads, once all are warm. All
probabilities are compared bit by bit. Time inside ade_classify is also taken in Python, by a watch round that one
function, so that what Python does beside it is known far below the differences between two runs.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path
from typing import Any, Callable, Dict

import numpy as np
import pandas as pd
import pyarrow as pa

import adesieve
from adesieve import _ffi

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "tests" / "data"
DEFAULT, BASELINE = "adesieve-minilm", "tfidf-logreg"
ROUNDS = {DEFAULT: 3, BASELINE: 51}
SHORT = ["predict_proba(list)", "predict_proba(numpy, object)", "predict_proba(pandas, object)", "predict_proba(Arrow)",
         "clf(list)"]
"""With the default model, which takes a quarter of a minute for each. Memory is measured with the baseline alone: what
Python takes depends on texts and answers, not on the model."""
BAR = 0.03
"""Of the C program's processor time may be added at most, with the default model."""
C = "C program"

Contenders = Dict[str, Callable[[], Any]]


def corpus(count: int) -> list[str]:
    """Sentences of the MEDLINE samples, then the test rows, then both again until there are enough."""
    with adesieve.Classifier(DATA / "tiny_bert_cls", max_length=3) as clf:
        with clf.screen(DATA / "medline", all=True, keep_going=True) as run:
            texts = [hit.text for hit in run if hit.text]
    texts += pd.read_csv(DATA / "test.csv")["text"].tolist()
    return (texts * (count // len(texts) + 1))[:count]


class Watch:
    """Adds up the wall seconds inside ade_classify."""

    def __init__(self) -> None:
        library = _ffi.load()
        self.seconds = 0.0
        self._classify = library.ade_classify
        library.ade_classify = self

    def __call__(self, *arguments: Any) -> int:
        start = time.perf_counter()
        status = self._classify(*arguments)
        self.seconds += time.perf_counter() - start
        return int(status)


class Peer:
    """The C program, which classifies once for each line that it gets."""

    def __init__(self, build: Path, model: Path, threads: int, texts: list[str]) -> None:
        folder = build / "benchmarks" / "python"
        folder.mkdir(parents=True, exist_ok=True)
        self._file = folder / "probabilities"
        with open(folder / "texts", "wb") as file:
            for text in texts:
                data = text.encode()
                file.write(b"%d\n%b" % (len(data), data))
        self._process = subprocess.Popen(
            [build / "benchmarks" / "bench_classify", model, str(threads), folder / "texts", self._file],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        self.peak_kib = 0

    def turn(self) -> tuple[float, float]:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline().split()
        if len(answer) != 3:
            raise SystemExit("bench_classify ended early")
        self.peak_kib = int(answer[2])
        return float(answer[0]), float(answer[1])

    def probabilities(self) -> np.ndarray:
        return np.fromfile(self._file, dtype=np.float32)

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()


def contenders_of(clf: adesieve.Classifier, texts: list[str]) -> Contenders:
    array, column = np.array(texts, dtype=object), pd.Series(texts, dtype=object)
    fixed, arrow_column, arrow = np.array(texts), pd.Series(texts, dtype="string[pyarrow]"), pa.array(texts)
    return {
        "predict_proba(list)": lambda: clf.predict_proba(texts),
        "predict_proba(numpy, object)": lambda: clf.predict_proba(array),
        "predict_proba(numpy, U)": lambda: clf.predict_proba(fixed),
        "predict_proba(pandas, object)": lambda: clf.predict_proba(column),
        "predict_proba(pandas, Arrow storage)": lambda: clf.predict_proba(arrow_column),
        "predict_proba(Arrow)": lambda: clf.predict_proba(arrow),
        "clf(list)": lambda: clf(texts),
        "classify(list)": lambda: clf.classify(texts),
    }


def memory_of(fn: Callable[[], Any]) -> dict[str, int]:
    """Bytes that a call takes at peak and that its answer then holds, of Python's, NumPy's and Arrow's memory."""
    pool = pa.default_memory_pool()
    before, highest = pool.bytes_allocated(), pool.max_memory()
    tracemalloc.start()
    answer = fn()
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del answer
    arrow = max(pool.bytes_allocated() - before, pool.max_memory() - highest)
    return {"peak": peak, "kept": kept, "arrow": arrow}


def measure(args: argparse.Namespace, name: str, rounds: int, texts: list[str], watch: Watch) -> dict[str, Any]:
    folder = ROOT / "models" / name
    peer = Peer(args.build, folder, args.threads, texts)
    with adesieve.Classifier(folder, device="cpu", threads=args.threads) as clf:
        contenders = contenders_of(clf, texts)
        if name == DEFAULT:
            contenders = {contender: contenders[contender] for contender in SHORT}
        turns: dict[str, list[dict[str, float]]] = {contender: [] for contender in (C, *contenders)}
        clf.predict_proba(texts[:500])
        peer.turn()
        expected = peer.probabilities().reshape(len(texts), -1)
        for number in range(1, rounds + 1):
            wall, used = peer.turn()
            turns[C].append({"wall": wall, "cpu": used, "beside": 0.0})
            for contender, fn in contenders.items():
                inside, wall, used = watch.seconds, time.perf_counter(), time.process_time()
                answer = fn()
                wall, used = time.perf_counter() - wall, time.process_time() - used
                turns[contender].append({"wall": wall, "cpu": used, "beside": wall - (watch.seconds - inside)})
                if isinstance(answer, np.ndarray) and not np.array_equal(answer, expected):
                    raise SystemExit(f"{name}: {contender} gives other probabilities than the C program")
                del answer
            print(f"{name}: round {number} of {rounds}, load {os.getloadavg()[0]:.1f}", file=sys.stderr)
        memory = {contender: memory_of(fn) for contender, fn in contenders.items()} if name == BASELINE else {}
        info = clf.info
        own = (16 + 8) * len(texts) + expected.nbytes  # an ade_text and a number on the way to it each, and the answer
    peer.close()
    result: dict[str, Any] = {
        "rounds": rounds, "precision": info["precision"], "threads": info["threads"], "peak_kib_of_c": peer.peak_kib,
        "addresses_and_answer": own, "contenders": {},
    }
    for contender, values in turns.items():
        row = {key: statistics.median(value[key] for value in values) for key in ("wall", "cpu", "beside")}
        ratios = [value["cpu"] / base["cpu"] for value, base in zip(values, turns[C])]
        row["added_cpu"] = statistics.median(ratios) - 1  # of the same round
        row["added_beside"] = row["beside"] / (row["wall"] - row["beside"])
        result["contenders"][contender] = {**row, "memory": memory.get(contender), "turns": values}
    return result


def bars(result: dict[str, Any]) -> list[tuple[bool, str]]:
    """What is wanted, and whether it is so."""
    found = []
    rows = result["models"].get(DEFAULT, {}).get("contenders", {})
    for key, what in (("added_cpu", "processor time against the C program"), ("added_beside", "beside ade_classify")):
        others = [(contender, row) for contender, row in rows.items() if contender != C]
        if others:
            contender, row = max(others, key=lambda item: item[1][key])
            found.append((row[key] < BAR, f"less than {BAR:.0%} added, {what}: at most {row[key]:.2%}, {contender}"))
    model = result["models"].get(BASELINE, {"contenders": {}})
    for contender, allowed in (("predict_proba(list)", 1), ("predict_proba(Arrow)", 0),
                               ("predict_proba(pandas, Arrow storage)", 0)):
        if contender in model["contenders"]:
            memory = model["contenders"][contender]["memory"]
            taken = memory["peak"] + memory["arrow"] - model["addresses_and_answer"]
            share = max(0.0, taken / result["bytes"])
            # The buffer of an encoding grows by an eighth of itself.
            wanted = "one encoding" if allowed else "no copy"
            found.append((share < allowed + 0.25, f"{contender} takes {share:.2f} of the texts' bytes beside its answer"
                          f" and the texts' addresses: {wanted}"))
    return found


def print_tables(result: dict[str, Any]) -> None:
    print(f"Processor: {result['processor']}; {result['date']}, commit {result['commit']}. {result['texts']} texts a "
          f"call, {result['bytes']} bytes of UTF-8. Load while measuring: {result['load']}. Python {result['python']}, "
          + ", ".join(f"{name} {version}" for name, version in result["versions"].items()) + ".")
    for name, model in result["models"].items():
        print(f"\n{name}, {model['precision']}, {model['threads']} threads, {model['rounds']} rounds:\n")
        print("| | wall, ms | processor, ms | added to the C program's processor time | beside ade_classify, ms | "
              "of its time | µs a text | peak of Python's memory, kB | kept |\n|---|---|---|---|---|---|---|---|---|")
        for contender, row in model["contenders"].items():
            head = f"| {contender} | {1e3 * row['wall']:,.1f} | {1e3 * row['cpu']:,.1f} |"
            if contender == C:
                print(f"{head} | | | | | |")
                continue
            memory = row["memory"]
            sizes = " | "
            if memory:
                sizes = f"{(memory['peak'] + memory['arrow']) / 1e3:,.0f} | {memory['kept'] / 1e3:,.0f}"
            print(f"{head} {row['added_cpu']:+.2%} | {1e3 * row['beside']:.2f} | {row['added_beside']:.3%} | "
                  f"{1e6 * row['beside'] / result['texts']:.2f} | {sizes} |")
    sizes = ", ".join(f"{model['peak_kib_of_c'] / 1024:.0f} MiB ({name})" for name, model in result["models"].items())
    print(f"\nPeak of the whole process: C program {sizes}; Python with all models and inputs "
          f"{result['peak_kib'] / 1024:.0f} MiB.\n")
    for met, text in bars(result):
        print(f"- {'met' if met else 'MISSED'}: {text}")


def processor() -> str:
    for line in open("/proc/cpuinfo", encoding="utf-8"):
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=Path, default=ROOT / "build", help="where bench_classify was built")
    parser.add_argument("--texts", type=int, default=10000, help="in a call (10000)")
    parser.add_argument("--threads", type=int, default=0, help="of all contenders; 0 = as many as processors (0)")
    parser.add_argument("--rounds", type=int, help=f"for each model ({ROUNDS})")
    parser.add_argument("--models", default=",".join(ROUNDS), help=f"some of them ({','.join(ROUNDS)})")
    parser.add_argument("--output", type=Path, help="JSON with every round")
    parser.add_argument("--table", type=Path, metavar="JSON", help="only print the tables of an earlier run")
    args = parser.parse_args()
    if args.table:
        print_tables(json.loads(args.table.read_text(encoding="utf-8")))
        return 0
    load = os.getloadavg()[0]
    if load > 0.5:
        print(f"warning: the machine is busy (load {load:.1f}); a quiet one's numbers count", file=sys.stderr)
    texts = corpus(args.texts)
    watch = Watch()
    commit = subprocess.run(["git", "-C", ROOT, "describe", "--always", "--dirty", "--abbrev=12"], check=False,
                            capture_output=True, text=True).stdout.strip()
    result: dict[str, Any] = {
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(), "commit": commit,
        "processor": processor(), "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in ("numpy", "pandas", "pyarrow")},
        "texts": len(texts), "bytes": sum(len(text.encode()) for text in texts), "load_before": round(load, 1),
        "models": {},
    }
    for name in args.models.split(","):
        result["models"][name] = measure(args, name, args.rounds or ROUNDS[name], texts, watch)
    result["load"] = round(max(load, os.getloadavg()[0]), 1)
    result["peak_kib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if args.output:
        args.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print_tables(result)
    return 0 if all(met for met, _ in bars(result)) else 1


if __name__ == "__main__":
    sys.exit(main())
