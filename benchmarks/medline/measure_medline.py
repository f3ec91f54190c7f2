# SPDX-License-Identifier: Apache-2.0
"""Measures how fast adesieve reads MEDLINE on this machine, beside Python's usual tools; benchmarks/README.md says how.

One thread first: each stage from XML to token ids, adesieve and its peers in turn (A B, A B, ..) on one processor and on
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
from compare_encoders import ROOT, commit, processor, say  # the path has to be set first
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
    "prepare": "+ prepare (copy, labels, offsets, hash, MD5)",
    "tokenize": "+ tokenize",
}
MEMORY_BAR = 600e6
MANY_THREADS = 16  # for their memory, whatever the machine has


# ---- Running -----------------------------------------------------------------------------------------------------------


def run(command: list[object], processors: set[int]) -> tuple[str, dict]:
    """What it wrote, and what it took. Its threads stay on these processors."""
    everywhere = os.sched_getaffinity(0)
    with tempfile.TemporaryFile() as out:
        start = time.perf_counter()
        os.sched_setaffinity(0, processors)
        process = subprocess.Popen([str(c) for c in command], stdout=out)
        os.sched_setaffinity(0, everywhere)
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            sys.exit(f"measure_medline.py: error: {' '.join(map(str, command))} ended with status {process.returncode}")
        out.seek(0)
        text = out.read().decode()
    return text, {
        "seconds": seconds,
        "cpu_seconds": used.ru_utime + used.ru_stime,
        "peak_bytes": used.ru_maxrss * 1024,
        "load": os.getloadavg()[0],
    }


def one_thread(arguments: argparse.Namespace, cpu: int) -> dict:
    """Rounds of adesieve's stages and of the peers' steps."""
    files = {}
    for records in ("all", "recent"):
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
            text, _ = run([arguments.build / "benchmarks" / "bench_medline", arguments.model, arguments.seconds, path], {cpu})
            result["adesieve"][key].append({**json.loads(text), "load": os.getloadavg()[0]})
            if form == "gz":  # what pubmed_parser reads
                text, used = run([sys.executable, HERE / "peers.py", arguments.model, path, "all"], {cpu})
                result["peers"][key].append({**json.loads(text), "peak_kib": used["peak_bytes"] // 1024, "load": used["load"]})
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
    sizes = {p: file for p, file in zip(paths, dump["files"])}
    for path in paths:  # into the system's cache
        path.read_bytes()
    runs = []

    def screen(name: str, files: list[Path], threads: int, options: list[object]) -> None:
        here = set(processors[:threads]) if threads <= len(processors) else set(processors)
        stats = arguments.work / "stats.json"
        _, used = run([arguments.build / "adesieve", "screen", "--quiet", "--stats", stats, "--threads", threads, *options, *files], here)
        counts = json.loads(stats.read_text(encoding="utf-8"))
        one = {"run": name, "files": len(files), "threads": threads, **used}
        one |= {k: counts[k] for k in ("bytes_xml", "citations", "sentences", "hits")}
        one["seconds_inside"] = counts["seconds"]
        if "--limit" not in options and counts["bytes_xml"] != sum(sizes[f]["xml_bytes"] for f in files):
            sys.exit(f"{name}: adesieve read {counts['bytes_xml']} bytes of XML of {len(files)} files, not what was made")
        runs.append(one)
        say(f"{name}, {threads} threads, {len(files)} files: {one['seconds']:.1f} s, {one['peak_bytes'] / 1e6:.0f} MB")

    counts = sorted({1 << i for i in range(len(processors).bit_length())} | {len(processors)})
    counts = [n for n in counts if n <= len(processors)]
    for _ in range(arguments.rounds_of_dump):
        for threads in counts:
            screen("dry", paths, threads, ["--dry-run"])
        screen("dry", quarter, counts[-1], ["--dry-run"])
    screen("dry", paths, MANY_THREADS, ["--dry-run"])
    screen("dry", quarter, MANY_THREADS, ["--dry-run"])
    with tempfile.TemporaryDirectory(dir=arguments.work) as place:
        rows = Path(place) / "rows.jsonl"
        # Texts cut to 8 tokens: it is the reading, the store and their memory that are looked at.
        tiny = ["--device", "cpu", "--model", TINY, "--max-length", 8, "--threshold", 0.95, "--output", rows]
        screen("tiny", quarter, counts[-1], [*tiny, "--state", Path(place) / "quarter.sqlite"])
        screen("tiny", paths, counts[-1], [*tiny, "--state", Path(place) / "whole.sqlite"])
        model = ["--device", "cpu", "--model", arguments.model, "--limit", arguments.limit, "--output", rows]
        screen("model", paths, counts[-1], [*model, "--state", Path(place) / "model.sqlite"])
    weights = (arguments.model / "model.safetensors").stat().st_size
    what = {k: dump[k] for k in ("settings", "different_records", "records", "xml_bytes", "stored_bytes")}
    return {"dump": {**what, "files": len(paths)}, "runs": runs, "model_bytes": weights}


# ---- What comes out -----------------------------------------------------------------------------------------------------


def rate(stage: dict, key: str = "xml_bytes") -> float:
    """MB a second of processor time."""
    return stage[key] / stage["cpu_seconds"] / 1e6


def our_rate(result: dict, file: str, stage: str, key: str = "xml_bytes") -> float:
    return statistics.median(rate(r[stage], key) for r in result["one_thread"]["adesieve"][file])


def our_text_share(result: dict, file: str) -> float:
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


def dump_groups(result: dict) -> list[list[dict]]:
    seen = dict.fromkeys((r["run"], r["threads"], r["files"]) for r in result["dump"]["runs"])
    return [of_runs(result, *key) for key in seen]


def bars(result: dict) -> list[tuple[bool, str]]:
    whole = result["dump"]["dump"]["files"]
    quarter = max(1, whole // 4)
    dry = [r for r in result["dump"]["runs"] if r["run"] == "dry"]
    processors = max(r["threads"] for r in dry if r["threads"] != MANY_THREADS or MANY_THREADS <= result["processors"])
    found = []
    for file, what in (("all gz", "all records"), ("recent gz", "records of 2020 and 2026")):
        parse = our_rate(result, file, "parse") / their_rate(result, file, "parse")
        path = our_rate(result, file, "tokenize") / their_rate(result, file, "tokenize")
        speed = our_rate(result, file, "tokenize")
        found += [
            (parse >= 10, f"parse at least 10 times pubmed_parser, {what}: {parse:.0f} times"),
            (path >= 60, f"the whole host path at least 60 times Python's, {what}: {path:.0f} times"),
            (speed >= 100, f"the whole host path at 100 MB/s of XML a core or more, {what}: {speed:.0f} MB/s"),
        ]
    size = result["dump"]["dump"]["xml_bytes"]
    peak = max(r["peak_bytes"] for r in dry)
    found.append((peak < MEMORY_BAR and size >= 1e9, f"less than 600 MB for a dump of 1 GB of XML or more: {peak / 1e6:.0f} MB for {size / 1e9:.2f} GB"))
    for threads in sorted({processors, MANY_THREADS}):
        large = median_of(of_runs(result, "dry", threads, whole), "peak_bytes")
        small = median_of(of_runs(result, "dry", threads, quarter), "peak_bytes")
        few = large - small < max(8e6, 0.15 * small)
        found.append((few, f"no more of it for four times the size, {threads} threads: {small / 1e6:.1f} MB, then {large / 1e6:.1f} MB"))
    for name, what, model in (("tiny", "tiny model and a store", 0), ("model", "default model and a store", result["dump"]["model_bytes"])):
        peak = max(r["peak_bytes"] for r in result["dump"]["runs"] if r["run"] == name)
        found.append((peak < MEMORY_BAR + model, f"less than 600 MB and the model, {what}: {peak / 1e6:.0f} MB"))
    if processors > 1:
        one = of_runs(result, "dry", 1, whole)
        many = of_runs(result, "dry", processors, whole)
        gain = median_of(one, "seconds") / median_of(many, "seconds")
        found.append((gain >= 0.75 * processors, f"scales with cores: {gain:.2f} times as fast on {processors} as on 1"))
    return found


def table(result: dict) -> str:
    one = result["one_thread"]
    lines = [
        f"Processor: {result['processor']}; {result['processors']} processors. {result['date']}, commit {result['commit']}. "
        f"{result['rounds']} rounds; load up to {result['load']:.1f}; wall clock up to {busy(result):.2f} times the "
        f"processor time. Python {result['python']}, "
        + ", ".join(f"{name} {version}" for name, version in result["versions"].items())
        + ".",
        "",
        "One thread, MB of XML per second of processor time:",
        "",
        "| | all records, .xml.gz | .xml | MB/s of text | the peers, .xml.gz | | times as fast | 2020 and 2026, .xml.gz | .xml | the peers | times as fast |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for stage in STAGES:
        cells = [WORDS[stage]]
        for records in ("all", "recent"):
            file = f"{records} gz"
            cells += [f"{our_rate(result, file, stage):.0f}", f"{our_rate(result, f'{records} xml', stage):.0f}"]
            if records == "all":
                cells.append(f"{our_rate(result, file, stage, 'text_bytes'):.1f}" if stage != "unpack" else "")
            if stage in PEERS:
                theirs = their_rate(result, file, stage)
                cells += [f"{theirs:.2f}"] + ([PEERS[stage]] if records == "all" else [])
                cells.append(f"{our_rate(result, file, stage) / theirs:.0f}")
            else:
                cells += [""] * (3 if records == "all" else 2)
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", "Where the time goes, ms a MB of XML:", "", "| | all, .xml.gz | share | 2020 and 2026, .xml.gz | share |", "|---|---|---|---|---|"]
    for i, stage in enumerate(STAGES):
        cells = [WORDS[stage].removeprefix("+ ")]
        for file in ("all gz", "recent gz"):
            until = [1e3 / our_rate(result, file, s) for s in STAGES]
            alone = until[i] - (until[i - 1] if i else 0)
            cells += [f"{alone:.2f}", f"{100 * alone / until[-1]:.0f} %"]
        lines.append("| " + " | ".join(cells) + " |")
    sizes = one["files"]["all gz"], one["files"]["recent gz"]
    lines += [
        "",
        f"Text (titles and abstracts) is {100 * our_text_share(result, 'all gz'):.0f} % of the XML of all records, "
        f"{100 * our_text_share(result, 'recent gz'):.0f} % of those of 2020 and 2026. The files hold {sizes[0]['xml_bytes'] / 1e6:.1f} and "
        f"{sizes[1]['xml_bytes'] / 1e6:.1f} MB, {sizes[0]['records']} and {sizes[1]['records']} records. PySBD alone: "
        + " and ".join(f"{pysbd_rate(result, file):.2f}" for file in ("all gz", "recent gz"))
        + " MB/s of text.",
        "",
        f"The command, `adesieve screen`, over {result['dump']['dump']['files']} files of {result['dump']['dump']['xml_bytes'] / 1e9:.2f} GB "
        f"of XML ({result['dump']['dump']['stored_bytes'] / 1e9:.2f} GB stored, {result['dump']['dump']['records']} records):",
        "",
        "| | files | threads | records | seconds | MB/s of XML | processor seconds | peak MB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    names = {"dry": "`--dry-run`", "tiny": "tiny model, `--state`", "model": "default model, `--state`, `--limit`"}
    for runs in dump_groups(result):
        r = runs[0]
        seconds = median_of(runs, "seconds")
        lines.append(
            f"| {names[r['run']]} | {r['files']} | {r['threads']} | {r['citations']} | {seconds:.2f} | {r['bytes_xml'] / seconds / 1e6:.0f} "
            f"| {median_of(runs, 'cpu_seconds'):.2f} | {max(r['peak_bytes'] for r in runs) / 1e6:.1f} |"
        )
    lines.append("")
    lines += [f"- {'met' if met else 'NOT MET'}: {text}" for met, text in bars(result)]
    return "\n".join(lines)


def pysbd_rate(result: dict, file: str) -> float:
    return statistics.median(r["parse"]["text_bytes"] / r["split"]["cpu_seconds"] for r in result["one_thread"]["peers"][file]) / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=Path, default=ROOT / "build", help="where adesieve and bench_medline were built")
    parser.add_argument("--work", type=Path, help="folder for the dumps (BUILD/benchmarks/medline)")
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "adesieve-minilm")
    parser.add_argument("--output", type=Path, help="JSON with everything that was measured")
    parser.add_argument("--rounds", type=int, default=5, help="on one thread (5)")
    parser.add_argument("--seconds", type=float, default=0.4, help="for each stage in a round (0.4)")
    parser.add_argument("--slice", type=float, default=6, metavar="MB", help="of XML that one thread and the peers read (6)")
    parser.add_argument("--megabytes", type=float, default=1100, help="of XML in the dump (1100)")
    parser.add_argument("--files", type=int, default=32, help="in the dump (32)")
    parser.add_argument("--rounds-of-dump", type=int, default=3, metavar="N", help="over the dump (3)")
    parser.add_argument("--limit", type=int, default=300, help="records for the default model (300)")
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
        "versions": {n: importlib.metadata.version(n) for n in ("pubmed_parser", "lxml", "pysbd", "transformers", "tokenizers")},
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
