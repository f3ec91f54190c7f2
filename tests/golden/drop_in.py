#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One script for two pipelines: adesieve.Classifier and transformers.pipeline("text-classification") print the same.

    drop_in.py adesieve MODEL...        what the script prints for each model folder, by adesieve
    drop_in.py transformers MODEL...    the same by transformers, in F32 on the CPU
    drop_in.py both MODEL...            runs both and compares; status 1 and the differing lines where they differ

`script` is what a user may have written for transformers. Scores are printed with 4 digits, of which the last may
differ by one: a score can lie where rounding turns. Without a MODEL, it goes over FOLDERS; drop_in.txt is what
transformers then prints, for python_bindings/tests/test_drop_in.py:

    HF_HUB_OFFLINE=1 python3 -B tests/golden/drop_in.py transformers >tests/golden/drop_in.txt
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import re
import sys
from pathlib import Path
from typing import Any, Callable

Print = Callable[[str], None]

GOLDEN = Path(__file__).resolve().parent
MODELS = GOLDEN.parent / "data"
FOLDERS = [
    GOLDEN.parents[1] / "models" / "adesieve-minilm",
    MODELS / "tiny_bert_cls",
    MODELS / "models" / "multi_label",
    MODELS / "models" / "regression",
    MODELS / "models" / "no_id2label",
]

TEXT = "A 45-year-old woman developed acute hepatitis after two weeks of treatment with isoniazid."
TEXTS = [
    TEXT,
    "The pathogenesis of this disorder remains unknown.",
    "",
    "Ménière-like vertigo after gentamicin, 5±2 days [SEP] reversible",
    "STEVENS-JOHNSON SYNDROME DUE TO LAMOTRIGINE: A CASE REPORT.",
]
LONG = "The patient developed thrombocytopenia after heparin. " * 120


def written(answer: Any) -> str:
    """An answer with the types of all that it is made of."""
    if type(answer) is list:
        return "[" + ", ".join(written(item) for item in answer) + "]"
    if type(answer) is dict:
        return "{" + ", ".join(f"{key}: {written(value)}" for key, value in answer.items()) + "}"
    if type(answer) is float:
        return f"{round(answer, 4) + 0.0:.4f}"  # + 0.0: no -0.0
    return repr(answer) if type(answer) is str else f"{type(answer).__name__} {answer!r}"


def script(pipe: Callable[..., Any], say: Print) -> None:
    def show(what: str, answer: Any) -> None:
        say(f"  {what}: {written(answer)}")

    def ask(texts: Any, **how: Any) -> Any:
        return pipe(texts, truncation=True, **how)  # the small models see 48 tokens and fail by transformers otherwise

    show("as it comes", pipe("Rash."))
    show("as it comes, a list", pipe(["Rash.", "No rash."]))
    show("one text", ask(TEXT))
    show("a list", ask(TEXTS))
    show("a list of one", ask([TEXT]))
    for top_k in (1, 2, 99, None):
        show(f"one text, top_k={top_k}", ask(TEXT, top_k=top_k))
        show(f"a list, top_k={top_k}", ask(TEXTS[:2], top_k=top_k))
    for function in ("none", "sigmoid", "softmax"):
        show(f"one text by {function}", ask(TEXT, function_to_apply=function))
        show(f"a list by {function}, all labels", ask(TEXTS, function_to_apply=function, top_k=None))
    show("a long text", ask(LONG))
    for length in (8, 16):
        show(f"cut to {length}", ask([LONG, *TEXTS], max_length=length, top_k=None))
    show("in batches", ask(TEXTS, batch_size=2))
    show("padded batches", ask(TEXTS, batch_size=3, padding=True, top_k=None))
    show("a dict", ask({"text": TEXT}))
    show("dicts", ask([{"text": text} for text in TEXTS[:2]]))
    show("a dict, all labels", ask({"text": TEXT}, top_k=None))
    for i, answer in enumerate(ask(text for text in TEXTS)):
        show(f"from a generator, {i}", answer)
    for i, answer in enumerate(ask((text for text in TEXTS), batch_size=2, top_k=None)):
        show(f"from a generator, all labels, {i}", answer)
    positive = [answer["label"] for answer in ask(TEXTS) if answer["score"] > 0.5]
    say(f"  labels above 0.5: {positive}")


def open_adesieve(folder: Path) -> Callable[..., Any]:
    import adesieve

    return adesieve.Classifier(folder, device="cpu", precision="f32")


def open_transformers(folder: Path) -> Callable[..., Any]:
    os.environ["HF_HUB_OFFLINE"] = "1"
    import torch
    from transformers import pipeline
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    return pipeline("text-classification", model=str(folder), device="cpu", dtype=torch.float32)


OPEN = {"adesieve": open_adesieve, "transformers": open_transformers}


def lines_of(library: str, folders: list[Path]) -> list[str]:
    lines: list[str] = []
    for folder in folders:
        lines.append(folder.name)
        script(OPEN[library](folder), lines.append)
    return lines


def differences(theirs: list[str], ours: list[str]) -> list[str]:
    """Lines that are not the same, each beside the other's."""
    if len(theirs) != len(ours):
        return [f"{len(theirs)} lines, and {len(ours)}"]
    number = re.compile(r"-?\d+\.\d{4}")
    found = []
    for expected, got in zip(theirs, ours):
        pairs = zip(map(float, number.findall(expected)), map(float, number.findall(got)))
        alike = number.sub("#", expected) == number.sub("#", got) and all(abs(a - b) < 1.5e-4 for a, b in pairs)
        if not alike:
            found += [f"- {expected}", f"+ {got}"]
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("library", choices=[*OPEN, "both"])
    parser.add_argument("models", nargs="*", type=Path, default=FOLDERS)
    args = parser.parse_args()
    if args.library != "both":
        if args.library == "transformers":
            print("#", ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("transformers", "torch")))
        print("\n".join(lines_of(args.library, args.models)))
        return 0
    theirs, ours = (lines_of(library, args.models) for library in ("transformers", "adesieve"))
    found = differences(theirs, ours)
    alike = sum(a == b for a, b in zip(theirs, ours))
    print("\n".join(found) or f"{len(ours)} lines are the same for {len(args.models)} models, {alike} to the letter")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
