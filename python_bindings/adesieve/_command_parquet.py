# SPDX-License-Identifier: Apache-2.0
"""``adesieve screen -f parquet`` and ``adesieve classify -f parquet``: what the C command says and does, but into a
Parquet file.

screen runs the library, so that a store is told only when the file has its name. classify has the C command read the
texts, and takes its JSON rows. Options and their values have been checked by the C command.
"""

from __future__ import annotations

import contextlib
import errno
import gzip
import json
import os
import resource
import secrets
import signal
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from . import _ffi, settings
from ._command_line import FAILED, INTERRUPTED, USAGE, Wanted
from ._command_messages import Line, Messages, Stop, grouped
from ._ffi import Watch
from ._optional import need
from ._parquet import ParquetFile, place
from .calibration import Calibration, OperatingPoint, find_point, is_stale, needed_calibration, parse_target
from .errors import Error, InvalidArgument, Status
from .profile import stats_of
from .rows import InputFile, Stats
from .screening import Screening, start

PARTIAL = 3
_USUAL_RECALL = 0.995  # of a prefilter

#: Options that do not go with Parquet, and what to do instead.
_REFUSED = {
    "parts": "the texts of parts go with another format: run it again with -f jsonl --parts",
    "dry-run": "a dry run writes no rows: leave the format out",
    "output-dir": "name one file with -o, or run it once for each input",
    "manifest": "the file's own metadata says what was searched: adesieve.screening.provenance(FILE) in Python",
    "metrics-file": "use another format, or --progress always --log-json",
    "abandon-output": "use it with the format of the interrupted run",
}


# ---- Common to both ---------------------------------------------------------------------------------------------


def _output(wanted: Wanted, messages: Messages) -> str:
    """The file to write, if it can be written."""
    path = wanted.value("output")
    if path in (None, "-", "/dev/stdout"):
        raise messages.stop(
            USAGE,
            "a Parquet file cannot go to standard output: it appears only when it is complete.",
            "name a file with -o",
        )
    assert path is not None
    try:
        place(path)
    except ValueError as error:
        raise messages.stop(FAILED, str(error)) from None
    except OSError as error:
        raise messages.stop(FAILED, f"{path}: cannot be written: {error.strerror}.") from None
    return path


def _identity(path: str) -> object:
    """Equal for names of the same file."""
    try:
        info = os.stat(path)
        return info.st_dev, info.st_ino
    except OSError:
        return os.path.realpath(path)


def _guard(wanted: Wanted, files: list[str], messages: Messages) -> None:
    """No output takes the place of what the run reads, of its store, or of another output."""
    known: dict[object, tuple[str, str, int]] = {}

    def add(path: str, what: str, status: int) -> None:
        if path != "-":
            known.setdefault(_identity(path), (path, what, status))

    for given in files:
        names = [given]
        if os.path.isdir(given):
            inside = (name for name in os.listdir(given) if name.endswith((".xml", ".xml.gz")) and name[0] != ".")
            names = [os.path.join(given, name) for name in inside]
        for name in names:
            add(name, "an input", FAILED)
            add(name + ".md5", "the MD5 sum of an input", FAILED)
    if wanted.value("files-from"):
        add(str(wanted.value("files-from")), "the list of the inputs", USAGE)
    store = wanted.value("state")
    for end in ("", "-wal", "-shm", "-journal") if store else ():
        add(os.path.realpath(str(store)) + end, "a file of the store", USAGE)
    default = _ffi.load().ade_default_model()
    for folder in (wanted.value("model") or os.fsdecode(default or b""), wanted.value("prefilter") or ""):
        for name in os.listdir(folder) if os.path.isdir(folder) else ():
            add(os.path.join(folder, name), "a file of the model", FAILED)
    for option in ("output", "stats"):
        path = wanted.value(option)
        if path is None or path == "-":
            continue
        taken = known.get(_identity(path))
        if taken is not None:
            raise messages.stop(
                taken[2],
                f"'--{option}' ({path}) would overwrite {taken[0]}, {taken[1]}; choose another name for the output.",
            )
        add(path, f"which '--{option}' writes", USAGE)


def _open_closed_streams() -> None:
    """No file that is opened from here on gets the number of a standard stream that the caller closed: what a library
    says there would end up in it."""
    while (number := os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)) <= 2:
        pass
    os.close(number)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115  # to the end


