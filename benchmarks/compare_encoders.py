# SPDX-License-Identifier: Apache-2.0
"""Measures adesieve and its peers on one machine, from text in to probability out; benchmarks/README.md says how.

Each contender is a process of its own that keeps its model open and sleeps while another is measured. Rounds alternate
(A B C, A B C, ..), so that a machine that slows down slows everybody down; the median counts.
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

from contenders import CONTENDERS, convert, has_bf16, quiet_environment

ROOT = Path(__file__).resolve().parents[1]
LATENCY_TEXTS = 500
LATENCY_BLOCK = 100


# ---- A contender's process: one JSON request a line, one answer a line ----------------------------------------------


def memory_mib(name: str) -> float:
    for line in open("/proc/self/status", encoding="ascii"):
        if line.startswith(name):
            return int(line.split()[1]) / 1024
    return 0.0


def work(arguments: argparse.Namespace) -> None:
    name, precision, threads = arguments.worker[0], arguments.worker[1], int(arguments.worker[2])
    answers, sys.stdout = sys.stdout, sys.stderr  # libraries print what they like
    texts = read_texts(arguments)
    start = time.perf_counter()
    contender = CONTENDERS[name](arguments.model, arguments.work, precision, threads)
    opened = time.perf_counter() - start
    for line in sys.stdin:
        request = json.loads(line)
        if request["do"] == "open":
            answer = {"seconds": opened, "version": contender.version}
        elif request["do"] == "setups":
            answer = {"setups": contender.setups()}
        elif request["do"] == "try":  # every sixteenth text: lengths of all kinds
            contender.use(request["setup"])
            some = texts[::16]
            contender.probabilities(some)
            seconds = []
            for _ in range(2):
                start = time.perf_counter()
                contender.probabilities(some)
                seconds.append(time.perf_counter() - start)
            answer = {"seconds": min(seconds)}
        elif request["do"] == "use":
            contender.use(request["setup"])
            answer = {}
        elif request["do"] == "round":
            start, cpu = time.perf_counter(), time.process_time()
            contender.probabilities(texts)
            answer = {"seconds": time.perf_counter() - start, "cpu": time.process_time() - cpu}
        elif request["do"] == "latency":
            seconds = []
            for text in texts[request["first"] : request["first"] + request["count"]]:
                start = time.perf_counter()
                contender.probabilities([text])
                seconds.append(time.perf_counter() - start)
            answer = {"seconds": seconds}
        elif request["do"] == "logits":
            answer = {"logits": contender.logits(texts).tolist()}
        else:
            answer = {"mib": memory_mib("VmHWM")}
        print(json.dumps(answer), file=answers, flush=True)


class Worker:
    def __init__(self, arguments: argparse.Namespace, name: str, precision: str, threads: int) -> None:
        self.name, self.precision, self.threads = name, precision, threads
        command = [sys.executable, __file__, "--model", arguments.model, "--texts", arguments.texts]
        command += ["--work", arguments.work, "--worker", name, precision, str(threads)]
        if arguments.first:
            command += ["--first", str(arguments.first)]
        self.process = subprocess.Popen(
            list(map(str, command)),
            env=quiet_environment(threads),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None if arguments.verbose else subprocess.DEVNULL,
            text=True,
        )

    def ask(self, do: str, **more: object) -> dict:
        self.process.stdin.write(json.dumps({"do": do, **more}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{self}: its process ended; run again with --verbose to see why")
        return json.loads(line)

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait(60)

    def __str__(self) -> str:
        return f"{self.name} {self.precision}, {self.threads} threads"


# ---- Measuring --------------------------------------------------------------------------------------------------------


def read_texts(arguments: argparse.Namespace) -> list[str]:
    with open(arguments.texts, newline="", encoding="utf-8") as file:
        return [row["text"] for row in csv.DictReader(file)][: arguments.first or None]


def say(*words: object) -> None:
    print(*words, file=sys.stderr, flush=True)


def measure(arguments: argparse.Namespace, threads: int, n_texts: int, n_tokens: int) -> list[dict]:
    """All contenders with a number of threads; one row each."""
    workers = [
        Worker(arguments, name, precision, threads)
        for name, kind in CONTENDERS.items()
        if name in arguments.contenders
        for precision in kind.precisions
        if precision in arguments.precisions
    ]
    rows = []
    for worker in workers:
        opened = worker.ask("open")
        tried = [{"setup": s, **worker.ask("try", setup=s)} for s in worker.ask("setups")["setups"]]
        best = min(tried, key=lambda t: t["seconds"])["setup"]
        worker.ask("use", setup=best)
        say(f"{worker}: open {opened['seconds']:.2f} s, {best or 'defaults'}")
        rows.append(
            {
                "name": worker.name,
                "precision": worker.precision,
                "threads": threads,
                "version": opened["version"],
                "open_seconds": opened["seconds"],
                "setup": best,
                "setups_tried": tried,
                "rounds": [],
                "cpu_seconds": [],
                "latency": [],
                "load": [],
            }
        )
    for number in range(arguments.rounds + 1):  # the first warms up
        for worker, row in zip(workers, rows):
            answer = worker.ask("round")
            if number:
                row["rounds"].append(answer["seconds"])
                row["cpu_seconds"].append(answer["cpu"])  # far below seconds x threads: the machine was busy
                row["load"].append(os.getloadavg()[0])
        say("round", number, *(f"{row['rounds'][-1]:.2f}" for row in rows if row["rounds"]))
    # One text at a time: the set-up that shares one batch among the threads.
    latency = {"at_once": "one batch", "hint": "LATENCY"}
    for worker, row in zip(workers, rows):
        worker.ask("use", setup={k: latency.get(k, v) for k, v in row["setup"].items()})
        worker.ask("latency", first=0, count=LATENCY_BLOCK)
    for first in range(0, min(LATENCY_TEXTS, n_texts), LATENCY_BLOCK):
        for worker, row in zip(workers, rows):
            row["latency"] += worker.ask("latency", first=first, count=LATENCY_BLOCK)["seconds"]
    reference = None
    for worker, row in zip(workers, rows):
        worker.ask("use", setup=row["setup"])
        logits = worker.ask("logits")["logits"]
        reference = logits if reference is None else reference  # adesieve's f32, the first of all
        row["logit_difference"] = max(abs(a - b) for x, y in zip(logits, reference) for a, b in zip(x, y))
        row["peak_mib"] = worker.ask("memory")["mib"]
        worker.close()
        seconds = statistics.median(row["rounds"])
        ordered = sorted(row["latency"])
        row["median_seconds"] = seconds
        row["sentences_per_second"] = n_texts / seconds
        row["tokens_per_second"] = n_tokens / seconds
        row["p50_ms"] = 1000 * ordered[len(ordered) // 2]
        row["p99_ms"] = 1000 * ordered[len(ordered) * 99 // 100]
    return rows


def count_tokens(arguments: argparse.Namespace) -> int:
    """Real tokens with the special ones; adesieve's and the peers' tokenizers must agree."""
    import adesieve
    from tokenizers import Tokenizer

    texts = read_texts(arguments)
    tokenizer = Tokenizer.from_file(str(arguments.model / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(512)
    theirs = [encoding.ids for encoding in tokenizer.encode_batch(texts)]
    with adesieve.Classifier(arguments.model, "none") as classifier:
        ours = [tokens.ids for tokens in classifier.tokenize(texts)]
    if ours != theirs:
        different = next(i for i, (a, b) in enumerate(zip(ours, theirs)) if a != b)
        sys.exit(f"text {different} has other ids in adesieve than in the reference tokenizer: {texts[different]!r}")
    return sum(map(len, ours))


def processor() -> str:
    found = {}
    for line in open("/proc/cpuinfo", encoding="utf-8"):
        key, _, value = line.partition(":")
        found.setdefault(key.strip(), value.strip())
    names = [found.get("model name", platform.machine())]
    if "cpu family" in found:
        names.append(f"family {found['cpu family']} model {found['model']}")
    wanted = ("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16")
    return ", ".join(names + [flag for flag in wanted if flag in found.get("flags", "").split()])


def commit() -> str:
    git = ["git", "-C", str(ROOT)]
    head = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True).stdout.strip()
    dirty = subprocess.run([*git, "status", "--porcelain"], capture_output=True, text=True).stdout.strip()
    return head + (" with local changes" if dirty else "")


def table(result: dict) -> str:
    lines = [
        f"Processor: {result['processor']}; {result['processors']} processors. {result['date']}, commit "
        f"{result['commit']}. {result['texts']} texts, {result['tokens']} tokens, {result['rounds']} rounds.",
        f"Load while measuring: {max(max(row['load']) for row in result['rows']):.1f}.",
        "",
        "| threads | precision | | version | sentences/s | tokens/s | of adesieve "
        "| sentences per CPU second | one text p50 / p99, ms | open, s | "
        "peak MiB | logits differ by |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    rows = sorted(result["rows"], key=lambda r: (-r["threads"], r["precision"] != "f32"))
    for row in rows:
        ours = next(
            (r for r in rows if r["name"] == "adesieve" and all(r[k] == row[k] for k in ("threads", "precision"))), row
        )
        share = row["sentences_per_second"] / ours["sentences_per_second"]
        lines.append(
            f"| {row['threads']} | {row['precision']} | {row['name']} | {row['version'].split('-')[0]} "
            f"| {row['sentences_per_second']:.1f} | {row['tokens_per_second']:.0f} | {share:.2f} "
            f"| {result['texts'] / statistics.median(row['cpu_seconds']):.1f} | {row['p50_ms']:.2f} / {row['p99_ms']:.2f} | {row['open_seconds']:.2f} | {row['peak_mib']:.0f} "
            f"| {row['logit_difference']:.1e} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "adesieve-minilm")
    parser.add_argument("--texts", type=Path, default=ROOT / "tests" / "data" / "test.csv", help="CSV, column text")
    parser.add_argument("--first", type=int, default=0, metavar="N", help="only the first N texts")
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "benchmarks" / "peers", help="folder for converted models")
    parser.add_argument("--output", type=Path, help="JSON with everything that was measured")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", default="2,1", help="numbers of threads, separated by commas")
    parser.add_argument("--contenders", default=",".join(CONTENDERS))
    parser.add_argument("--precisions", default="f32,bf16")
    parser.add_argument("--verbose", action="store_true", help="show what the contenders' processes print")
    parser.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--table", type=Path, metavar="JSON", help="only print the table of an earlier result")
    arguments = parser.parse_args()
    if arguments.table:
        print(table(json.loads(arguments.table.read_text(encoding="utf-8"))))
        return
    if arguments.worker:
        work(arguments)
        return
    arguments.contenders = arguments.contenders.split(",")
    arguments.precisions = [p for p in arguments.precisions.split(",") if p != "bf16" or has_bf16()]
    load = os.getloadavg()[0]
    if load > 0.5:
        say(f"warning: the machine is busy (load {load:.1f}); the numbers will not count")
    convert(arguments.model, arguments.work)
    tokens, texts = count_tokens(arguments), len(read_texts(arguments))
    result = {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d"),
        "commit": commit(),
        "processor": processor(),
        "processors": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_before": load,
        "model": arguments.model.name,
        "texts": texts,
        "tokens": tokens,
        "rounds": arguments.rounds,
        "rows": [],
    }
    for threads in map(int, arguments.threads.split(",")):
        result["rows"] += measure(arguments, threads, texts, tokens)
    if arguments.output:
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        arguments.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(table(result))


if __name__ == "__main__":
    main()
