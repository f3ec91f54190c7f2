# SPDX-License-Identifier: Apache-2.0
"""Measures adesieve's ops, encoder and whole way from text to probability on a GPU, and the peers beside it;
benchmarks/README.md says how. Prints tables in Markdown and writes everything as JSON."""

from __future__ import annotations

import argparse
import json
import os
import platform
import select
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "gpu"), str(ROOT / "benchmarks"), str(ROOT / "python_bindings")]

from machine import facts  # the path has to be set first

LENGTHS = (10, 30, 50, 128, 512)
OPS_LENGTHS = "10,30,50,128,512"


class OutOfTime(Exception):
    pass


def say(*words: object) -> None:
    print(*words, file=sys.stderr, flush=True)


class Clock:
    def __init__(self, seconds: float) -> None:
        self.end = time.monotonic() + seconds

    def left(self, need: float = 0.0) -> float:
        """Seconds left; OutOfTime where that is less than `need`."""
        left = self.end - time.monotonic()
        if left < need:
            raise OutOfTime(f"{need:.0f} s were needed and {left:.0f} s left")
        return left


# ---- Contenders ----------------------------------------------------------------------------------------------------


class Worker:
    """A contender in a process of its own, that sleeps while another is measured."""

    def __init__(self, name: str, folder: Path, device: str, mixes: Path, log: Path, clock: Clock) -> None:
        self.name, self.clock, self.tail = name, clock, b""
        self.log = open(log, "wb")
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-B",
                str(Path(__file__).with_name("gpu_contenders.py")),
                name,
                str(folder),
                device,
                str(mixes),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(sys.path[:3]),
                "TOKENIZERS_PARALLELISM": "true",
                "TRANSFORMERS_VERBOSITY": "error",
                "HF_HUB_OFFLINE": "1",
            },
        )
        self.opened = self.answer(120)

    def answer(self, limit: float) -> dict:
        """The next line of the process; an object with "failed" where none comes in time."""
        end = time.monotonic() + min(limit, max(self.clock.end - time.monotonic(), 1))
        pipe = self.process.stdout.fileno()  # type: ignore[union-attr]
        while b"\n" not in self.tail:
            ready, _, _ = select.select([pipe], [], [], max(end - time.monotonic(), 0))
            part = os.read(pipe, 1 << 20) if ready else b""
            if not part:
                why = "its process ended" if ready else "no answer in time"
                self.process.kill()
                return {"failed": f"{why}; see {self.log.name}"}
            self.tail += part
        line, _, self.tail = self.tail.partition(b"\n")
        return json.loads(line)

    def ask(self, do: str, limit: float = 120, **more: object) -> dict:
        if self.process.poll() is not None:
            return {"failed": "its process has ended"}
        try:
            self.process.stdin.write((json.dumps({"do": do, **more}) + "\n").encode())  # type: ignore[union-attr]
            self.process.stdin.flush()  # type: ignore[union-attr]
        except BrokenPipeError:
            return {"failed": "its process has ended"}
        return self.answer(limit)

    def close(self) -> None:
        try:
            self.process.stdin.close()  # type: ignore[union-attr]
            self.process.wait(20)
        except (OSError, subprocess.TimeoutExpired):
            self.process.kill()
        self.log.close()


# ---- One model -----------------------------------------------------------------------------------------------------


def make_mixes(folder: Path, tokens: int, path: Path, lengths: tuple[int, ...], emulated: bool) -> dict[str, int]:
    """Writes the texts of each mix; how many tokens they are."""
    from mixes import Mixes

    source = Mixes(folder)
    if emulated:
        source.shorten(20)
    counts, texts = {}, {}
    for length in lengths:
        name = str(length)
        texts[name] = source.of_length(length, tokens)
        counts[name] = len(texts[name]) * length
    texts["medline"], counts["medline"] = source.medline(tokens)
    path.write_text(json.dumps(texts), encoding="utf-8")
    return counts


def best_setup(worker: Worker, mix: str, setups: list[dict]) -> tuple[dict, list[dict]]:
    if len(setups) == 1:
        worker.ask("use", setup=setups[0])
        return setups[0], []
    tried = []
    for setup in setups:
        worker.ask("use", setup=setup)
        tried.append({"setup": setup, **worker.ask("try", mix=mix)})
    fast = [t for t in tried if "seconds" in t]
    best = min(fast, key=lambda t: t["seconds"])["setup"] if fast else setups[0]
    worker.ask("use", setup=best)
    return best, tried


