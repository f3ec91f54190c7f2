# SPDX-License-Identifier: Apache-2.0
"""The suites of tests/gpu/run: what runs on the GPU is compared with what ran on the processor, checked by
compute-sanitizer, run for long, and made to fail.

Each suite prints one line and has one object in the JSON file. A suite that fails does not stop the others; each has a
limit in seconds, and no suite starts when less than ten seconds are left of the whole.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

from machine import ROOT, facts

DATA = ROOT / "tests" / "data"
TINY = DATA / "tiny_bert_cls"
DEFAULT = ROOT / "models" / "adesieve-minilm"
LOGITS = 5e-3  # what f16 on the GPU may differ from f32 on the processor
SANITIZER_ERROR = 99
FOREIGN = re.compile(r"cublas|cutlass|nvjet|xmma|splitk|gemm_kernel|gemv", re.IGNORECASE)  # NVIDIA's own kernels


class Failed(Exception):
    """What went wrong, in one sentence."""


class Skipped(Exception):
    """Why this suite cannot run here."""


@dataclass
class Result:
    status: int  # negative: the signal that ended it
    out: str
    err: str
    seconds: float
    peak_mib: float  # of host memory
    device_mib: float | None = None  # highest use of the device's memory while it ran


@dataclass
class Run:
    """What the suites share."""

    build: Path
    emulated: bool
    deadline: float
    folder: Path
    environment: dict[str, str]
    limit: float = 0
    details: dict = field(default_factory=dict)  # of the suite that runs now
    suite: str = ""
    calls: int = 0
    sanitizer: str = ""

    def command(self, *arguments: object, env: dict[str, str] | None = None, watch_device: bool = False) -> Result:
        """Runs a program to its end or to the suite's limit; its output stays in the folder of logs."""
        self.calls += 1
        name = self.folder / f"{self.suite}-{self.calls}"
        command = list(map(str, arguments))
        watcher = None
        if watch_device and not self.emulated:
            watcher = subprocess.Popen(
                ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits", "-i", "0", "-lms", "50"],
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
        start = time.monotonic()
        with open(f"{name}.out", "w+b") as out, open(f"{name}.err", "w+b") as err:
            err.write(f"{' '.join(command)}\n".encode())
            err.flush()
            head = err.tell()
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
                env={**self.environment, **(env or {})},
            )
            status, peak = self.wait(process, start)
            out.seek(0)
            err.seek(head)
            texts = [file.read().decode("utf-8", "replace") for file in (out, err)]
        device = None
        if watcher:
            watcher.terminate()
            samples = [int(s) for s in (watcher.communicate()[0] or "").split() if s.isdigit()]
            device = float(max(samples)) if samples else None
        if status is None:
            raise Failed(
                f"'{Path(command[0]).name}' was stopped after {time.monotonic() - start:.0f} s; see {name}.err"
            )
        return Result(status, *texts, time.monotonic() - start, peak, device)

    def wait(self, process: subprocess.Popen, start: float) -> tuple[int | None, float]:
        while True:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                process.returncode = os.waitstatus_to_exitcode(status)
                return process.returncode, usage.ru_maxrss / 1024
            if time.monotonic() > self.limit:
                os.killpg(process.pid, signal.SIGKILL)
                _, status, _ = os.wait4(process.pid, 0)
                process.returncode = os.waitstatus_to_exitcode(status)
                return None, 0
            time.sleep(0.01)

    def must(self, *arguments: object, **more: object) -> Result:
        result = self.command(*arguments, **more)  # type: ignore[arg-type]
        if result.status != 0:
            raise Failed(f"'{' '.join(map(str, arguments))[:200]}' ended with {result.status}: {last_line(result)}")
        return result

    def program(self, name: str) -> Path:
        found = next((p for p in (self.build / name, *self.build.glob(f"tests/**/{name}")) if p.is_file()), None)
        if not found:
            raise Failed(f"{name} was not built")
        return found

    def classify(self, *arguments: object, **more: object) -> Result:
        command = (self.build / "adesieve", "classify", "--quiet", *arguments)
        return self.command(*command, **more)  # type: ignore[arg-type]


def last_line(result: Result) -> str:
    for text in (result.err, result.out):
        lines = [line for line in text.splitlines() if line.strip()]
        if lines:
            return lines[-1].strip()[:400]
    return "it said nothing"


