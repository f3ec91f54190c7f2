# SPDX-License-Identifier: Apache-2.0
"""What a result of compare_cpu.py says: tables in Markdown, which bars are met, and the chart."""

from __future__ import annotations

import statistics
from pathlib import Path

from bar_chart import Bar, Group, Panel, draw

README = Path(__file__).resolve().parents[1] / "README.md"
BEGIN, END = "<!-- cpu: begin -->", "<!-- cpu: end -->"
MODELS = {"default": "the default model", "bert-base": "BERT-base"}
TEXTS = {"test": "test rows", "medline": "MEDLINE sentences", "512": "texts of 512 tokens"}
BARS = {"f32": 1.25, "default": 1.4, "int8": 1.3}
OTHER_DECISIONS = 0.003
OURS = "adesieve"


def number(value: float | None, digits: int = 0) -> str:
    return "" if value is None else f"{value:,.{digits}f}"


def rate_of(rows: list[dict], name: str, precision: str) -> float | None:
    return next((r.get("tokens_per_second") for r in rows if (r["name"], r["precision"]) == (name, precision)), None)


def fastest_peer(rows: list[dict], precisions: tuple[str, ...]) -> tuple[str, float] | None:
    rates = [
        (f"{r['name']} {r['precision']}", r["tokens_per_second"])
        for r in rows
        if r["name"] != OURS and r["precision"] in precisions and "tokens_per_second" in r
    ]
    return max(rates, key=lambda rate: rate[1], default=None)


def setup_text(setup: dict) -> str:
    return ", ".join(f"{value} tokens" if key == "tokens" else str(value) for key, value in setup.items()) or "defaults"


# ---- Tables --------------------------------------------------------------------------------------------------------


def speed_table(model: dict, kind: str) -> list[str]:
    """All numbers of threads side by side."""
    by_threads = {t["threads"]: [r for r in t["rows"] if r["texts"] == kind] for t in model["threads"]}
    main = next(iter(by_threads.values()))
    if not main:
        return []
    head = ["precision", "", *(f"tokens/s, {n} thread{'s' if n > 1 else ''}" for n in by_threads)]
    head += [f"adesieve is so many times as fast, {n}" for n in by_threads]
    head += ["sentences/s", "tokens per CPU second", "joules per 1,000 texts", "logits differ by", "other labels"]
    lines = [
        "",
        f"{MODELS[model['model']][0].upper()}{MODELS[model['model']][1:]}, {TEXTS[kind]}: {main[0]['n_texts']} texts, "
        f"{main[0]['n_tokens']} tokens.",
        "",
        "| " + " | ".join(head) + " |",
        "|---" * len(head) + "|",
    ]
    for row in main:
        name, precision = row["name"], row["precision"]
        if "failed" in row:
            lines.append(f"| {precision} | {name} | failed: {row['failed'][:80]} |" + " |" * (len(head) - 3))
            continue
        rates = [rate_of(rows, name, precision) for rows in by_threads.values()]
        times = [
            f"{ours / rate:.2f}" if rate and (ours := rate_of(rows, OURS, precision)) else ""
            for rate, rows in zip(rates, by_threads.values())
        ]
        joules = [j for j in row["joules"] if j is not None]
        lines.append(
            f"| {precision} | {name} | {' | '.join(map(number, rates))} | {' | '.join(times)} "
            f"| {number(row['n_texts'] / statistics.median(row['seconds']), 1)} "
            f"| {number(row['n_tokens'] / statistics.median(row['cpu_seconds']))} "
            f"| {number(1000 * statistics.median(joules) / row['n_texts'], 1) if joules else 'not readable here'} "
            f"| {row['logit_difference']:.1e} | {row['other_decisions']} |"
        )
    return lines