def run(program: str, wanted: Wanted) -> int:
    """Does what is wanted; the exit status."""
    _open_closed_streams()
    messages = Messages(wanted)
    with contextlib.suppress(ValueError):  # not the main thread
        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return _screen(wanted, messages) if wanted.command == "screen" else _classify(program, wanted, messages)
    except Stop as stop:
        return stop.status
    except KeyboardInterrupt:
        if messages.written:
            messages.say("error", f"interrupted when {messages.written} was written already, and is whole.")
        else:
            store = "; the store is as it was" if wanted.flag("state") else ""
            messages.say("error", f"interrupted; no output was written{store}.")
        return INTERRUPTED
    except Error as error:
        messages.say("error", str(error))
        return FAILED
    except OSError as error:
        messages.say("error", f"{error.filename}: {error.strerror}." if error.filename else str(error))
        return FAILED
    except MemoryError as error:
        messages.say("error", str(error) or "out of memory")
        return FAILED


def _needs_arrow(messages: Messages) -> None:
    try:
        need("pyarrow", "arrow")
    except ImportError as error:
        raise messages.stop(FAILED, f"'--format parquet': {error}.") from None


# ---- screen -----------------------------------------------------------------------------------------------------


def _listed(wanted: Wanted, messages: Messages) -> list[str]:
    """The inputs, with those of the list."""
    files, path = list(wanted.files), wanted.value("files-from")
    if path is not None:
        shown = "standard input" if path == "-" else path
        try:
            with contextlib.ExitStack() as opened:
                file = sys.stdin.buffer if path == "-" else opened.enter_context(open(path, "rb"))
                data = file.read()
                if data[:2] == b"\x1f\x8b":
                    data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise messages.stop(FAILED, f"{shown}: {getattr(error, 'strerror', None) or error}.") from None
        lines = data.split(b"\n")
        for number, line in enumerate(lines, 1):
            if b"\0" in line:
                raise messages.stop(
                    FAILED, f"{shown}:{number}: holds a NUL byte, which no path does; the list is a path a line."
                )
        files += [os.fsdecode(line) for line in lines if line]
        if len(files) == len(wanted.files):
            raise messages.stop(FAILED, f"{shown}: holds no path.")
    if files.count("-") + (path == "-") > 1:
        raise messages.stop(USAGE, "standard input ('-') can be read only once.")
    if not files:
        raise messages.stop(USAGE, "no FILE is given.", "give files or folders, or - for standard input")
    if "" in files:
        raise messages.stop(USAGE, "a file name is empty.")
    return files


def _open_model(wanted: Wanted, messages: Messages, opened: contextlib.ExitStack) -> Any:
    library, folder = _ffi.load(), wanted.value("model")
    path = library.ade_default_model() if folder is None else os.fsencode(folder)
    if path is None:
        raise messages.stop(
            FAILED,
            "no model is given, and none is installed with adesieve.",
            "name a model folder with -m DIR, or in the environment variable ADESIEVE_MODEL",
        )
    calibration, labels, positive = (wanted.value(name) for name in ("calibration", "labels", "positive-label"))
    options = _ffi.ModelOptions(
        labels=None if labels is None else os.fsencode(labels),
        positive_label=None if positive is None else os.fsencode(positive),
        calibration=None if calibration is None else os.fsencode(calibration),
        log=_ffi.log,
    )
    model = _ffi.Model()
    try:
        _ffi.check(library.ade_model_open(path, options, model))
    except Error as error:
        hint = ""
        if error.status is Status.IO and calibration is None:
            hint = (
                "this is the default model; name another with -m DIR, or in ADESIEVE_MODEL"
                if folder is None
                else "-m takes a folder with config.json, model.safetensors and the tokenizer's files"
            )
        raise messages.stop(USAGE if isinstance(error, InvalidArgument) else FAILED, str(error), hint) from None
    opened.callback(library.ade_model_close, model)
    return model


def _session(wanted: Wanted, watch: Watch) -> _ffi.SessionOptions:
    kind, index = settings.device(wanted.value("device") or "auto")
    names = ("threads", "max_length", "token_budget")
    numbers = {name: int(wanted.value(name.replace("_", "-")) or 0) for name in names}
    return _ffi.SessionOptions(
        device=kind,
        device_index=index,
        precision=_ffi.Precision[(wanted.value("precision") or "auto").upper()],
        split_special_tokens=int(wanted.flag("split-special-tokens")),
        progress=watch.callback,
        log=_ffi.log,
        **numbers,
    )