def texts_of_csv() -> list[str]:
    with open(DATA / "test.csv", newline="", encoding="utf-8") as file:
        return [row["text"] for row in csv.DictReader(file)]


def write_texts(path: Path, texts: list[str]) -> Path:
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")
    return path


# ---- Programs of the tree, with the GPU as device ------------------------------------------------------------------


def test_counts(text: str) -> tuple[int, int, int]:
    """Passed, failed, skipped tests, of cmocka's output or of test_ops_device's."""
    counts = [
        sum(map(int, re.findall(rf"\[ +{word} +\] (?:\w+: )?(\d+) test", text)))
        for word in ("PASSED", "FAILED", "SKIPPED")
    ]
    for passed, all_of_them in re.findall(r"^(\d+) of (\d+) tests passed", text, re.MULTILINE):
        counts[0] += int(passed)
        counts[1] += int(all_of_them) - int(passed)
    return counts[0], counts[1], counts[2]


def run_tests(run: Run, *command: object, env: dict[str, str] | None = None) -> Result:
    result = run.command(*command, env=env)
    text = result.out + result.err
    passed, failed, skipped = test_counts(text)
    notes = [line[2:].strip() for line in text.splitlines() if line.startswith("# ")]
    run.details.update(passed=passed, failed=failed, skipped=skipped, notes=notes)
    if result.status != 0 or failed:
        errors = [line for line in text.splitlines() if re.search(r"\[ +ERROR +\]|instead of|allowed|FAILED", line)]
        first = (errors or [last_line(result)])[0].strip()[:300]
        raise Failed(f"status {result.status}, {failed} tests failed; {first}")
    if passed == 0:
        raise Failed(f"no test ran: {last_line(result)}")
    return result


def plugin(run: Run) -> str:
    return run.environment.get("ADESIEVE_CUDA_PLUGIN") or str(run.build / "libadesieve_cuda.so.0")


def suite_ops(run: Run) -> str:
    extent = "--quick" if run.emulated else "--all"
    result = run_tests(run, run.program("test_ops_device"), "--plugin", plugin(run), extent)
    cases = [int(n) for n in re.findall(r"(\d+) cases", result.out + result.err)]
    run.details["cases"] = sum(cases)
    return f"{run.details['passed']} tests, {sum(cases)} cases against the reference in double"


def on_gpu(run: Run) -> dict[str, str]:
    """Programs with the library inside look for the plugin in their own folders."""
    return {"ADE_TEST_DEVICE": "cuda", "ADESIEVE_CUDA_PLUGIN": plugin(run)}


def short_texts() -> list[str]:
    return sorted(texts_of_csv(), key=len)[:6] + [""]


def suite_golden(run: Run) -> str:
    if run.emulated:
        raise Skipped("it takes minutes in the emulator; ctest runs parts of it there")
    run_tests(run, run.program("test_golden"), env=on_gpu(run))
    return f"{run.details['passed']} tests against the reference implementation's logits"


def suite_agreement(run: Run) -> str:
    """The command's rows on the GPU and, in f32, on the processor."""
    texts = short_texts() if run.emulated else texts_of_csv() + ["", "word " * 600]
    source = write_texts(run.folder / "agreement.jsonl", texts)
    said = []
    for model in [TINY] + ([DEFAULT] if (DEFAULT / "model.safetensors").exists() and not run.emulated else []):
        rows = []
        for device, precision in (("cpu", "f32"), ("cuda", "f16")):
            result = run.classify("-m", model, "--device", device, "--precision", precision, source)
            if result.status:
                raise Failed(f"{model.name} on {device}: {last_line(result)}")
            rows.append([json.loads(line) for line in result.out.splitlines()])
            if len(rows[-1]) != len(texts):
                raise Failed(f"{model.name} on {device}: {len(rows[-1])} rows for {len(texts)} texts")
        worst, other = 0.0, 0
        for a, b in zip(*rows):
            error = max(abs(x - y) for x, y in zip(a["logits"], b["logits"]))
            worst = max(worst, error)
            best = sorted(a["logits"])[-2:]
            if a["label"] != b["label"]:
                other += 1
                if best[1] - best[0] > 2 * LOGITS:
                    raise Failed(f"{model.name}: another label for a text with logits {a['logits']}, not {b['logits']}")
            if (a["tokens"], a["truncated"]) != (b["tokens"], b["truncated"]):
                raise Failed(f"{model.name}: a row has other tokens: {a} and {b}")
        run.details[model.name] = {"texts": len(texts), "largest_logit_difference": worst, "other_labels": other}
        said.append(f"{model.name} {len(texts)} texts, logits differ by {worst:.1e}, {other} other labels")
        if not worst <= LOGITS:
            raise Failed(f"{model.name}: logits differ by {worst:.3g}; {LOGITS:g} is allowed")
    return "; ".join(said)


