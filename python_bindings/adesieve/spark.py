# SPDX-License-Identifier: Apache-2.0
"""MEDLINE on a Spark cluster: a partition a file, one session in each Python worker process.

`screen` gives the rows of files as a DataFrame, merged by PMID into those of a single run; `classify` adds scores to a
DataFrame of texts; `predictor` is the same for ``predict_batch_udf``.

Every node needs adesieve, the model and the input files under the same paths: a shared file system, or copies. A task
that dies is started again by Spark (``spark.task.maxFailures``), its file from the start; since a file's rows are the
same in every attempt, to the bit, nothing is lost and nothing doubled. Name the ``precision`` where nodes differ:
``"auto"`` depends on the processor. A worker runs with ``spark.task.cpus`` threads, and on the GPU that Spark gives its
task (``spark.task.resource.gpu.amount``), else on the CPU.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Callable, Union

from . import _workers
from ._optional import need
from .classifier import Classifier

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

PathLike = Union[str, "os.PathLike[str]"]
Paths = Union[PathLike, Iterable[PathLike]]

__all__ = ["classify", "merge", "predictor", "screen"]

_BUCKETS = 1024  # pieces to merge: 60 MB of rows each, were all 41 million records in more than one file

# ---- In a worker process ------------------------------------------------------------------------------------------

_lock = threading.Lock()
_open: tuple[Any, Classifier] | None = None


def _assigned(settings: dict[str, Any]) -> dict[str, Any]:
    """Device and threads, where they are left open: what Spark has assigned to this task."""
    from pyspark import TaskContext

    task, settings = TaskContext.get(), dict(settings)
    gpu = None if task is None else task.resources().get("gpu")
    device = settings.get("device", "auto")
    if gpu and device in ("auto", "cuda"):
        settings["device"] = f"cuda:{gpu.addresses[0]}"
    elif device == "auto":
        settings["device"] = "cpu"
    if not settings.get("threads") and task is not None:
        settings["threads"] = task.cpus() if hasattr(task, "cpus") else 1
    return settings


def _classifier(settings: dict[str, Any]) -> Classifier:
    """This process's session: Spark uses a worker process for many tasks, the model is opened for the first."""
    global _open
    settings = _assigned(settings)
    key = (os.getpid(), sorted((name, str(value)) for name, value in settings.items()))
    with _lock:
        if _open is None or _open[0] != key:
            if _open is not None:  # of other settings, or on a GPU that another task has now
                _open[1].close()
            _open = (key, Classifier(**settings))
        return _open[1]


# ---- Rows as Spark has them ---------------------------------------------------------------------------------------


def _sql_type(kind: pa.DataType) -> str:
    pa = need("pyarrow", "arrow")
    if pa.types.is_list(kind):
        return f"ARRAY<{_sql_type(kind.value_type)}>"
    return {
        pa.int64(): "BIGINT",
        pa.uint64(): "BIGINT",  # Spark has no unsigned type: the same bits
        pa.int32(): "INT",
        pa.float32(): "FLOAT",
        pa.float64(): "DOUBLE",
        pa.bool_(): "BOOLEAN",
        pa.string(): "STRING",
    }[kind]


def _ddl(schema: pa.Schema) -> str:
    return ", ".join(f"`{field.name}` {_sql_type(field.type)}" for field in schema)