def _check_calibration(model: Any, messages: Messages) -> Calibration:
    """Raises where one is needed and there is none; warns where it was made for other weights."""
    calibration = needed_calibration(model)
    if is_stale(calibration, model):
        messages.say(
            "warning",
            "the calibration was made for other weights than the model has now, so its probabilities and thresholds "
            "need not hold; make it anew with adesieve calibrate",
        )
    return calibration


def _share(value: float, interval: tuple[float, float]) -> str:
    return f"{value:.3f} ({interval[0]:.3f} to {interval[1]:.3f})"


def _threshold(model: Any, wanted: Wanted, messages: Messages) -> tuple[float, OperatingPoint | None]:
    text = wanted.value("threshold") or "0.5"
    looked_up = "=" in text
    calibration = None
    if wanted.flag("calibrated") or wanted.flag("prevalence") or looked_up:
        calibration = _check_calibration(model, messages)
    if not looked_up:
        return float(text), None
    prevalence = wanted.value("prevalence")
    point = find_point(model, *parse_target(text), None if prevalence is None else float(prevalence))
    assert calibration is not None
    data = f" ({calibration.data})" if calibration.data else ""
    messages.say(
        "note",
        f"threshold  {point.threshold:.9g} for {text}. On the {calibration.n} labelled texts of the calibration{data} it "
        f"gave, with 95 % intervals, recall {_share(point.recall, point.recall_interval)}; where a share of "
        f"{point.prevalence:.4g} is positive, precision {_share(point.precision, point.precision_interval)}, and it "
        f"finds {_share(point.review, point.review_interval)} of all texts",
    )
    return point.threshold, point


def _say_file(file: InputFile, wanted: Wanted, messages: Messages) -> None:
    messages.release_held(but=file.error)
    more = {"file": asdict(file)} if messages.json else {}
    name = "standard input" if file.name == "-" else file.name
    hits = grouped(file.hits, "hit")
    if file.status == "failed":
        rows = file.rows if not wanted.flag("state") else 0
        left = f"; {grouped(rows)} of its rows {'was' if rows == 1 else 'were'} already written" if rows else ""
        messages.say("error", f"{file.error}{left}", **more)
    elif file.status == "skipped":
        messages.say("note", f"{name}: skipped, done before ({grouped(file.citations, 'citation')}, {hits})", **more)
    else:
        kinds = [(file.new_citations, "new"), (file.revised, "revised")]
        kinds += [(file.unchanged, "unchanged"), (file.superseded, "superseded")]
        kind = ", ".join(f"{grouped(count)} {what}" for count, what in kinds if count)
        deleted = f", {grouped(file.deleted)} deleted" if file.deleted else ""
        cut = "; --limit is reached, and the rest was not read" if file.status == "cut" else ""
        messages.say(
            "note",
            f"{name}: {grouped(file.citations, 'citation')}{f' ({kind})' if kind else ''}{deleted}, "
            f"{grouped(file.sentences, 'sentence')}, {hits}, {file.seconds:.1f} s{cut}",
            **more,
        )


def _say_summary(stats: Stats, rows: int, deletions: int, threshold: float, wanted: Wanted, say: Any) -> None:
    n = grouped
    kind = "document" if wanted.flag("document") else "sentence" if wanted.flag("all") else "hit"
    by_prefilter = f", {n(stats.prefiltered)} of them by the prefilter" if wanted.flag("prefilter") else ""
    rate = stats.screened / stats.seconds_total if stats.seconds_total > 0 else 0
    for line in (
        f"citations  {n(stats.citations)} = {n(stats.new_citations)} new + {n(stats.revised)} revised + "
        f"{n(stats.unchanged)} unchanged + {n(stats.superseded)} superseded; {n(stats.deleted)} deleted",
        f"           {n(stats.without_abstract)} without abstract, {n(stats.without_text)} without any text",
        f"sentences  {n(stats.sentences)} = {n(stats.screened)} screened + {n(stats.skipped)} skipped{by_prefilter}",
        f"hits       {n(stats.hits)} at a threshold of {threshold:.9g}; {n(rows, 'row')} = "
        f"{n(rows - deletions, kind)} + {n(deletions, 'deletion')}",
        f"documents  {n(stats.documents)} with a hit",
        f"tokens     {n(stats.tokens)}, {n(stats.unknown_tokens)} of them unknown; "
        f"{n(stats.truncated_texts)} texts truncated",
        f"time       {stats.seconds_total:.1f} s (classifying {stats.seconds_classify:.1f} s); {rate:.0f} sentences/s",
    ):
        say("note", line)


