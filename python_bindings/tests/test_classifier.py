# SPDX-License-Identifier: Apache-2.0
"""Classifier: results, arguments, errors, lifetime, threads, processes, Ctrl-C."""

from __future__ import annotations

import gc
import json
import logging
import os
import pickle
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import adesieve
from adesieve import Status

LABELS = ["not ADE", "ADE"]
TEXTS = ["Rash after amoxicillin.", "", "No adverse effects were seen.", "TNF-α 5±2 mg", "a\x00b"]


def test_golden(root, data):
    """Logits and probabilities of every golden model against the reference implementation's."""
    golden = json.loads((root / "tests" / "golden" / "variants.json").read_text(encoding="utf-8"))
    compared = 0
    for name, model in golden["models"].items():
        if not (data / "models" / name).is_dir():
            continue
        with adesieve.Classifier(data / "models" / name, "cpu", "f32") as clf:
            assert list(clf.labels) == model["labels"]
            ids = [tokens.ids for tokens in clf.tokenize(golden["texts"])]
            assert ids == [item["ids"] for item in model["items"]]
            logits = np.array([item["logits_f64"] for item in model["items"]])
            np.testing.assert_allclose(clf.logits(golden["texts"]), logits, atol=2e-5)
            probabilities = np.array([item["probabilities"] for item in model["items"]])
            np.testing.assert_allclose(clf.predict_proba(golden["texts"]), probabilities, atol=1e-5)
        compared += 1
    assert compared > 0


def test_equals_the_command(root, tiny, sentences, tmp_path):
    """The same bits as `adesieve classify` gives, if the command was built beside the library."""
    command = os.path.join(os.path.dirname(os.path.realpath(adesieve.library_path())), "adesieve")
    if not os.access(command, os.X_OK):
        pytest.skip("no command beside the library")
    texts = sentences[:300]
    (tmp_path / "in.txt").write_text("\n".join(texts) + "\n", encoding="utf-8")
    said = subprocess.run(
        [command, "classify", "--model", tiny, "--precision", "f32", "--format", "jsonl", tmp_path / "in.txt"],
        check=True,
        capture_output=True,
    ).stdout
    rows = [json.loads(line) for line in said.splitlines()]
    with adesieve.Classifier(tiny, "cpu", "f32") as clf:
        assert np.array_equal(np.array([r["logits"] for r in rows], dtype=np.float32), clf.logits(texts))
        assert [row["label"] for row in rows] == list(clf.predict(texts))


def test_shapes_and_types(clf):
    values = clf.predict_proba(TEXTS)
    assert values.shape == (5, 2) and values.dtype == np.float32 and values.flags.c_contiguous
    np.testing.assert_allclose(values.sum(axis=1), 1, atol=1e-6)
    logits = clf.logits(TEXTS)
    softmax = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(values, softmax, atol=1e-6)
    assert list(clf.predict(TEXTS)) == [LABELS[i] for i in values.argmax(axis=1)]
    assert clf.predict_proba([]).shape == (0, 2) and clf([]) == [] and len(clf.predict([])) == 0


def test_pipeline_shape(clf):
    best = clf(TEXTS)
    assert [set(row) for row in best] == [{"label", "score"}] * 5
    assert [row["score"] for row in best] == [float(s) for s in clf.predict_proba(TEXTS).max(axis=1)]
    assert clf(TEXTS[0]) == [best[0]] == clf([TEXTS[0]])
    assert clf(TEXTS[0], top_k=1) == [best[0]]
    everything = clf(TEXTS, top_k=None)
    assert [len(row) for row in everything] == [2] * 5
    assert everything == clf(TEXTS, top_k=2) == clf(TEXTS, top_k=99)
    assert [row[0] for row in everything] == best == [row[0] for row in clf(TEXTS, top_k=1)]
    assert all(row[0]["score"] >= row[1]["score"] for row in everything)
    assert clf(TEXTS[0], top_k=None) == everything[0]
    json.dumps(everything)


def test_same_bits_in_any_company(clf, sentences):
    together = clf.logits(sentences[:200])
    assert np.array_equal(together[::-1], clf.logits(sentences[:200][::-1]))
    assert all(np.array_equal(together[i], clf.logits(sentences[i])[0]) for i in range(0, 200, 20))


def test_what_texts_can_be(clf):
    expected = clf.logits(TEXTS[:2])
    for texts in (tuple(TEXTS[:2]), iter(TEXTS[:2]), np.array(TEXTS[:2]), np.array(TEXTS[:2], dtype=object)):
        assert np.array_equal(clf.logits(texts), expected)
    for texts, named in (([None], "text 0 is NoneType"), (["a", float("nan")], "text 1 is float"), (b"x", "bytes")):
        with pytest.raises(TypeError, match=named):
            clf.logits(texts)
    with pytest.raises(TypeError):
        clf.logits(5)