def suite_invariance(run: Run) -> str:
    if run.emulated:
        raise Skipped("it takes minutes in the emulator; ctest runs parts of it there")
    run_tests(run, run.program("test_invariance"), env=on_gpu(run))
    return f"{run.details['passed']} tests: the same bits in any batch and order"


# ---- compute-sanitizer ---------------------------------------------------------------------------------------------


def sanitize(run: Run, tool: str, what: str, *command: object) -> None:
    """Runs a program under a tool; reports of NVIDIA's own kernels are counted, those of ours are failures."""
    options = ["--report-api-errors", "no"] if tool == "memcheck" else []  # some tests ask for what must be refused
    result = run.command(
        run.sanitizer, "--tool", tool, "--error-exitcode", SANITIZER_ERROR, "--print-limit", 50, *options, *command
    )
    text = result.out + result.err
    if "not supported" in text and "SUMMARY" not in text:
        raise Skipped("compute-sanitizer does not support this machine: " + last_line(result))
    reports = re.findall(
        r"^=+ (?:Error|Warning|Invalid|Program hit|Out-of-range|Uninitialized).*(?:\n=+ {2,}.*)*", text, re.MULTILINE
    )
    # Which kernel is said first; the host's frames that may follow name cuBLASLt for its callers, too.
    theirs = [r for r in reports if FOREIGN.search(r.partition("host backtrace")[0])]
    ours = [r for r in reports if r not in theirs]
    summary = re.findall(r"^=+ ((?:ERROR|RACECHECK) SUMMARY: .*)$", text, re.MULTILINE)
    run.details[what] = {
        "summary": summary,
        "seconds": round(result.seconds, 1),
        "in_nvidia_kernels": len(theirs),
        "reports": [r[:1000] for r in ours[:3]],
    }
    if ours:
        raise Failed(f"{what}: {len(ours)} reports; the first: {' '.join(ours[0].split())[:300]}")
    if not summary:
        raise Failed(f"{what}: compute-sanitizer ended with {result.status} and no summary: {last_line(result)}")
    if result.status not in (0, SANITIZER_ERROR) or (result.status and not theirs):
        raise Failed(f"{what}: status {result.status}: {'; '.join(summary)}")


def sanitized(run: Run, tool: str, patterns: list[str]) -> str:
    if run.emulated:
        raise Skipped("there is no GPU code in the emulator")
    places = [p for p in (os.environ.get("PATH", "") + ":/usr/local/cuda/bin").split(":") if p]
    run.sanitizer = next((f"{p}/compute-sanitizer" for p in places if os.access(f"{p}/compute-sanitizer", os.X_OK)), "")
    if not run.sanitizer:
        raise Skipped("there is no compute-sanitizer")
    texts = texts_of_csv()[:20] + ["", "a", "word " * 600, "word " * 100]
    source = write_texts(run.folder / "sanitized.jsonl", texts)
    sanitize(
        run,
        tool,
        "classify",
        run.build / "adesieve",
        "classify",
        "--quiet",
        "-m",
        TINY,
        "--device",
        "cuda",
        "-o",
        run.folder / "sanitized-rows.jsonl",
        source,
    )
    for pattern in patterns:
        sanitize(
            run, tool, f"ops {pattern}", run.program("test_ops_device"), "--plugin", plugin(run), "--quick", pattern
        )
    theirs = sum(d["in_nvidia_kernels"] for d in run.details.values() if isinstance(d, dict))
    return f"classify and the op tests {' '.join(patterns)}: no report in our kernels, {theirs} in NVIDIA's"


def suite_memcheck(run: Run) -> str:
    return sanitized(run, "memcheck", ["*"])


