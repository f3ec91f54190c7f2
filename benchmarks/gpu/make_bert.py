# SPDX-License-Identifier: Apache-2.0
"""Writes a checkpoint folder of BERT-base's size (BioBERT's configuration and vocabulary) with random weights in f16.

Speed does not depend on the weights' values, so nothing needs to be downloaded.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
SPREAD = 0.04  # twice BERT's initial standard deviation: logits then differ from text to text


def config(hidden: int, layers: int, heads: int, intermediate: int, vocab: int) -> dict:
    return {
        "architectures": ["BertForSequenceClassification"],
        "model_type": "bert",
        "hidden_act": "gelu",
        "hidden_size": hidden,
        "intermediate_size": intermediate,
        "num_attention_heads": heads,
        "num_hidden_layers": layers,
        "max_position_embeddings": 512,
        "type_vocab_size": 2,
        "vocab_size": vocab,
        "layer_norm_eps": 1e-12,
        "pad_token_id": 0,
        "position_embedding_type": "absolute",
        "attention_probs_dropout_prob": 0.1,
        "hidden_dropout_prob": 0.1,
        "initializer_range": 0.02,
        "id2label": {"0": "not ADE", "1": "ADE"},
        "label2id": {"not ADE": 0, "ADE": 1},
        "torch_dtype": "float16",
    }


def shapes(c: dict) -> dict[str, tuple[int, ...]]:
    h, f = c["hidden_size"], c["intermediate_size"]
    found: dict[str, tuple[int, ...]] = {
        "bert.embeddings.word_embeddings.weight": (c["vocab_size"], h),
        "bert.embeddings.position_embeddings.weight": (c["max_position_embeddings"], h),
        "bert.embeddings.token_type_embeddings.weight": (c["type_vocab_size"], h),
        "bert.embeddings.LayerNorm.weight": (h,),
        "bert.embeddings.LayerNorm.bias": (h,),
    }
    for i in range(c["num_hidden_layers"]):
        layer = f"bert.encoder.layer.{i}."
        dense = {
            "attention.self.query": (h, h),
            "attention.self.key": (h, h),
            "attention.self.value": (h, h),
            "attention.output.dense": (h, h),
            "intermediate.dense": (f, h),
            "output.dense": (h, f),
        }
        for name, shape in dense.items():
            found[f"{layer}{name}.weight"], found[f"{layer}{name}.bias"] = shape, shape[:1]
        for name in ("attention.output.LayerNorm", "output.LayerNorm"):
            found[f"{layer}{name}.weight"] = found[f"{layer}{name}.bias"] = (h,)
    found["bert.pooler.dense.weight"], found["bert.pooler.dense.bias"] = (h, h), (h,)
    found["classifier.weight"], found["classifier.bias"] = (2, h), (2,)
    return found


def write_weights(path: Path, c: dict) -> None:
    generator = np.random.Generator(np.random.PCG64(1))
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for name, shape in shapes(c).items():
        size = 2 * int(np.prod(shape))
        header[name] = {"dtype": "F16", "shape": list(shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name, shape in shapes(c).items():
            values = generator.standard_normal(shape, dtype=np.float32) * SPREAD
            if name.endswith("LayerNorm.weight"):
                values += 1
            file.write(values.astype("<f2").tobytes())


def make(folder: Path, hidden: int = 768, layers: int = 12, heads: int = 12, intermediate: int = 3072) -> Path:
    """Makes the folder unless it is there."""
    if (folder / "config.json").exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    words = (ROOT / "tests" / "data" / "vocab" / "bert-base-cased-vocab.txt").read_text(encoding="utf-8").splitlines()
    # The tokenizer is the default model's, with the other vocabulary and capitals.
    tokenizer = json.loads((ROOT / "models" / "adesieve-minilm" / "tokenizer.json").read_text(encoding="utf-8"))
    tokenizer["model"]["vocab"] = {word: i for i, word in enumerate(words)}
    tokenizer["normalizer"].update(lowercase=False, strip_accents=None)
    for token in tokenizer["added_tokens"]:
        if words[token["id"]] != token["content"]:
            raise ValueError(f"{token['content']} has another id in bert-base-cased's vocabulary")
    c = config(hidden, layers, heads, intermediate, len(words))
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer, ensure_ascii=False), encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "BertTokenizer", "do_lower_case": False, "model_max_length": 512}),
        encoding="utf-8",
    )
    write_weights(folder / "model.safetensors", c)
    (folder / "config.json").write_text(json.dumps(c, indent=1), encoding="utf-8")  # last: the folder is complete
    return folder
