# SPDX-License-Identifier: Apache-2.0
"""Measures the tokenizer beside nanotoken and Hugging Face tokenizers on one thread; benchmarks/README.md says how.

Each contender has a process of its own and the same texts; they take turns on one processor (A B C, A B C, ..), and the
median of processor time counts. Before that the ids of all texts are compared.
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
import tempfile
from pathlib import Path
from typing import Any

import adesieve

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))
from host import commit, processor  # noqa: E402

DATA = ROOT / "tests" / "data"
ARMS = {"adesieve": None, "adesieve, AVX2": "avx2", "adesieve, SSE4.2": "sse4.2", "adesieve, portable": "baseline"}
"""Contender: what ADESIEVE_MAX_ISA says."""
PEERS = ["nanotoken", "tokenizers"]
BARS = {"nanotoken": 1.3, "tokenizers": 80.0}
"""Times the peer's speed that is wanted, in every case."""
FIRST = [("corpus, first sight", "corpus"), ("MEDLINE, unseen, after the corpus", "medline"),
         ("512 tokens, after both", "long")]
REPEATED = [("corpus, repeated", "corpus"), ("MEDLINE, repeated", "medline"), ("512 tokens, repeated", "long")]


def corpus() -> list[str]:
    with (DATA / "test.csv").open(encoding="utf-8", newline="") as stream:
        return [row["text"] for row in csv.DictReader(stream)]


def medline(without: set[str]) -> list[str]:
    """The sentences of the MEDLINE files that come with the tests."""
    model = adesieve.Classifier(ROOT / "models" / "tfidf-logreg", device="cpu", threads=1)
    hits = model.screen([path for path in sorted((DATA / "medline").iterdir()) if "no_rows" not in path.name], all=True)
    return [text for text in dict.fromkeys(hit.text for hit in hits) if text and text not in without]  # deleted: None


