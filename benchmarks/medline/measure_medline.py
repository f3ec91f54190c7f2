# SPDX-License-Identifier: Apache-2.0
"""Measures how fast adesieve reads MEDLINE on this machine, beside Python's usual tools; benchmarks/README.md says how.

One thread first: each stage from XML to token ids, adesieve and its peers in turn (A B, A B, ..), on one processor and
the same file. Then the command as it is, over a dump of many files, by numbers of threads. The median counts.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from host import ROOT, commit, processor, say
from make_dump import make

HERE = Path(__file__).resolve().parent
TINY = ROOT / "tests" / "data" / "tiny_bert_cls"
STAGES = ("unpack", "parse", "split", "prepare", "tokenize")
STEPS = ("parse", "split", "tokenize")  # the peers'
PEERS = {"parse": "pubmed_parser", "split": "+ PySBD", "tokenize": "+ BertTokenizerFast"}
WORDS = {
    "unpack": "unpack",
    "parse": "+ parse to records",
    "split": "+ split into sentences",
    "prepare": "+ copies, offsets, hash, MD5",
    "tokenize": "+ tokenize",
}
RECORDS = {"all": "All records", "recent": "Records of 2020 and 2026"}
COMMANDS = {"dry": "`--dry-run`", "tiny": "tiny model, `--state`", "model": "default model, `--state`"}
MEMORY_BAR = 600e6
MANY_THREADS = 16  # for their memory, whatever the machine has


# ---- Running ---------------------------------------------------------------------------------------------------------


def run(command: list[object], processors: set[int]) -> tuple[str, dict]:
    """What it wrote, and what it took. Its threads stay on these processors."""
    everywhere = os.sched_getaffinity(0)
    with tempfile.TemporaryFile() as out, tempfile.NamedTemporaryFile("r", encoding="ascii") as took:
        # Our own child would inherit our peak memory; time's does not.
        timed = ["/usr/bin/time", "-o", took.name, "-f", "%U %S %M", *map(str, command)]
        start = time.perf_counter()
        os.sched_setaffinity(0, processors)
        process = subprocess.Popen(timed, stdout=out)
        os.sched_setaffinity(0, everywhere)
        status = process.wait()
        seconds = time.perf_counter() - start
        if status:
            sys.exit(f"measure_medline.py: error: {' '.join(timed[5:])} ended with status {status}")
        user, system, peak = took.read().split()
        out.seek(0)
        text = out.read().decode()
    used = {"seconds": seconds, "cpu_seconds": float(user) + float(system), "peak_bytes": int(peak) * 1024}
    return text, {**used, "load": os.getloadavg()[0]}


def one_thread(arguments: argparse.Namespace, cpu: int) -> dict:
    """Rounds of adesieve's stages and of the peers' steps."""
    files = {}
    for records in RECORDS:
        for form in ("gz", "xml"):
            folder = arguments.work / f"{records}-{form}"
            dump = make(folder, arguments.slice, 1, records, form == "xml")
            files[records, form] = folder / dump["files"][0]["name"], dump
    result = {
        "files": {
            f"{records} {form}": {k: dump[k] for k in ("different_records", "records", "xml_bytes", "stored_bytes")}
            for (records, form), (_, dump) in files.items()
        },
        "adesieve": {f"{r} {f}": [] for r, f in files},
        "peers": {"all gz": [], "recent gz": []},
    }
    for number in range(arguments.rounds):
        for (records, form), (path, _) in files.items():
            key = f"{records} {form}"
            text, _ = run(
                [arguments.build / "benchmarks" / "bench_medline", arguments.model, arguments.seconds, path], {cpu}
            )
            result["adesieve"][key].append({**json.loads(text), "load": os.getloadavg()[0]})
            if form == "gz":  # what pubmed_parser reads
                text, used = run([sys.executable, HERE / "peers.py", arguments.model, path], {cpu})
                result["peers"][key].append(
                    {**json.loads(text), "peak_kib": used["peak_bytes"] // 1024, "load": used["load"]}
                )
        say("round", number + 1, *(f"{k}: {rate(v[-1]['tokenize']):.0f} MB/s" for k, v in result["adesieve"].items()))
    for key, rounds in result["peers"].items():  # both read the same records
        theirs, ours = rounds[0]["parse"], result["adesieve"][key][0]["parse"]
        if theirs["records"] != ours["records"] // ours["passes"]:
            sys.exit(f"pubmed_parser found {theirs['records']} records, adesieve {ours['records'] // ours['passes']}")
    return result


def whole_command(arguments: argparse.Namespace, processors: list[int]) -> dict:
    """adesieve screen over the dump: by threads, at a quarter of the size, and with a model and a store."""
    folder = arguments.work / "dump"
    say(f"making a dump of {arguments.megabytes:g} MB of XML in {folder}, or finding it there")
    start = time.perf_counter()
    dump = make(folder, arguments.megabytes, arguments.files)
    say(f"there after {time.perf_counter() - start:.0f} s")
    paths = [folder / file["name"] for file in dump["files"]]
    quarter = paths[: max(1, len(paths) // 4)]
    few = make(arguments.work / "few", arguments.screened, 2)
    small = [arguments.work / "few" / file["name"] for file in few["files"]]
    sizes = dict(zip(paths + small, dump["files"] + few["files"]))
    for path in paths:  # into the system's cache
        path.read_bytes()
    runs = []

    def screen(name: str, files: list[Path], threads: int, options: list[object]) -> None:
        here = set(processors[:threads]) if threads <= len(processors) else set(processors)
        stats = arguments.work / "stats.json"
        _, used = run(
            [
                arguments.build / "adesieve",
                "screen",
                "--quiet",
                "--stats",
                stats,
                "--threads",
                threads,
                *options,
                *files,
            ],
            here,
        )
        counts = json.loads(stats.read_text(encoding="utf-8"))
        one = {"run": name, "files": len(files), "threads": threads, **used}
        one |= {k: counts[k] for k in ("bytes_xml", "citations", "sentences", "hits")}
        one["seconds_inside"] = counts["seconds"]
        if counts["bytes_xml"] != sum(sizes[f]["xml_bytes"] for f in files):
            sys.exit(
                f"{name}: adesieve read {counts['bytes_xml']} bytes of XML of {len(files)} files, not what was made"
            )
        runs.append(one)
        say(f"{name}, {threads} threads, {len(files)} files: {one['seconds']:.1f} s, {one['peak_bytes'] / 1e6:.0f} MB")

    counts = sorted({1 << i for i in range(len(processors).bit_length())} | {len(processors)})
    counts = [n for n in counts if n <= len(processors)]
    few_threads = max(n for n in counts if n <= 4)  # a quarter of the files must keep them busy, too
    for _ in range(arguments.rounds_of_dump):
        for threads in counts:
            screen("dry", paths, threads, ["--dry-run"])
        screen("dry", quarter, few_threads, ["--dry-run"])
    if MANY_THREADS not in counts:
        screen("dry", paths, MANY_THREADS, ["--dry-run"])
    with tempfile.TemporaryDirectory(dir=arguments.work) as place:
        rows = Path(place) / "rows.jsonl"
        # Texts cut to 8 tokens: it is the reading, the store and their memory that are looked at.
        tiny = ["--device", "cpu", "--model", TINY, "--max-length", 8, "--threshold", 0.95, "--output", rows]
        screen("tiny", quarter, counts[-1], [*tiny, "--state", Path(place) / "quarter.sqlite"])
        screen("tiny", paths, counts[-1], [*tiny, "--state", Path(place) / "whole.sqlite"])
        model = ["--device", "cpu", "--model", arguments.model, "--output", rows]
        screen("model", small, counts[-1], [*model, "--state", Path(place) / "model.sqlite"])
    weights = (arguments.model / "model.safetensors").stat().st_size
    what = {k: dump[k] for k in ("settings", "different_records", "records", "xml_bytes", "stored_bytes")}
    what["files"] = len(paths)
    return {"dump": what, "few_threads": few_threads, "runs": runs, "model_bytes": weights}


# ---- What comes out --------------------------------------------------------------------------------------------------


def rate(stage: dict, key: str = "xml_bytes") -> float:
    """MB a second of processor time."""
    return stage[key] / stage["cpu_seconds"] / 1e6


def our_rate(result: dict, file: str, stage: str, key: str = "xml_bytes") -> float:
    return statistics.median(rate(r[stage], key) for r in result["one_thread"]["adesieve"][file])


def text_share(result: dict, file: str) -> float:
    first = result["one_thread"]["adesieve"][file][0]["parse"]
    return first["text_bytes"] / first["xml_bytes"]


def their_seconds(result: dict, file: str, last: str) -> float:
    """Of parsing and what follows up to the step `last`."""
    steps = STEPS[: STEPS.index(last) + 1]
    return statistics.median(sum(r[s]["cpu_seconds"] for s in steps) for r in result["one_thread"]["peers"][file])


def their_rate(result: dict, file: str, last: str) -> float:
    return result["one_thread"]["files"][file]["xml_bytes"] / their_seconds(result, file, last) / 1e6


def busy(result: dict) -> float:
    """Wall clock over processor time, at its worst: 1 on a machine that does nothing else."""
    one = result["one_thread"]
    ours = [r[s] for rounds in one["adesieve"].values() for r in rounds for s in STAGES]
    theirs = [r[s] for rounds in one["peers"].values() for r in rounds for s in STEPS]
    return max(s["seconds"] / s["cpu_seconds"] for s in ours + theirs)


def of_runs(result: dict, name: str, threads: int, files: int) -> list[dict]:
    wanted = (name, threads, files)
    return [r for r in result["dump"]["runs"] if (r["run"], r["threads"], r["files"]) == wanted]


def median_of(runs: list[dict], key: str) -> float:
    return statistics.median(r[key] for r in runs)


def bars(result: dict) -> list[tuple[bool, str]]:
    found = []
    for records in RECORDS:
        file, what = f"{records} gz", RECORDS[records].lower()
        speed = our_rate(result, file, "tokenize")
        parse = our_rate(result, file, "parse") / their_rate(result, file, "parse")
        path = speed / their_rate(result, file, "tokenize")
        found += [
            (parse >= 10, f"parse at least 10 times as fast as pubmed_parser, {what}: {parse:.0f} times"),
            (path >= 60, f"XML to token ids at least 60 times as fast as in Python, {what}: {path:.0f} times"),
            (speed >= 100, f"XML to token ids at 100 MB/s of XML a core or more, {what}: {speed:.0f} MB/s"),
        ]
    size, whole = result["dump"]["dump"]["xml_bytes"], result["dump"]["dump"]["files"]
    peak = max(r["peak_bytes"] for r in result["dump"]["runs"] if r["run"] == "dry")
    words = f"less than 600 MB for 1 GB of XML or more: {peak / 1e6:.0f} MB for {size / 1e9:.2f} GB"
    found.append((peak < MEMORY_BAR and size >= 1e9, words))
    runs = [of_runs(result, "dry", result["dump"]["few_threads"], files) for files in (max(1, whole // 4), whole)]
    small, large = (median_of(r, "peak_bytes") / 1e6 for r in runs)
    words = f"no more for four times the size, {runs[0][0]['threads']} threads: {small:.1f} MB, then {large:.1f} MB"
    found.append((large - small < max(8, 0.15 * small), words))
    for name, weights in (("tiny", 0), ("model", result["dump"]["model_bytes"])):
        peak = max(r["peak_bytes"] for r in result["dump"]["runs"] if r["run"] == name)
        words = f"less than 600 MB and the model, {COMMANDS[name]}: {peak / 1e6:.0f} MB"
        found.append((peak < MEMORY_BAR + weights, words))
    processors = result["processors"]
    if processors > 1:
        one, many = (median_of(of_runs(result, "dry", threads, whole), "seconds") for threads in (1, processors))
        words = f"scales with cores: {one / many:.2f} times as fast on {processors} as on 1"
        found.append((one / many >= 0.75 * processors, words))
    return found


def stage_table(result: dict, records: str) -> list[str]:
    file = f"{records} gz"
    size = result["one_thread"]["files"][file]
    lines = [
        f"{RECORDS[records]}: {size['xml_bytes'] / 1e6:.1f} MB of XML, {size['records']} records made of "
        f"{size['different_records']} real ones, text is {100 * text_share(result, file):.0f} % of it:",
        "",
        "| | .xml.gz | .xml | text of .xml.gz | alone, ms/MB | share | the peers, .xml.gz | | times as fast |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    until = 0.0
    whole = 1e3 / our_rate(result, file, STAGES[-1])
    for stage in STAGES:
        ours = our_rate(result, file, stage)
        alone, until = 1e3 / ours - until, 1e3 / ours
        cells = [WORDS[stage], f"{ours:.0f}", f"{our_rate(result, f'{records} xml', stage):.0f}"]
        cells.append(f"{our_rate(result, file, stage, 'text_bytes'):.1f}" if stage != "unpack" else "")
        cells += [f"{alone:.2f}", f"{100 * alone / whole:.0f} %"]
        if stage in PEERS:
            theirs = their_rate(result, file, stage)
            cells += [f"{theirs:.2f}", PEERS[stage], f"{ours / theirs:.0f}"]
        else:
            cells += [""] * 3
        lines.append("| " + " | ".join(cells) + " |")
    return [*lines, "", f"PySBD alone: {pysbd_rate(result, file):.2f} MB/s of text.", ""]


def dump_table(result: dict) -> list[str]:
    dump = result["dump"]["dump"]
    lines = [
        f"`adesieve screen` over {dump['files']} files, {dump['xml_bytes'] / 1e9:.2f} GB of XML, "
        f"{dump['stored_bytes'] / 1e9:.2f} GB stored, {dump['records']} records, and over a quarter of the files:",
        "",
        "| | threads | XML, MB | records | seconds | MB/s of XML | processor seconds | peak MB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    seen = dict.fromkeys((r["run"], r["threads"], r["files"]) for r in result["dump"]["runs"])
    for runs in (of_runs(result, *key) for key in seen):
        first, seconds = runs[0], median_of(runs, "seconds")
        lines.append(
            f"| {COMMANDS[first['run']]} | {first['threads']} | {first['bytes_xml'] / 1e6:.0f} | {first['citations']} "
            f"| {seconds:.2f} | {first['bytes_xml'] / seconds / 1e6:.0f} | {median_of(runs, 'cpu_seconds'):.2f} "
            f"| {max(r['peak_bytes'] for r in runs) / 1e6:.1f} |"
        )
    return [*lines, ""]


def table(result: dict) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    lines = [
        f"Processor: {result['processor']}; {result['processors']} processors. {result['date']}, commit "
        f"{result['commit']}. {result['rounds']} rounds; load up to {result['load']:.1f}, wall clock up to "
        f"{busy(result):.2f} times the processor time. Python {result['python']}, {versions}.",
        "",
        "One thread, MB per second of processor time:",
        "",
    ]
    for records in RECORDS:
        lines += stage_table(result, records)
    lines += dump_table(result)
    lines += [f"- {'met' if met else 'NOT MET'}: {text}" for met, text in bars(result)]
    return "\n".join(lines)


def pysbd_rate(result: dict, file: str) -> float:
    return (
        statistics.median(
            r["parse"]["text_bytes"] / r["split"]["cpu_seconds"] for r in result["one_thread"]["peers"][file]
        )
        / 1e6
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--build", type=Path, default=ROOT / "build", help="where adesieve and bench_medline were built"
    )
    parser.add_argument("--work", type=Path, help="folder for the dumps (BUILD/benchmarks/medline)")
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "adesieve-minilm")
    parser.add_argument("--output", type=Path, help="JSON with everything that was measured")
    parser.add_argument("--rounds", type=int, default=5, help="on one thread (5)")
    parser.add_argument("--seconds", type=float, default=0.4, help="for each stage in a round (0.4)")
    parser.add_argument(
        "--slice", type=float, default=6, metavar="MB", help="of XML that one thread and the peers read (6)"
    )
    parser.add_argument("--megabytes", type=float, default=1100, help="of XML in the dump (1100)")
    parser.add_argument("--files", type=int, default=32, help="in the dump (32)")
    parser.add_argument("--rounds-of-dump", type=int, default=3, metavar="N", help="over the dump (3)")
    parser.add_argument("--screened", type=float, default=4, metavar="MB", help="of XML for the default model (4)")
    parser.add_argument("--table", type=Path, metavar="JSON", help="only print the tables of an earlier result")
    arguments = parser.parse_args()
    if arguments.table:
        print(table(json.loads(arguments.table.read_text(encoding="utf-8"))))
        return
    arguments.work = arguments.work or arguments.build / "benchmarks" / "medline"
    arguments.work.mkdir(parents=True, exist_ok=True)
    processors = sorted(os.sched_getaffinity(0))
    load = os.getloadavg()[0]
    if load > 0.5:
        say(f"warning: the machine is busy (load {load:.1f}); wall clock and scaling will not count")
    started = time.perf_counter()
    result = {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d"),
        "commit": commit(),
        "processor": processor(),
        "processors": len(processors),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "versions": {
            n: importlib.metadata.version(n) for n in ("pubmed_parser", "lxml", "pysbd", "transformers", "tokenizers")
        },
        "model": arguments.model.name,
        "rounds": arguments.rounds,
        "load_before": load,
        "one_thread": one_thread(arguments, processors[0]),
        "dump": whole_command(arguments, processors),
    }
    rounds = [r for kind in ("adesieve", "peers") for rounds in result["one_thread"][kind].values() for r in rounds]
    result["load"] = max(r["load"] for r in rounds + result["dump"]["runs"])
    result["seconds"] = time.perf_counter() - started
    if arguments.output:
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        arguments.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(table(result))
    say(f"measured in {result['seconds']:.0f} s")


if __name__ == "__main__":
    main()
