# SPDX-License-Identifier: Apache-2.0
"""`Screening`: a run over MEDLINE/PubMed XML, an iterator of `Hit`; and its rows as Arrow, pandas and Parquet."""

from __future__ import annotations

import contextlib
import ctypes
import datetime
import json
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from typing import Any, Union

from . import _ffi, _html, settings
from ._arrow import MOST_BYTES, Last, Rows, frame, schema
from ._ffi import Watch
from ._optional import need
from ._parquet import ParquetFile
from ._progress import Progress, bar
from ._version import __version__
from .calibration import (
    OperatingPoint,
    find_point,
    is_stale,
    needed_calibration,
    parse_target,
    prevalence_of,
)
from .errors import Cancelled, Error, InvalidArgument, Status, error_of
from .profile import Profile, profile_of_screen
from .rows import Hit, InputFile, Record, Stats, file_of, hit_of, record_of

__all__ = ["Hit", "InputFile", "Record", "Screening", "Stats", "provenance", "schema"]

PathLike = Union[str, "os.PathLike[str]"]

_COMPRESSIONS = ("zstd", "snappy", "gzip", "lz4", "brotli", "none")  # pyarrow's names


# ---- Beside a run -----------------------------------------------------------------------------------------------


class _Meter:
    """Shows how far the run is, by a bar over the compressed bytes of its inputs."""

    _STEP = 0.1  # seconds

    def __init__(self, handle: Any, progress: Progress) -> None:
        self._library = _ffi.load()
        self._handle: Any = handle
        self._next = 0.0
        total = self._sum()
        self._total = total or 0
        self._bar = bar(progress, total, "B", "screening")

    def _sum(self) -> int | None:
        """The bytes of all inputs; None where one has no size."""
        total = i = 0
        while True:
            path = self._library.ade_screen_input(self._handle, i)
            if path is None:
                return total
            try:
                total += os.stat(path).st_size
            except OSError:  # standard input; or it is gone, which will be said when its turn comes
                return None
            i += 1

    def tick(self) -> None:
        if self._handle is None or time.monotonic() < self._next:
            return
        self._next = time.monotonic() + self._STEP
        stats = _ffi.ScreenStats()
        if self._library.ade_screen_get_stats(self._handle, stats) == Status.OK:
            self._bar.move(stats.bytes_read)

    def skip(self, size: int) -> None:
        """An input that is not read after all."""
        if self._total:
            self._total -= size
            self._bar.set_total(self._total)

    def end(self) -> None:
        if self._handle is not None:
            self._next = 0.0
            self.tick()
            self._handle = None
            self._bar.close()


