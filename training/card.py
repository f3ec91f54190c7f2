#!/usr/bin/env python3
"""Writes the model card and the checksums of a fine-tuned model folder from the log of its run.

    card.py RUN         renews RUN/best/README.md and RUN/best/checksums.sha256 from RUN/log.json

finetune.py does the same at its end. The card says nothing that is not in the log, the configuration or the header of
the weights, and no times, so that a run that is repeated gets the same card.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import struct
import sys
from pathlib import Path
from typing import Any, Mapping

from corpus import Scores, count_intervals, sha256_of
from split import CARD_SEED, CARD_SHA256

CHECKSUMS = "checksums.sha256"
REPLICATES, SEED = 10_000, 42
"""Of the bootstrap."""
UNSEEN = "distinct test sentences that do not occur in train.csv"


def write_text(path: Path, text: str) -> None:
    temporary = path.with_name(path.name + ".part")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)


def write_checksums(folder: Path) -> None:
    """A file that ``sha256sum --check`` reads, run inside the folder."""
    names = sorted(path.name for path in folder.iterdir() if path.is_file() and path.name != CHECKSUMS)
    write_text(folder / CHECKSUMS, "".join(f"{sha256_of(folder / name)}  {name}\n" for name in names))


def split_of(folder: Path) -> dict[str, Any] | None:
    """What split.py says of the three parts in a folder; None where it did not make them or they were changed."""
    digests = {name: sha256_of(folder / name) for name in CARD_SHA256}
    if digests == CARD_SHA256:
        return {"kind": "card", "seed": CARD_SEED}
    path = folder / "split.json"
    if not path.exists():
        return None
    report = json.loads(path.read_text(encoding="utf-8"))
    if digests != {f"{name}.csv": part["sha256"] for name, part in report["parts"].items()}:
        return None
    return {"kind": report["kind"], "seed": report["seed"]}


def parameters_of(weights: Path) -> int:
    """Values in a safetensors file, by its header."""
    with weights.open("rb") as stream:
        size, = struct.unpack("<Q", stream.read(8))
        header = json.loads(stream.read(size))
    total = 0
    for name, tensor in header.items():
        if name != "__metadata__":
            count = 1
            for length in tensor["shape"]:
                count *= length
            total += count
    return total


def architecture(folder: Path) -> str:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return (f"`{config['architectures'][0]}`: {config['num_hidden_layers']} layers, hidden size "
            f"{config['hidden_size']}, {config['num_attention_heads']} heads, "
            f"{parameters_of(folder / 'model.safetensors'):,} parameters")


def scores_of(entry: Mapping[str, Any]) -> Scores:
    return Scores(**{name: entry[name] for name in Scores.__dataclass_fields__})


def rows_of(what: str, point: Scores) -> list[str]:
    """Two rows of the table of measurements: the values, and their intervals."""
    bounds = {name: "not defined" if math.isnan(low) else f"{low:.3f}-{high:.3f}" for name, (low, high) in
              count_intervals(point, replicates=REPLICATES, seed=SEED).items()}
    return [
        f"| {what} | {point.n:,} | {point.positives:,} | {point.accuracy:.4f} | {point.weighted_f1:.4f} | "
        f"{point.precision:.4f} | {point.recall:.4f} | **{point.f1:.4f}** | "
        f"{point.errors} = {point.fp} + {point.fn} |",
        f"| 95 % interval | | | {bounds['accuracy']} | {bounds['weighted_f1']} | {bounds['precision']} | "
        f"{bounds['recall']} | {bounds['f1']} | |"]


def epochs_table(log: Mapping[str, Any]) -> list[str]:
    lines = ["| epoch | training loss | weighted F1 | accuracy | ADE P | ADE R | ADE F1 | unseen ADE F1 |",
             "|---|---|---|---|---|---|---|---|"]
    for entry in log["epochs"]:
        all_rows, unseen = entry["validation"], entry["validation_unseen"]
        kept = " (kept)" if entry["epoch"] == log["best_epoch"] else ""
        lines.append(f"| {entry['epoch']}{kept} | {entry['train_loss']:.3f} | {all_rows['weighted_f1']:.4f} | "
                     f"{all_rows['accuracy']:.4f} | {all_rows['precision']:.4f} | {all_rows['recall']:.4f} | "
                     f"{all_rows['f1']:.4f} | {unseen['f1']:.4f} |")
    return lines


SPLITS = {
    "card": "The published split of the ADE corpus V2: rows drawn at random, one row a relation. **Many test rows are "
            "verbatim in train.csv, so the first row of the measurements is too good;** the second leaves them out. "
            "Other sentences of nearly every test abstract were seen in training.",
    "distinct": "The ADE corpus V2 with every sentence once, drawn at random. Other sentences of nearly every test "
                "abstract were seen in training.",
    "grouped": "The ADE corpus V2 with every sentence once, split by abstract: no abstract and no sentence is in two "
               "parts, so the measurements are about new documents.",
}


def data_section(log: Mapping[str, Any]) -> list[str]:
    split = log.get("split")
    says = (f"{SPLITS[split['kind']]} Made by `training/split.py {split['kind']}`, seed {split['seed']}." if split else
            "Three files with the columns `text` and `label` (1 = ADE). Whether sentences of the test part occur in "
            "the training part shows the number of rows in the table of measurements.")
    lines = [says, "", f"Sentences trained on: {log['training_sentences']:,}.", "", "| file | SHA-256 |", "|---|---|"]
    lines += [f"| `{name}` | `{digest}` |" for name, digest in log["data_sha256"].items()]
    if log.get("unlabelled_sentences"):
        lines += ["", f"Besides {log['unlabelled_sentences']:,} sentences without labels, labelled by teachers whose "
                      "`model.safetensors` have these SHA-256: " +
                  ", ".join(f"`{digest}`" for digest in log["teachers_sha256"]) + "."]
    return lines


def front_matter(log: Mapping[str, Any], unseen: Scores) -> list[str]:
    lines = ["---", "language: en", "library_name: transformers", "pipeline_tag: text-classification"]
    lines += ["datasets:", "- ade-benchmark-corpus/ade_corpus_v2"] if log.get("split") else []
    lines += ["metrics:", "- f1", "- precision", "- recall", "tags:", "- adverse-drug-events", "- bert"]
    if log.get("split"):
        lines += ["model-index:", "- name: ADE sentence classifier", "  results:", "  - task:",
                  "      type: text-classification", "    dataset:", "      type: ade-benchmark-corpus/ade_corpus_v2",
                  f"      name: ADE corpus V2, split {log['split']['kind']}, {UNSEEN}", "    metrics:"]
        for kind, name, value in (("f1", "F1", unseen.f1), ("precision", "Precision", unseen.precision),
                                  ("recall", "Recall", unseen.recall)):
            lines += [f"    - type: {kind}", f"      name: {name} (ADE)", f"      value: {value:.4f}"]
    return lines + ["---", ""]


def card(folder: Path, log: Mapping[str, Any]) -> str:
    """The text of the card."""
    recipe, everything, unseen = log["recipe"], scores_of(log["test_f32"]), scores_of(log["test_unseen_f32"])
    base = log.get("base")
    lines = front_matter(log, unseen) + [
        f"# ADE sentence classifier{f', fine-tuned from {base}' if base else ''}", "",
        "Says of one sentence whether it reports an adverse drug effect: label 1 `ADE`, label 0 `not ADE`. "
        f"{architecture(folder)}.", ""]
    if log.get("max_steps"):
        lines += [f"**Not a trained model: each epoch ended after {log['max_steps']} steps, to try the script.**", ""]
    lines += [
        "## Measurements", "",
        f"Weights in F32, at most {recipe['max_length']} tokens, the likelier label. Errors = false positives + false "
        f"negatives. Intervals: percentile bootstrap over rows, {REPLICATES:,} samples.", "",
        "| measured on | n | ADE | accuracy | weighted F1 | ADE precision | ADE recall | ADE F1 | errors |",
        "|---|---|---|---|---|---|---|---|---|",
        *rows_of("test.csv", everything), *rows_of(UNSEEN, unseen), "",
        "## Epochs", "",
        "Measured on val.csv; \"unseen\" are its distinct sentences that do not occur in train.csv. The epoch was kept "
        f"by the validation part (`choose_by = \"{recipe['choose_by']}\"`).", "",
        *epochs_table(log), "",
        "## Recipe", "",
        "`training/finetune.py` of adesieve; `training/recipe.py` explains the settings.", "",
        "| setting | value |", "|---|---|",
        *(f"| {name} | {value} |" for name, value in recipe.items()),
        f"| steps an epoch | {log['steps_per_epoch']:,} |",
        *(f"| {name.replace('_', ' ')} | {value} |" for name, value in log["machine"].items()), "",
        "## Data", "", *data_section(log), "",
        "## Base model", "", *([f"`{base}`.", ""] if base else []), "| file | SHA-256 |", "|---|---|",
        *(f"| `{name}` | `{digest}` |" for name, digest in log["base_sha256"].items()), "",
        "Its licence holds for this model, too.", "",
        "## Versions", "", ", ".join(f"{name} {version}" for name, version in log["versions"].items()) + ".", "",
        "## Limits", "",
        "- For sorting sentences so that a person reads the promising ones first. Every hit needs a reader; a sentence "
        "that is not reported was not cleared.",
        "- The corpus consists of English case reports. Nothing is measured on other text.",
        "- Where ADE sentences are rarer than in the test part, precision is lower than measured here.",
        "- The probabilities are not calibrated; `adesieve calibrate` does that with labelled sentences.", "",
        "## Use", "", "```sh", "adesieve classify --model THIS_FOLDER sentences.txt", "```", ""]
    return "\n".join(lines)


def write_card(folder: Path, log: Mapping[str, Any]) -> None:
    """Completes a model folder: README.md by the log of a finished run, then checksums of all its files."""
    if "test_f32" not in log:
        raise ValueError(f"{folder}: the run is not finished: its log has no measurement of the test part; "
                         "go on with finetune.py --resume")
    # safetensors writes files that only their owner can read.
    (folder / "model.safetensors").chmod(0o644)
    write_text(folder / "README.md", card(folder, log))
    write_checksums(folder)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder of a finished run of finetune.py")
    args = parser.parse_args(argv)
    try:
        write_card(args.run / "best", json.loads((args.run / "log.json").read_text(encoding="utf-8")))
    except (OSError, ValueError) as problem:
        raise SystemExit(f"card.py: {problem}") from None
    return 0


if __name__ == "__main__":
    sys.exit(main())
