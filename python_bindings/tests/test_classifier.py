# SPDX-License-Identifier: Apache-2.0
"""Classifier: results, the pipeline's face, arguments, errors, lifetime."""

from __future__ import annotations

import gc
import json
import logging
import os
import pickle
import re
import subprocess

import numpy as np
import pytest

import adesieve
from adesieve import Status, _engine, _texts

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


@pytest.mark.parametrize("name", ["relu", "multi_label", "regression"])
def test_function_to_apply(data, name):
    """What makes scores of logits, for each problem type; in single precision as in transformers."""
    with adesieve.Classifier(data / "models" / name, "cpu", "f32") as clf:
        logits = clf.logits(TEXTS).astype(np.float64)
        sigmoid = 1 / (1 + np.exp(-logits))
        softmax = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        own = {"relu": softmax, "multi_label": sigmoid, "regression": logits}[name]
        functions = {None: own, "default": own, "none": logits, "sigmoid": sigmoid, "softmax": softmax}
        functions["SoftMax"] = softmax
        for function, expected in functions.items():
            for row, values in zip(clf(TEXTS, top_k=None, function_to_apply=function), expected):
                order = np.argsort(-values, kind="stable")
                assert [answer["label"] for answer in row] == [clf.labels[i] for i in order]
                np.testing.assert_allclose([answer["score"] for answer in row], -np.sort(-values), atol=1e-6)
                assert all(type(answer["score"]) is float for answer in row)
            best = clf(TEXTS, function_to_apply=function)
            assert best == [row[0] for row in clf(TEXTS, top_k=1, function_to_apply=function)]
        assert clf([], top_k=None, function_to_apply="softmax") == clf([], function_to_apply="sigmoid") == []


def test_pipeline_nesting(clf):
    """As transformers 5 nests: the shape of what comes out follows what goes in."""
    one = {"label": clf.labels[0], "score": 0.0}

    def shape(answer):
        if isinstance(answer, dict):
            assert list(answer) == list(one)
            return "d"
        return [shape(part) for part in answer]

    text = TEXTS[0]
    assert shape(clf(text)) == ["d"] and shape(clf([text])) == ["d"] and shape(clf({"text": text})) == "d"
    assert shape(clf(text, top_k=1)) == ["d"] and shape(clf([text], top_k=1)) == [["d"]]
    assert shape(clf(text, top_k=None)) == shape(clf({"text": text}, top_k=None)) == ["d", "d"]
    assert shape(clf([text, text], None)) == [["d", "d"]] * 2 and shape(clf([text], top_k=0)) == [[]]
    assert shape(clf([{"text": text}])) == ["d"] and clf([{"text": text}]) == clf(text)
    lazy = clf(iter(TEXTS), top_k=2)
    assert not isinstance(lazy, list) and iter(lazy) is lazy
    assert list(lazy) == clf(TEXTS, top_k=2) and list(clf(iter(TEXTS))) == clf(TEXTS) and list(clf(iter([]))) == []


def test_truncation(clf):
    """Cut, or refused by name; ``max_length`` of a call is that of a Classifier."""
    long = "Rash after amoxicillin and fever. " * 100
    texts = ["short", long, long + "more"]
    whole = clf(texts)
    for truncation in (True, None, "longest_first", "only_first"):
        assert clf(texts, truncation=truncation) == whole
    assert clf(["short"], truncation=False, max_length=3) == clf(["short"])
    for truncation in (False, "do_not_truncate"):
        with pytest.raises(adesieve.BadInput, match=r"^text 1 has \d+ tokens, and no more than 512 fit") as caught:
            clf(texts, truncation=truncation)
    words = len(clf.tokenize("Rash after amoxicillin and fever.").ids) - 2
    assert f" {words * 100 + 2} tokens" in str(caught.value)
    with pytest.raises(adesieve.BadInput, match="^text 2 has"):
        list(clf((text for text in ["a", "b", long]), truncation=False, batch_size=2))
    for length in (8, 16, 24, 8, 512):
        with adesieve.Classifier(clf.info["folder"], "cpu", "f32", max_length=length, labels=LABELS) as short:
            assert clf(texts, max_length=length) == short(texts)
            with pytest.raises(adesieve.BadInput, match=f"no more than {length} fit"):
                short(texts, truncation=False)
    assert clf(texts) == whole and len(clf._engine._others) == 2
    refused = adesieve.InvalidArgument
    for length, error in ((2, refused), (513, refused), (0, ValueError), (1.5, TypeError)):
        with pytest.raises(error, match="max_length"):
            clf(texts, max_length=length)
        with pytest.raises(error, match="max_length"):
            clf(iter(texts), max_length=length)  # at once, not at the first answer


