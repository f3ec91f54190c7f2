# SPDX-License-Identifier: Apache-2.0
"""Measures adesieve and its peers on this machine's processor, from text to probability; benchmarks/README.md says how.

Each contender is a process of its own that keeps its model open and sleeps while another is measured. Rounds alternate
(A B C, A B C, ..), so that a machine that slows down slows everybody down; the median counts.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from host import ROOT, Energy, commit, has_bf16, processor, say  # the path has to be set first

PRECISIONS = ("f32", "bf16", "int8")
NAMES = ("adesieve", "PyTorch", "ONNX Runtime", "OpenVINO", "CTranslate2")
PARTS = ("speed", "latency", "accuracy", "start")
ONE_BATCH = "one batch"
TRY_SHARE = 6  # of a kind's texts, one in so many is tried with each set-up
LATENCY_BLOCK = 50
LATENCY_TRIES = 12
KEPT = ("weights", "scales", "quantized", "rest", "source")  # choices that the first kind of text settles for all
PAUSE = 0.15  # seconds; thread pools that spin for work have given up by then


class Worker:
    """A contender in a process of its own."""

    def __init__(self, name: str, precision: str, threads: int, where: Any, log: Path, setup: dict | None) -> None:
        self.name, self.precision, self.threads, self.log = name, precision, threads, log
        command = [sys.executable, HERE / "cpu_worker.py", name, precision, threads, where.folder, where.converted]
        environment = {
            **os.environ,
            **{pool: str(threads) for pool in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")},
            "TOKENIZERS_PARALLELISM": "true",
            "TRANSFORMERS_VERBOSITY": "error",
            "HF_HUB_OFFLINE": "1",
            "CUDA_VISIBLE_DEVICES": "",
            "ADESIEVE_BENCH_BF16": "1" if has_bf16() else "",
            "ADESIEVE_BENCH_FULL": "1" if where.full else "",
        }
        asked = time.monotonic()
        with open(log, "ab") as errors:
            self.process = subprocess.Popen(
                list(map(str, [*command, where.texts.path])),
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        first = where.texts.kinds["test"][0]
        self.opened = self.ask("open", setup=setup, asked=asked, first=first)

    def ask(self, do: str, **more: object) -> dict:
        """Its answer; an object with "failed" where it cannot."""
        assert self.process.stdin and self.process.stdout
        try:
            self.process.stdin.write(json.dumps({"do": do, **more}) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        return json.loads(line) if line else {"failed": f"its process ended; see {self.log.name}"}

    def close(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()

    def __str__(self) -> str:
        return f"{self.name} {self.precision}"


class Subject:
    """One model: its folder, texts, and what was made of it for the peers."""

    def __init__(self, name: str, arguments: argparse.Namespace) -> None:
        from cpu_texts import ModelTexts, model_folder  # needs the peers' environment

        self.name, self.full = name, arguments.full
        self.folder = model_folder(name, arguments.work)
        self.texts = ModelTexts(name, self.folder, arguments.full, arguments.work)
        self.converted = arguments.work / name / "converted"
        if arguments.contenders != ["adesieve"]:
            from convert_peers import convert

            start = time.monotonic()
            convert(self.folder, self.converted, self.texts.calibration)
            say(f"{name}: converted for the peers in {time.monotonic() - start:.0f} s")


# ---- Set-ups -------------------------------------------------------------------------------------------------------


def search(worker: Worker, kind: str, count: int, fixed: dict, one_by_one: bool = False) -> tuple[dict, list[dict]]:
    """The fastest set-up on `count` of these texts, found one choice after the other, and all that was tried."""
    choices = {k: [fixed[k]] if k in fixed else v for k, v in worker.ask("choices")["choices"].items()}
    if kind == "512" and "tokens" in choices:  # one text a batch at least
        choices["tokens"] = [n for n in choices["tokens"] if n >= 512]
    best = {key: values[0] for key, values in choices.items()}
    tried: list[dict] = []

    def seconds(setup: dict) -> float:
        answer = worker.ask("try", setup=setup, texts=kind, count=count, one_by_one=one_by_one)
        tried.append({"setup": setup, **answer})
        return answer.get("seconds", float("inf"))

    if all(len(values) == 1 for values in choices.values()):
        worker.ask("use", setup=best)
        return best, tried
    fastest = seconds(best)
    for key, values in choices.items():
        for value in values[1:]:
            if (taken := seconds({**best, key: value})) < fastest:
                best, fastest = {**best, key: value}, taken
    worker.ask("use", setup=best)
    return best, tried


# ---- Measuring -----------------------------------------------------------------------------------------------------


def differences(logits: list[list[float]], reference: list[list[float]]) -> dict:
    """From adesieve's f32: the largest difference of a logit, and how many texts get another label."""

    def label(row: list[float]) -> int:
        return row.index(max(row))

    return {
        "logit_difference": max(abs(a - b) for x, y in zip(logits, reference) for a, b in zip(x, y)),
        "other_decisions": sum(label(x) != label(y) for x, y in zip(logits, reference)),
    }