def _point_object(point: OperatingPoint | None, target: str) -> dict[str, Any] | None:
    if point is None:
        return None
    shares: dict[str, Any] = {}
    for name in ("recall", "precision", "review"):
        low, high = getattr(point, f"{name}_interval")
        shares[name] = {"value": getattr(point, name), "low": low, "high": high}
    kind, value = parse_target(target)
    threshold, prevalence = point.threshold, point.prevalence
    return {"target": kind.name.lower(), "value": value, "threshold": threshold, "prevalence": prevalence, **shares}


def _stats_object(run: Screening, model: Any, rows: int, opening: float, wanted: Wanted) -> dict[str, Any]:
    """As --stats of the C command."""
    stats, seconds = run.stats, run.stats.seconds_total
    info = _ffi.ModelInfo()
    _ffi.check(_ffi.load().ade_model_get_info(model, info))
    device = run._device_facts
    counts = {
        {"files_total": "files", "new_citations": "new", "replaced": "replaced_utf8"}.get(name, name): value
        for name, value in asdict(stats).items()
        if not name.startswith("seconds") and name not in ("rows", "confirmed")
    }

    def rate(count: int) -> float:
        return count / seconds if seconds > 0 else 0.0

    return {
        "command": "screen",
        "version": _ffi.library_version(),
        "model": {
            "name": run._model_facts["name"],
            "folder": info.folder.decode("utf-8", "replace"),
            "sha256": _ffi.model_hash(model),
        },
        "run": {
            "device": f"cuda:{device['index']}" if device["type"] == "cuda" else device["type"],
            "device_name": device["name"],
            "instruction_set": device["instruction_set"],
            "precision": device["precision"],
            "threads": device["threads"],
            "max_length": device["max_length"],
            "token_budget": device["token_budget"],
        },
        "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        **counts,
        "threshold": run.threshold,
        "threshold_target": _point_object(run.operating_point, wanted.value("threshold") or ""),
        "calibrated": wanted.flag("calibrated") or wanted.flag("prevalence"),
        "prevalence": None if wanted.value("prevalence") is None else float(str(wanted.value("prevalence"))),
        "prefilter": None
        if run.prefilter_point is None
        else {
            "name": os.path.basename(str(wanted.value("prefilter")).rstrip("/")),
            **(_point_object(run.prefilter_point, f"recall={wanted.value('prefilter-recall') or _USUAL_RECALL}") or {}),
        },
        "inputs_refused": len(run._refused),
        "rows": rows,
        "rows_confirmed": rows,
        "seconds": {
            "open": opening,
            "read": stats.seconds_read,
            "classify": stats.seconds_classify,
            "starved": stats.seconds_starved,
            "total": seconds,
        },
        "citations_per_second": rate(stats.citations),
        "texts_per_second": rate(stats.screened),
        "tokens_per_second": rate(stats.tokens),
        "profile": stats_of(run._spent, info.kind, device["type"]),
    }


def _write_stats(path: str, values: dict[str, Any], messages: Messages) -> None:
    text = json.dumps(values, indent=2) + "\n"
    try:
        if path in ("-", "/dev/stdout"):
            if sys.stdout is None:  # it was closed
                raise OSError(errno.EBADF, os.strerror(errno.EBADF))
            sys.stdout.write(text)
            sys.stdout.flush()
            return
        target = os.path.realpath(path)
        if os.path.exists(target) and not os.path.isfile(target):
            with open(target, "w", encoding="utf-8") as pipe:
                pipe.write(text)
            return
        temporary = os.path.join(os.path.dirname(target), f".adesieve-{secrets.token_hex(8)}.part")
        try:
            with open(temporary, "x", encoding="utf-8") as file:
                file.write(text)
            os.replace(temporary, target)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
    except OSError as error:
        raise messages.stop(FAILED, f"{path}: cannot be written: {error.strerror}.") from None


def _check_screen(wanted: Wanted, messages: Messages) -> None:
    for name, instead in _REFUSED.items():
        if wanted.flag(name):
            raise messages.stop(USAGE, f"'--{name}' does not go with Parquet.", instead)
    for name, needed in (("no-store-text", "state"), ("prefilter-recall", "prefilter")):
        if wanted.flag(name) and not wanted.flag(needed):
            raise messages.stop(USAGE, f"'--{name}' needs '--{needed}'.")