@pytest.mark.parametrize("text", ["", "a b", "wor" * 40 + " d", "x" * 20_000 + " y", " " * 40_000, "äö😀 " * 9000])
def test_tokens_are_counted(clf, text):
    """However long the text: as the tokenizer counts its words one by one."""
    from adesieve import _pipeline

    def encode(data):
        tokens, texts, info = clf._engine.tokens(data, clf._engine.of_length(0, only_tokens=True))
        words = [not token.startswith("##") for token in texts]
        return list(zip(tokens["start"].tolist(), words))[1:-1], not info.truncated

    for whole in (text, text + " z", "longword " * 3000 + text, (text + " ") * 3):
        once = {word: len(clf.tokenize(word).ids) - 2 for word in set(whole.split())}
        assert _pipeline.count_tokens(whole.encode(), encode) == 2 + sum(once[word] for word in whole.split())


@pytest.mark.parametrize(
    "wrong, error, named",
    [
        ({"frobnicate": 1}, TypeError, "frobnicate"),
        ({"text_pair": "x"}, TypeError, "text_pair"),
        ({"top_k": -1}, ValueError, "top_k is -1"),
        ({"top_k": "best"}, TypeError, "top_k is str"),
        ({"top_k": 1 << 70}, ValueError, "top_k"),
        ({"function_to_apply": "relu"}, ValueError, "'softmax', 'sigmoid', 'none' or None"),
        ({"function_to_apply": 5}, ValueError, "function_to_apply is 5"),
        ({"truncation": "only_second"}, ValueError, "there are no second texts"),
        ({"truncation": 1}, ValueError, "truncation is 1"),
        ({"padding": "left"}, ValueError, "'longest', 'max_length', 'do_not_pad'"),
        ({"batch_size": 0}, ValueError, "batch_size is 0"),
        ({"batch_size": "8"}, TypeError, "batch_size is str"),
        ({"num_workers": -1}, ValueError, "num_workers"),
    ],
)
def test_wrong_options(clf, wrong, error, named):
    for texts in ("x", ["x"], iter("x")):
        with pytest.raises(error, match=named):
            clf(texts, **wrong)


def test_options_without_effect(clf, sentences):
    texts = sentences[:50]
    expected = clf(texts)
    for batch_size in (1, 7, None):
        for padding in (True, False, "longest", "max_length", "do_not_pad"):
            assert clf(texts, batch_size=batch_size, padding=padding, num_workers=2) == expected
        assert list(clf(iter(texts), batch_size=batch_size)) == expected


def test_progress(clf, sentences):
    """From the library's own count, within a call too; the last word is the number of texts."""
    shown = []

    class Bar:
        def __init__(self, total, unit, desc, **how):
            self.total, self.n, self.steps = total, 0, []
            shown.append(self)

        def update(self, n):
            assert n > 0
            self.n += n
            self.steps.append((self.n, clf._at_work()))

        def refresh(self):
            pass

        def close(self):
            self.closed = True

    texts = sentences[:1500]
    uses = [clf.logits, clf.predict_proba, clf.predict, clf.classify, clf]
    for use in uses[:1]:
        use(texts, progress=Bar)
        assert shown[-1].total == shown[-1].n == 1500 and shown[-1].closed
        assert any(inside for _, inside in shown[-1].steps), shown[-1].steps
    for use in uses:
        use(texts[:20], progress=Bar)
        assert (shown[-1].total, shown[-1].n, shown[-1].closed) == (20, 20, True)
    assert len(list(clf(iter(texts[:20]), batch_size=8, progress=Bar))) == 20
    assert (shown[-1].total, [n for n, _ in shown[-1].steps]) == (None, [8, 16, 20])
    with pytest.raises(TypeError):
        clf.logits(iter(["a", None]), progress=Bar)
    assert shown[-1].closed


