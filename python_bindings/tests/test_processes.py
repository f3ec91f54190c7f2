# SPDX-License-Identifier: Apache-2.0
"""A Classifier's life among threads, processes and signals: turns, forks, pickles, Ctrl-C, the interpreter's end."""

from __future__ import annotations

import copy
import multiprocessing
import os
import pickle
import signal
import statistics
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import adesieve

TEXTS = ["Rash after amoxicillin.", "", "No adverse effects were seen.", "TNF-α 5±2 mg", "a\x00b"]


# ---- Pickle and copy --------------------------------------------------------------------------------------------


def test_pickle(clf):
    expected = clf.logits(TEXTS)
    for made in (pickle.loads(pickle.dumps(clf)), copy.deepcopy(clf), copy.copy(clf)):
        with made:
            assert repr(made) == repr(clf) and made.labels == clf.labels and made.positive_label == "ADE"
            assert np.array_equal(made.logits(TEXTS), expected)
        closed = pickle.loads(pickle.dumps(made))
        assert closed.labels == clf.labels  # what it was is still known
        for use in (lambda: closed("x"), lambda: copy.deepcopy(closed).logits([])):
            with pytest.raises(ValueError, match="closed"):
                use()
    assert np.array_equal(clf.logits(TEXTS), expected)


def test_pickle_says_everything(tiny, tmp_path, monkeypatch, sentences):
    """Settings, the calibration, and paths that mean the same in a process that works elsewhere."""
    monkeypatch.chdir(tiny.parent)
    with adesieve.Classifier(
        tiny.name, "cpu", "f32", 1, 64, ["no", "yes"], positive_label="no", invalid_utf8="replace", calibration=""
    ) as clf:
        order = clf.logits(sentences[:60])[:, 0].argsort().argsort()  # the higher half counts as "no"
        clf.calibrate(sentences[:60], (order < 30).astype(int), path=tmp_path / "c.json", method="temperature", folds=2)
        expected = clf.calibrated(TEXTS[:2])
        pickled = pickle.dumps(clf)
        monkeypatch.chdir(tmp_path)
        with pickle.loads(pickled) as made:
            assert made._settings == clf._settings and made.calibration == clf.calibration
            assert np.array_equal(made.calibrated(TEXTS[:2]), expected) and made.positive_label == "no"
            assert made.info["max_length"] == 64 and made.logits("\ud800").shape == (1, 2)
    assert eval(repr(clf), {"Classifier": dict})["model"] == str(tiny)


# ---- Threads ----------------------------------------------------------------------------------------------------


def test_threads_share_one(clf, sentences):
    expected = clf.logits(sentences[:50])
    results: list[object] = []
    uses = [lambda: clf.logits(sentences[:50]), lambda: clf.logits(iter(sentences[:50]))] * 4
    workers = [threading.Thread(target=lambda use=use: results.append(use())) for use in uses]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(results) == 8 and all(np.array_equal(result, expected) for result in results)


class Bar:
    """Stands for tqdm's: calls ``at_work`` when the library reports from within a call."""

    at_work = staticmethod(lambda: None)

    def __init__(self, total, **how):
        self.total, self.n = total, 0

    def update(self, n):
        self.n += n
        type(self).at_work()

    def refresh(self):
        pass

    def close(self):
        pass


def test_a_thread_waits_until_the_other_is_out(clf, sentences):
    inside, go_on, order = threading.Event(), threading.Event(), []

    class Slow(Bar):
        @staticmethod
        def at_work():
            if not inside.is_set():
                order.append("first is inside")
                inside.set()
                go_on.wait(20)

    def first():
        clf.logits(sentences[:1000], progress=Slow)
        order.append("first is out")

    def second():
        inside.wait(20)
        clf.logits("x")
        order.append("second is out")

    threads = [threading.Thread(target=first), threading.Thread(target=second)]
    for thread in threads:
        thread.start()
    assert inside.wait(20)
    time.sleep(0.2)
    assert order == ["first is inside"]
    go_on.set()
    for thread in threads:
        thread.join(30)
    assert sorted(order[1:]) == ["first is out", "second is out"]


def test_within_a_call(clf, sentences):
    """What is at work can be neither called nor closed; and is fine afterwards."""
    calls = [lambda: clf("x"), lambda: clf.info, lambda: clf.tokenize("x"), lambda: clf.calibrate([], [])]
    calls += [lambda length=length: clf("x", max_length=length) for length in (8, 9, 10)]
    for use, error in (*((call, adesieve.Busy) for call in calls), (clf.close, ValueError)):

        class Meddler(Bar):
            at_work = staticmethod(lambda use=use: use() if clf._at_work() else None)

        with pytest.raises(error, match="at work on this very thread"):
            clf.logits(sentences[:1000], progress=Meddler)
        assert clf.logits(TEXTS).shape == (5, 2)


