#!/usr/bin/env python3
"""Makes a baseline model folder: TF-IDF of words and word pairs, then logistic regression, which adesieve runs itself.

    baseline.py OUT --data DATA              trains on DATA/train.csv with scikit-learn, measures on val.csv and test.csv
    baseline.py OUT --from-table TABLE.tsv   converts a table of terms, idf and coefficients that somebody else trained
    baseline.py OUT --checksums-only         renews OUT/checksums.sha256, after README.md or calibration.json changed

The folder holds config.json (labels, and under "vectorizer" the settings by scikit-learn's own names), vocab.txt (a term
a line), model.safetensors (F64: idf, coef, intercept), provenance.json (what it was made from) and checksums.sha256.
The settings of --data are those of the published baseline: the 20,000 most frequent terms of one and two words,
C = 10, balanced classes.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import math
import os
import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Mapping, Sequence

import numpy as np
from safetensors.numpy import load_file, save_file

from card import write_checksums, write_text
from corpus import ID2LABEL, Scores, distinct_unseen, read_split, score, sha256_of

if TYPE_CHECKING:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

ARCHITECTURE = "TfidfLogisticRegression"
TOKEN_PATTERN = r"(?u)\b\w\w+\b"
MOST_WORDS = 5
"""In a term; adesieve knows no longer ones."""


class BaselineError(ValueError):
    """A sentence that says what cannot be exported, and what to do."""


def published_in_scikit_learn(folder: Path) -> tuple[TfidfVectorizer, LogisticRegression]:
    """A folder of words and word pairs without further settings, such as models/tfidf-logreg, as scikit-learn runs it: its
    vocabulary, idf and coefficients put into fresh objects."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    terms = (folder / "vocab.txt").read_text(encoding="utf-8").splitlines()
    weights = load_file(folder / "model.safetensors")
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), vocabulary=terms)
    vectorizer.idf_ = weights["idf"]
    classifier = LogisticRegression()
    classifier.classes_ = np.array([0, 1])
    classifier.coef_, classifier.intercept_ = weights["coef"], weights["intercept"]
    classifier.n_features_in_ = len(terms)
    return vectorizer, classifier


