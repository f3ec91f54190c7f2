# SPDX-License-Identifier: Apache-2.0
"""adesieve.ray on a cluster of three nodes with a processor each: what comes out is what one run gives."""

from __future__ import annotations

import csv
import os
import shutil
import threading
import time

import psutil
import pytest

ray = pytest.importorskip("ray")
pa = pytest.importorskip("pyarrow")

import adesieve  # noqa: E402
import adesieve.ray  # noqa: E402
from conftest import DATA, DEFAULT, TINY, Interrupted, assert_same, children, make_files, one_run  # noqa: E402

TINY = {**TINY, "keep_order": True}
ONE_RUN = {name: value for name, value in TINY.items() if name != "keep_order"}


@pytest.fixture(scope="module")
def cluster():
    """A head without processors and three nodes with one each. Yields the nodes."""
    from ray.cluster_utils import Cluster

    started = psutil.Process().children(recursive=True)
    small = {"object_store_memory": 200 << 20}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False, **small})
    nodes = [cluster.add_node(num_cpus=1, **small) for _ in range(3)]
    ray.init(address=cluster.address, log_to_driver=False)
    ray.data.DataContext.get_current().enable_progress_bars = False
    # So small that a file's rows leave the worker in many pieces, some of them before it is killed.
    ray.data.DataContext.get_current().target_max_block_size = 64 << 10
    yield nodes
    daemons = [process for process in psutil.Process().children(recursive=True) if process not in started]
    ray.shutdown()
    cluster.shutdown()
    _, left = psutil.wait_procs(daemons, timeout=30)
    assert not left


def workers(nodes) -> set[int]:
    """The processes that have an actor of ours."""
    found = set()
    for node in nodes:
        for raylet in node.all_processes["raylet"]:
            for process in children(raylet.process.pid):
                try:
                    if "MapWorker(MapBatches(Screen))" in "".join(process.cmdline()):
                        found.add(process.pid)
                except psutil.Error:
                    pass
    return found


class Watched:
    """The workers that were there at the same time."""

    def __init__(self, nodes) -> None:
        self.most = 0
        self._nodes, self._stop = nodes, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self) -> None:
        while not self._stop.wait(0.2):
            self.most = max(self.most, len(workers(self._nodes)))

    def __enter__(self) -> Watched:
        self._thread.start()
        return self

    def __exit__(self, *exception) -> None:
        self._stop.set()
        self._thread.join()


def table_of(dataset):
    # Older versions of Ray have empty blocks without columns.
    return pa.concat_tables([table for table in ray.get(dataset.to_arrow_refs()) if table.num_columns])


def test_the_rows_of_one_run(cluster, files, expected):
    with Watched(cluster) as watched:
        rows = table_of(adesieve.ray.screen(files, all=True, **TINY))
    assert watched.most == 3
    assert_same(rows, expected)


def test_files_out(cluster, files, expected, tmp_path):
    output = tmp_path / "rows"
    dataset = adesieve.ray.screen(files[0].parent, output, all=True, **TINY)
    assert_same(table_of(dataset), expected)
    import pyarrow.parquet

    assert_same(pyarrow.parquet.read_table(output), expected)
    assert os.listdir(tmp_path) == ["rows"]
    with pytest.raises(FileExistsError, match="is there already"):
        adesieve.ray.screen(files, output, **TINY)


@pytest.mark.parametrize("merge", [False, True])
def test_no_rows(cluster, tmp_path, monkeypatch, merge):
    """A folder of no rows has the columns. Its name is relative and not of a simple kind."""
    files = []
    for i in range(2):
        files.append(tmp_path / f"pubmed26n000{i + 1}.xml")
        files[-1].write_text("<PubmedArticleSet></PubmedArticleSet>", "utf-8")
    monkeypatch.chdir(tmp_path)
    dataset = adesieve.ray.screen(files, "no rows, 100 %", merge=merge, **ONE_RUN)
    assert dataset.count() == 0
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(tmp_path / "no rows, 100 %")
    assert table.schema.names == adesieve.screening.schema().names and table.num_rows == 0


def test_one_file_in_order(cluster, files):
    rows = table_of(adesieve.ray.screen(files[0], all=True, num_cpus=0.5, **TINY))
    assert_same(rows, one_run(files[:1], ONE_RUN, all=True))


@pytest.mark.parametrize("to_files", [False, True])
def test_a_killed_worker(cluster, files, expected, tmp_path, to_files):
    def the_worker(pid: int) -> int:
        assert pid in workers(cluster)
        return pid

    with Interrupted(files, tmp_path / "pipes", the_worker) as pipe:
        output = tmp_path / "rows" if to_files else None
        rows = table_of(adesieve.ray.screen(pipe.paths, output, all=True, batch_rows=16, **TINY))
    assert len(pipe.killed) == 1 and pipe.served >= 1
    assert_same(rows, expected)


