#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes baseline.json and the model folders baseline/NAME: small baselines of odd settings and what scikit-learn's
predict_proba says of texts full of traps; and its decisions for the sentences of tests/data/test.csv by
models/tfidf-logreg.

    python3 -B tests/golden/make_golden_baseline.py

Needs scikit-learn and safetensors (training/requirements.txt). The fixture holds the versions that made it.
"""

import csv
import json
import random
import sys
from pathlib import Path

import numpy as np
import sklearn
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "training"))
from baseline import export, published_in_scikit_learn  # noqa: E402

GOLDEN = Path(__file__).parent

# Put into the sentences, so that terms that are not ASCII are in the vocabularies.
ODD = ["µg", "naïve", "ΟΔΥΣΣΕΥΣ", "İstanbul", "Straße", "¼ dose", "ﬁbrosis", "β2-agonist", "中毒", "x²y", "TNF-α", "Ångström",
       "CRÈME brûlée", "5±2", "№7", "re­tinoid"]

TEXTS = [
    "", " ", "a", "a b c", "A case of B reaction", "Rash after amoxicillin.", "RASH AFTER AMOXICILLIN", "rash rash rash after",
    "acute\trenal\nfailure", "acute\x00renal failure", "acute\x1crenal failure", "acute renal\u2028failure", "ΣΑΣ ΟΔΥΣΣΕΥΣ. ΟΔΥΣΣΕΥΣ",
    "οδυσσευς οδυσσευσ", "İSTANBUL istanbul i̇stanbul", "STRASSE STRAẞE straße", "naïve nai\u0308ve NAÏVE naive", "½ ¼ dose dose",
    "FIBROSIS ﬁbrosis ﬁBROSIS", "中毒 中 毒", "TNF-α TNF-Α tnf_α", "𝔸cute 𝐚𝐜𝐮𝐭𝐞 renal", "acute_renal failure", "５mg 5mg ٥mg", "e\u0301 é éa",
    "re\u00adtinoid retinoid", "the the the the the patient was not", "it isn't the patient's", "x²y x2y X²Y", "\ufeffacute renal failure",
    "acute " * 40 + "renal failure", "unknownword anotherone", "Ångström Ångström A\u030angstro\u0308m", "5±2 µg μg 5 ± 2", "🙂 rash🙂after",
    "no. 7 №7 NO7", "A.B.C. treatment-induced/drug-induced", "of in to and", "ǅ Ǆ ǆungla", "ﷺ ㎎ ㎏", "ⅷ Ⅷ viii", "ᾳ ᾼ ᾲ στο",
]


def sentences() -> tuple[list[str], list[int]]:
    with (ROOT / "tests" / "data" / "test.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    return [row["text"] for row in rows], [int(row["label"]) for row in rows]


def cases() -> dict[str, tuple[dict, int]]:
    """Name: settings of the vectorizer, and how many classes."""
    return {
        "plain": ({}, 2),
        "trigrams": ({"ngram_range": (2, 3)}, 2),
        "five_words": ({"ngram_range": (1, 5), "norm": "l1"}, 2),
        "sublinear": ({"sublinear_tf": True, "ngram_range": (1, 2), "norm": None}, 2),
        "binary": ({"binary": True, "lowercase": False}, 2),
        "no_idf": ({"use_idf": False, "ngram_range": (1, 2)}, 2),
        "unicode_accents": ({"strip_accents": "unicode", "ngram_range": (1, 2), "smooth_idf": False}, 2),
        "ascii_accents": ({"strip_accents": "ascii", "sublinear_tf": True, "norm": "l1"}, 2),
        "stop_words": ({"stop_words": "english", "ngram_range": (1, 3)}, 2),
        "three_classes": ({"ngram_range": (1, 2)}, 3),
    }


def make_small(texts: list[str], labels: list[int]) -> list[dict]:
    rng = random.Random(5)
    chosen = rng.sample(range(len(texts)), 300)
    train = [texts[i] if rng.random() < 0.6 else f"{texts[i]} {rng.choice(ODD)} {rng.choice(ODD)}" for i in chosen]
    results = []
    tried = TEXTS + [f"{text} {rng.choice(ODD)}" for text in rng.sample(texts, 60)]
    for name, (settings, classes) in cases().items():
        targets = [labels[i] if classes == 2 else (labels[i] + (len(texts[i]) > 130)) for i in chosen]
        vectorizer = TfidfVectorizer(max_features=400, **settings)
        classifier = LogisticRegression(C=10, max_iter=2000)
        classifier.fit(vectorizer.fit_transform(train), targets)
        names = {0: "not ADE", 1: "ADE"} if classes == 2 else {0: "none", 1: "some", 2: "ADE"}
        export(vectorizer, classifier, GOLDEN / "baseline" / name, names)
        matrix = vectorizer.transform(tried)
        decisions = classifier.decision_function(matrix).reshape(len(tried), -1)
        # The terms that are there, with how often: what ade_tokenize has to list.
        counts = vectorizer.transform(tried)
        results.append({
            "name": name, "labels": classes,
            "decisions": [[float(value) for value in row] for row in decisions],
            "probabilities": [[float(value) for value in row] for row in classifier.predict_proba(matrix)],
            "distinct_terms": [int(value) for value in np.diff(counts.indptr)],
        })
    return [{"texts": tried, "cases": results}]


def make_card(texts: list[str], labels: list[int]) -> dict:
    """models/tfidf-logreg as scikit-learn runs it."""
    vectorizer, classifier = published_in_scikit_learn(ROOT / "models" / "tfidf-logreg")
    decisions = classifier.decision_function(vectorizer.transform(texts))
    wrong = [row for row, label in enumerate(labels) if (decisions[row] > 0) != label]
    assert len(wrong) == 349 and sum(labels[row] for row in wrong) == 125
    return {"decisions": [round(float(value), 9) for value in decisions], "errors": wrong}


def main() -> None:
    texts, labels = sentences()
    golden = {
        "versions": {"python": sys.version.split()[0], "scikit-learn": sklearn.__version__, "numpy": np.__version__},
        "small": make_small(texts, labels)[0],
        "card": make_card(texts, labels),
    }
    (GOLDEN / "baseline.json").write_text(json.dumps(golden, ensure_ascii=True, separators=(",", ":")) + "\n",
                                          encoding="utf-8")


if __name__ == "__main__":
    main()