def alone_table(model: dict) -> list[str]:
    """What is measured once for each contender."""
    main = model["threads"][0]
    if not main["alone"]:
        return []
    trained = any("f1" in a for a in main["alone"])
    head = ["precision", "", "one text p50 / p99, ms", "start, s", "start with imports, s", "peak MiB"]
    head += ["F1 of the test rows", "other labels than f32's"] if trained else []
    head += ["set-up for the test rows"]
    lines = ["", "| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for found in main["alone"]:
        setups = [
            r["setup"]
            for r in main["rows"]
            if (r["name"], r["precision"], r["texts"]) == (found["name"], found["precision"], "test")
        ]
        cells = [
            found["precision"],
            found["name"],
            f"{found['p50_ms']:.2f} / {found['p99_ms']:.2f}" if "p50_ms" in found else "",
            number(found.get("start_without_imports"), 2),
            number(found.get("start_with_imports"), 2),
            number(found.get("peak_mib")),
        ]
        if trained and "f1" in found:
            share = found["other_decisions"] / found["rows"]
            cells += [f"{100 * found['f1']:.2f} %", f"{found['other_decisions']} ({100 * share:.2f} %)"]
        elif trained:
            cells += ["", ""]
        cells.append(setup_text(setups[0]) if setups else "")
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def tried_lines(model: dict) -> list[str]:
    """OpenVINO's two ways to int8, each at its best in the search."""
    best: dict[str, float] = {}
    for row in model["threads"][0]["rows"]:
        if (row["name"], row["precision"], row["texts"]) != ("OpenVINO", "int8", "test"):
            continue
        for tried in row["setups_tried"]:
            if "seconds" in tried:
                kind = tried["setup"]["quantized"]
                best[kind] = min(best.get(kind, float("inf")), tried["seconds"])
    if not best:
        return []
    least = min(best.values())
    said = ", ".join(f"{kind} {seconds / least:.2f}" for kind, seconds in best.items())
    return ["", f"OpenVINO's ways to int8 in the search, time against the fastest of them: {said}."]


# ---- Bars ----------------------------------------------------------------------------------------------------------


def bar(what: str, met: bool, value: str) -> str:
    return f"- {'met' if met else 'NOT met'}: {what}: {value}"


def speed_bars(result: dict, model: dict) -> list[str]:
    lines = []
    main = model["threads"][0]
    default = "bf16" if result["has_bf16"] else "f32"
    asked = {
        "f32": ("f32", ("f32",), "f32"),
        "default": (default, ("f32", "bf16"), f"the default precision ({default})"),
        "int8": ("int8", ("int8",), "int8"),
    }
    for key, (precision, peers, words) in asked.items():
        for kind in dict.fromkeys(r["texts"] for r in main["rows"]):
            rows = [r for r in main["rows"] if r["texts"] == kind]
            ours, best = rate_of(rows, OURS, precision), fastest_peer(rows, peers)
            if best is None:
                continue
            what = f"{words} at least {BARS[key]} times the fastest peer, {MODELS[model['model']]}, {TEXTS[kind]}"
            if ours is None:
                lines.append(bar(what, False, f"adesieve was not measured; {best[0]} has {best[1]:,.0f} tokens/s"))
            else:
                lines.append(bar(what, ours >= BARS[key] * best[1], f"{ours / best[1]:.3f} times {best[0]}"))
    return lines


def latency_bars(model: dict) -> list[str]:
    lines = []
    alone = [a for a in model["threads"][0]["alone"] if "p50_ms" in a]
    for precision in dict.fromkeys(a["precision"] for a in alone):
        for key in ("p50", "p99"):
            rows = {a["name"]: a[f"{key}_ms"] for a in alone if a["precision"] == precision}
            ours = rows.pop(OURS, None)
            if not rows:
                continue
            best = min(rows, key=lambda name: rows[name])
            what = f"one text faster than any peer, {precision}, {key}, {MODELS[model['model']]}"
            said = f"{rows[best]:.2f} ms of {best}"
            if ours is None:
                lines.append(bar(what, False, f"adesieve was not measured, against {said}"))
            else:
                lines.append(bar(what, ours < rows[best], f"{ours:.2f} ms against {said}"))
    return lines


def decision_bars(model: dict) -> list[str]:
    lines = []
    for found in model["threads"][0]["alone"]:
        if (found["name"], found["precision"]) == (OURS, "int8") and "f1" in found:
            share = found["other_decisions"] / found["rows"]
            what = f"int8 decides otherwise than f32 on {100 * OTHER_DECISIONS:.1f} % of the test rows or less"
            said = f"{100 * share:.2f} %, {found['other_decisions']} of {found['rows']}; F1 {100 * found['f1']:.2f} %"
            lines.append(bar(what, share <= OTHER_DECISIONS, said))
    return lines


def bars(result: dict) -> list[str]:
    lines = []
    for model in result["models"]:
        if model["threads"]:
            lines += speed_bars(result, model) + latency_bars(model) + decision_bars(model)
    return lines


# ---- All together --------------------------------------------------------------------------------------------------


def report(result: dict) -> str:
    rows = [row for model in result["models"] for t in model["threads"] for row in t["rows"]]
    versions = dict(sorted({row["name"]: row["version"] for row in rows if row.get("version")}.items()))
    load = max((max(row["load"]) for row in rows if row["load"]), default=result["load_before"])
    lines = [
        f"Processor: {result['processor']}; {result['processors']} processors. {result['date']}, commit "
        f"{result['commit']}. {result['rounds']} rounds; load while measuring up to {load:.1f}; "
        f"{result['took_seconds'] / 60:.0f} minutes. "
        + ", ".join([f"Python {result['python']}", *(f"{name} {version}" for name, version in versions.items())])
        + ".",
        "",
        f"`{result['command']}`",
    ]
    for model in result["models"]:
        if not model["threads"]:
            continue
        for kind in TEXTS:
            lines += speed_table(model, kind)
        n = model["threads"][0]["threads"]
        if model["threads"][0]["alone"]:
            name = MODELS[model["model"]]
            lines += ["", f"{name[0].upper()}{name[1:]}, {n} thread{'s' * (n > 1)}:"]
        lines += alone_table(model) + tried_lines(model)
        absent = {k: v for t in model["threads"] for k, v in t["absent"].items()}
        lines += [""] * bool(absent) + [f"- not measured: {who}: {why}" for who, why in absent.items()]
    return "\n".join([*lines, "", *bars(result)])


def write_chart(result: dict, path: Path) -> None:
    """Tokens per second with the first number of threads: a row of panels a model, a panel for each kind of text."""
    panels = []
    for model in result["models"]:
        if not model["threads"]:
            continue
        main = model["threads"][0]
        for kind in TEXTS:
            rates = [
                (r["name"], r["precision"], r["tokens_per_second"])
                for r in main["rows"]
                if r["texts"] == kind and "tokens_per_second" in r
            ]
            groups = [
                Group(precision, [Bar(name, rate, name == OURS) for name, kind, rate in rates if kind == precision])
                for precision in dict.fromkeys(kind for _, kind, _ in rates)
            ]
            if groups:
                name = MODELS[model["model"]]
                panels.append(Panel(f"{name[0].upper()}{name[1:]}, {TEXTS[kind]}", groups))
    if panels:
        threads = result["models"][0]["threads"][0]["threads"]
        title = f"Tokens per second, {threads} thread{'s' * (threads > 1)}, text in to probability out; "
        title += f"{result['processor'].split(',')[0]}, {result['date']}"
        path.write_text(draw(title, panels, columns=len(TEXTS)), encoding="utf-8")


def write_readme(result: dict, path: Path) -> None:
    text = README.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{README} has no lines {BEGIN} and {END}, between which the tables go; put them in")
    chart = path.with_suffix(".svg").name
    made = [
        f"[results/{path.name}](results/{path.name}) has every round and all that was tried for the peers.",
        "",
        f"![Tokens per second of adesieve and its peers](results/{chart})",
        "",
        report(result),
    ]
    README.write_text(before + "\n".join([begin, *made, end]) + after, encoding="utf-8")