def vectorizer_settings(vectorizer: TfidfVectorizer) -> dict[str, Any]:
    """What adesieve has to know of a vectorizer; refuses what it cannot do."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    if not isinstance(vectorizer, TfidfVectorizer):
        raise BaselineError(f"the vectorizer is a {type(vectorizer).__name__}, and adesieve runs a TfidfVectorizer; fit one")
    for name in ("preprocessor", "tokenizer"):
        if getattr(vectorizer, name) is not None:
            raise BaselineError(f"the vectorizer has a {name} of its own, which a model folder cannot hold; leave it out")
    if vectorizer.analyzer != "word" or vectorizer.token_pattern != TOKEN_PATTERN:
        raise BaselineError("adesieve finds words by scikit-learn's default token pattern; leave analyzer and "
                            "token_pattern as they are")
    if vectorizer.strip_accents not in (None, "ascii", "unicode") or vectorizer.norm not in (None, "l1", "l2"):
        raise BaselineError("adesieve knows the values of strip_accents and norm that scikit-learn names; use one of them")
    low, high = vectorizer.ngram_range
    if not 1 <= low <= high <= MOST_WORDS:
        raise BaselineError(f"adesieve knows terms of 1 to {MOST_WORDS} words, not ngram_range ({low}, {high})")
    stop_words = vectorizer.get_stop_words()
    return {
        "analyzer": "word", "binary": bool(vectorizer.binary), "lowercase": bool(vectorizer.lowercase),
        "ngram_range": [int(low), int(high)], "norm": vectorizer.norm, "smooth_idf": bool(vectorizer.smooth_idf),
        "stop_words": None if stop_words is None else sorted(stop_words), "strip_accents": vectorizer.strip_accents,
        "sublinear_tf": bool(vectorizer.sublinear_tf), "token_pattern": TOKEN_PATTERN,
        "use_idf": bool(vectorizer.use_idf),
    }


def write_folder(folder: Path, settings: Mapping[str, Any], terms: Sequence[str], idf: np.ndarray | None,
                 coef: np.ndarray, intercept: np.ndarray, labels: Mapping[int, str]) -> None:
    """The three files that adesieve reads. coef: (1, V) for two labels, else (C, V).

    Everything is checked first, and all files are written under other names before the first gets its own, so that a
    folder that was there is not left as a mixture.
    """
    coef = np.ascontiguousarray(coef, dtype=np.float64)
    intercept = np.broadcast_to(np.asarray(intercept, dtype=np.float64), (len(coef),)).copy()
    if coef.shape != (1 if len(labels) == 2 else len(labels), len(terms)):
        raise BaselineError(f"coefficients of shape {coef.shape} do not fit {len(terms)} terms and {len(labels)} labels")
    if any(not term or any(character < " " for character in term) for term in terms):
        raise BaselineError("a term is empty or holds a control character, which a line of vocab.txt cannot")
    tensors = {"coef": coef, "intercept": intercept}
    if idf is not None:
        tensors["idf"] = np.ascontiguousarray(idf, dtype=np.float64)
        if tensors["idf"].shape != (len(terms),):
            raise BaselineError(f"an idf of shape {tensors['idf'].shape} does not fit {len(terms)} terms")
    for name, values in tensors.items():
        if not np.isfinite(values).all():
            raise BaselineError(f"a weight of {name} is not a finite number; check the texts that the model was fitted on")
    config = {
        "architectures": [ARCHITECTURE],
        "id2label": {str(index): name for index, name in labels.items()},
        "label2id": {name: index for index, name in labels.items()},
        "problem_type": "single_label_classification",
        "vectorizer": settings,
    }
    config_text = json.dumps(config, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    folder.mkdir(parents=True, exist_ok=True)
    parts = {name: folder / f"{name}.new" for name in ("config.json", "vocab.txt", "model.safetensors")}
    try:
        write_text(parts["config.json"], config_text)
        write_text(parts["vocab.txt"], "".join(f"{term}\n" for term in terms))
        save_file(tensors, parts["model.safetensors"], metadata={"format": "np"})
        parts["model.safetensors"].chmod(0o644)
        for name, part in parts.items():
            os.replace(part, folder / name)
    finally:
        for part in parts.values():
            part.unlink(missing_ok=True)


def export(vectorizer: TfidfVectorizer, classifier: LogisticRegression, folder: Path,
           labels: Mapping[int, str]) -> None:
    """Writes a fitted vectorizer and a fitted classifier as a model folder. Class k of the classifier is label k."""
    from sklearn.linear_model import LogisticRegression

    settings = vectorizer_settings(vectorizer)
    if not isinstance(classifier, LogisticRegression):
        raise BaselineError(f"the classifier is a {type(classifier).__name__}, and adesieve runs a LogisticRegression; "
                            "fit one")
    if not hasattr(classifier, "coef_") or not hasattr(vectorizer, "vocabulary_"):
        raise BaselineError("the vectorizer or the classifier has not been fitted; call fit first")
    if len(classifier.classes_) != len(labels):
        raise BaselineError(f"the classifier has {len(classifier.classes_)} classes, and {len(labels)} labels are given")
    names = [labels.get(index) for index in range(len(labels))]
    classes = [value.item() if isinstance(value, np.generic) else value for value in classifier.classes_]
    if classes not in (list(range(len(labels))), names):
        raise BaselineError(f"the classifier's classes are {classes}; they must be 0 to {len(labels) - 1}, or the labels' "
                            f"names in their order, {names}: give the labels in the order of classes_")
    multi_class = getattr(classifier, "multi_class", "auto")
    if multi_class not in ("auto", "deprecated"):
        raise BaselineError(f"the classifier was fitted with multi_class={multi_class!r}, whose probabilities adesieve does "
                            "not compute; leave multi_class out")
    if len(labels) > 2 and classifier.solver == "liblinear":
        raise BaselineError("liblinear fits a classifier for each class, and adesieve runs multinomial ones; take lbfgs")
    terms = [str(term) for term in vectorizer.get_feature_names_out()]
    write_folder(folder, settings, terms, vectorizer.idf_ if vectorizer.use_idf else None, classifier.coef_,
                 classifier.intercept_, labels)


def read_table(path: Path) -> tuple[list[str], np.ndarray, np.ndarray, float]:
    """Terms, idf, coefficients and intercept of a table: ``#intercept<TAB>b``, then ``term<TAB>idf<TAB>coef`` lines."""
    terms: list[str] = []
    values: list[tuple[float, float]] = []
    intercept = math.nan
    with path.open(encoding="utf-8", newline="\n") as stream:
        for number, line in enumerate(stream, start=1):
            fields = line.rstrip("\n").split("\t")
            try:
                if number == 1:
                    name, text = fields
                    if name != "#intercept":
                        raise ValueError
                    intercept = float(text)
                else:
                    term, idf, coef = fields
                    terms.append(term)
                    values.append((float(idf), float(coef)))
            except ValueError:
                wanted = "#intercept and a number" if number == 1 else "a term, its idf and its coefficient"
                raise BaselineError(f"{path}: line {number} is not {wanted}, with tabs between") from None
    if not terms:
        raise BaselineError(f"{path}: holds no terms")
    if len(set(terms)) != len(terms):
        raise BaselineError(f"{path}: a term comes twice")
    idf, coef = np.array(values, dtype=np.float64).T
    return terms, idf, coef, intercept