def _start(wanted: Wanted, messages: Messages, model: Any, files: list[str]) -> Screening:
    score, point = _threshold(model, wanted, messages)
    watch = Watch()

    def refuse(path: object, error: Error) -> None:
        messages.say("error", str(error))
        if wanted.flag("fail-fast"):
            raise Stop(FAILED)

    shown = wanted.value("progress") or "auto"
    draws = shown == "always" or (shown == "auto" and sys.stderr.isatty() and not wanted.flag("quiet"))
    prevalence, prefilter_recall = wanted.value("prevalence"), wanted.value("prefilter-recall")
    Line.messages = messages
    try:
        run = start(
            model,
            _session(wanted, watch),
            watch,
            files,
            threshold=score,
            all=wanted.flag("all"),
            section_labels=not wanted.flag("no-section-label"),
            keep_going=not wanted.flag("fail-fast"),
            limit=int(wanted.value("limit") or 0),
            documents=wanted.flag("document"),
            other_abstracts=wanted.value("other-abstracts") or "none",
            store=wanted.value("state"),
            prevalence=None if prevalence is None else float(prevalence),
            prefilter=wanted.value("prefilter"),
            prefilter_recall=_USUAL_RECALL if prefilter_recall is None else float(prefilter_recall),
            progress=Line if draws else False,
            check_md5=not wanted.flag("no-md5"),
            store_text=not wanted.flag("no-store-text"),
            on_file=lambda file: _say_file(file, wanted, messages),
            on_refused=refuse,
        )
    except ValueError as error:
        if isinstance(error, InvalidArgument) and not wanted.flag("prefilter"):  # of the session's options
            raise messages.stop(USAGE, str(error)) from None
        if isinstance(error, Error):
            raise
        if str(error).startswith("threshold is"):
            told = f"'--threshold' needs a number from 0 to 1, as the scores of this model are, not {score:g}."
            raise messages.stop(USAGE, told) from None
        raise messages.stop(FAILED, f"{error}.") from None
    if run.prefilter_point is not None:
        passing, name = run.prefilter_point, os.path.basename(str(wanted.value("prefilter")).rstrip("/"))
        messages.say(
            "note",
            f"prefilter  {name} lets sentences of a score of at "
            f"least {passing.threshold:.9g} pass. On the labelled texts of its calibration these were "
            f"{_share(passing.recall, passing.recall_interval)} of the positive ones (95 % interval); the others are "
            f"missed, whatever the model would say. Where a share of {passing.prevalence:.4g} is positive, "
            f"{passing.review:.3f} of all texts pass",
        )
    run.operating_point = point
    if len(run._refused) == len(files):
        run.close()
        raise Stop(FAILED)
    note = run._note()
    if note is not None:
        run.close()
        raise messages.stop(
            FAILED,
            f"{wanted.value('state')}: the last run was interrupted while it wrote other files, of which it "
            f"notes: {note[:200]}.",
            "the same command as then goes on with it; --abandon-output with that format begins anew",
        )
    return run


def _finish(wanted: Wanted, messages: Messages, run: Screening, rows: int, written: bool, replaced: bool) -> None:
    """Says what came of it."""
    stats, output = run.stats, wanted.value("output")
    done_before = stats.files_skipped
    deletions = 0 if wanted.flag("no-deleted") else stats.deleted
    if replaced and written and done_before:
        was = "input was done before, and is" if done_before == 1 else "inputs were done before, and are"
        messages.say(
            "warning",
            f"{output}: is replaced by the rows of this run; {grouped(done_before)} {was} not in it: "
            f"'adesieve export' writes all.",
        )
    if not done_before or done_before < stats.files_total:
        _say_summary(stats, rows, deletions if written else 0, run.threshold, wanted, messages.say)
    if done_before:
        messages.say("note", f"skipped    {grouped(done_before, 'input')}, done before")
    failed = stats.files_failed + len(run._refused)
    if failed:
        messages.say("note", f"failed     {grouped(failed, 'input')}, named above")
    if not written:
        messages.say("note", f"no input was new: {output} stays as it was")


def _say_if_texts(files: list[str], messages: Messages) -> None:
    """Behind the errors: some of the inputs are texts by their names."""
    texts = tuple(end + gz for end in (".csv", ".tsv", ".jsonl", ".txt") for gz in ("", ".gz"))
    if any(path.lower().endswith(texts) for path in files):
        messages.say("hint", "for CSV, TSV, JSONL or plain text use: adesieve classify")


