# SPDX-License-Identifier: Apache-2.0
"""adesieve.spark on a master and three workers with a processor each: what comes out is what one run gives."""

from __future__ import annotations

import csv
import os
import shutil
import sys

import psutil
import pytest

pyspark = pytest.importorskip("pyspark")
pa = pytest.importorskip("pyarrow")
if shutil.which("java") is None:
    pytest.skip("there is no Java", allow_module_level=True)

import adesieve  # noqa: E402
import adesieve.spark  # noqa: E402
from conftest import DATA, DEFAULT, TINY, Interrupted, assert_same, make_files, one_run  # noqa: E402

FOR_WORKERS = ("PYTHONPATH", "ADESIEVE_LIBRARY")


@pytest.fixture(scope="module")
def spark(tmp_path_factory):
    from pyspark.sql import SparkSession

    started = psutil.Process().children(recursive=True)
    folder = tmp_path_factory.mktemp("spark")
    own = {
        "SPARK_HOME": os.path.dirname(pyspark.__file__),  # where PyPI's package has bin/ and jars/
        "SPARK_WORKER_DIR": str(folder / "work"),
        "SPARK_LOCAL_DIRS": str(folder / "local"),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYSPARK_PYTHON": sys.executable,
    }
    before = {name: os.environ.get(name) for name in own}
    os.environ.update(own)
    settings = {
        "spark.driver.memory": "1g",
        "spark.executor.memory": "1g",
        "spark.ui.enabled": "false",
        "spark.sql.shuffle.partitions": "3",
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
        # Executors that the tests kill are started again without end.
        "spark.deploy.maxExecutorRetries": "-1",
        **{f"spark.executorEnv.{name}": value for name, value in os.environ.items() if name in FOR_WORKERS},
    }
    builder = SparkSession.builder.master("local-cluster[3,1,1024]").appName("adesieve")
    for name, value in settings.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    yield session
    session.stop()
    gateway = session.sparkContext._gateway
    gateway.shutdown()
    gateway.proc.stdin.close()
    daemons = [process for process in psutil.Process().children(recursive=True) if process not in started]
    _, left = psutil.wait_procs(daemons, timeout=30)
    for name, value in before.items():
        os.environ.pop(name) if value is None else os.environ.update({name: value})
    assert not left


@pytest.fixture(autouse=True)
def _nothing_kept(request):
    yield
    if "spark" in request.fixturenames:
        request.getfixturevalue("spark").catalog.clearCache()


def workers_of(df) -> int:
    """The executors that there are, without the driver."""
    return df.sparkSession.sparkContext._jsc.sc().getExecutorMemoryStatus().size() - 1


def test_the_rows_of_one_run(spark, files, expected):
    rows = adesieve.spark.screen(spark, files, all=True, keep_order=True, **TINY)
    assert_same(rows.toArrow(), expected)
    assert workers_of(rows) == 3


def test_files_out(spark, files, expected, tmp_path):
    # Version 1 gives a task's files their names when the job has succeeded; 2 would show those of a job that failed.
    committer = spark.sparkContext._jsc.hadoopConfiguration().get("mapreduce.fileoutputcommitter.algorithm.version")
    assert committer == "1"
    rows = adesieve.spark.screen(spark, files[0].parent, all=True, keep_order=True, **TINY)
    rows.write.parquet(str(tmp_path / "rows"))
    assert (tmp_path / "rows" / "_SUCCESS").exists()
    import pyarrow.parquet

    assert_same(pyarrow.parquet.read_table(tmp_path / "rows"), expected)


@pytest.mark.parametrize("whom", ["python", "executor"])
def test_a_killed_worker(spark, files, expected, tmp_path, whom):
    def find(pid: int) -> int:
        process = psutil.Process(pid)
        assert process.pid != os.getpid() and "pyspark" in " ".join(process.cmdline())
        if whom == "python":
            return pid
        java = next(parent for parent in process.parents() if "java" in parent.name())
        assert "CoarseGrainedExecutorBackend" in " ".join(java.cmdline())
        return java.pid

    with Interrupted(files, tmp_path / "pipes", find) as pipe:
        rows = adesieve.spark.screen(spark, pipe.paths, all=True, keep_order=True, batch_rows=16, **TINY)
        rows.write.parquet(str(tmp_path / "rows"))
    assert len(pipe.killed) == 1 and pipe.served >= 1
    import pyarrow.parquet

    assert_same(pyarrow.parquet.read_table(tmp_path / "rows"), expected)


