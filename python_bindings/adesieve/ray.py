# SPDX-License-Identifier: Apache-2.0
"""MEDLINE on a Ray cluster: files in, rows out, one session an actor.

`screen` does the whole: it screens every file somewhere, and merges by PMID, so that the rows are those of a single run
over all the files. `Screen` and `Classify` are the classes for ``Dataset.map_batches`` that it is made of.

Every node needs adesieve, the model and the input files under the same paths: a shared file system, or copies. A worker
that dies is replaced, and its file is screened again from the start; since a file's rows are the same in every attempt,
to the bit, nothing is lost and nothing doubled. Name the ``precision`` where nodes differ: ``"auto"`` depends on the
processor.
"""

from __future__ import annotations

import math
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Union

from . import _workers
from ._optional import need
from .classifier import Classifier

if TYPE_CHECKING:
    import pyarrow as pa
    import ray.data

PathLike = Union[str, "os.PathLike[str]"]
Paths = Union[PathLike, Iterable[PathLike]]

__all__ = ["Classify", "Screen", "merge", "screen"]

_PMIDS_A_BUCKET = 20_000  # merged in one piece: some 60 MB of rows


def _assigned(device: str, threads: int) -> dict[str, Any]:
    """Device and threads, where they are left open: what Ray has assigned to this actor."""
    ray = need("ray", "ray")
    if device == "auto":
        # CUDA_VISIBLE_DEVICES names the actor's GPUs alone. Ray hides none from an actor without one, on some versions.
        device = "cuda:0" if ray.get_gpu_ids() else "cpu"
    if threads == 0:
        threads = math.ceil(ray.get_runtime_context().get_assigned_resources().get("CPU", 0))  # half a CPU: a thread
    return {"device": device, "threads": threads}


class Screen:
    """Screens files: for ``Dataset.map_batches``, which makes one object, with one session, an actor.

    Rows in: ``path`` and, optionally, ``file``, the file's place in the order of `adesieve.inputs`. Rows out: the
    columns of `adesieve.screening.schema`; with ``record_rows`` also ``text_hash`` (uint64), ``file`` (int32) and
    ``row`` (int64, the row's place in its file), which `merge` needs. Batches are yielded while a file is read: memory
    is bounded.

    Parameters
    ----------
    model : path, optional
        As for `Classifier`.
    threshold : float or str
        As for `Classifier.screen`.
    record_rows : bool
        Whether rows are to be merged by PMID afterwards: adds the columns for it, and a row a record.
    metadata : bool
        With the record's columns (journal, date, MeSH headings, ...), as for `Screening.batches`.
    keep_going : bool
        A file that cannot be read to its end gives, after the rows before the fault, one of part ``"file"`` whose
        ``text`` is the error and whose ``source`` is the file's name. Otherwise the error, which names the file, ends
        the job.
    device : str
        ``"auto"`` is the GPU that Ray assigned to the actor, and the CPU if it assigned none.
    threads : int
        CPU threads; 0 = the CPUs that Ray assigned to the actor, or, if none, all of the machine.
    batch_rows : int
        Rows a batch at most.
    **options
        Further ones of `Classifier` and of `Classifier.screen`.

    Examples
    --------
    One actor a GPU, with four processors to read and tokenize for it::

        files = [{"path": path, "file": i} for i, path in enumerate(adesieve.inputs("baseline"))]
        rows = ray.data.from_items(files, override_num_blocks=len(files)).map_batches(
            adesieve.ray.Screen,
            fn_constructor_kwargs={"threshold": 0.5, "all": True},
            batch_size=1,
            batch_format="pyarrow",
            concurrency=8,
            num_gpus=1,
            num_cpus=4,
        )
    """

    def __init__(
        self,
        model: PathLike | None = None,
        *,
        threshold: float | str = 0.5,
        record_rows: bool = False,
        metadata: bool = False,
        keep_going: bool = False,
        device: str = "auto",
        threads: int = 0,
        batch_rows: int = 8192,
        **options: Any,
    ) -> None:
        settings, self._options = _workers.split({**options, "model": model, "threshold": threshold})
        self._how: dict[str, Any] = {
            "record_rows": record_rows,
            "metadata": metadata,
            "keep_going": keep_going,
            "batch_rows": batch_rows,
        }
        self._classifier = Classifier(**settings, **_assigned(device, threads))

    def __call__(self, batch: pa.Table) -> Iterator[pa.Table]:
        """The rows of the files that ``batch`` names, as tables."""
        pa = need("pyarrow", "arrow")
        paths = batch.column("path").to_pylist()
        files = batch.column("file").to_pylist() if "file" in batch.schema.names else [0] * len(paths)
        for path, file in zip(paths, files):
            for rows in _workers.rows_of(self._classifier, path, file, self._options, **self._how):
                yield pa.Table.from_batches([rows])