def long_texts(sentences: list[str], most: int = 512) -> list[str]:
    """Sentences joined until one more would make more than `most` tokens."""
    import tokenizers

    tokenizer = tokenizers.Tokenizer.from_file(str(ROOT / "models" / "adesieve-minilm" / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    texts, parts, tokens = [], [], 2
    for sentence in sentences:
        n = len(tokenizer.encode(sentence).ids) - 2
        if tokens + n > most:
            texts.append(" ".join(parts))
            parts, tokens = [], 2
        parts.append(sentence)
        tokens += n
    return texts


def odd() -> list[str]:
    """The odd texts of tests/golden: control characters, marks, specials, long words. They are compared only."""
    lines = (ROOT / "tests" / "golden" / "tokenizer.jsonl").read_text("utf-8").splitlines()[1:]
    return list(dict.fromkeys(json.loads(line)[1] for line in lines))


class Contender:
    def __init__(self, name: str, cases: str) -> None:
        environment = dict(os.environ, RAYON_NUM_THREADS="1", TOKENIZERS_PARALLELISM="false", OMP_NUM_THREADS="1")
        environment.pop("ADESIEVE_MAX_ISA", None)
        if ARMS.get(name):
            environment["ADESIEVE_MAX_ISA"] = ARMS[name]
        command = [sys.executable, Path(__file__).with_name("tokenizer_contenders.py"), name.split(",")[0], cases]
        self.process = subprocess.Popen(command, env=environment, text=True, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)
        self.version = self.answer()

    def answer(self) -> Any:
        line = self.process.stdout.readline()
        if not line:
            sys.exit("a contender ended; its error stands above")
        return json.loads(line)

    def tell(self, command: str, case: str, argument: object) -> Any:
        self.process.stdin.write(f"{command} {case} {argument}\n")
        self.process.stdin.flush()
        return self.answer()

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def compare(names: list[str], cases: dict[str, list[str]], path: str, folder: str) -> tuple[dict, dict[str, int]]:
    """How many texts of each case have other ids than Hugging Face's, and the first of them; tokens of each case."""
    ids: dict[str, dict[str, list[list[int]]]] = {}
    for name in names:
        contender = Contender(name, path)
        ids[name] = {}
        for case in cases:
            file = os.path.join(folder, "ids.json")
            contender.tell("ids", case, file)
            ids[name][case] = json.loads(Path(file).read_text("utf-8"))
        contender.close()
    differences: dict[str, dict[str, Any]] = {}
    for name in names:
        for case, texts in cases.items():
            pairs = zip(texts, ids[name][case], ids["tokenizers"][case], strict=True)
            wrong = [text for text, got, want in pairs if got != want]
            differences.setdefault(name, {})[case] = {"texts": len(wrong), "examples": [t[:200] for t in wrong[:5]]}
    return differences, {case: sum(map(len, ids["tokenizers"][case])) for case in cases}


def measure(names: list[str], path: str, starts: int, rounds: int) -> dict[str, dict[str, list[float]]]:
    """Seconds by contender and row of the table."""
    seconds: dict[str, dict[str, list[float]]] = {name: {row: [] for row, _ in FIRST + REPEATED} for name in names}
    running = {}
    for number in range(starts):
        for name in names:
            contender = Contender(name, path)
            for row, case in FIRST:
                seconds[name][row] += contender.tell("time", case, 1)
            if number + 1 < starts:
                contender.close()
            else:
                running[name] = contender
    for _ in range(rounds):
        for row, case in REPEATED:
            for name in names:  # the first of them finds its memory cold, since another one ran before
                seconds[name][row].append(statistics.median(running[name].tell("time", case, 3)))
    for contender in running.values():
        contender.close()
    return seconds


def print_table(result: dict[str, Any]) -> None:
    print(f"Processor: {result['processor']}; {result['date']}, commit {result['commit']}. One thread, "
          f"{result['starts']} starts, {result['rounds']} rounds. Load while measuring: {result['load']}.\n")
    for case, facts in result["cases"].items():
        print(f"- {case}: {facts['texts']:,} texts, {facts['bytes']:,} bytes, {facts['tokens']:,} tokens")
    names = list(result["contenders"])
    print("\nMB/s of text (million tokens/s):\n")
    print("| | " + " | ".join(f"{name} {result['contenders'][name]['version']}" for name in names) + " |")
    print("|---" * (len(names) + 1) + "|")
    for row, case in FIRST + REPEATED:
        facts = result["cases"][case]
        cells = []
        for name in names:
            used = result["contenders"][name]["median_seconds"][row]
            cells.append(f"{facts['bytes'] / used / 1e6:.1f} ({facts['tokens'] / used / 1e6:.1f})")
        print(f"| {row} | " + " | ".join(cells) + " |")
    print("\n| times as fast as | " + " | ".join(PEERS) + " | |\n|---|---|---|---|")
    for row, values in result["times_as_fast"].items():
        cells = [f"{values[peer]:.2f}" for peer in PEERS] + ["met" if values["met"] else "MISSED"]
        print(f"| {row} | " + " | ".join(cells) + " |")
    bars = " and ".join(f"{bar:g} times {peer}" for peer, bar in BARS.items())
    print(f"\nWanted: {bars}, in every row. Texts with other ids than the reference's: " + "; ".join(
        f"{name} " + ", ".join(f"{values['texts']} ({case})" for case, values in by_case.items())
        for name, by_case in result["differences"].items()) + ".")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9, help="of repeated texts")
    parser.add_argument("--starts", type=int, default=7, help="processes that see the texts for the first time")
    parser.add_argument("--output", type=Path, help="JSON with every round")
    parser.add_argument("--table", type=Path, help="print the table of an earlier run and do nothing else")
    args = parser.parse_args()
    if args.table:
        print_table(json.loads(args.table.read_text(encoding="utf-8")))
        return 0
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    cases = {"corpus": corpus()}
    cases["medline"] = medline(set(cases["corpus"]))
    cases["long"] = long_texts(cases["medline"] + cases["corpus"])
    names = list(ARMS) + PEERS
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "cases.json")
        compared = cases | {"odd": odd()}
        Path(path).write_text(json.dumps(compared), "utf-8")
        differences, tokens = compare(names, compared, path, folder)
        Path(path).write_text(json.dumps(cases), "utf-8")
        versions = {}
        for name in names:
            contender = Contender(name, path)
            versions[name] = contender.version
            contender.close()
        seconds = measure(names, path, args.starts, args.rounds)
    load = os.getloadavg()[0]
    medians = {name: {row: statistics.median(values) for row, values in rows.items()} for name, rows in seconds.items()}
    times = {}
    for row, _ in FIRST + REPEATED:
        times[row] = {peer: medians[peer][row] / medians["adesieve"][row] for peer in PEERS}
        times[row]["met"] = all(times[row][peer] >= bar for peer, bar in BARS.items())
    result = {
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(), "commit": commit(),
        "processor": processor(), "python": platform.python_version(), "starts": args.starts, "rounds": args.rounds,
        "load": round(load, 1),
        "cases": {case: {"texts": len(texts), "bytes": sum(len(t.encode()) for t in texts), "tokens": tokens[case]}
                  for case, texts in cases.items()},
        "contenders": {name: {"version": versions[name], "median_seconds": medians[name], "seconds": seconds[name]}
                       for name in names},
        "times_as_fast": times, "differences": differences,
    }
    ours = sum(values["texts"] for name in ARMS for values in differences[name].values())
    result["met"] = all(values["met"] for values in times.values()) and ours == 0
    if args.output:
        args.output.write_text(json.dumps(result, indent=1, ensure_ascii=True) + "\n", encoding="utf-8")
    print_table(result)
    return 0 if result["met"] else 1


if __name__ == "__main__":
    sys.exit(main())
