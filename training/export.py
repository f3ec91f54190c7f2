#!/usr/bin/env python3
"""Writes the kept checkpoint of finetune.py as a model folder: F16 weights, configuration, tokenizer files, licence.

Every file is written from what it must contain, not copied from what a library version happens to save, so that the
folder stays byte-identical across library versions. The model card (README.md) is written by hand; after editing it,
``--checksums-only`` renews ``checksums.sha256``.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer

from card import write_checksums
from corpus import ID2LABEL
from finetune import default_base

F16_MAX = 65504.0
F16_MIN_NORMAL = 2.0 ** -14

ARCHITECTURE_KEYS = (
    "attention_probs_dropout_prob", "hidden_act", "hidden_dropout_prob", "hidden_size", "initializer_range",
    "intermediate_size", "layer_norm_eps", "max_position_embeddings", "model_type", "num_attention_heads",
    "num_hidden_layers", "pad_token_id", "type_vocab_size", "vocab_size",
)
"""Settings taken over from the checkpoint; everything else in config.json is said here."""

SPECIAL_TOKENS = {
    "cls_token": "[CLS]", "mask_token": "[MASK]", "pad_token": "[PAD]", "sep_token": "[SEP]", "unk_token": "[UNK]",
}


@dataclass
class ConversionReport:
    """What the conversion to F16 did to the values."""

    tensors: int = 0
    values: int = 0
    saturated: int = 0
    not_finite: int = 0
    underflowed_to_zero: int = 0
    subnormal: int = 0
    largest: float = 0.0
    largest_absolute_error: float = 0.0


def to_half(tensors: dict[str, torch.Tensor]) -> tuple[dict[str, torch.Tensor], ConversionReport]:
    """Rounds to nearest-even F16 and counts every value that F16 cannot hold well."""
    report = ConversionReport()
    converted: dict[str, torch.Tensor] = {}
    for name, tensor in sorted(tensors.items()):
        if tensor.dtype != torch.float32:
            raise ValueError(f"{name}: {tensor.dtype}, expected float32")
        half = tensor.clamp(-F16_MAX, F16_MAX).to(torch.float16)
        magnitude = tensor.abs()
        report.tensors += 1
        report.values += tensor.numel()
        report.not_finite += int((~torch.isfinite(tensor)).sum())
        report.saturated += int((magnitude > F16_MAX).sum())
        report.underflowed_to_zero += int(((half == 0) & (tensor != 0)).sum())
        report.subnormal += int(((half != 0) & (half.abs().float() < F16_MIN_NORMAL)).sum())
        report.largest = max(report.largest, float(magnitude.max()))
        report.largest_absolute_error = max(report.largest_absolute_error, float((half.float() - tensor).abs().max()))
        converted[name] = half.contiguous()
    if report.not_finite:
        raise ValueError(f"{report.not_finite} weights are not finite")
    return converted, report


def write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def write_config(checkpoint: Path, target: Path) -> None:
    source = json.loads((checkpoint / "config.json").read_text(encoding="utf-8"))
    config = {key: source[key] for key in ARCHITECTURE_KEYS}
    config |= {
        "architectures": ["BertForSequenceClassification"],
        "classifier_dropout": None,
        "id2label": {str(index): name for index, name in ID2LABEL.items()},
        "label2id": {name: index for index, name in ID2LABEL.items()},
        "position_embedding_type": "absolute",
        "problem_type": "single_label_classification",
        # The older of the two names of this key: every version of transformers reads it.
        "torch_dtype": "float16",
    }
    write_json(target / "config.json", config)


def write_tokenizer(base: Path, target: Path) -> None:
    """The base model's tokenizer without its truncation and padding, which belong to a call and not to a model.

    tokenizer.json holds the vocabulary; a vocab.txt beside it would only repeat it.
    """
    tokenizer = Tokenizer.from_file(str(base / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.save(str(target / "tokenizer.json"), pretty=False)
    words = (base / "vocab.txt").read_text(encoding="utf-8").splitlines()
    if tokenizer.get_vocab() != {word: index for index, word in enumerate(words)}:
        raise ValueError(f"{base}: vocab.txt and tokenizer.json hold different vocabularies")
    write_json(target / "special_tokens_map.json", SPECIAL_TOKENS)
    write_json(target / "tokenizer_config.json", {
        **SPECIAL_TOKENS, "clean_up_tokenization_spaces": True, "do_basic_tokenize": True, "do_lower_case": True,
        "model_max_length": 512, "never_split": None, "strip_accents": None, "tokenize_chinese_chars": True,
        "tokenizer_class": "BertTokenizer",
    })


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("target", type=Path, help="the model folder")
    parser.add_argument("--checkpoint", type=Path, help="folder best/ of a finetune.py run")
    parser.add_argument("--base", type=Path, help="encoder folder the tokenizer comes from")
    parser.add_argument("--checksums-only", action="store_true", help="renew checksums.sha256 and do nothing else")
    args = parser.parse_args(argv)
    if not args.checksums_only:
        if args.checkpoint is None:
            parser.error("--checkpoint is needed unless --checksums-only is given")
        args.target.mkdir(parents=True, exist_ok=True)
        weights, report = to_half(load_file(args.checkpoint / "model.safetensors"))
        save_file(weights, args.target / "model.safetensors", metadata={"format": "pt"})
        (args.target / "model.safetensors").chmod(0o644)
        write_config(args.checkpoint, args.target)
        write_tokenizer(args.base or default_base(), args.target)
        print(json.dumps(vars(report), indent=2))
    write_checksums(args.target)
    return 0


if __name__ == "__main__":
    sys.exit(main())