class Classify:
    """Classifies texts: for ``Dataset.map_batches`` with ``batch_format="pyarrow"``, one session an actor.

    Rows out are the rows in with the columns ``label``, ``score`` (the positive label's probability) and ``calibrated``
    (null where the model has no calibration). The library reads the texts where they lie in Ray's memory.

    Parameters
    ----------
    model : path, optional
        As for `Classifier`.
    column : str
        The column of texts.
    prefix : str
        Put before the names of the new columns.
    device, threads
        As for `Screen`.
    **options
        Further ones of `Classifier`.

    Examples
    --------
    >>> ds.map_batches(adesieve.ray.Classify, fn_constructor_kwargs={"column": "sentence"}, batch_size=4096,
    ...                batch_format="pyarrow", concurrency=3, num_cpus=2)  # doctest: +SKIP
    """

    def __init__(
        self,
        model: PathLike | None = None,
        *,
        column: str = "text",
        prefix: str = "",
        device: str = "auto",
        threads: int = 0,
        **options: Any,
    ) -> None:
        self._column, self._prefix = column, prefix
        self._classifier = Classifier(model, **options, **_assigned(device, threads))

    def __call__(self, batch: pa.Table) -> pa.Table:
        """``batch`` with the new columns."""
        return _workers.classified(self._classifier, batch, self._column, self._prefix)


def _fitting(num_cpus: float, num_gpus: float) -> int:
    ray = need("ray", "ray")
    wanted = {name: each for name, each in (("CPU", num_cpus), ("GPU", num_gpus)) if each}
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    # A worker lies on one node: what is left over on two does not make another.
    fit = sum(min(int(node.get(name, 0) / each + 1e-9) for name, each in wanted.items()) for node in nodes if wanted)
    if fit < 1:
        most = {name: max((node.get(name, 0) for node in nodes), default=0) for name in ("CPU", "GPU")}
        raise ValueError(
            f"no worker with {num_cpus:g} CPUs and {num_gpus:g} GPUs fits into a node of the cluster, where one has "
            f"{most['CPU']:g} and {most['GPU']:g} at most; ask for less, or give concurrency if the cluster will grow"
        )
    return fit


def _write(rows: ray.data.Dataset, folder: str, schema: pa.Schema, **how: Any) -> None:
    rows.write_parquet(folder, compression="zstd", **how)
    os.makedirs(folder, exist_ok=True)
    if not os.listdir(folder):  # Ray writes no file where there are no rows, and removes the folder
        need("pyarrow.parquet", "arrow").write_table(schema.empty_table(), os.path.join(folder, "empty.parquet"))