def test_surrogates(clf, tiny):
    with pytest.raises(adesieve.Error, match="text 1") as caught:
        clf.logits(["fine", "lone \ud800 surrogate"])
    assert caught.value.status is Status.BAD_INPUT and caught.value.status.value == 6
    assert clf.logits(["fine"]).shape == (1, 2)
    with adesieve.Classifier(tiny, "cpu", "f32", invalid_utf8="replace") as lenient:
        assert np.array_equal(lenient.logits("lone \ud800 surrogate"), lenient.logits("lone  surrogate"))


def test_tokenize(clf):
    text = "Rash ± fever: α😀 amoxicillin."
    tokens = clf.tokenize(text)
    assert tokens.tokens[0] == "[CLS]" and tokens.tokens[-1] == "[SEP]" and tokens.offsets[0] == (0, 0)
    assert tokens.unknown == tokens.tokens.count("[UNK]") and not tokens.truncated
    for token, (start, end) in zip(tokens.tokens[1:-1], tokens.offsets[1:-1]):
        if token != "[UNK]":
            assert text[start:end].lower() == token.removeprefix("##").lower()
    assert [t.ids for t in clf.tokenize([text, ""])] == [tokens.ids, clf.tokenize("").ids]


def test_max_length_and_device_none(tiny):
    with adesieve.Classifier(tiny, "none", max_length=4) as clf:
        tokens = clf.tokenize("one two three four five")
        assert len(tokens.ids) == 4 and tokens.truncated
        with pytest.raises(adesieve.Error) as caught:
            clf.logits("x")
        assert caught.value.status is Status.INVALID_ARGUMENT


def test_labels(tiny):
    with adesieve.Classifier(tiny, "cpu", labels=["no", "yes"], positive_label="no") as clf:
        assert clf.labels == ("no", "yes") and clf.info["positive_label"] == "no"
    with pytest.raises(adesieve.Error):
        adesieve.Classifier(tiny, "cpu", labels=["one", "two", "three"])
    with pytest.raises(ValueError, match="comma"):
        adesieve.Classifier(tiny, "cpu", labels=["a,b", "c"])


def test_regression_and_multi_label(data):
    with adesieve.Classifier(data / "models" / "regression", "cpu", "f32") as clf:
        values = clf.predict(TEXTS)
        assert values.dtype == np.float32 and np.array_equal(values, clf.logits(TEXTS)[:, 0])
    with adesieve.Classifier(data / "models" / "multi_label", "cpu", "f32") as clf:
        np.testing.assert_allclose(clf.predict_proba(TEXTS), 1 / (1 + np.exp(-clf.logits(TEXTS))), atol=1e-6)


def test_info(clf):
    info = clf.info
    assert info["n_labels"] == 2 and info["labels"] == LABELS and info["hidden_size"] == 32
    assert info["device"] == "cpu" and info["precision"] == "f32" and info["threads"] == 2
    json.dumps(info)


@pytest.mark.parametrize(
    "wrong, error",
    [
        ({"device": "tpu"}, ValueError),
        ({"device": "cpu:1"}, ValueError),
        ({"device": None}, ValueError),
        ({"precision": "f8"}, ValueError),
        ({"threads": -1}, ValueError),
        ({"threads": 1.5}, TypeError),
        ({"threads": 1 << 40}, ValueError),
        ({"max_length": "12"}, TypeError),
        ({"invalid_utf8": "ignore"}, ValueError),
        ({"model": 5}, TypeError),
        ({"max_length": 2}, adesieve.Error),
        ({"max_length": 100000}, adesieve.Error),
        ({"device": "cuda:99"}, adesieve.Error),
        ({"positive_label": "nobody"}, adesieve.Error),
    ],
)
def test_wrong_arguments(tiny, wrong, error):
    with pytest.raises(error):
        adesieve.Classifier(**{"model": tiny, **wrong})


def test_errors(tmp_path):
    with pytest.raises(adesieve.Error, match="missing") as caught:
        adesieve.Classifier(tmp_path / "missing")
    assert caught.value.status is Status.IO and caught.value.status.name == "IO"
    copy = pickle.loads(pickle.dumps(caught.value))
    assert str(copy) == str(caught.value) and copy.status is Status.IO
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(adesieve.Error) as caught:
        adesieve.Classifier(tmp_path)
    assert caught.value.status is Status.BAD_MODEL