def suite_racecheck(run: Run) -> str:
    return sanitized(run, "racecheck", ["test_attention*", "test_layernorm*", "test_embed", "test_probs"])


# ---- Long runs and faults ------------------------------------------------------------------------------------------


def suite_soak(run: Run) -> str:
    texts = texts_of_csv()
    model, total = DEFAULT, 100_000
    if run.emulated or not (DEFAULT / "model.safetensors").exists():
        model = TINY
    if run.emulated:
        texts, total = short_texts(), 40
    order: list[int] = list(range(len(texts)))
    again, generator = order.copy(), random.Random(1)
    while len(order) < total:
        generator.shuffle(again)
        order += again
    del order[total:]
    small = write_texts(run.folder / "soak-small.jsonl", [texts[i] for i in order[: total // 5]])
    large = write_texts(run.folder / "soak.jsonl", [texts[i] for i in order])
    rows = run.folder / "soak-rows.jsonl"
    results = []
    for source in (small, large):
        result = run.classify("-m", model, "--device", "cuda", "-o", rows, source, watch_device=True)
        if result.status:
            raise Failed(f"{source.name}: status {result.status}: {last_line(result)}")
        results.append(result)
    first: dict[int, str] = {}
    with open(rows, encoding="utf-8") as file:
        lines = file.readlines()
    for number, (text, line) in enumerate(zip(order, lines)):
        if first.setdefault(text, line) != line:
            raise Failed(
                f"row {number} differs from the first of the same text: {line.strip()} and {first[text].strip()}"
            )
    if len(lines) != total:
        raise Failed(f"{len(lines)} rows for {total} texts")
    host, device = [r.peak_mib for r in results], [r.device_mib for r in results]
    run.details.update(
        texts=total,
        distinct=len(texts),
        model=model.name,
        seconds_of_run=round(results[1].seconds, 2),
        host_peak_mib=[round(m) for m in host],
        device_peak_mib=device,
    )
    if host[1] > 1.05 * host[0] + 32:
        raise Failed(
            f"host memory grows with the input: {host[0]:.0f} MiB for {total // 5} texts, {host[1]:.0f} for {total}"
        )
    if device[0] and device[1] and device[1] > device[0] + 64:
        raise Failed(f"device memory grows with the input: {device[0]:.0f} MiB, then {device[1]:.0f}")
    seen = f", device {device[1]:.0f} MiB" if device[1] else ""
    return f"{total} texts in {results[1].seconds:.1f} s: the rows of the first pass; host {host[1]:.0f} MiB{seen}"


def refused(run: Run, name: str, pattern: str, *arguments: object, env: dict[str, str] | None = None) -> None:
    """One sentence on standard error that fits, no row, an exit status of its own: no crash."""
    result = run.classify("-m", TINY, *arguments, run.folder / "one.txt", env=env)
    run.details[name] = last_line(result)
    if result.status not in (1, 2, 3):
        raise Failed(f"{name}: status {result.status}: {last_line(result)}")
    if result.out.strip():
        raise Failed(f"{name}: there are rows: {result.out[:200]}")
    if not re.search(pattern, result.err, re.IGNORECASE) or len(result.err.splitlines()) > 3:
        raise Failed(f"{name}: the error does not say what is wrong: {result.err.strip()[:300]!r}")


def works(run: Run, name: str, *arguments: object, env: dict[str, str] | None = None) -> None:
    result = run.classify("-m", TINY, *arguments, run.folder / "one.txt", env=env)
    if result.status or len(result.out.splitlines()) != 1:
        raise Failed(f"{name}: status {result.status}: {last_line(result)}")
    run.details[name] = "works"


def suite_faults(run: Run) -> str:
    (run.folder / "one.txt").write_text("Rash after amoxicillin.\n", encoding="utf-8")
    nowhere = {"ADESIEVE_CUBLASLT": "/nowhere/libcublasLt.so.13"}
    no_plugin = {"ADESIEVE_CUDA_PLUGIN": "/nowhere/libadesieve_cuda.so.0"}
    works(run, "cuda", "--device", "cuda")
    refused(run, "no cuBLASLt", "cublas", "--device", "cuda", env=nowhere)
    works(run, "no cuBLASLt, device auto", "--device", "auto", env=nowhere)
    refused(run, "no plugin", "plugin|libadesieve_cuda", "--device", "cuda", env=no_plugin)
    works(run, "no plugin, device auto", "--device", "auto", env=no_plugin)
    refused(run, "no such GPU", "GPU|device", "--device", "cuda:63")
    if not run.emulated:
        hidden = {"CUDA_VISIBLE_DEVICES": "-1"}
        refused(run, "GPU hidden", "GPU|device", "--device", "cuda", env=hidden)
        works(run, "GPU hidden, device auto", "--device", "auto", env=hidden)
        out_of_memory(run)
    return f"{len(run.details)} cases: refused in one sentence, or done on the processor"


def out_of_memory(run: Run) -> None:
    """With 3 GiB left: a budget that cannot fit is refused, the automatic one is small enough."""
    holder = subprocess.Popen(
        [sys.executable, Path(__file__).with_name("hold_memory.py"), "3072"],
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        said = holder.stdout.readline().strip()  # type: ignore[union-attr]
        if not said.startswith("held"):
            raise Failed("hold_memory.py could not take the device's memory")
        run.details["memory"] = said
        model = DEFAULT if (DEFAULT / "model.safetensors").exists() else TINY
        refused(run, "budget too large", "memory", "-m", model, "--device", "cuda", "--token-budget", 1 << 20)
        works(run, "automatic budget in little memory", "-m", model, "--device", "cuda")
    finally:
        holder.stdin.close()  # type: ignore[union-attr]
        holder.wait(30)


# ---- All of them ---------------------------------------------------------------------------------------------------

# Those that may take long come last, so that the limit of the whole meets them.
SUITES: dict[str, tuple[Callable[[Run], str], int]] = {
    "ops": (suite_ops, 120),
    "golden": (suite_golden, 60),
    "agreement": (suite_agreement, 60),
    "faults": (suite_faults, 60),
    "soak": (suite_soak, 60),
    "invariance": (suite_invariance, 100),
    "memcheck": (suite_memcheck, 100),
    "racecheck": (suite_racecheck, 100),
}


def run_suite(run: Run, name: str) -> dict:
    function, limit = SUITES[name]
    run.suite, run.details, run.calls = name, {}, 0
    start = time.monotonic()
    run.limit = min(start + limit, run.deadline)
    try:
        if run.deadline - start < 10:
            raise Skipped("the time of the whole run is spent")
        status, said = "ok", function(run)
    except Skipped as reason:
        status, said = "skipped", str(reason)
    except Failed as reason:
        status, said = "failed", str(reason)
    except Exception as error:  # a fault of this file must not hide the other suites
        status, said = "failed", f"{type(error).__name__}: {error}"
    seconds = time.monotonic() - start
    shown = {"ok": "ok      ", "failed": "FAILED  ", "skipped": "skipped "}[status]
    print(f"{shown} {name:<11} {seconds:5.0f} s  {said}", flush=True)
    return {"suite": name, "status": status, "seconds": round(seconds, 1), "said": said, "details": run.details}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=Path, required=True)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=400, help="for all suites together")
    parser.add_argument(
        "--emulated", action="store_true", help="by tests/emulator: no result, only a test of this file"
    )
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=", ".join(SUITES))
    arguments = parser.parse_args()
    unknown = [name for name in arguments.suites if name not in SUITES]
    if unknown:
        parser.error(f"there is no suite '{unknown[0]}'; there are {', '.join(SUITES)}")
    folder = arguments.build / "gpu-tests"
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    start = time.monotonic()
    run = Run(arguments.build.resolve(), arguments.emulated, start + arguments.seconds, folder, dict(os.environ))
    result = facts(arguments.emulated)
    result["suites"] = [run_suite(run, name) for name in arguments.suites or SUITES]
    result["seconds"] = round(time.monotonic() - start, 1)
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    count = {status: sum(s["status"] == status for s in result["suites"]) for status in ("ok", "failed", "skipped")}
    where = "emulated: nothing ran on a GPU" if arguments.emulated else result["device"]
    print(f"{where}; {arguments.json}", flush=True)
    print(f"{count['ok']} passed, {count['failed']} failed, {count['skipped']} skipped", flush=True)
    return 1 if count["failed"] or not count["ok"] else 0


if __name__ == "__main__":
    sys.exit(main())