def measure_mix(workers: list[Worker], mix: str, tokens: int, rounds: int, clock: Clock) -> list[dict]:
    clock.left(20)
    rows = []
    for worker in workers:
        setups = worker.ask("setups").get("setups", [{}])
        best, tried = best_setup(worker, mix, setups)
        rows.append(
            {
                "name": worker.name,
                "mix": mix,
                "tokens": tokens,
                "setup": best,
                "tried": tried,
                "rounds": [],
                "cpu_seconds": [],
            }
        )
    for number in range(rounds + 1):  # the first warms up
        for worker, row in zip(workers, rows):
            answer = worker.ask("round", mix=mix) if "failed" not in row else {}
            if "failed" in answer:
                row["failed"] = answer["failed"]
            elif number and answer:
                row["rounds"].append(answer["seconds"])
                row["cpu_seconds"].append(answer["cpu"])
    for worker, row in zip(workers, rows):
        if row["rounds"]:
            seconds = statistics.median(row["rounds"])
            row.update(median_seconds=seconds, tokens_per_second=tokens / seconds)
        encoder = worker.ask("encoder", mix=mix)
        if encoder.get("seconds"):
            row["encoder_tokens_per_second"] = tokens / encoder["seconds"]
    say(mix, *(f"{r['name']} {r.get('tokens_per_second', 0) / 1e6:.3f} M tokens/s" for r in rows))
    return rows


def logits_differ(workers: list[Worker], count: int) -> dict[str, float]:
    """The largest difference of a logit from adesieve's."""
    answers = {w.name: w.ask("logits", mix="medline", count=count).get("logits") for w in workers}
    ours = answers.get("adesieve")
    return {
        name: max(abs(a - b) for x, y in zip(theirs, ours) for a, b in zip(x, y))
        for name, theirs in answers.items()
        if theirs and ours and name != "adesieve"
    }


def measure_model(arguments: argparse.Namespace, name: str, folder: Path, tokens: int, clock: Clock) -> dict:
    mixes = arguments.work / f"{name}-mixes.json"
    counts = make_mixes(folder, tokens, mixes, arguments.lengths, arguments.device == "emulated")
    found: dict = {"model": name, "contenders": {}, "rows": []}
    workers: list[Worker] = []
    try:
        for contender in arguments.contenders:
            worker = Worker(
                contender, folder, arguments.device, mixes, arguments.work / f"{name}-{contender}.log", clock
            )
            found["contenders"][contender] = worker.opened
            reason = worker.opened.get("absent") or worker.opened.get("failed")
            say(f"{name}: {contender}: {reason or worker.opened['version']}")
            (worker.close() if reason else workers.append(worker))
        for mix in ("50", "medline", *[m for m in counts if m not in ("50", "medline")]):  # what matters most first
            if mix not in counts:
                continue
            try:
                found["rows"] += measure_mix(workers, mix, counts[mix], arguments.rounds, clock)
            except OutOfTime as reason:
                found["rows"].append({"name": "all", "mix": mix, "failed": f"not measured: {reason}"})
        found["logits_differ_by"] = logits_differ(workers, 500)
        for worker in workers:
            found["contenders"][worker.name]["rates"] = worker.ask("rates")
    finally:
        for worker in workers:
            worker.close()
    return found


# ---- Ops -----------------------------------------------------------------------------------------------------------


def rows_so_far(text: bytes | str | None) -> dict:
    """What bench_ops_gpu had written when it was stopped: all but the end."""
    said = text.decode() if isinstance(text, bytes) else text or ""
    try:
        return json.loads(said[: said.rindex("}") + 1] + "]}")
    except ValueError:
        return {"rows": []}


def measure_ops(arguments: argparse.Namespace, mix: Path, clock: Clock) -> dict:
    command = [str(arguments.build / "benchmarks" / "bench_ops_gpu"), "--plugin", arguments.plugin, "--mix", str(mix)]
    if arguments.device == "emulated":
        command += ["--models", "tiny", "--tokens", "64", "--lengths", "30", "--seconds", "0", "--arena", "1"]
    else:
        command += ["--lengths", OPS_LENGTHS, "--device", arguments.device.partition(":")[2] or "0"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=min(200, clock.left(20)), check=False)
    except subprocess.TimeoutExpired as late:
        return {**rows_so_far(late.stdout), "failed": f"bench_ops_gpu was stopped after {late.timeout:.0f} s"}
    if done.returncode:
        return {"failed": f"bench_ops_gpu: status {done.returncode}: {done.stderr.strip()[-500:]}", "rows": []}
    return json.loads(done.stdout)