def test_default_model(tiny, monkeypatch, tmp_path):
    monkeypatch.setenv("ADESIEVE_MODEL", str(tiny))
    with adesieve.Classifier(device="none") as clf:
        assert clf.info["folder"] == str(tiny)
    monkeypatch.setenv("ADESIEVE_MODEL", str(tmp_path / "missing"))
    with pytest.raises(adesieve.Error):
        adesieve.Classifier()


def test_close(tiny):
    clf = adesieve.Classifier(tiny, "cpu")
    clf.close()
    clf.close()
    for use in (lambda: clf("x"), lambda: clf.tokenize("x"), lambda: clf.info, lambda: clf.screen("x")):
        with pytest.raises(ValueError, match="closed"):
            use()
    half = adesieve.Classifier.__new__(adesieve.Classifier)
    half.__del__()  # never initialised
    del half, clf
    gc.collect()


def test_pickle(clf):
    expected = clf.logits(TEXTS)
    copy = pickle.loads(pickle.dumps(clf))
    assert repr(copy) == repr(clf) and copy.labels == clf.labels
    assert np.array_equal(copy.logits(TEXTS), expected)
    copy.close()
    closed = pickle.loads(pickle.dumps(copy))
    with pytest.raises(ValueError, match="closed"):
        closed("x")


def test_threads_share_one(clf, sentences):
    expected = clf.logits(sentences[:50])
    results: list[object] = []
    workers = [threading.Thread(target=lambda: results.append(clf.logits(sentences[:50]))) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(results) == 8 and all(np.array_equal(result, expected) for result in results)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_fork(clf):
    """A child opens a session of its own, whoever held the lock; the parent's stays as it is."""
    expected = clf.logits(TEXTS)
    read, write = os.pipe()
    clf._lock.acquire()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            from concurrent.futures import ThreadPoolExecutor

            with ThreadPoolExecutor(1) as pool:  # not the thread that held the lock
                os.write(write, pool.submit(clf.logits, TEXTS).result(60).tobytes())
            clf.close()
            status = 0
        finally:
            os._exit(status)
    clf._lock.release()
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        said = pipe.read()
    assert os.waitpid(child, 0)[1] == 0
    assert np.array_equal(np.frombuffer(said, dtype=np.float32).reshape(expected.shape), expected)
    assert np.array_equal(clf.logits(TEXTS), expected)


def test_a_child_that_only_ends(clf):
    """A child that closes or forgets the parent's session waits for no thread that it does not have."""
    child = os.fork()
    if child == 0:
        clf.close()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert clf.logits("x").shape == (1, 2)


def interrupt_soon(number: int = signal.SIGINT) -> threading.Timer:
    timer = threading.Timer(0.3, lambda: signal.pthread_kill(threading.main_thread().ident, number))
    timer.start()
    return timer


def long_call(clf) -> None:
    texts = ["Rash after amoxicillin in a patient with renal failure. " * 40] * 1000
    for _ in range(1000):  # far longer than any machine takes until the signal
        clf.logits(texts)


def test_ctrl_c(clf):
    timer = interrupt_soon()
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        long_call(clf)
    assert time.monotonic() - start < 20
    timer.join()
    assert clf.logits(TEXTS).shape == (5, 2)


def test_one_long_call_stops_in_the_middle(clf):
    """Within the call itself, not at its end."""
    texts = ["Rash after amoxicillin in a patient with renal failure. " * 40] * 4000
    start = time.monotonic()
    clf.logits(texts[:400])
    whole = (time.monotonic() - start) * 10
    if whole < 2:
        texts *= int(2 / whole) + 1
    timer = interrupt_soon()
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        clf.logits(texts)
    assert time.monotonic() - start < 1.5
    timer.join()


def test_any_handler_that_raises_stops(clf):
    class TimeIsUp(Exception):
        pass

    def handler(number, frame):
        raise TimeIsUp

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        timer = interrupt_soon(signal.SIGUSR1)
        with pytest.raises(TimeIsUp):
            long_call(clf)
        timer.join()
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_warnings_go_to_logging(tmp_path, tiny, caplog):
    """A folder that says nothing about casing is opened with a message, or with none; never on the terminal."""
    for name in ("config.json", "model.safetensors", "vocab.txt"):
        (tmp_path / name).symlink_to(tiny / name)
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "SomethingElse"}')
    with caplog.at_level(logging.DEBUG, logger="adesieve"):
        try:
            adesieve.Classifier(tmp_path, "cpu").close()
        except adesieve.Error as error:
            assert "SomethingElse" in str(error)
            return
    assert all(record.name == "adesieve" for record in caplog.records)


def test_exit_while_open(tiny, root):
    """An interpreter that goes down with objects open does so quietly."""
    code = f"import adesieve; a = adesieve.Classifier({str(tiny)!r}, 'cpu'); a.me = a; a('x')"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(root / "python_bindings")},
        capture_output=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