def test_same_bits_in_any_company(clf, sentences):
    together = clf.logits(sentences[:200])
    assert np.array_equal(together[::-1], clf.logits(sentences[:200][::-1]))
    assert all(np.array_equal(together[i], clf.logits(sentences[i])[0]) for i in range(0, 200, 20))


def test_tokenize(clf):
    text = "Rash ± fever: α😀 amoxicillin."
    tokens = clf.tokenize(text)
    assert tokens.tokens[0] == "[CLS]" and tokens.tokens[-1] == "[SEP]" and tokens.offsets[0] == (0, 0)
    assert tokens.unknown == tokens.tokens.count("[UNK]") and not tokens.truncated
    for token, (start, end) in zip(tokens.tokens[1:-1], tokens.offsets[1:-1]):
        if token != "[UNK]":
            assert text[start:end].lower() == token.removeprefix("##").lower()
    assert [t.ids for t in clf.tokenize([text, ""])] == [tokens.ids, clf.tokenize("").ids]


def test_token_ids(clf, tiny, monkeypatch):
    """What tokenize gives, whatever the blocks, the room that was guessed, and the kind of list."""
    texts = ["Rash ± fever: α😀 amoxicillin.", "", "a b " * 600, "", "x"]
    expected = [t.ids for t in clf.tokenize(texts)]
    for k in range(2):
        ids, starts = clf.token_ids(texts)
        assert ids.dtype == np.int32 and starts.dtype == np.int64 and ids.flags.c_contiguous
        assert [ids[a:b].tolist() for a, b in zip(starts, starts[1:])] == expected
        assert starts[0] == 0 and starts[-1] == len(ids)
        for given_as in (iter(texts), tuple(texts), np.array(texts), np.array(texts, dtype=object)):
            other = clf.token_ids(given_as)
            assert np.array_equal(other[0], ids) and np.array_equal(other[1], starts)
        monkeypatch.setattr(_texts, "PIECE_TEXTS", 2)
        monkeypatch.setattr(_engine, "_FRAME", 0)  # room for too few: a second call
        monkeypatch.setattr(_engine, "_BYTES_A_TOKEN", 1000)
    ids, starts = clf.token_ids("x")
    assert ids.tolist() == expected[-1] and starts.tolist() == [0, 3]
    for none in ([], iter([])):
        ids, starts = clf.token_ids(none)
        assert (ids.shape, ids.dtype, starts.tolist()) == ((0,), np.int32, [0])
    with adesieve.Classifier(tiny, "none", max_length=4) as short:
        assert np.diff(short.token_ids(texts)[1]).tolist() == [4, 2, 4, 2, 3]


def test_token_ids_of_a_baseline(root):
    with adesieve.Classifier(root / "models" / "tfidf-logreg") as clf:
        texts = ["Rash after amoxicillin.", "", "No rash was seen."]
        ids, starts = clf.token_ids(texts)
        assert [ids[a:b].tolist() for a, b in zip(starts, starts[1:])] == [t.ids for t in clf.tokenize(texts)]