def screen(
    paths: Paths,
    output: PathLike | None = None,
    *,
    model: PathLike | None = None,
    threshold: float | str = 0.5,
    merge: bool | None = None,
    keep_order: bool = False,
    concurrency: int | None = None,
    num_cpus: float = 1,
    num_gpus: float = 0,
    keep_going: bool = False,
    **options: Any,
) -> ray.data.Dataset:
    """Screens files on the cluster.

    Parameters
    ----------
    paths : path or iterable of paths
        Files or folders, as for `Classifier.screen`; every node must see them.
    output : path, optional
        A folder of Parquet files to make, which every node must see. It appears under its name when it is complete;
        one that is there already is refused. Without it, the rows stay in Ray's memory (or are made when asked for).
    model, threshold
        As for `Screen`.
    merge : bool, optional
        Whether to merge by PMID into the rows of a single run, as `merge` does. By default where there is more than one
        file, or ``keep_order``. Without it a record that several files have gives its rows several times.
    keep_order : bool
        Keeps, of a merge, the columns ``file`` and ``row``: sorted by them, the rows are in a single run's order.
    concurrency : int, optional
        Workers; by default as many as fit into the cluster's nodes as they are now.
    num_cpus, num_gpus : float
        Of one worker.
    keep_going : bool
        As for `Screen`.
    **options
        Further ones of `Screen`.

    Returns
    -------
    ray.data.Dataset
        The rows, with the columns of `adesieve.screening.schema`, in no particular order. With ``output``, they are
        read from there.

    Raises
    ------
    InputOutput, InvalidArgument
        For the paths, as `adesieve.inputs`.
    FileExistsError
        ``output`` is there already.
    ValueError, TypeError
        For an argument that cannot be meant; where no worker of this size fits into the cluster.
    ImportError
        Ray is not installed.

    Notes
    -----
    A worker's error, such as a file that cannot be read, ends the job as Ray's ``RayTaskError``, which quotes it.

    Examples
    --------
    >>> adesieve.ray.screen("baseline", "hits.parquet", num_gpus=1, num_cpus=4)  # doctest: +SKIP
    """
    ray_data, pa = need("ray.data", "ray"), need("pyarrow", "arrow")
    from ._inputs import inputs

    own = ("batch_rows", "metadata", "device", "threads")
    _workers.split({name: value for name, value in options.items() if name not in own})  # refuses before any work
    files = [{"path": os.path.abspath(path), "file": i} for i, path in enumerate(inputs(paths))]
    joined = (len(files) > 1 or keep_order) if merge is None else merge
    folder = None if output is None else os.fspath(output)
    if folder is not None and "://" in folder:
        raise ValueError(f"output is {folder}, not a path; leave it out, and write the result there by write_parquet")
    if folder is not None and os.path.lexists(folder):
        raise FileExistsError(f"{folder} is there already; remove it, or name another folder")
    given = _workers.absolute({**options, "model": model, "threshold": threshold})
    size = min(concurrency or _fitting(num_cpus, num_gpus), len(files))
    rows = ray_data.from_items(files, override_num_blocks=len(files)).map_batches(
        Screen,
        fn_constructor_kwargs={**given, "record_rows": joined, "keep_going": keep_going},
        batch_size=1,
        batch_format="pyarrow",
        # A file takes minutes: one that waits behind another in an actor would be missed by an idle one at the end.
        compute=ray_data.ActorPoolStrategy(size=size, max_tasks_in_flight_per_actor=1),
        num_cpus=num_cpus,
        num_gpus=num_gpus,
    )
    if folder is None:
        return _merged(rows.materialize(), keep_order) if joined else rows
    # Ray's writer leaves what it has written when a job fails; here that is never under the name that was asked for.
    folder = os.path.abspath(folder)  # a worker's working folder is another
    unfinished = f"{folder}.{uuid.uuid4().hex[:8]}.unfinished"
    try:
        done = os.path.join(unfinished, "apart") if joined else unfinished
        # Writers that need a processor would wait until the last worker gives back its own, with all rows in memory.
        schema = _workers.schema(given, joined, bool(given.get("metadata", False)))
        _write(rows, done, schema, ray_remote_args={"num_cpus": 0})
        if joined:
            apart, done = ray_data.read_parquet(done), os.path.join(unfinished, "merged")
            kept = [field for field in schema if field.name not in _workers.left_out(keep_order)]
            _write(_merged(apart, keep_order), done, pa.schema(kept))
        os.rename(done, folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    result: ray.data.Dataset = ray_data.read_parquet(folder)
    return result


def merge(rows: ray.data.Dataset, *, keep_order: bool = False) -> ray.data.Dataset:
    """The rows of a single run, from those of files that were screened apart.

    Records whose PMID occurs once go straight through; the others, grouped by PMID, are decided by the rule of a single
    run: the highest version, then the later file, then the later record; deletions remove.

    Parameters
    ----------
    rows : ray.data.Dataset
        Of `Screen` with ``record_rows=True``, of all files. They are looked at twice, so they are kept in Ray's memory
        (on disk, where that is full) first.
    keep_order : bool
        Whether the result keeps the columns ``file`` and ``row``: sorted by them, it is in a single run's order.

    Returns
    -------
    ray.data.Dataset
        With the columns of `adesieve.screening.schema`, in no particular order. The caller's process needs about 24
        bytes a record for a moment: 1 GB for all of MEDLINE.

    Raises
    ------
    ValueError
        The rows lack a column.
    ray.exceptions.RayTaskError
        With the error of `adesieve.merge.merge`, for rows that do not belong together, when the result is computed.
    ImportError
        Ray is not installed.

    Examples
    --------
    >>> apart = ray.data.read_parquet("/shared/apart")  # doctest: +SKIP
    >>> adesieve.ray.merge(apart).write_parquet("/shared/hits")  # doctest: +SKIP
    """
    kept = need("ray.data.dataset", "ray").MaterializedDataset
    rows = rows if isinstance(rows, kept) else rows.materialize()
    _workers.check_columns(rows.schema().names)
    return _merged(rows, keep_order)


def _occurrences(rows: pa.Table) -> pa.Table:
    return need("pyarrow", "arrow").table({"pmid": _workers.occurrences(rows)})


def _single(rows: pa.Table, pmids: Any, keep_order: bool) -> pa.Table:
    return _workers.single(rows, need("ray", "ray").get(pmids), keep_order)


def _several(rows: pa.Table, pmids: Any, buckets: int) -> pa.Table:
    return _workers.several(rows, need("ray", "ray").get(pmids), buckets)


def _merge(rows: pa.Table, keep_order: bool) -> pa.Table:
    from .merge import merge

    return merge(rows.drop_columns(["bucket"]), keep_order=keep_order)


def _merged(rows: ray.data.Dataset, keep_order: bool) -> ray.data.Dataset:
    ray = need("ray", "ray")
    whole: dict[str, Any] = {"batch_size": None, "batch_format": "pyarrow"}
    seen = rows.select_columns(["pmid", "part"]).map_batches(_occurrences, **whole)
    pmids = _workers.repeated(
        batch.column("pmid").to_numpy() for batch in seen.iter_batches(batch_size=None, batch_format="pyarrow")
    )
    shared = ray.put(pmids)  # once a node, not once a task
    single = rows.map_batches(_single, fn_kwargs={"pmids": shared, "keep_order": keep_order}, **whole)
    if not len(pmids):
        return single
    buckets = len(pmids) // _PMIDS_A_BUCKET + 1
    several = rows.map_batches(_several, fn_kwargs={"pmids": shared, "buckets": buckets}, **whole)
    groups = several.groupby("bucket", num_partitions=min(buckets, 64))
    return single.union(groups.map_groups(_merge, fn_kwargs={"keep_order": keep_order}, batch_format="pyarrow"))