def convert(table: Path, folder: Path) -> None:
    """The table was made by TfidfVectorizer with its defaults, but for ngram_range."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    terms, idf, coef, intercept = read_table(table)
    longest = max(term.count(" ") + 1 for term in terms)
    settings = vectorizer_settings(TfidfVectorizer(ngram_range=(1, longest)))
    write_folder(folder, settings, terms, idf, coef[np.newaxis], np.array([intercept]), ID2LABEL)
    write_provenance(folder, {"made": "converted from a table of terms, idf and coefficients",
                              "source_sha256": {table.name: sha256_of(table)}})


def train(data: Path, folder: Path, max_features: int, ngram_range: tuple[int, int], c: float) -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    splits = {name: read_split(data, name) for name in ("train", "val", "test")}
    vectorizer = TfidfVectorizer(ngram_range=ngram_range, max_features=max_features)
    classifier = LogisticRegression(C=c, class_weight="balanced", solver="lbfgs", max_iter=1000)
    classifier.fit(vectorizer.fit_transform(splits["train"].texts), splits["train"].labels)
    export(vectorizer, classifier, folder, ID2LABEL)

    measured: dict[str, dict[str, Any]] = {}
    for name in ("val", "test"):
        part = splits[name]
        predicted = classifier.predict(vectorizer.transform(part.texts))
        rows = distinct_unseen(part, splits["train"])
        measured[name] = rounded(score(part.labels, predicted))
        measured[f"{name}, distinct and not in train"] = rounded(
            score([part.labels[row] for row in rows], predicted[rows]))
        for what in (name, f"{name}, distinct and not in train"):
            s = measured[what]
            print(f"{what}: ADE P/R/F1 {s['precision']:.4f}/{s['recall']:.4f}/{s['f1']:.4f}  weighted F1 "
                  f"{s['weighted_f1']:.4f}  accuracy {s['accuracy']:.4f}  errors {s['errors']} of {s['n']}")
    write_provenance(folder, {
        "made": "trained",
        "settings": {"max_features": max_features, "ngram_range": list(ngram_range), "C": c, "class_weight": "balanced",
                     "solver": "lbfgs", "max_iter": 1000, "iterations": int(classifier.n_iter_[0])},
        "source_sha256": {f"{name}.csv": split.sha256 for name, split in splits.items()},
        "measured_by_scikit_learn": measured,
    })


def rounded(scores: Scores) -> dict[str, Any]:
    return {key: round(value, 6) if isinstance(value, float) else value for key, value in scores.as_dict().items()}


def write_provenance(folder: Path, facts: Mapping[str, Any]) -> None:
    versions = {name: importlib.metadata.version(name) for name in ("scikit-learn", "numpy", "safetensors")}
    write_text(folder / "provenance.json",
               json.dumps({**facts, "versions": {"python": platform.python_version(), **versions}}, indent=2) + "\n")
    write_checksums(folder)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="the model folder")
    parser.add_argument("--data", type=Path, help="folder with train.csv, val.csv and test.csv")
    parser.add_argument("--from-table", type=Path, help="convert this table instead of training")
    parser.add_argument("--checksums-only", action="store_true", help="renew checksums.sha256 and do nothing else")
    parser.add_argument("--max-features", type=int, default=20000, help="terms to keep (default: %(default)s)")
    parser.add_argument("--ngram-range", type=int, nargs=2, default=(1, 2), metavar=("LEAST", "MOST"),
                        help="words in a term (default: 1 2)")
    parser.add_argument("--c", type=float, default=10.0, help="inverse regularization (default: %(default)s)")
    args = parser.parse_args(argv)
    if sum((args.data is not None, args.from_table is not None, args.checksums_only)) != 1:
        parser.error("give one of --data, --from-table and --checksums-only")
    if not 1 <= args.ngram_range[0] <= args.ngram_range[1] <= MOST_WORDS:
        parser.error(f"--ngram-range goes from 1 to {MOST_WORDS} words, the smaller number first")
    try:
        if args.from_table:
            convert(args.from_table, args.out)
        elif args.data:
            train(args.data, args.out, args.max_features, tuple(args.ngram_range), args.c)
        else:
            write_checksums(args.out)
    except (OSError, ValueError) as problem:
        raise SystemExit(f"baseline.py: {problem}") from None
    return 0


if __name__ == "__main__":
    sys.exit(main())