def _save(wanted: Wanted, messages: Messages, run: Screening, output: str) -> tuple[int, bool]:
    messages.reading = True
    try:
        return run._save(
            output,
            "zstd",
            wanted.flag("metadata"),
            text=not wanted.flag("no-text"),
            deleted=not wanted.flag("no-deleted"),
        )
    except Error:
        messages.release_held()
        if not wanted.flag("fail-fast") and 0 < run.stats.files_total <= run.stats.files_failed:
            raise Stop(FAILED) from None  # each has been named
        raise
    finally:
        if run._written:
            messages.written = output
        messages.reading = False
        messages.release_held()


def _screen(wanted: Wanted, messages: Messages) -> int:
    _check_screen(wanted, messages)
    files = _listed(wanted, messages)
    output = _output(wanted, messages)
    _guard(wanted, files, messages)
    _needs_arrow(messages)
    replaced = os.path.exists(output)
    with contextlib.ExitStack() as opened:
        opened.enter_context(messages.listening())
        try:
            began = time.monotonic()
            model = _open_model(wanted, messages, opened)
            run = opened.enter_context(_start(wanted, messages, model, files))
            opening = time.monotonic() - began
            rows, written = _save(wanted, messages, run, output)
        except Stop as stop:
            if stop.status == FAILED:
                _say_if_texts(files, messages)
            raise
        stats = wanted.value("stats")
        if stats is not None:
            _write_stats(stats, _stats_object(run, model, rows, opening, wanted), messages)
        _finish(wanted, messages, run, rows, written, replaced)
        if not run.stats.files_failed and not run._refused:
            return 0
    _say_if_texts(files, messages)
    return PARTIAL


# ---- classify ---------------------------------------------------------------------------------------------------

_BATCH = 65536  # rows


class _Texts:
    """The columns of classify, as far as there are any: `Results.to_arrow` has them, too."""

    def __init__(self, wanted: Wanted) -> None:
        pa = need("pyarrow", "arrow")
        kinds = {"label": pa.string(), "score": pa.float32()}
        if wanted.flag("calibrated") or wanted.flag("prevalence"):
            kinds["calibrated"] = pa.float64()
        if wanted.flag("threshold"):
            kinds["hit"] = pa.bool_()
        kinds.update({"tokens": pa.int32(), "unknown": pa.int32(), "truncated": pa.bool_()})
        kinds.update({"scores": pa.list_(pa.float32()), "logits": pa.list_(pa.float32())})
        if wanted.flag("with-text"):
            kinds["text"] = pa.string()
        self.schema = pa.schema(list(kinds.items()))
        self.labels: list[str] | None = None
        self._batch = pa.RecordBatch

    def batches(self, lines: Any) -> Iterator[Any]:
        rows: list[dict[str, Any]] = []
        for line in lines:
            if not line.endswith(b"\n"):  # the program was killed, which its status says
                break
            row = json.loads(line)
            if self.labels is None:
                self.labels = list(row["scores"])
            row["scores"] = list(row["scores"].values())
            rows.append(row)
            if len(rows) == _BATCH:
                yield self._batch.from_pylist(rows, schema=self.schema)
                rows = []
        if rows:
            yield self._batch.from_pylist(rows, schema=self.schema)


def _classify(program: str, wanted: Wanted, messages: Messages) -> int:
    output = _output(wanted, messages)
    _guard(wanted, wanted.files, messages)
    _needs_arrow(messages)
    columns = _Texts(wanted)
    arguments = [program, "classify", *wanted.options("format", "output"), "--format=jsonl", "--", *wanted.files]
    file = ParquetFile(output, columns.schema, "zstd")
    try:
        with subprocess.Popen(arguments, stdout=subprocess.PIPE) as child:
            try:
                assert child.stdout is not None
                for batch in columns.batches(child.stdout):
                    file.write(batch)
                status = child.wait()
            except BaseException as error:
                # It takes two signals of one moment, from the terminal and from here, for one.
                child.send_signal(signal.SIGINT)
                child.wait()
                if isinstance(error, KeyboardInterrupt):
                    return INTERRUPTED  # which it has said
                raise
        if status in (0, PARTIAL):
            facts = {"tool": "adesieve classify", "version": _ffi.library_version(), "labels": columns.labels}
            file.finish({"adesieve": json.dumps(facts)})
        if status < 0:
            messages.say("error", f"the program that classifies was ended by signal {-status}; no output was written.")
        return status if status >= 0 else 128 - status
    finally:
        file.abort()
        if file.finished:
            messages.written = output