def _signed(batch: pa.RecordBatch) -> pa.RecordBatch:
    pa = need("pyarrow", "arrow")
    columns = [column.view(pa.int64()) if column.type == pa.uint64() else column for column in batch.columns]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _screened(paths: list[str], settings: dict[str, Any], how: dict[str, Any]) -> Callable[[Any], Iterator[Any]]:
    def rows(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for file in batch.column(0).to_pylist():
                for found in _workers.rows_of(_classifier(settings), paths[file], file, **how):
                    yield _signed(found)

    return rows


# ---- What is called ------------------------------------------------------------------------------------------------


def screen(
    spark: SparkSession,
    paths: Paths,
    *,
    model: PathLike | None = None,
    threshold: float | str = 0.5,
    merge: bool | None = None,
    keep_order: bool = False,
    record_rows: bool = False,
    metadata: bool = False,
    keep_going: bool = False,
    batch_rows: int = 8192,
    **options: Any,
) -> DataFrame:
    """Screens files, one a task.

    Parameters
    ----------
    spark : SparkSession
    paths : path or iterable of paths
        Files or folders, as for `Classifier.screen`; every node must see them.
    model : path, optional
        As for `Classifier`.
    threshold : float or str
        As for `Classifier.screen`.
    merge : bool, optional
        Whether to merge by PMID into the rows of a single run, as `merge` does. By default where there is more than one
        file, or ``keep_order``, and not ``record_rows``. Without it a record that several files have gives its rows
        several times.
    keep_order : bool
        Keeps, of a merge, the columns ``file`` and ``row``: ordered by them, the rows are in a single run's order.
    record_rows : bool
        Rows for a `merge` of your own, later: adds ``text_hash``, ``file`` and ``row``, and a row a record.
    metadata : bool
        With the record's columns (journal, date, MeSH headings, ...), as for `Screening.batches`.
    keep_going : bool
        A file that cannot be read to its end gives, after the rows before the fault, one of part ``"file"`` whose
        ``text`` is the error and whose ``source`` is the file's name. Otherwise the error, which names the file, ends
        the job (after ``spark.task.maxFailures`` attempts).
    batch_rows : int
        Rows a batch at most, between the worker and Spark.
    **options
        Further ones of `Classifier` and of `Classifier.screen`.

    Returns
    -------
    pyspark.sql.DataFrame
        With the columns of `adesieve.screening.schema`. It is not computed until it is used, and again at each use:
        write it, or ``persist()`` it. A merged one keeps the rows of the files on the workers' disks from the first use
        on, until ``spark.catalog.clearCache()`` or the session's end.

    Raises
    ------
    InputOutput, InvalidArgument
        For the paths, as `adesieve.inputs`.
    ValueError, TypeError
        For an argument that cannot be meant.
    ImportError
        pyarrow or PySpark is not installed.

    Notes
    -----
    A worker's error, such as a file that cannot be read, ends the job as Spark's ``PythonException``, which quotes it,
    when the result is computed.

    Examples
    --------
    >>> hits = adesieve.spark.screen(spark, "/shared/baseline", threshold=0.9)  # doctest: +SKIP
    >>> hits.write.parquet("/shared/hits")  # doctest: +SKIP
    """
    from ._inputs import inputs

    if merge and record_rows:
        raise ValueError("merge=True gives merged rows; record_rows=True asks for those before the merge")
    given = _workers.absolute({**options, "threshold": threshold, "model": model})
    settings, screening = _workers.split(given)
    files = [os.path.abspath(path) for path in inputs(paths)]
    joined = ((len(files) > 1 or keep_order) and not record_rows) if merge is None else merge
    marked = joined or record_rows
    how = {"record_rows": marked, "metadata": metadata, "keep_going": keep_going, "batch_rows": batch_rows}
    schema = _workers.schema(screening, marked, metadata)
    numbers = spark.range(0, len(files), 1, numPartitions=len(files))  # exactly one file a partition
    rows = numbers.mapInArrow(_screened(files, settings, {"options": screening, **how}), _ddl(schema))
    return _merged(rows.persist(_on_disk()), keep_order) if joined else rows


def _on_disk() -> Any:
    from pyspark import StorageLevel

    return StorageLevel.DISK_ONLY


def classify(
    df: DataFrame, column: str = "text", *, model: PathLike | None = None, prefix: str = "", **options: Any
) -> DataFrame:
    """Adds scores to a DataFrame of texts.

    Parameters
    ----------
    df : pyspark.sql.DataFrame
    column : str
        The column of texts.
    model : path, optional
        As for `Classifier`.
    prefix : str
        Put before the names of the new columns.
    **options
        Further ones of `Classifier`.

    Returns
    -------
    pyspark.sql.DataFrame
        ``df`` with the columns ``label``, ``score`` (the positive label's probability) and ``calibrated`` (null where
        the model has no calibration).

    Raises
    ------
    ImportError
        PySpark is not installed.

    Notes
    -----
    A worker's error ends the job as Spark's ``PythonException``, which quotes it, when the result is computed.

    Examples
    --------
    >>> notes = spark.read.parquet("/shared/notes")  # doctest: +SKIP
    >>> scored = adesieve.spark.classify(notes, "sentence", threads=2)  # doctest: +SKIP
    >>> scored.where("score >= 0.9").write.parquet("/shared/scored")  # doctest: +SKIP
    """
    from pyspark.sql.types import DoubleType, FloatType, StringType, StructField, StructType

    names = (("label", StringType()), ("score", FloatType()), ("calibrated", DoubleType()))
    schema = StructType(list(df.schema.fields) + [StructField(prefix + name, kind) for name, kind in names])
    settings = _workers.absolute({**options, "model": model})

    def rows(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield _workers.classified(_classifier(settings), batch, column, prefix)

    return df.mapInArrow(rows, schema)


def predictor(
    model: PathLike | None = None, **options: Any
) -> Callable[[], Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]]:
    """For ``pyspark.ml.functions.predict_batch_udf``: texts in, the positive label's probability out.

    Parameters
    ----------
    model : path, optional
        As for `Classifier`.
    **options
        Further ones of `Classifier`.

    Examples
    --------
    >>> from pyspark.ml.functions import predict_batch_udf  # doctest: +SKIP
    >>> score = predict_batch_udf(  # doctest: +SKIP
    ...     adesieve.spark.predictor(), return_type=FloatType(), batch_size=1024
    ... )
    >>> df.withColumn("score", score("text"))  # doctest: +SKIP
    """
    settings = _workers.absolute({**options, "model": model})

    def make() -> Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]:
        def predict(texts: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
            classifier = _classifier(settings)
            column = classifier.labels.index(classifier.positive_label)
            return classifier.predict_proba(texts)[:, column]

        return predict

    return make


def merge(rows: DataFrame, *, keep_order: bool = False) -> DataFrame:
    """The rows of a single run, from those of files that were screened apart.

    Records whose PMID occurs once go straight through; the others, grouped by PMID, are decided by the rule of a single
    run: the highest version, then the later file, then the later record; deletions remove.

    Parameters
    ----------
    rows : pyspark.sql.DataFrame
        Of `screen` with ``record_rows=True``, of all files. It is read three times: best from Parquet, else persisted.
    keep_order : bool
        Whether the result keeps the columns ``file`` and ``row``: ordered by them, it is in a single run's order.

    Returns
    -------
    pyspark.sql.DataFrame
        With the columns of `adesieve.screening.schema`.

    Raises
    ------
    ValueError
        The rows lack a column.
    ImportError
        PySpark is not installed.

    Notes
    -----
    Rows that do not belong together end the job as Spark's ``PythonException`` with the error of
    `adesieve.merge.merge`, when the result is computed.

    Examples
    --------
    >>> apart = spark.read.parquet("/shared/apart")  # doctest: +SKIP
    >>> adesieve.spark.merge(apart).write.parquet("/shared/hits")  # doctest: +SKIP
    """
    _workers.check_columns(rows.columns)
    return _merged(rows, keep_order)


def _merged(rows: DataFrame, keep_order: bool) -> DataFrame:
    from pyspark.sql import functions as f
    from pyspark.sql.types import StructType

    def whole(table: pa.Table) -> pa.Table:
        from .merge import merge

        pa = need("pyarrow", "arrow")
        at = table.schema.get_field_index("text_hash")
        hashes = table.column(at).combine_chunks().view(pa.uint64())
        return merge(table.set_column(at, "text_hash", hashes), keep_order=keep_order)

    left_out = _workers.left_out(keep_order)
    schema = StructType([field for field in rows.schema.fields if field.name not in left_out])
    occurred = rows.where(f.col("part").isin(*_workers.OCCURRENCES))
    pmids = occurred.groupBy("pmid").count().where("count > 1").select("pmid")
    sentences = rows.where(~f.col("part").eqNullSafe(_workers.RECORD))
    single = sentences.join(pmids, "pmid", "left_anti").select(schema.names)
    several = rows.join(pmids, "pmid", "left_semi").select(rows.columns)
    # A call for each PMID would take longer than the merge itself.
    groups = several.groupBy((f.col("pmid") % _BUCKETS).cast("int").alias("bucket"))
    return single.unionByName(groups.applyInArrow(whole, schema))