def test_merging_afterwards(cluster, files, tmp_path):
    """Rows of parts of MEDLINE, screened by two jobs and kept as Parquet."""
    from adesieve.ray import Screen, merge

    for chosen in (range(0, 6), range(6, 12)):
        items = [{"path": str(files[i]), "file": i} for i in chosen]
        ray.data.from_items(items, override_num_blocks=6).map_batches(
            Screen,
            fn_constructor_kwargs={**ONE_RUN, "record_rows": True, "metadata": True},
            batch_size=1,
            batch_format="pyarrow",
            compute=ray.data.ActorPoolStrategy(size=2),
        ).write_parquet(str(tmp_path))
    rows = merge(ray.data.read_parquet(str(tmp_path)), keep_order=True)
    with adesieve.Classifier(**ONE_RUN, threads=1) as classifier, classifier.screen(files) as run:
        assert_same(table_of(rows), run.to_arrow(metadata=True))


def test_a_file_that_cannot_be_read(cluster, files, tmp_path):
    paths = [tmp_path / path.name for path in files[:4]]
    for path, original in zip(paths, files):
        shutil.copy(original, path)
    paths[2].write_bytes(paths[2].read_bytes()[:20_000])
    with pytest.raises(Exception, match=rf"{paths[2].name}"):
        adesieve.ray.screen(paths, tmp_path / "rows", **TINY)
    assert not (tmp_path / "rows").exists() and not list(tmp_path.glob("*.unfinished"))

    rows = table_of(adesieve.ray.screen(paths, all=True, keep_going=True, **TINY))
    failed = rows.filter(pa.compute.equal(rows.column("part"), "file")).to_pylist()
    assert [row["source"] for row in failed] == [paths[2].name] and str(paths[2]) in failed[0]["text"]
    rows = rows.filter(pa.compute.invert(pa.compute.equal(rows.column("part"), "file")))
    assert_same(rows, one_run(paths, ONE_RUN, all=True, keep_going=True))


def test_classifying(cluster):
    with open(DATA / "test.csv", newline="", encoding="utf-8") as file:
        texts = [row["text"] for row in csv.DictReader(file)]
    table = pa.table({"id": range(len(texts)), "text": texts})
    dataset = ray.data.from_arrow([table[i : i + 400] for i in range(0, len(texts), 400)])
    found = table_of(
        dataset.map_batches(
            adesieve.ray.Classify,
            fn_constructor_kwargs={**ONE_RUN, "prefix": "ade_"},
            batch_size=500,
            batch_format="pyarrow",
            compute=ray.data.ActorPoolStrategy(size=3),
        )
    ).sort_by("id")
    with adesieve.Classifier(**ONE_RUN, threads=1) as classifier:
        scores = classifier.predict_proba(texts)[:, 1]
    assert found.column("text").to_pylist() == texts
    assert (found.column("ade_score").to_numpy().view("int32") == scores.view("int32")).all()
    assert set(found.column("ade_label").to_pylist()) <= {"not ADE", "ADE"}
    assert found.column("ade_calibrated").null_count == len(texts)  # the model has no calibration


def test_wrong_arguments(cluster, files, tmp_path):
    with pytest.raises(TypeError, match="'treshold' is not an option"):
        adesieve.ray.screen(files, treshold=0.5)
    with pytest.raises(ValueError, match="no worker with 2 CPUs"):  # three nodes of one
        adesieve.ray.screen(files, num_cpus=2)
    with pytest.raises(ValueError, match="no column 'file'"):
        adesieve.ray.merge(ray.data.from_arrow(one_run(files[:1], ONE_RUN, record_rows=True)))
    with pytest.raises(ValueError, match="write_parquet"):
        adesieve.ray.screen(files, "s3://bucket/rows")
    with pytest.raises(adesieve.errors.InputOutput):
        adesieve.ray.screen(tmp_path / "nothing.xml")


@pytest.mark.skipif(not (DEFAULT / "model.safetensors").exists(), reason="there is no default model")
def test_the_default_model(cluster, few_records, tmp_path):
    files = make_files(tmp_path / "medline", few_records)
    settings = {"model": DEFAULT, "precision": "f32", "device": "cpu"}
    started = time.monotonic()
    rows = table_of(adesieve.ray.screen(files, all=True, keep_order=True, **settings))
    print(f"{rows.num_rows} rows in {time.monotonic() - started:.1f} s")
    assert_same(rows, one_run(files, settings, all=True))