# ---- Tables --------------------------------------------------------------------------------------------------------


def ceilings(result: dict) -> tuple[float, float]:
    """FLOP/s of the fastest product and bytes/s of the fastest large copy that were measured."""
    flop = [r["flop"] / r["cold_seconds"] for r in result["ops"]["rows"] if r["op"].startswith("linear")]
    copy = [result["ops"].get("copy_bytes_per_second", 0.0)]
    for model in result["models"]:
        for contender in model["contenders"].values():
            flop.append(contender.get("rates", {}).get("flop_per_second", 0.0))
            copy.append(contender.get("rates", {}).get("copy_bytes_per_second", 0.0))
    return max(flop, default=0.0), max(copy, default=0.0)


def ops_table(result: dict) -> list[str]:
    flop, copy = ceilings(result)
    lines = [
        f"Fastest product {flop / 1e12:.0f} TFLOP/s, large copy on the device {copy / 1e9:.0f} GB/s (read + written).",
        "",
        "| model | op | rows | of length | us, cold / warm | TFLOP/s | of the fastest product | GB/s | of the copy |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in result["ops"]["rows"]:
        if row["op"] == "encoder" or not flop or not copy:
            continue
        is_product = row["op"].startswith("linear")
        rate, speed = row["flop"] / row["cold_seconds"], row["bytes"] / row["cold_seconds"]
        size = f"{row['rows']} x {row['k']} x {row['n']}" if is_product else str(row["rows"])
        lines.append(
            f"| {row['model']} | {row['op']} | {size} | {row['length'] or ''} "
            f"| {row['cold_seconds'] * 1e6:.1f} / {row['warm_seconds'] * 1e6:.1f} "
            f"| {f'{rate / 1e12:.1f}' if row['flop'] else ''} | {f'{100 * rate / flop:.0f} %' if is_product else ''} "
            f"| {speed / 1e9:.0f} | {'' if is_product else f'{100 * speed / copy:.0f} %'} |"
        )
    return lines


def rate_text(value: float | None) -> str:
    return f"{value / 1e6:.3f}" if value else "-"


def encoder_table(result: dict) -> list[str]:
    encoder = {
        (r["model"], "medline" if r["mix"] == "mix" else r["mix"]): r["tokens"] / r["seconds"]
        for r in result["ops"]["rows"]
        if r["op"] == "encoder"
    }
    names = [n for n in result["contenders"] if any(n in m["contenders"] for m in result["models"])]
    lines = [
        "Millions of tokens per second.",
        "",
        "| model | tokens a text | adesieve's encoder alone | "
        + " | ".join(f"{n}, text to probability" for n in names)
        + " | PyTorch's encoder alone | adesieve against the next |",
        "|---" * (len(names) + 5) + "|",
    ]
    for model in result["models"]:
        mixes = dict.fromkeys(r["mix"] for r in model["rows"])
        order = sorted(mixes, key=lambda m: int(m) if m.isdigit() else 1 << 30)
        for mix in order:
            rows = {r["name"]: r for r in model["rows"] if r["mix"] == mix}
            rates = {n: rows.get(n, {}).get("tokens_per_second") for n in names}
            others = [rates[n] for n in names if n != "adesieve" and rates[n]]
            times = f"{rates['adesieve'] / max(others):.2f}" if others and rates.get("adesieve") else "-"
            lines.append(
                f"| {model['model']} | {mix} | {rate_text(encoder.get((model['model'], mix)))} | "
                + " | ".join(rate_text(rates[n]) for n in names)
                + f" | {rate_text(rows.get('PyTorch', {}).get('encoder_tokens_per_second'))} | {times} |"
            )
    return lines


def table(result: dict) -> str:
    lines = []
    if result["emulated"]:
        lines += ["**Emulated: nothing ran on a GPU; these numbers mean nothing.**", ""]
    lines += [
        f"{result['device']}, driver {result.get('driver', '-')}, CUDA {result.get('cuda', '-')}; "
        f"{result['processors']} processors ({result['processor']}). {result['date']}, commit {result['commit']}, "
        f"kernels {result['kernels_sha256'][:16]}. {result['rounds']} rounds."
    ]
    for model in result["models"]:
        said = [
            f"{name} {c['version']}" if "version" in c else f"{name}: {c.get('absent') or c.get('failed')}"
            for name, c in model["contenders"].items()
        ]
        differ = ", ".join(f"{n} {v:.1e}" for n, v in model.get("logits_differ_by", {}).items())
        lines += [
            "",
            f"{model['model']}: {'; '.join(said)}."
            + (f" Logits differ from adesieve's by: {differ}." if differ else ""),
        ]
    lines += ["", *encoder_table(result), "", *ops_table(result)]
    failures = [
        f"{m['model']}, {r['mix']}, {r['name']}: {r['failed']}"
        for m in result["models"]
        for r in m["rows"]
        if "failed" in r
    ] + [result["ops"][k] for k in ("failed",) if k in result["ops"]]
    if failures:
        lines += ["", "Not measured:", *(f"- {line}" for line in failures)]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument(
        "--device", default="cuda", help="cuda, cuda:N, or emulated: tiny, to try this program; no result"
    )
    parser.add_argument("--seconds", type=float, default=360, help="for everything together")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--models", default="bert-base,default")
    parser.add_argument("--contenders", default="adesieve,PyTorch,ONNX Runtime")
    parser.add_argument("--no-ops", action="store_true")
    parser.add_argument("--table", type=Path, metavar="JSON", help="only print the tables of an earlier result")
    arguments = parser.parse_args()
    if arguments.table:
        print(table(json.loads(arguments.table.read_text(encoding="utf-8"))))
        return 0
    if not arguments.build or not arguments.json:
        parser.error("--build and --json are needed")
    from make_bert import make

    clock = Clock(arguments.seconds)
    emulated = arguments.device == "emulated"
    arguments.build = arguments.build.resolve()
    arguments.work = arguments.build / "benchmarks" / "gpu"
    arguments.work.mkdir(parents=True, exist_ok=True)
    arguments.plugin = os.environ.get("ADESIEVE_CUDA_PLUGIN") or str(arguments.build / "libadesieve_cuda.so.0")
    arguments.contenders = arguments.contenders.split(",")
    arguments.lengths = (10, 30) if emulated else LENGTHS
    os.environ.setdefault("ADESIEVE_LIBRARY", str(arguments.build / "libadesieve.so"))
    if emulated:
        models = {"tiny": (make(arguments.work / "tiny", 32, 2, 2, 64), 200)}
    else:
        models = {
            "bert-base": (make(arguments.work / "bert-base"), 1_500_000),
            "default": (ROOT / "models" / "adesieve-minilm", 2_500_000),
        }
        models = {name: models[name] for name in arguments.models.split(",")}
    result = {
        **facts(emulated),
        "python": platform.python_version(),
        "rounds": arguments.rounds,
        "contenders": arguments.contenders,
        "models": [],
        "ops": {"rows": []},
    }

    def keep() -> None:  # after each part, so that a stop leaves what was measured
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")

    keep()
    if not arguments.no_ops:
        from mixes import Mixes

        mix = arguments.work / "ops.lengths"
        lengths = Mixes(next(iter(models.values()))[0]).lengths
        mix.write_text(
            "\n".join(map(str, [n for n in lengths if n <= 64][:10] if emulated else lengths)), encoding="utf-8"
        )
        result["ops"] = measure_ops(arguments, mix, clock)
        say("ops:", result["ops"].get("failed") or f"{len(result['ops']['rows'])} rows")
        keep()
    for name, (folder, tokens) in models.items():
        try:
            clock.left(40)
            result["models"].append(measure_model(arguments, name, folder, tokens, clock))
        except OutOfTime as reason:
            result["models"].append(
                {
                    "model": name,
                    "contenders": {},
                    "rows": [{"name": "all", "mix": "all", "failed": f"not measured: {reason}"}],
                }
            )
        keep()
    print(table(result))
    ours = [r for m in result["models"] for r in m["rows"] if r["name"] == "adesieve" and r.get("rounds")]
    return 0 if ours and "failed" not in result["ops"] else 1


if __name__ == "__main__":
    sys.exit(main())