class _Digest:
    """The model's SHA-256, taken on a thread of its own beside the run: it reads all weights, and Ctrl-C shall not wait
    for that. A session that only tokenizes holds the model meanwhile."""

    def __init__(self, model: Any) -> None:
        self._library = _ffi.load()
        self._model, self._session = model, _ffi.Session()
        _ffi.check(self._library.ade_session_open(model, _ffi.SessionOptions(device=_ffi.Device.NONE), self._session))
        self._value: str | None = None
        self._why = ""
        self._thread = threading.Thread(target=self._run, name="adesieve-model-hash", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._value = _ffi.model_hash(self._model)
        except Error as error:
            self._why = str(error)
        finally:
            self._library.ade_session_close(self._session)

    def get(self) -> str | None:
        """None where the files were changed meanwhile, which is logged: the rows are worth more than their label."""
        self._thread.join()
        if self._value is None:
            _ffi.logger.warning("the model's hash is not known: %s", self._why)
        return self._value


def _now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def provenance(path: PathLike) -> dict[str, Any]:
    """Where the rows of ``path``, a file that `Screening.to_parquet` wrote, come from.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     rows = clf.screen("tests/data/medline/pubmed1.xml").to_parquet(folder + "/hits.parquet")
    ...     found = adesieve.screening.provenance(folder + "/hits.parquet")
    >>> found["status"], found["settings"]["threshold"], found["totals"]["rows"] == rows
    ('complete', 0.5, True)

    Raises
    ------
    ValueError
        Where it is no Parquet file, or one that adesieve did not write.
    OSError
        Where it cannot be read.
    ImportError
        pyarrow is not installed.
    """
    pa = need("pyarrow", "arrow")
    try:
        metadata = need("pyarrow.parquet", "arrow").read_metadata(os.fspath(path)).metadata or {}
    except pa.ArrowInvalid as error:
        raise ValueError(f"{os.fspath(path)} is no Parquet file, or a damaged one: {error}") from None
    if b"adesieve" not in metadata:
        raise ValueError(f"{os.fspath(path)} does not say where its rows come from; it was not written by adesieve")
    found: dict[str, Any] = json.loads(metadata[b"adesieve"])
    return found


# ---- The run ----------------------------------------------------------------------------------------------------


class Screening:
    """An iterator over a run's rows; made by `Classifier.screen`.

    Take the rows as `Hit` objects by iterating, or as columns by `batches`, `to_arrow`, `to_pandas` or `to_parquet`,
    which is faster; each row is given once, whichever way it is taken. Use it in a ``with`` block, or let it go out of
    scope, to stop before the end. Several threads may take rows from one run. A run cannot be used after a fork.

    Attributes
    ----------
    threshold : float
        The score from which on a sentence is a hit.
    operating_point : OperatingPoint or None
        What to expect of the threshold, where it was given as ``"recall=0.95"`` or the like.
    prefilter_point : OperatingPoint or None
        What the prefilter lets pass: its recall multiplies the run's.

    Examples
    --------
    >>> with clf.screen("tests/data/medline/pubmed1.xml", threshold=0.0) as run:
    ...     pmids = {hit.pmid for hit in run}
    >>> len(pmids), run.stats.citations
    (2, 2)
    """

    threshold: float
    operating_point: OperatingPoint | None
    prefilter_point: OperatingPoint | None

    _PIECE = 1024  # rows that one thread takes at once

    def __init__(self, handle: Any, model: Any, watch: Watch, chosen: dict[str, Any]) -> None:
        """For `start` alone. ``chosen``: the settings, as provenance has them."""
        self._handle = handle
        self._watch = watch
        self._settings = chosen
        self._meter: _Meter | None = None
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._model = model
        self._stored = bool(chosen["store"])
        # Rows of a file that failed come again when the store's next run reads it: they are not given in columns.
        self._holds = self._stored and chosen["keep_going"]
        self._row = _ffi.ScreenRow()
        self._last = Last()
        self._final: Stats | None = None
        self._spent: Profile | None = None  # known once it is closed
        self._over = False  # the end was reached
        self._owed = 0  # rows that were fetched as columns and are still to be given
        self._torn = False  # such rows were lost by an interrupt
        self._written = False  # a Parquet file has its name
        self._files: list[InputFile] = []
        self._failure = (0, "")
        self._refused: list[tuple[str, str]] = []
        self._on_file: Callable[[InputFile], None] | None = None
        self._started = _now()
        self.threshold = chosen["threshold"]
        self.operating_point = self.prefilter_point = None
        library, info = _ffi.load(), _ffi.ModelInfo()
        _ffi.check(library.ade_model_get_info(model, info))
        names = tuple(library.ade_model_label(model, i).decode() for i in range(info.n_labels))
        self._columns = len(names)
        self._labels = () if info.problem == _ffi.Problem.REGRESSION else names
        self._model_facts = {
            "name": info.name.decode("utf-8", "replace"),
            "labels": list(names),
            "positive_label": names[info.positive_label],
        }
        used = _ffi.SessionInfo()
        _ffi.check(library.ade_screen_get_session_info(handle, used))
        self._device_facts = {
            "type": _ffi.Device(used.device).name.lower(),
            "index": used.device_index,
            "name": (used.device_name or b"").decode("utf-8", "replace"),
            "instruction_set": (used.instruction_set or b"").decode("ascii", "replace"),
            "precision": _ffi.Precision(used.precision).name.lower(),
            "threads": used.threads,
            "max_length": used.max_length,
            "token_budget": used.token_budget,
        }

    def _add(self, path: object) -> None:
        _ffi.check(_ffi.load().ade_screen_add(self._handle, settings.path("a path", path)))

    def _check_process(self) -> None:
        if self._pid != os.getpid():
            raise RuntimeError("this run belongs to another process, before a fork; start one of its own here")

    # ---- Rows as objects ----------------------------------------------------------------------------------------

    def __iter__(self) -> Screening:
        return self

    def __next__(self) -> Hit:
        self._check_process()
        with self._lock:
            self._check_whole()
            while self._handle is not None:
                self._watch.begin()
                status = _ffi.load().ade_screen_next(self._handle, self._row)
                if status == Status.END:
                    self._end()
                    break
                self._watch.check(status)
                if self._row.part != _ffi.Part.FILE:
                    return self._hit(self._row)
                self._file_ends()
            raise StopIteration

    def _hit(self, row: _ffi.ScreenRow) -> Hit:
        record = None
        if row.record:
            address = ctypes.cast(row.record, ctypes.c_void_p).value or 0
            record = self._last.made(address, row.sentence, lambda _: record_of(row.record.contents))
        return hit_of(row, record, self._labels, self._columns)

    def _file_ends(self) -> InputFile:
        """Notes the file whose end was fetched last."""
        found = _ffi.ScreenFile()
        _ffi.check(_ffi.load().ade_screen_get_file(self._handle, found))
        file = file_of(found)
        self._files.append(file)
        if file.status == "failed" and not self._failure[0]:
            self._failure = found.status, str(file.error)
        if file.status == "skipped" and self._meter is not None:
            self._meter.skip(file.bytes)
        if self._on_file is not None:
            self._on_file(file)
        return file

    def _end(self) -> None:
        self._over, self._final = True, self._stats()
        if self._meter is not None:
            self._meter.end()
        if not self._stored:  # else confirm() is still to come
            self.close()

    # ---- Rows as columns ----------------------------------------------------------------------------------------

    def schema(self, metadata: bool = False) -> Any:
        """The columns of this run's tables, a pyarrow.Schema; see `adesieve.screening.schema`.

        Raises
        ------
        ImportError
            pyarrow is not installed.

        Examples
        --------
        >>> with clf.screen("tests/data/medline/pubmed1.xml", record_rows=True) as run:
        ...     run.schema().names[-2:]
        ['source', 'text_hash']
        """
        return schema(metadata, self._settings["document"], self._settings["record_rows"])

    def batches(self, rows: int = 65536, *, metadata: bool = False) -> Iterator[Any]:
        """The rows that are left, as record batches, in memory that does not grow with the input.

        Parameters
        ----------
        rows : int
            Rows of a batch at most.
        metadata : bool
            With the record's columns: title, date, journal, doi, languages, publication types, MeSH headings,
            chemicals, flags, counts and scores.

        Yields
        ------
        pyarrow.RecordBatch
            With the columns of `schema`. Deleted records are rows of part "deleted", null where a value would need a
            text.

        Raises
        ------
        Error
            Where an input cannot be read, as `InputOutput` or `BadInput`, after the rows before the fault; `Cancelled`
            where rows were lost by an interrupt.
        ValueError
            For a number of rows that cannot be; where the run was closed before its end.
        RuntimeError
            In a process forked since the run began.
        ImportError
            pyarrow is not installed.

        Notes
        -----
        With a store and ``keep_going``, the rows of an input are given when its end is reached, and those of one that
        fails are not given, since they come again in the next run.

        Examples
        --------
        >>> run = clf.screen("tests/data/medline/pubmed1.xml", all=True)
        >>> sum(batch.num_rows for batch in run.batches(rows=5)) == run.stats.rows
        True
        """
        need("pyarrow", "arrow")
        if isinstance(rows, bool) or not isinstance(rows, int) or rows < 1:
            raise ValueError(f"rows is {rows!r}; a whole number of at least 1 is needed")
        self._check_process()
        return self._batches(rows, bool(metadata))

    def _batches(self, most: int, metadata: bool) -> Iterator[Any]:
        form = self.schema(metadata)
        records = metadata or self._settings["document"]
        waiting, safe, over = Rows(records), 0, False
        failure: Error | None = None
        while not over:
            piece = self._PIECE if self._holds else min(self._PIECE, most - len(waiting))
            try:
                file, over = self._fetch(waiting, piece)
            except Error as error:  # the rows before it are given first
                failure, file, over = error, None, True
            except ValueError:  # the run has been closed: nothing was fetched
                raise
            except BaseException:
                self._torn = True
                raise
            if self._holds and (over or (file is not None and file.status == "failed")):
                self._owe(safe - len(waiting))
                waiting.cut(safe)
            if file is not None:
                safe = len(waiting)
            full = len(waiting) >= most or waiting.size >= MOST_BYTES
            if len(waiting) and (over or (full and (file is not None or not self._holds))):
                try:
                    batch = waiting.batch(form, self._labels)
                except BaseException:
                    self._torn = True
                    raise
                waiting, safe = Rows(records), 0
                for first in range(0, batch.num_rows, most):
                    part = batch.slice(first, most)
                    self._owe(-part.num_rows)
                    try:
                        yield part
                    except GeneratorExit:
                        self._torn = self._torn or first + most < batch.num_rows
                        raise
                del batch, part
        if failure is not None:
            raise failure

    def _check_whole(self) -> None:
        if self._torn:
            raise Cancelled("this run was interrupted, and rows that it had fetched are lost; start another")

    def _owe(self, rows: int) -> None:
        with self._lock:
            self._owed += rows

    def _fetch(self, into: Rows, most: int) -> tuple[InputFile | None, bool]:
        """The file whose end was reached (no row behind it is fetched), and whether all is read."""
        self._check_process()
        with self._lock:
            file_ends, status, before = False, int(Status.OK), len(into)
            while not (status or file_ends):
                self._check_whole()
                if self._over:
                    return None, True
                if self._handle is None:
                    raise ValueError("this run was closed before its end; start another with Classifier.screen")
                self._watch.begin()
                try:
                    status, file_ends = into.fetch(_ffi.load().ade_screen_next, self._handle, most)
                finally:
                    self._owed += len(into) - before
                    before = len(into)
                if not self._holds:  # else no other thread may take a part of the file
                    break
            if status == Status.END:
                self._end()
            self._watch.check(Status.OK if status == Status.END else status)
            file = self._file_ends() if file_ends else None
            if self._meter is not None:
                self._meter.tick()
            return file, status == Status.END

    def _begin_taking(self) -> None:
        self._check_process()
        if self._handle is None or self._final is not None:
            raise ValueError("this run has ended, and its rows were taken; start another with Classifier.screen")

    def to_arrow(self, *, metadata: bool = False) -> Any:
        """All rows that are left, as a pyarrow.Table; see `batches` for its columns.

        Raises
        ------
        ValueError
            Where the run has ended or was closed.
        Error, RuntimeError, ImportError
            As `batches`; the rows before the fault are lost then.

        Examples
        --------
        >>> table = clf.screen("tests/data/medline/pubmed1.xml", all=True).to_arrow()
        >>> table.schema.field("score").type, table.column("part")[0].as_py()
        (DataType(float), 'title')
        """
        pa = need("pyarrow", "arrow")
        self._begin_taking()
        return pa.Table.from_batches(list(self.batches(metadata=metadata)), self.schema(metadata))

    def to_pandas(self, *, metadata: bool = False) -> Any:
        """All rows that are left, as a pandas DataFrame; see `batches` for its columns.

        Whole numbers and flags that deleted records lack have pandas' nullable types.

        Raises
        ------
        ValueError, Error, RuntimeError
            As `to_arrow`.
        ImportError
            pandas or pyarrow is not installed.

        Examples
        --------
        >>> frame = clf.screen("tests/data/medline/pubmed1.xml", all=True).to_pandas()
        >>> bool((frame[frame.hit].score >= 0.5).all())
        True
        """
        need("pandas", "pandas")
        return frame(self.to_arrow(metadata=metadata))

    def to_parquet(self, path: PathLike, *, compression: str = "zstd", metadata: bool = False) -> int:
        """Writes all rows that are left into a Parquet file, in memory that does not grow with the input.

        The file appears under its name only when it is complete; until then, and after an error or Ctrl-C, what was
        there stays. With a store, the run is confirmed once the file has its name: the rows are safe first. Where the
        store says that no input was new, a file that is there stays as it was.

        Parameters
        ----------
        path : path
            A new file, or one that is replaced; no pipe.
        compression : str
            "zstd", "snappy", "gzip", "lz4", "brotli" or "none".
        metadata : bool
            With the record's columns, as in `batches`.

        Returns
        -------
        int
            The rows written.

        Raises
        ------
        Error
            As iterating does; also where every input failed, so that there would be nothing to write.
        OSError
            Where the file cannot be written.
        ValueError
            For a compression that is not known, or a path that is an input; where the run has ended or was closed.
        ImportError
            pyarrow is not installed.

        Notes
        -----
        The file's key-value metadata has, under "adesieve", a JSON object that says where the rows come from: model
        and its SHA-256, versions, threshold and settings, the inputs with their MD5 sums, counts, and when.

        Examples
        --------
        >>> import os, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     clf.screen("tests/data/medline/pubmed1.xml").to_parquet(folder + "/hits.parquet") >= 0
        True
        """
        return self._save(path, settings.one_of("compression", compression, _COMPRESSIONS), metadata)[0]

    def _save(
        self, path: PathLike, compression: str, metadata: bool, text: bool = True, deleted: bool = True
    ) -> tuple[int, bool]:
        """The rows written, and whether the file was; without ``text``, without that column; without ``deleted``,
        without the rows of deleted records."""
        pa, compute = need("pyarrow", "arrow"), need("pyarrow.compute", "arrow")
        self._begin_taking()
        form = self.schema(metadata)
        if not text:
            form = form.remove(form.get_field_index("text"))
        file = None
        try:
            self._refuse_input(settings.path("the path", path))
            file = ParquetFile(path, form, compression)
            digest = _Digest(self._model)
            for batch in self.batches(metadata=metadata):
                if not text:
                    batch = pa.RecordBatch.from_arrays([batch.column(name) for name in form.names], schema=form)
                if not deleted:
                    batch = batch.filter(compute.fill_null(compute.not_equal(batch.column("part"), "deleted"), True))
                file.write(batch)
            stats = self.stats
            if stats.files_failed and stats.files_failed >= stats.files_total:
                raise self._all_failed()
            untouched = self._stored and stats.files_done == 0 and file.existed
            if untouched:
                file.abort()
            else:
                file.finish({"adesieve": json.dumps(self._provenance(digest.get(), file.rows))})
            if self._stored:
                self.confirm()
            return (0, False) if untouched else (file.rows, True)
        finally:
            if file is not None:
                file.abort()
                self._written = file.finished
            self.close()

    def _refuse_input(self, path: bytes) -> None:
        library, i = _ffi.load(), 0
        while (taken := library.ade_screen_input(self._handle, i)) is not None:
            with contextlib.suppress(OSError):  # one of them is not there
                if os.path.samefile(path, taken):
                    raise ValueError(f"{os.fsdecode(path)} is an input of this run; name another file for its rows")
            i += 1

    def _all_failed(self) -> Error:
        status, why = self._failure
        n = sum(file.status == "failed" for file in self._files)
        return error_of(status, f"all {n} inputs failed, so nothing was written; the first: {why}" if n > 1 else why)

    def _provenance(self, digest: str | None, rows: int) -> dict[str, Any]:
        stats = self.stats
        counted = ["name", "md5", "md5_checked", "status", "error", "citations", "deleted", "sentences", "hits", "rows"]
        failed = stats.files_failed + len(self._refused)
        chosen = {name: value for name, value in self._settings.items() if name not in ("store", "keep_going")}
        return {
            "tool": "adesieve screen",
            "version": _ffi.library_version(),
            "package": __version__,
            "status": "some inputs failed"
            if failed
            else "complete"
            if stats.files_done + stats.files_skipped == stats.files_total
            else "ended by limit",
            "started": self._started,
            "ended": _now(),
            "settings": chosen,
            "operating_point": None if self.operating_point is None else asdict(self.operating_point),
            "prefilter_point": None if self.prefilter_point is None else asdict(self.prefilter_point),
            "model": {**self._model_facts, "sha256": digest},
            "device": self._device_facts,
            "totals": {**asdict(stats), "rows": rows},
            "inputs": [{name: getattr(file, name) for name in counted} for file in self._files],
            "inputs_refused": [{"path": path, "error": error} for path, error in self._refused],
        }

    # ---- The run itself -----------------------------------------------------------------------------------------

    def confirm(self) -> None:
        """Says that the rows so far are safe. With a store, files that have been passed are noted in it as done; what
        is not confirmed is done again by the next run. While `batches` has rows of these files still to give, nothing
        is noted. `to_parquet` does it itself. Without a store there is nothing to note.

        Raises
        ------
        ValueError
            Where the run is closed.
        InputOutput
            Where the store cannot be written; nothing is noted then.
        RuntimeError
            In a process forked since the run began.

        Examples
        --------
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for _ in range(2):
        ...         with clf.screen("tests/data/medline/pubmed1.xml", store=folder + "/store.sqlite") as run:
        ...             hits = list(run)  # and keep them safe
        ...             run.confirm()
        ...         print(run.files[0].status)
        done
        skipped
        """
        self._check_process()
        with self._lock:
            if self._handle is None:
                raise ValueError("this run is closed; confirm before closing it, or before leaving the with block")
            if self._owed:  # a file that was passed has more of them
                return
            _ffi.check(_ffi.load().ade_screen_confirm(self._handle))
            if self._final is not None:
                self._final = self._stats()

    @property
    def stats(self) -> Stats:
        """The counts so far; after the end, the final ones, which stay when the run is closed.

        Raises
        ------
        RuntimeError
            In a process forked since the run began.

        Examples
        --------
        >>> run = clf.screen("tests/data/medline/pubmed1.xml", all=True)
        >>> rows = list(run)
        >>> run.stats.citations, run.stats.sentences, run.stats.rows == len(rows)
        (2, 7, True)
        """
        self._check_process()
        with self._lock:
            return self._stats() if self._final is None else self._final

    def _note(self) -> str | None:
        """What a run of this store that was not completed has noted of its rows."""
        note: bytes | None = _ffi.load().ade_screen_get_note(self._handle)
        return None if note is None else note.decode("utf-8", "replace")

    @property
    def files(self) -> tuple[InputFile, ...]:
        """The inputs whose ends have been passed, in their order: what became of each, with its counts.

        Raises
        ------
        RuntimeError
            In a process forked since the run began.

        Examples
        --------
        >>> run = clf.screen("tests/data/medline/pubmed1.xml")
        >>> hits = list(run)
        >>> [(file.name, file.status) for file in run.files]
        [('pubmed1.xml', 'done')]
        """
        self._check_process()
        return tuple(self._files)

    def _stats(self) -> Stats:
        stats = _ffi.ScreenStats()
        _ffi.check(_ffi.load().ade_screen_get_stats(self._handle, stats))
        return Stats(**{name: getattr(stats, name) for name in Stats.__dataclass_fields__})

    def close(self) -> None:
        """Ends the run. Closing twice is fine; ``stats`` remain.

        Examples
        --------
        >>> run = clf.screen("tests/data/medline/pubmed1.xml", all=True)
        >>> first = next(run)
        >>> run.close()
        >>> list(run), run.stats.files_done
        ([], 0)
        """
        if self._pid != os.getpid():  # it is the parent's
            self._handle = None
            return
        with self._lock:
            if self._handle is None:
                return
            if self._meter is not None:
                self._meter.end()
            self._final = self._stats()
            self._spent = profile_of_screen(self._handle)
            handle, self._handle = self._handle, None
            _ffi.load().ade_screen_close(handle)

    def __enter__(self) -> Screening:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __del__(self) -> None:
        with contextlib.suppress(Exception):
            self.close()

    # ---- What it shows ------------------------------------------------------------------------------------------

    def _state(self) -> tuple[str, Stats | None]:
        """In words; and the counts, unless another thread is at work in the run."""
        if self._pid != os.getpid():
            return "of another process", None
        if not self._lock.acquire(timeout=0.2):
            return "at work on another thread", None
        try:
            stats = self.stats
            ended = stats.files_done + stats.files_failed + stats.files_skipped >= stats.files_total > 0
            state = "open" if self._final is None else "at its end" if ended else "closed before its end"
            return state, stats
        finally:
            self._lock.release()

    def __repr__(self) -> str:
        state, stats = self._state()
        counts = "" if stats is None else f": {stats.files_done} of {stats.files_total} files, {stats.hits} hits"
        return f"<Screening, {state}{counts}>"

    def _repr_html_(self) -> str:
        state, stats = self._state()
        facts: list[tuple[str, object]] = [("model", self._model_facts["name"]), ("threshold", f"{self.threshold:.9g}")]
        if stats is not None:
            facts += [
                ("files", f"{stats.files_done:,} of {stats.files_total:,}"),
                ("failed files", stats.files_failed),
                ("skipped files", stats.files_skipped),
                ("citations", stats.citations),
                ("sentences", stats.sentences),
                ("hits", stats.hits),
                ("records with a hit", stats.documents),
                ("rows given", stats.rows),
                ("seconds", f"{stats.seconds_total:.1f}"),
            ]
            facts = [fact for fact in facts if fact[1] != 0 or not fact[0].endswith(" files")]
        return _html.facts(f"Screening, {state}", facts)


# ---- Starting ---------------------------------------------------------------------------------------------------

_OTHER_ABSTRACTS = {value.name.lower(): value for value in _ffi.OtherAbstracts}


def _score(threshold: object, regression: bool) -> float:
    score = float(threshold)  # type: ignore[arg-type]  # its TypeError is the check
    if not 0.0 <= score <= 1.0 and not regression:
        raise ValueError(f"threshold is {score}; a probability, 0 to 1, is needed")
    if not score >= 0:
        raise ValueError(f"threshold is {score}; it cannot be negative")
    return score


def _open_prefilter(
    opened: contextlib.ExitStack, folder: PathLike, recall: float, prevalence: float | None
) -> tuple[Any, OperatingPoint]:
    """The baseline, closed with ``opened`` (the run holds it by then), and its threshold."""
    library, model = _ffi.load(), _ffi.Model()
    _ffi.check(library.ade_model_open(settings.path("prefilter", folder), _ffi.ModelOptions(log=_ffi.log), model))
    opened.callback(library.ade_model_close, model)
    shown = os.fspath(folder)
    if is_stale(needed_calibration(model), model):
        raise InvalidArgument(
            f"the prefilter {shown} was changed since its calibration was made, so nobody knows what it would drop; "
            f"make it anew with adesieve calibrate"
        )
    point = find_point(model, _ffi.Target.RECALL, float(recall), prevalence)
    _ffi.logger.info(
        "the prefilter %s lets %.4f of the positive sentences pass (95 %% interval %.4f to %.4f)",
        shown,
        point.recall,
        *point.recall_interval,
    )
    return model, point


def start(
    model: Any,
    session: _ffi.SessionOptions,
    watch: Watch,
    paths: PathLike | Iterable[PathLike],
    *,
    threshold: float | str = 0.5,
    all: bool = False,
    section_labels: bool = True,
    keep_going: bool = False,
    limit: int = 0,
    documents: bool = False,
    other_abstracts: str = "none",
    store: PathLike | None = None,
    prevalence: float | None = None,
    prefilter: PathLike | None = None,
    prefilter_recall: float = 0.995,
    record_rows: bool = False,
    progress: Progress = False,
    check_md5: bool = True,
    store_text: bool = True,
    on_file: Callable[[InputFile], None] | None = None,
    on_refused: Callable[[PathLike, Error], None] | None = None,
) -> Screening:
    """Starts a run of an open model: what `Classifier.screen` does, with its parameters, and the command.

    Parameters
    ----------
    session : _ffi.SessionOptions
        With ``watch.callback`` as its progress callback.
    check_md5, store_text : bool
        Whether to compare inputs with FILE.md5; whether a store keeps texts.
    on_file : callable
        Called at the end of each input.
    on_refused : callable
        Called for each path that cannot be added, which then is left out. By default the error is raised.
    """
    library, info = _ffi.load(), _ffi.ModelInfo()
    _ffi.check(library.ade_model_get_info(model, info))
    point = filtered = None
    if isinstance(threshold, str):
        point = find_point(model, *parse_target(threshold), prevalence)
        threshold = point.threshold
    score = _score(threshold, info.problem == _ffi.Problem.REGRESSION)
    options = _ffi.ScreenOptions(
        all=int(bool(all)),
        threshold=score,
        no_section_label=int(not section_labels),
        keep_going=int(bool(keep_going)),
        limit=settings.count("limit", limit),
        documents=int(bool(documents)),
        file_rows=1,
        other_abstracts=_OTHER_ABSTRACTS[settings.one_of("other_abstracts", other_abstracts, _OTHER_ABSTRACTS)],
        no_md5=int(not check_md5),
        no_store_text=int(not store_text),
        store=None if store is None else settings.path("store", store),
        session=ctypes.pointer(session),
        prevalence=prevalence_of(prevalence),
        record_rows=int(bool(record_rows)),
    )
    chosen = {
        "threshold": score,
        "all": bool(all),
        "document": bool(documents),
        "section_labels": bool(section_labels),
        "other_abstracts": other_abstracts,
        "limit": options.limit or None,
        "prevalence": prevalence,
        "prefilter": None if prefilter is None else os.path.basename(os.fspath(prefilter)),
        "record_rows": bool(record_rows),
        "store": store is not None,
        "keep_going": bool(keep_going),
    }
    with contextlib.ExitStack() as opened:
        if prefilter is not None:
            options.prefilter, filtered = _open_prefilter(opened, prefilter, prefilter_recall, prevalence)
            options.prefilter_threshold = filtered.threshold
        handle = _ffi.Screen()
        watch.check(library.ade_screen_open(model, options, handle))
    run = Screening(handle, model, watch, chosen)
    run.operating_point, run.prefilter_point, run._on_file = point, filtered, on_file
    try:
        given = 0
        for path in [paths] if isinstance(paths, (str, bytes, os.PathLike)) else paths:
            given += 1
            try:
                run._add(path)
            except Error as error:
                if on_refused is None:
                    raise
                run._refused.append((os.fspath(path), str(error)))
                on_refused(path, error)
        if not given:  # such as a pattern that nothing matches: not a run without hits
            raise ValueError("paths is empty; name a file or a folder")
        if progress is not None and progress is not False:
            run._meter = _Meter(handle, progress)
            watch.report = run._meter.tick
    except BaseException:
        run.close()
        raise
    return run