def test_within_a_call_of_another_length(clf, sentences):
    """A call for other lengths would close the session that is at work, to keep no more than two."""
    texts = sentences * 8
    expected = clf(texts, max_length=8)
    refused = []

    class Meddler(Bar):
        @staticmethod
        def at_work():
            for length in (9, 10, 11):
                try:
                    clf(["x"], max_length=length)
                except adesieve.Busy as error:
                    refused.append(str(error))

    assert clf(texts, max_length=8, progress=Meddler) == expected
    assert refused and "use another one" in refused[0]


def test_close_waits_for_other_threads(tiny, sentences):
    clf = adesieve.Classifier(tiny, "cpu", "f32", threads=1)
    inside = threading.Event()
    found = []

    class Shows(Bar):
        at_work = staticmethod(inside.set)

    thread = threading.Thread(target=lambda: found.append(clf.logits(sentences[:1000], progress=Shows)))
    thread.start()
    assert inside.wait(20)
    clf.close()
    thread.join(30)
    with adesieve.Classifier(tiny, "cpu", "f32") as other:
        assert np.array_equal(found[0], other.logits(sentences[:1000]))
    with pytest.raises(ValueError, match="closed"):
        clf("x")


# ---- Processes --------------------------------------------------------------------------------------------------

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")


@needs_fork
def test_fork(clf):
    """A child opens a session of its own, whoever held the lock; the parent's stays as it is."""
    expected = clf.logits(TEXTS)
    clf(TEXTS, max_length=5)
    read, write = os.pipe()
    clf._lock.acquire()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            from concurrent.futures import ThreadPoolExecutor

            with ThreadPoolExecutor(1) as pool:  # not the thread that held the lock
                os.write(write, pool.submit(clf.logits, TEXTS).result(60).tobytes())
            status = int(clf(TEXTS, max_length=5)[4]["label"] not in clf.labels)
            clf.close()
        finally:
            os._exit(status)
    clf._lock.release()
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        said = pipe.read()
    assert os.waitpid(child, 0)[1] == 0
    assert np.array_equal(np.frombuffer(said, dtype=np.float32).reshape(expected.shape), expected)
    assert np.array_equal(clf.logits(TEXTS), expected)


@needs_fork
def test_fork_while_the_library_is_loaded():
    """By another thread, which has the lock for it."""
    from adesieve import _ffi

    _ffi._lock.acquire()
    try:
        child = os.fork()
        if child == 0:
            os._exit(0 if _ffi._lock.acquire(timeout=10) else 1)
    finally:
        _ffi._lock.release()
    assert os.waitpid(child, 0)[1] == 0


@needs_fork
def test_a_child_that_only_ends(clf):
    """A child that closes or forgets the parent's session waits for no thread that it does not have."""
    child = os.fork()
    if child == 0:
        clf.close()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert clf.logits("x").shape == (1, 2)


def answer(clf: adesieve.Classifier, pipe) -> None:
    pipe.send(clf.logits(TEXTS))
    pipe.close()


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_multiprocessing(clf, method):
    context = multiprocessing.get_context(method)
    here, there = context.Pipe()
    process = context.Process(target=answer, args=(clf, there))
    process.start()
    assert here.poll(60)
    assert np.array_equal(here.recv(), clf.logits(TEXTS))
    process.join(60)
    assert process.exitcode == 0


@pytest.mark.parametrize("ending", ["", "a.close()", "del a", "import os; os.fork() or a('x')", "raise SystemExit"])
def test_exit_while_open(tiny, root, ending):
    """An interpreter that goes down with objects open does so quietly."""
    code = f"import adesieve; a = adesieve.Classifier({str(tiny)!r}, 'cpu', threads=2); a.me = a; a('x')\n"
    code += f"b = a(t for t in 'abc'); next(b)\n{ending}"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env={**os.environ, "PYTHONPATH": str(root / "python_bindings")},
        capture_output=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


# ---- Signals ----------------------------------------------------------------------------------------------------


def interrupt_soon(number: int = signal.SIGINT) -> threading.Timer:
    timer = threading.Timer(0.3, lambda: signal.pthread_kill(threading.main_thread().ident, number))
    timer.start()
    return timer


def test_any_handler_that_raises_stops(clf):
    class TimeIsUp(Exception):
        pass

    def handler(number, frame):
        raise TimeIsUp

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        timer = interrupt_soon(signal.SIGUSR1)
        with pytest.raises(TimeIsUp):
            clf.logits(["Rash after amoxicillin in a patient with renal failure. " * 40] * 100_000)
        timer.join()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert clf.logits(TEXTS).shape == (5, 2)