def test_profile(clf, tiny, root):
    """Counts are of the texts that were encoded, and the stages add up to the encoding."""
    assert clf.profile() == adesieve.Profile(2, *[0] * 11) and clf.profile().other == 0
    tokens = clf.classify(["Rash after amoxicillin.", "", "No rash."] * 50).tokens.sum()
    profile = clf.profile()
    assert (profile.texts, profile.tokens, profile.threads) == (150, tokens, 2)
    assert profile.batches > 0 and profile.operations > 0 and profile.seconds > 0 and profile.tokenizing > 0
    stages = [profile.products, profile.attention, profile.elementwise]
    assert all(seconds > 0 for seconds in stages)
    assert sum(stages) + profile.waiting + profile.other == pytest.approx(profile.encoding, rel=0.05)
    assert profile.encoding <= 2 * profile.seconds * 1.05
    clf.tokenize("Rash.")
    assert clf.profile() == profile
    with adesieve.Classifier(tiny, "none") as none:
        assert none.profile().texts == 0
    with adesieve.Classifier(root / "models" / "tfidf-logreg") as baseline:
        baseline.predict("Rash.")
        found = baseline.profile()
        assert found.tokenizing > 0 and (found.texts, found.encoding, found.other) == (0, 0, 0)


def test_int8(tiny):
    """A precision like any other, where the processor has it; else it is refused in a sentence."""
    try:
        clf = adesieve.Classifier(tiny, "cpu", "int8")
    except adesieve.Unsupported as error:
        assert re.search("int8 needs a processor with AVX-512 VNNI or AMX", str(error))
        return
    with clf, adesieve.Classifier(tiny, "cpu", "f32") as exact:
        assert clf.info["precision"] == "int8"
        texts = ["Rash after amoxicillin.", "No rash."]
        assert np.abs(clf.logits(texts) - exact.logits(texts)).max() < 0.05
        assert np.array_equal(clf.logits(texts)[1], clf.logits(texts[1])[0])


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
        ({"positive_label": 5}, TypeError),
        ({"positive_label": "A\0B"}, ValueError),
        ({"labels": ["a", "b\0"]}, ValueError),
        ({"labels": ["a", 5]}, ValueError),
        ({"labels": 5}, TypeError),
        ({"model": "a\0b"}, ValueError),
        ({"calibration": 5}, TypeError),
        ({"device": "cuda:²"}, ValueError),
        ({"device": "cuda:99999999999999"}, ValueError),
        ({"token_budget": 1 << 30}, adesieve.Error),
    ],
)
def test_wrong_arguments(tiny, wrong, error):
    with pytest.raises(error):
        adesieve.Classifier(**{"model": tiny, **wrong})


def test_names_without_utf8(tiny):
    for wrong, named in (({"labels": ["a", "\ud800"]}, "a label"), ({"positive_label": "\ud800"}, "positive_label")):
        with pytest.raises(ValueError, match=f"^{named} is '.ud800'; it cannot hold a lone surrogate"):
            adesieve.Classifier(tiny, **wrong)
    with pytest.raises(ValueError, match="^model is '.ud800'; no file is named so"):
        adesieve.Classifier("\ud800")


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
    for use in (lambda: clf("x"), lambda: clf.tokenize("x"), lambda: clf.token_ids("x"), lambda: clf.profile(), lambda: clf.info, lambda: clf.screen("x")):
        with pytest.raises(ValueError, match="closed"):
            use()
    for use in (lambda: clf([]), lambda: clf(iter([])), lambda: clf.positive_label, lambda: clf.classify([])):
        with pytest.raises(ValueError, match="closed"):
            use()
    half = adesieve.Classifier.__new__(adesieve.Classifier)
    half.__del__()  # never initialised
    del half, clf
    gc.collect()


def test_closed_while_an_iterator_is_open(tiny):
    with adesieve.Classifier(tiny, "cpu") as clf:
        answers = clf(iter(TEXTS), batch_size=1)
        next(answers)
    with pytest.raises(ValueError, match="closed"):
        next(answers)


def test_what_a_notebook_shows(clf, tiny):
    shown = clf._repr_html_()
    for part in (str(tiny), "not ADE, ADE", "cpu", "f32", "none"):
        assert part in shown
    with adesieve.Classifier(tiny, "none", labels=["<b>", "a&b"]) as odd:
        assert "&lt;b&gt;, a&amp;b" in odd._repr_html_() and "<b>," not in odd._repr_html_()
    assert "closed" in odd._repr_html_()


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
