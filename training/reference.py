"""Reference inference with transformers: no padding, eager attention, weights widened to F32 or F64.

What this module computes is what adesieve's own engine is tested against.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Sequence

import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import AutoTokenizer, BertForSequenceClassification, PreTrainedTokenizerBase


def load_model(folder: Path, dtype: torch.dtype) -> BertForSequenceClassification:
    """The classifier in evaluation mode; widening F16 or BF16 weights to ``dtype`` is exact."""
    model = BertForSequenceClassification.from_pretrained(
        folder, local_files_only=True, dtype=dtype, attn_implementation="eager")
    return model.eval()


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(folder, local_files_only=True)


def token_ids(folder: Path, texts: Sequence[str], max_length: int = 512) -> list[list[int]]:
    """Ids with specials, cut at ``max_length``; checked against tokenizer.json where the folder has one."""
    tokenizer = load_tokenizer(folder)
    ids: list[list[int]] = tokenizer(list(texts), truncation=True, max_length=max_length, padding=False)["input_ids"]
    if (folder / "tokenizer.json").exists():
        plain = Tokenizer.from_file(str(folder / "tokenizer.json"))
        plain.no_padding()
        plain.enable_truncation(max_length)
        for text, expected in zip(texts, ids):
            if plain.encode(text).ids != expected:
                raise ValueError(f"{folder}: transformers and tokenizer.json disagree on {text!r}")
    return ids


@torch.inference_mode()
def logits_one_by_one(model: BertForSequenceClassification, ids: Sequence[Sequence[int]]) -> np.ndarray:
    """Logits of one sequence at a time, in the model's own precision."""
    rows = [model(input_ids=torch.tensor([list(row)], dtype=torch.long)).logits[0].numpy() for row in ids]
    return np.stack(rows)


@torch.inference_mode()
def logits_by_length(model: BertForSequenceClassification, ids: Sequence[Sequence[int]], batch: int = 64) -> np.ndarray:
    """The same in batches of equally long sequences: faster, and still without a padding token."""
    groups: dict[int, list[int]] = defaultdict(list)
    for row, sequence in enumerate(ids):
        groups[len(sequence)].append(row)
    result = np.zeros((len(ids), model.config.num_labels), dtype=np.dtype(str(model.dtype).removeprefix("torch.")))
    for rows in groups.values():
        for start in range(0, len(rows), batch):
            chunk = rows[start:start + batch]
            tensor = torch.tensor([list(ids[row]) for row in chunk], dtype=torch.long)
            result[chunk] = model(input_ids=tensor).logits.numpy()
    return result


def probabilities(logits: np.ndarray, problem_type: str | None) -> np.ndarray:
    """F64 scores from logits by the rules of transformers' text-classification pipeline."""
    x = logits.astype(np.float64)
    if problem_type == "regression":
        return x
    if problem_type == "multi_label_classification" or x.shape[1] == 1:
        return 1.0 / (1.0 + np.exp(-x))
    shifted = np.exp(x - x.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)