def test_a_handler_that_calls(clf):
    """The session is taken; the handler is told so, and the call that it interrupted ends with what it raised."""
    seen = []

    def handler(number, frame):
        try:
            clf.logits("x")
        except adesieve.Error as error:
            seen.append(type(error))
        try:
            clf.close()
        except ValueError as error:
            seen.append(str(error))

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        timer = interrupt_soon(signal.SIGUSR1)
        while not seen:
            assert clf.logits(["Rash after amoxicillin. " * 40] * 50).shape == (50, 2)
        timer.join()
    finally:
        signal.signal(signal.SIGUSR1, before)
    if seen[0] is adesieve.Busy:  # else it came between two calls of the library
        assert "at work" in seen[1]


@pytest.mark.skipif(sys.version_info < (3, 10), reason="Python 3.9 can stop between the end of a with and its lock")
def test_no_signal_leaves_the_lock_taken(clf):
    """Wherever a handler raises, also between two steps of Python; and while its traceback is kept, as notebooks do."""

    class TimeIsUp(Exception):
        pass

    def handler(number, frame):
        raise TimeIsUp

    before = signal.signal(signal.SIGALRM, handler)
    try:
        for i in range(400):
            kept = None
            try:
                signal.setitimer(signal.ITIMER_REAL, 0.0005 + i * 1e-6)
                while True:
                    clf.positive_label  # noqa: B018
            except TimeIsUp as error:
                kept = error
            assert not clf._at_work(), kept
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


# What a child does until Ctrl-C: it says "ready" before each round and, after each, how long the object then took.
CHILD = """
import signal, sys, time, itertools
signal.signal(signal.SIGINT, signal.default_int_handler)
import adesieve
from adesieve import _texts
clf = adesieve.Classifier({model!r}, "cpu", "f32", threads=2)
expected = clf.logits("Rash.").tolist()
text = "Rash after amoxicillin in a patient with renal failure. " * 40
def forever(use):
    while True:
        use()
{work}
for i in range(5):
    print("ready", flush=True)
    try:
        work()
        print("ended", flush=True)
    except KeyboardInterrupt:
        print(time.monotonic(), flush=True)
    assert clf.logits("Rash.").tolist() == expected
"""

WORK = {
    "one call": "texts = [text] * 100_000\ndef work(): clf.logits(texts)",
    "a progress bar": (
        "import io, tqdm\ntexts = [text] * 100_000\n"
        "class Bar(tqdm.tqdm):\n    def __init__(self, **how): super().__init__(file=io.StringIO(), **how)\n"
        "def work(): clf.classify(texts, progress=Bar)"
    ),
    "a generator": "def work():\n    for answer in clf(text for i in itertools.count()): pass",
    "Arrow": (
        "import pyarrow\ntexts = pyarrow.chunked_array([pyarrow.array([text] * 1000)] * 100)\n"
        "def work(): clf.logits(texts)"
    ),
    "encoding": (
        "texts = [text] * 3_000_000\n"
        "def encode():\n    for block in _texts.read(texts).blocks(): pass\n"
        "def work(): forever(encode)"
    ),
    "addresses": (
        "import pyarrow\ntexts = pyarrow.chunked_array([pyarrow.array(['Rash.'] * 100_000)] * 500)\n"
        "def encode():\n    for block in _texts.read(texts).blocks(): pass\n"
        "def work(): forever(encode)"
    ),
}


def stops(child: subprocess.Popen[str]) -> list[float]:
    """Seconds from each of five signals to its KeyboardInterrupt."""
    took = []
    watchdog = threading.Timer(90, child.kill)  # a child that does not stop is red, not a test that does not end
    watchdog.start()
    try:
        for i in range(5):
            assert child.stdout.readline() == "ready\n", child.stderr.read()
            time.sleep(0.1 + 0.07 * i)
            sent = time.monotonic()
            child.send_signal(signal.SIGINT)
            took.append(float(child.stdout.readline()) - sent)
        assert child.wait(60) == 0, child.stderr.read()
    finally:
        watchdog.cancel()
        child.kill()
        child.communicate()
    return took


@pytest.mark.parametrize("name", WORK)
def test_ctrl_c(root, tiny, name):
    """A real SIGINT, five times: KeyboardInterrupt within 0.2 seconds, and the object works on."""
    pytest.importorskip({"a progress bar": "tqdm", "Arrow": "pyarrow", "addresses": "pyarrow"}.get(name, "numpy"))
    all_took = []
    for _ in range(3):  # a machine that is busy with other things may let the child wait; not three times
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD.format(model=str(tiny), work=WORK[name])],
            env={**os.environ, "PYTHONPATH": str(root / "python_bindings")},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        all_took.append(stops(child))
        if statistics.median(all_took[-1]) < 0.2:
            return
    pytest.fail(f"too late: {all_took}")
