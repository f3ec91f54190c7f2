# SPDX-License-Identifier: Apache-2.0
"""A contender's process: it says when it is ready, then answers one JSON request a line by one JSON line.

    python cpu_worker.py NAME PRECISION THREADS FOLDER WORK TEXTS.json
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))

from host import memory_mib  # the path has to be set first


def seconds_of(contender: Any, texts: list[str]) -> tuple[float, float]:
    """Wall and processor time from texts to probabilities."""
    start, cpu = time.perf_counter(), time.process_time()
    contender.probabilities(texts)
    return time.perf_counter() - start, time.process_time() - cpu


def one_by_one(contender: Any, texts: list[str]) -> list[float]:
    seconds = []
    for text in texts:
        start = time.perf_counter()
        contender.probabilities([text])
        seconds.append(time.perf_counter() - start)
    return seconds


def answer_of(contender: Any, request: dict, texts: dict[str, list[str]]) -> dict:
    do = request["do"]
    some = texts.get(request.get("texts", ""), [])
    if do == "choices":
        return {"choices": contender.choices}
    if do == "use":
        contender.use(request["setup"])
        return {"version": contender.version}
    if do == "try":
        contender.use(request["setup"])
        some = [some[i * len(some) // request["count"]] for i in range(request["count"])]
        if request["one_by_one"]:
            one_by_one(contender, some)
            return {"seconds": sum(one_by_one(contender, some))}
        seconds_of(contender, some)
        runs = [seconds_of(contender, some)[0]]
        if runs[0] < 0.25:
            runs.append(seconds_of(contender, some)[0])
        return {"seconds": min(runs)}
    if do == "round":
        wall, cpu = seconds_of(contender, some)
        return {"seconds": wall, "cpu": cpu}
    if do == "latency":
        return {"seconds": one_by_one(contender, some[request["first"] : request["first"] + request["count"]])}
    if do == "logits":
        return {"logits": contender.logits(some).tolist()}
    if do == "memory":
        return {"mib": memory_mib("VmHWM")}
    raise ValueError(do)


def main() -> None:
    name, precision, threads, folder, work, texts_file = sys.argv[1:]
    answers, sys.stdout = sys.stdout, sys.stderr  # libraries print what they like

    def reply(value: dict) -> None:
        print(json.dumps(value), file=answers, flush=True)

    request = json.loads(sys.stdin.readline())  # {"do": "open", "setup": .., "asked": monotonic time, "first": text}
    try:
        from cpu_contenders import CONTENDERS, Absent

        kind = CONTENDERS[name]
        os.environ.update(kind.environment)
        for module in kind.modules:
            importlib.import_module(module)
        imported = time.monotonic()
        try:
            contender = kind(Path(folder), Path(work), precision, int(threads))
            if request["setup"] is not None:
                contender.use(request["setup"])
                contender.probabilities([request["first"]])
        except Absent as reason:
            reply({"absent": str(reason)})
            return
    except Exception as error:
        reply({"failed": f"{type(error).__name__}: {error}"[:500]})
        return
    now = time.monotonic()
    reply({"with_imports": now - request["asked"], "without_imports": now - imported, "version": contender.version})
    texts = json.loads(Path(texts_file).read_text(encoding="utf-8"))
    for line in sys.stdin:
        try:
            reply(answer_of(contender, json.loads(line), texts))
        except Exception as error:  # a set-up that the contender refuses, say
            reply({"failed": f"{type(error).__name__}: {error}"[:500]})


if __name__ == "__main__":
    main()