def test_merging_afterwards(spark, files, tmp_path):
    """Rows of files that were screened apart and kept as Parquet."""
    apart = str(tmp_path / "apart")
    adesieve.spark.screen(spark, files, record_rows=True, metadata=True, **TINY).write.parquet(apart)
    rows = adesieve.spark.merge(spark.read.parquet(apart), keep_order=True).toArrow()
    with adesieve.Classifier(**TINY, threads=1) as classifier, classifier.screen(files) as run:
        assert_same(rows, run.to_arrow(metadata=True))


def test_a_file_that_cannot_be_read(spark, files, tmp_path):
    paths = [tmp_path / path.name for path in files[:4]]
    for path, original in zip(paths, files):
        shutil.copy(original, path)
    paths[2].write_bytes(paths[2].read_bytes()[:20_000])
    with pytest.raises(Exception, match=rf"{paths[2].name}"):
        adesieve.spark.screen(spark, paths, **TINY).count()

    rows = adesieve.spark.screen(spark, paths, all=True, keep_going=True, keep_order=True, **TINY).toArrow()
    failed = rows.filter(pa.compute.equal(rows.column("part"), "file")).to_pylist()
    assert [row["source"] for row in failed] == [paths[2].name] and str(paths[2]) in failed[0]["text"]
    rows = rows.filter(pa.compute.invert(pa.compute.equal(rows.column("part"), "file")))
    assert_same(rows, one_run(paths, TINY, all=True, keep_going=True))


@pytest.fixture(scope="module")
def sentences():
    with open(DATA / "test.csv", newline="", encoding="utf-8") as file:
        return [row["text"] for row in csv.DictReader(file)]


def scores_of(texts):
    with adesieve.Classifier(**TINY, threads=1) as classifier:
        return classifier.predict_proba(texts)[:, 1]


def test_classifying(spark, sentences):
    df = spark.createDataFrame([(i, text) for i, text in enumerate(sentences)], "id INT, text STRING").repartition(9)
    found = adesieve.spark.classify(df, **TINY).toArrow().sort_by("id")
    assert found.column("text").to_pylist() == sentences
    assert (found.column("score").to_numpy().view("int32") == scores_of(sentences).view("int32")).all()
    assert set(found.column("label").to_pylist()) <= {"not ADE", "ADE"}
    assert found.column("calibrated").null_count == len(sentences)  # the model has no calibration


def test_predict_batch_udf(spark, sentences):
    from pyspark.ml.functions import predict_batch_udf
    from pyspark.sql.types import FloatType

    df = spark.createDataFrame([(i, text) for i, text in enumerate(sentences)], "id INT, text STRING").repartition(9)
    score = predict_batch_udf(adesieve.spark.predictor(**TINY), return_type=FloatType(), batch_size=512)
    found = df.withColumn("score", score("text")).toArrow().sort_by("id")
    assert (found.column("score").to_numpy().view("int32") == scores_of(sentences).view("int32")).all()


def test_wrong_arguments(spark, files, tmp_path):
    with pytest.raises(TypeError, match="'treshold' is not an option"):
        adesieve.spark.screen(spark, files, treshold=0.5)
    with pytest.raises(ValueError, match="before the merge"):
        adesieve.spark.screen(spark, files, merge=True, record_rows=True)
    with pytest.raises(ValueError, match="no column 'file'"):
        adesieve.spark.merge(spark.range(1).selectExpr("id AS pmid", "1 AS version", "'' AS part", "1 AS text_hash"))
    with pytest.raises(adesieve.errors.InputOutput):
        adesieve.spark.screen(spark, tmp_path / "nothing.xml")


@pytest.mark.skipif(not (DEFAULT / "model.safetensors").exists(), reason="there is no default model")
def test_the_default_model(spark, few_records, tmp_path):
    files = make_files(tmp_path / "medline", few_records)
    settings = {"model": DEFAULT, "precision": "f32", "device": "cpu"}
    rows = adesieve.spark.screen(spark, files, all=True, keep_order=True, **settings).toArrow()
    assert_same(rows, one_run(files, settings, all=True))