def f1(logits: list[list[float]], labels: list[int]) -> float:
    found = [row[1] > row[0] for row in logits]
    both = sum(f and label for f, label in zip(found, labels))
    return 2 * both / max(sum(found) + sum(labels), 1)


class Threads:
    """One model with one number of threads."""

    def __init__(self, subject: Subject, threads: int, arguments: argparse.Namespace, known: dict) -> None:
        self.subject, self.threads, self.arguments, self.known = subject, threads, arguments, known
        self.found: dict[str, Any] = {"threads": threads, "rows": [], "alone": [], "absent": {}}
        self.log = arguments.work / subject.name / "contenders.log"
        self.workers: list[Worker] = []
        for precision in PRECISIONS:
            for name in NAMES:
                if name not in arguments.contenders or precision not in arguments.precisions:
                    continue
                if precision not in arguments.offered[name]:
                    continue
                worker = Worker(name, precision, threads, subject, self.log, None)
                reason = worker.opened.get("absent") or worker.opened.get("failed")
                if reason:
                    self.found["absent"][str(worker)] = reason
                    say(f"{worker}: absent: {reason}")
                    worker.close()
                else:
                    self.workers.append(worker)
        reference = next((w for w in self.workers if str(w) == "adesieve f32"), None)
        self.reference = reference or Worker("adesieve", "f32", threads, subject, self.log, None)
        self.row_reference: list[list[float]] | None = None

    def fixed(self, worker: Worker, kind: str) -> dict:
        """What is known of the best set-up already: all of it from another number of threads, else a part from another
        kind of text."""
        if self.arguments.full:
            return {}
        if found := self.known.get((str(worker), kind)):
            return {**found, **({"at_once": ONE_BATCH} if self.threads == 1 and "at_once" in found else {})}
        others = (setup for (who, _), setup in self.known.items() if who == str(worker))
        return {k: v for k, v in next(others, {}).items() if k in KEPT}

    def speed(self, kind: str) -> None:
        texts, tokens = self.subject.texts.kinds[kind], self.subject.texts.tokens[kind]
        rows = []
        reference = self.reference.ask("logits", texts=kind)["logits"]
        for worker in self.workers:
            count = max(len(texts) // TRY_SHARE, min(2, len(texts)))
            setup, tried = search(worker, kind, count, self.fixed(worker, kind))
            self.known.setdefault((str(worker), kind), setup)
            answer = worker.ask("logits", texts=kind)  # the warm-up, too
            row = {
                "name": worker.name,
                "precision": worker.precision,
                "texts": kind,
                "n_texts": len(texts),
                "n_tokens": tokens,
                "version": worker.ask("use", setup=setup).get("version"),
                "setup": setup,
                "setups_tried": tried,
                "seconds": [],
                "cpu_seconds": [],
                "joules": [],
                "load": [],
            }
            if "failed" in answer:
                row["failed"] = answer["failed"]
                say(f"{worker}: {answer['failed']}")
            else:
                row.update(differences(answer["logits"], reference))
            rows.append(row)
        energy = Energy()
        for _ in range(self.arguments.rounds if self.threads == self.arguments.threads[0] else self.arguments.others):
            for worker, row in zip(self.workers, rows):
                if "failed" in row:
                    continue
                time.sleep(PAUSE)
                before = energy.read()
                answer = worker.ask("round", texts=kind)
                if "failed" in answer:
                    row["failed"] = answer["failed"]
                    continue
                row["seconds"].append(answer["seconds"])
                row["cpu_seconds"].append(answer["cpu"])  # far below seconds x threads: the machine was busy
                row["joules"].append(energy.joules_since(before))
                row["load"].append(os.getloadavg()[0])
        for row in rows:
            if row["seconds"]:
                row["tokens_per_second"] = tokens / statistics.median(row["seconds"])
        self.found["rows"] += rows
        rates = ", ".join(f"{r['name']} {r['precision']} {r.get('tokens_per_second', 0):.0f}" for r in rows)
        say(f"{self.subject.name}, {self.threads} threads, {kind}: {rates}")

    def latency(self) -> None:
        """One text a call, in turn by blocks of them; all threads work on the one text."""
        rows = []
        for worker in self.workers:
            setup, tried = search(
                worker, "latency", LATENCY_TRIES, {"at_once": ONE_BATCH, "tokens": 512}, one_by_one=True
            )
            rows.append({"setup": setup, "setups_tried": tried, "seconds": []})
            worker.ask("latency", texts="latency", first=0, count=LATENCY_BLOCK)
        count = len(json.loads(self.subject.texts.path.read_text(encoding="utf-8"))["latency"])
        for first in range(0, count, LATENCY_BLOCK):
            for worker, row in zip(self.workers, rows):
                time.sleep(PAUSE)
                answer = worker.ask("latency", texts="latency", first=first, count=LATENCY_BLOCK)
                row["seconds"] += answer.get("seconds", [])
        for worker, row in zip(self.workers, rows):
            found: dict[str, Any] = {"latency_setup": row["setup"], "latency_setups_tried": row["setups_tried"]}
            if len(row["seconds"]) == count:
                ordered = sorted(row["seconds"])
                found.update(latency_seconds=[round(s, 7) for s in row["seconds"]])
                found.update(p50_ms=1000 * ordered[count // 2], p99_ms=1000 * ordered[count * 99 // 100])
            self.alone(worker).update(found)
        shown = ((w, self.alone(w)) for w in self.workers)
        said = ", ".join(f"{w} {a.get('p50_ms', 0):.2f} / {a.get('p99_ms', 0):.2f}" for w, a in shown)
        say(f"{self.subject.name}, {self.threads} threads, one text, p50 / p99 in ms: {said}")

    def accuracy(self) -> None:
        """All test rows once; F1 only where the model was trained."""
        reference = self.reference.ask("logits", texts="rows")["logits"]
        for worker in self.workers:
            setup = self.known.get((str(worker), "test"))
            if setup is None:
                setup, _ = search(worker, "test", 4, {})
            worker.ask("use", setup=setup)
            answer = worker.ask("logits", texts="rows")
            if "failed" not in answer:
                found = differences(answer["logits"], reference)
                found["f1"] = f1(answer["logits"], self.subject.texts.labels)
                self.alone(worker).update(found, rows=len(reference))

    def fresh(self) -> None:
        """Start-up, and the peak of memory once the test rows are done, in fresh processes one after the other."""
        for worker in self.workers:
            found = self.alone(worker)
            latency = found.get("latency_setup") or self.known.get((str(worker), "test"))
            setup = latency or {k: v[0] for k, v in worker.ask("choices")["choices"].items()}
            setup = {**setup, **({"at_once": ONE_BATCH} if "at_once" in setup else {})}
            fresh = Worker(worker.name, worker.precision, self.threads, self.subject, self.log, setup)
            found.update({f"start_{k}": v for k, v in fresh.opened.items() if k in ("with_imports", "without_imports")})
            fresh.ask("round", texts="test")
            found["peak_mib"] = fresh.ask("memory").get("mib")
            fresh.close()

    def alone(self, worker: Worker) -> dict:
        """What is measured once for a contender, whatever the texts."""
        for row in self.found["alone"]:
            if (row["name"], row["precision"]) == (worker.name, worker.precision):
                return row
        self.found["alone"].append({"name": worker.name, "precision": worker.precision})
        return self.found["alone"][-1]

    def measure(self, main: bool) -> dict:
        """`main`: with the parts that are measured for one number of threads only."""
        arguments, start = self.arguments, time.monotonic()
        try:
            if "speed" in arguments.parts:
                for kind in arguments.texts:
                    self.speed(kind)
            if "latency" in arguments.parts and (main or arguments.full):
                self.latency()
            if "accuracy" in arguments.parts and main and self.subject.name == "default":
                self.accuracy()
            if "start" in arguments.parts and main:
                self.fresh()
        finally:
            for worker in {*self.workers, self.reference}:
                worker.close()
        self.found["took_seconds"] = time.monotonic() - start
        say(f"{self.subject.name}, {self.threads} threads: {self.found['took_seconds']:.0f} s")
        return self.found


# ---- The program ---------------------------------------------------------------------------------------------------


def comma(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def shown(arguments: list[str]) -> list[str]:
    """Without the folders and files of this machine."""
    kept, skip = [], False
    for argument in arguments:
        if skip or argument in ("--work", "--output"):
            skip = not skip
        else:
            kept.append(argument if argument.isalnum() or argument.startswith("--") else f'"{argument}"')
    return kept


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=comma, default=["default", "bert-base"])
    parser.add_argument("--texts", type=comma, default=["test", "medline", "512"])
    parser.add_argument("--threads", type=comma, default=["2", "1"], help="the first one gets all parts; 2,1")
    parser.add_argument("--contenders", type=comma, default=list(NAMES), help=", ".join(NAMES))
    parser.add_argument("--precisions", type=comma, default=list(PRECISIONS))
    parser.add_argument("--rounds", type=int, default=5, help="of the first number of threads; 2 of the others")
    parser.add_argument("--parts", type=comma, default=list(PARTS), help=", ".join(PARTS))
    parser.add_argument("--full", action="store_true", help="all texts, and every set-up searched anew")
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "benchmarks" / "cpu", help="for converted models")
    parser.add_argument("--output", type=Path, help="JSON with everything that was measured; a chart beside it")
    parser.add_argument("--table", type=Path, metavar="JSON", help="only print the tables of an earlier result")
    parser.add_argument("--readme", action="store_true", help="write the tables into benchmarks/README.md, too")
    arguments = parser.parse_args()
    for key, known in (("contenders", NAMES), ("precisions", PRECISIONS), ("parts", PARTS)):
        if unknown := set(getattr(arguments, key)) - set(known):
            parser.error(f"--{key}: {', '.join(sorted(unknown))} is unknown; there are {', '.join(known)}")
    from cpu_report import MODELS, TEXTS

    for key, known in (("models", tuple(MODELS)), ("texts", tuple(TEXTS))):
        if unknown := set(getattr(arguments, key)) - set(known):
            parser.error(f"--{key}: {', '.join(sorted(unknown))} is unknown; there are {', '.join(known)}")
    try:
        arguments.threads = [int(n) for n in arguments.threads]
    except ValueError:
        parser.error("--threads takes numbers, such as 2,1")
    if arguments.rounds < 1 or min(arguments.threads, default=0) < 1:
        parser.error("--rounds and --threads take numbers of 1 or more")
    arguments.others = min(2, arguments.rounds)
    return arguments


def main() -> None:
    arguments = parse()
    from cpu_report import report, write_chart, write_readme

    if arguments.table:
        result = json.loads(arguments.table.read_text(encoding="utf-8"))
        if "models" not in result:
            sys.exit(f"{arguments.table} is of an older form, which this version cannot read; measure anew")
        print(report(result))
        write_chart(result, arguments.table.with_suffix(".svg"))
        if arguments.readme:
            write_readme(result, arguments.table)
        return
    from cpu_contenders import CONTENDERS

    arguments.work = arguments.work.resolve()
    arguments.offered = {name: kind.precisions for name, kind in CONTENDERS.items()}
    if not has_bf16():
        arguments.precisions = [p for p in arguments.precisions if p != "bf16"]
    load, start = os.getloadavg()[0], time.monotonic()
    if load > 0.5:
        say(f"warning: the machine is busy (load {load:.1f}); the numbers will not count")
    result: dict[str, Any] = {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d"),
        "commit": commit(),
        "command": " ".join(["benchmarks/cpu/run", *shown(sys.argv[1:])]),
        "processor": processor(),
        "processors": len(os.sched_getaffinity(0)),
        "has_bf16": has_bf16(),
        "energy": bool(Energy().counters),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_before": load,
        "rounds": arguments.rounds,
        "full": arguments.full,
        "models": [],
    }

    def save() -> None:
        result["took_seconds"] = time.monotonic() - start
        if arguments.output:
            arguments.output.parent.mkdir(parents=True, exist_ok=True)
            arguments.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")

    for name in arguments.models:
        subject = Subject(name, arguments)
        model: dict[str, Any] = {"model": name, "threads": []}
        result["models"].append(model)
        known: dict = {}
        for i, threads in enumerate(arguments.threads):
            model["threads"].append(Threads(subject, threads, arguments, known).measure(main=i == 0))
            save()  # so that little is lost where the rest fails
    print(report(result))
    if arguments.output:
        write_chart(result, arguments.output.with_suffix(".svg"))
        if arguments.readme:
            write_readme(result, arguments.output)


if __name__ == "__main__":
    main()
