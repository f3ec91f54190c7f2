# SPDX-License-Identifier: Apache-2.0
"""Mistakes that a type checker must find: one on every line that ends in `# wrong`, and none elsewhere."""

from __future__ import annotations

import adesieve
from adesieve.convert import convert

adesieve.Classifier(7)  # wrong
adesieve.Classifier(threads="4")  # wrong
adesieve.Classifier(calibration=0.5)  # wrong
adesieve.Classifier("folder", "cpu", "f32", 0, 0, None, "ADE")  # wrong
clf = adesieve.Classifier("folder", "cpu")
clf(7)  # wrong
clf.predict_proba(3.5)  # wrong
clf(["Rash."])["label"]  # wrong
clf.tokenize("Rash.")[0]  # wrong
clf.labels.append("ADE")  # wrong
clf.screen(7)  # wrong
clf.screen("a.xml", threshold=None)  # wrong
for hit in clf.screen("a.xml"):
    hit.pmid.upper()  # wrong
    hit.text.upper()  # wrong
    hit.score = 0.5  # wrong
    hit.pubmed  # wrong
convert("folder", "out", "f16")  # wrong
adesieve.Status("OK").nane  # wrong
