#!/usr/bin/env python3
"""Writes the reference outputs that adesieve's engine is compared with, and the small models they come from.

Reference: transformers and PyTorch on the CPU, eager attention, one text at a time, no padding, weights widened to F32
or F64. Written below ``tests/``:

* ``golden/default_rows.csv``  default model: logits (F32, F64) and probabilities (F64) of some rows of data/test.csv;
* ``golden/default_all.csv``   default model: predicted label and F32 logits, 6 decimals, of every row;
* ``golden/tricky.json``       default and tiny model: odd texts, their token ids, logits and probabilities;
* ``golden/variants.json``     the same for each folder of data/models;
* ``golden/golden_model.json`` library versions, digests of the models and of data/test.csv;
* ``data/models/<name>/``      small models with seeded random weights, each varying one thing that a loader or an
  engine may get wrong. Their weights come from NumPy's PCG64 and do not depend on a PyTorch version.

Row numbers count from 0 and leave out the header. The texts hold NUL characters (JSON ``\\u0000``).

Usage: make_golden_model.py [--only variants|tricky|default]
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import platform
import shutil
import sys
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Sequence

import numpy as np
import torch
from safetensors.torch import save_file
from transformers import BertConfig, BertForSequenceClassification
from transformers.utils import logging as transformers_logging

TESTS = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TESTS.parent / "training"))

from corpus import read_split, sha256_of  # noqa: E402  (the path has to be set first)
from reference import load_model, load_tokenizer, logits_one_by_one, probabilities, token_ids  # noqa: E402

GOLDEN = TESTS / "golden"
DATA = TESTS / "data"
DEFAULT_MODEL = TESTS.parent / "models" / "adesieve-minilm"
TINY_MODEL = DATA / "tiny_bert_cls"

TRICKY: list[tuple[str, str]] = [
    ("empty", ""),
    ("blank", " \t\r\n "),
    ("one_letter", "x"),
    ("plain_positive", "A 45-year-old woman developed acute hepatitis after two weeks of treatment with isoniazid."),
    ("plain_negative", "The pathogenesis of this disorder remains unknown."),
    ("upper_case", "STEVENS-JOHNSON SYNDROME DUE TO LAMOTRIGINE: A CASE REPORT."),
    ("nul_inside", "amiodarone\x00induced pulmonary\x00 toxicity"),
    ("only_nul", "\x00\x00"),
    ("control_characters", "vanco\x07mycin\x1b[0m \x7fflushing\x9f syndrome"),
    ("replacement_character", "methotrexate \ufffd pneumonitis"),
    ("accents_composed", "Ménière-like vértigo après la gentamicine, naïve Ångström Çelik"),
    ("accents_decomposed", "Me\u0301nie\u0300re-like ve\u0301rtigo apre\u0300s la gentamicine"),
    ("greek", "TNF-α blockade with infliximab and β-blocker withdrawal; ΔG = −5 µmol/L ± 2"),
    ("signs_ascii_lacks", "fever ≥39°C, dose ½ tablet, 10⁻⁶ M, patch™, x→y, 5±2, ∼10, €5, kg−1"),
    ("chinese", "患者服用青霉素后出现皮疹 rash"),
    ("japanese_korean", "カルバマゼピンによる薬疹 한국어 부작용"),
    ("cyrillic", "Побочное действие: острый панкреатит"),
    ("arabic_hebrew", "تفاعل دوائي ضار; תופעת לוואי"),
    ("emoji", "nausea 🤢 after 💊💊 and 👨‍👩‍👧 reported"),
    ("zero_width", "war\u200bfarin\u200d haem\u00adorrhage\ufeff"),
    ("spaces_of_unicode", "lithium\u00a0toxicity\u2003after\u3000dehydration\u2028again\u2029end"),
    ("sep_in_text", "first sentence [SEP] second sentence"),
    ("cls_in_text", "[CLS] cisplatin nephrotoxicity [SEP]"),
    ("pad_and_mask_in_text", "the drug [MASK] caused [PAD] a rash [UNK]"),
    ("special_in_lower_case", "the marker [sep] and [mask] written small"),
    ("special_glued", "rash[SEP]fever[MASK]ed"),
    ("punctuation_only", "...!?;:--()[]{}<>/\\|@#$%^&*_+=~`\"'"),
    ("word_of_100_letters", "a" * 100 + " rash"),
    ("word_of_101_letters", "a" * 101 + " rash"),
    ("chemical_name", "N-(4-hydroxyphenyl)acetamide, 1,3,7-trimethylxanthine and 5-fluorouracil/leucovorin"),
    ("numbers", "INR 8.7 on day 3; 1,250 mg q12h; 37.5-39.2 C; p<0.001"),
    ("exactly_at_the_limit", "rash " * 510),
    ("one_over_the_limit", "rash " * 511),
    ("far_over_the_limit", "The patient developed thrombocytopenia after heparin. " * 120),
    ("long_single_script", "皮疹" * 400),
    ("supplementary_planes", "𝐛𝐨𝐥𝐝 𝒾𝓉𝒶𝓁𝒾𝒸 𠀀𠀁 rash 𝟙𝟚"),
    ("dotless_i_and_sharp_s", "İSTANBUL ISPARTA ıi STRASSE straße ﬁbrillation ΣΊΣΥΦΟΣ"),
]

VARIANT_TEXTS: list[str] = [
    "",
    "rash",
    "Acute renal failure after ibuprofen.",
    "No adverse effects were seen in the other patients.",
    "5-FU induced coma",
    "TNF-α 5±2 mg",
    "lithium toxicity [SEP] dehydration",
    "Ménière-like vertigo after gentamicin",
    "aaaaaaaaaa",
    "The patient recovered completely after withdrawal of the drug and has been well for two years since then.",
    "z",
    "0123456789 !?",
]


@dataclass(frozen=True)
class Variant:
    """A small random model; the defaults describe the plainest one."""

    name: str
    hidden: int = 32
    heads: int = 4
    layers: int = 2
    intermediate: int = 37
    activation: str = "gelu"
    labels: int = 2
    eps: float = 1e-12
    problem_type: str | None = "single_label_classification"
    id2label: dict[int, str] | None = field(default_factory=lambda: {0: "not ADE", 1: "ADE"})
    dtype: torch.dtype = torch.float32
    naming: str = "usual"  # or gamma_beta, no_prefix
    shards: int = 1


VARIANTS: list[Variant] = [
    # One layer and F16 keep the file of the widest model small; F32 holds F16 values exactly.
    Variant("head_dim_64", hidden=128, heads=2, layers=1, dtype=torch.float16),
    Variant("head_dim_32", hidden=64, heads=2, layers=1),
    Variant("gelu_new", activation="gelu_new"),
    Variant("relu", activation="relu"),
    Variant("silu", activation="silu"),
    Variant("multi_label", labels=3, problem_type="multi_label_classification",
            id2label={0: "drug", 1: "effect", 2: "dose"}),
    Variant("regression", labels=1, problem_type="regression", id2label={0: "severity"}),
    Variant("weights_f16", dtype=torch.float16),
    Variant("weights_bf16", dtype=torch.bfloat16),
    Variant("sharded", dtype=torch.float16, shards=3),
    Variant("layer_norm_eps_1e-5", eps=1e-5),
    Variant("gamma_beta", naming="gamma_beta"),
    Variant("no_prefix", naming="no_prefix"),
    Variant("no_id2label", problem_type=None, id2label=None),
]
VARIANT_VOCABULARY = 128
VARIANT_POSITIONS = 48


def small_vocabulary() -> list[str]:
    """Part of the tiny model's vocabulary: specials, ASCII signs, their continuations, some others."""
    words = (TINY_MODEL / "vocab.txt").read_text(encoding="utf-8").splitlines()
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    single = [word for word in words if len(word) == 1 and word.isascii()]
    continued = [word for word in words if len(word) == 3 and word.startswith("##") and word[2:].isascii()]
    chosen = specials + single + continued
    others = [word for word in words if word not in set(chosen)]
    return (chosen + others)[:VARIANT_VOCABULARY]


def bert_config(variant: Variant) -> BertConfig:
    names = variant.id2label or {index: f"LABEL_{index}" for index in range(variant.labels)}
    return BertConfig(
        vocab_size=VARIANT_VOCABULARY, hidden_size=variant.hidden, num_hidden_layers=variant.layers,
        num_attention_heads=variant.heads, intermediate_size=variant.intermediate, hidden_act=variant.activation,
        max_position_embeddings=VARIANT_POSITIONS, type_vocab_size=2, layer_norm_eps=variant.eps, pad_token_id=0,
        id2label=names, label2id={name: index for index, name in names.items()}, problem_type=variant.problem_type,
        attn_implementation="eager",
    )


def random_weights(variant: Variant) -> dict[str, torch.Tensor]:
    """Normal weights: sigma 0.1 for embeddings and biases, 1.5 / sqrt(inputs) for matrices, LayerNorm around 1.

    Activations then have the spread of a trained model's in every size, so that a wrong layer, activation function or
    epsilon moves the logits by far more than F32 rounding does. With sigma 0.1 throughout, the narrow models could
    hardly tell the two forms of GELU apart.
    """
    rng = np.random.Generator(np.random.PCG64(zlib.crc32(variant.name.encode())))
    shapes = {name: tuple(tensor.shape)
              for name, tensor in BertForSequenceClassification(bert_config(variant)).state_dict().items()}
    weights: dict[str, torch.Tensor] = {}
    for name, shape in sorted(shapes.items()):
        is_matrix = len(shape) == 2 and "embeddings" not in name
        sigma = 1.5 / np.sqrt(shape[1]) if is_matrix else 0.1
        values = sigma * rng.standard_normal(shape)
        if name.endswith("LayerNorm.weight"):
            values += 1.0
        weights[name] = torch.from_numpy(values.astype(np.float32)).to(variant.dtype)
    return weights


def stored_name(name: str, naming: str) -> str:
    if naming == "gamma_beta":
        return name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
    if naming == "no_prefix":
        return name.removeprefix("bert.")
    return name


def write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def write_weights(folder: Path, variant: Variant, weights: dict[str, torch.Tensor]) -> None:
    """One safetensors file, or several with an index."""
    tensors = {stored_name(name, variant.naming): tensor for name, tensor in weights.items()}
    if variant.shards == 1:
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
        return
    # Every n-th name to the n-th shard: the tensors of one layer then lie in different files.
    names = sorted(tensors)
    weight_map: dict[str, str] = {}
    for shard in range(variant.shards):
        file = f"model-{shard + 1:05d}-of-{variant.shards:05d}.safetensors"
        part = {name: tensors[name] for name in names[shard::variant.shards]}
        save_file(part, folder / file, metadata={"format": "pt"})
        weight_map |= {name: file for name in part}
    total = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    write_json(folder / "model.safetensors.index.json", {"metadata": {"total_size": total}, "weight_map": weight_map})


def write_variant(variant: Variant) -> BertForSequenceClassification:
    """Writes the folder; returns the model in F32, built from the tensors and not read back from the files."""
    folder = DATA / "models" / variant.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    config: dict[str, Any] = {
        "architectures": ["BertForSequenceClassification"], "attention_probs_dropout_prob": 0.1,
        "hidden_act": variant.activation, "hidden_dropout_prob": 0.1, "hidden_size": variant.hidden,
        "intermediate_size": variant.intermediate, "layer_norm_eps": variant.eps,
        "max_position_embeddings": VARIANT_POSITIONS, "model_type": "bert", "num_attention_heads": variant.heads,
        "num_hidden_layers": variant.layers, "pad_token_id": 0, "type_vocab_size": 2,
        "torch_dtype": str(variant.dtype).removeprefix("torch."), "vocab_size": VARIANT_VOCABULARY,
    }
    if variant.problem_type:
        config["problem_type"] = variant.problem_type
    if variant.id2label:
        config["id2label"] = {str(index): name for index, name in variant.id2label.items()}
        config["label2id"] = {name: index for index, name in variant.id2label.items()}
    write_json(folder / "config.json", config)
    write_json(folder / "tokenizer_config.json", {
        "do_lower_case": True, "model_max_length": VARIANT_POSITIONS, "tokenizer_class": "BertTokenizer"})
    (folder / "vocab.txt").write_text("".join(word + "\n" for word in small_vocabulary()), encoding="utf-8")
    weights = random_weights(variant)
    write_weights(folder, variant, weights)
    for path in folder.iterdir():
        path.chmod(0o644)
    model = BertForSequenceClassification(bert_config(variant))
    model.load_state_dict({name: tensor.float() for name, tensor in weights.items()}, strict=True)
    return model.eval()


def loads_alike(folder: Path, ids: Sequence[Sequence[int]], expected: np.ndarray) -> bool:
    """Whether transformers, reading the folder by itself, arrives at the same logits."""
    try:
        return bool(np.allclose(logits_one_by_one(load_model(folder, torch.float32), ids), expected, atol=1e-6))
    except (OSError, RuntimeError, ValueError):
        return False


def outputs(model: BertForSequenceClassification, ids: Sequence[Sequence[int]], problem_type: str | None
            ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """F32 logits, F64 logits, F64 probabilities. Leaves the model in F64."""
    single = logits_one_by_one(model.float(), ids)
    double = logits_one_by_one(model.double(), ids)
    return single, double, probabilities(double, problem_type)


def short(values: Sequence[float] | np.ndarray, digits: int) -> list[float]:
    """Numbers with as many significant digits as their type holds and JSON then needs."""
    return [float(f"{float(value):.{digits}g}") for value in values]


def item(ids: Sequence[int], single: np.ndarray, double: np.ndarray, scores: np.ndarray) -> dict[str, Any]:
    return {"ids": list(ids), "logits_f32": short(single, 9), "logits_f64": short(double, 15),
            "probabilities": short(scores, 15)}


def write_items(path: Path, head: dict[str, Any], texts: list[Any], models: dict[str, Any]) -> None:
    """JSON with one text and one result per line, so that a change shows as a change of lines."""
    def listed(values: list[Any], indent: str) -> str:
        return "[\n" + ",\n".join(indent + json.dumps(value) for value in values) + "]"

    parts = [f'"{key}": {json.dumps(value)}' for key, value in head.items()]
    parts.append('"texts": ' + listed(texts, "  "))
    blocks = []
    for name, model in models.items():
        about = "".join(f'"{key}": {json.dumps(value)}, ' for key, value in model.items() if key != "items")
        blocks.append(f'  "{name}": {{{about}"items": ' + listed(model["items"], "    ") + "}")
    parts.append('"models": {\n' + ",\n".join(blocks) + "}")
    path.write_text("{" + ",\n".join(parts) + "}\n", encoding="ascii")
    json.loads(path.read_text(encoding="ascii"))


def versions() -> dict[str, str]:
    names = ("torch", "transformers", "tokenizers", "safetensors", "numpy")
    return {"python": platform.python_version(), **{name: importlib.metadata.version(name) for name in names}}


def make_variants() -> None:
    models: dict[str, Any] = {}
    for variant in VARIANTS:
        model = write_variant(variant)
        folder = DATA / "models" / variant.name
        ids = token_ids(folder, VARIANT_TEXTS, VARIANT_POSITIONS)
        single, double, scores = outputs(model, ids, variant.problem_type)
        # Logits that hardly depend on the text could not tell a right engine from a wrong one.
        if double.std(axis=0).min() < 1e-3:
            raise ValueError(f"{variant.name}: the logits hardly depend on the text: {double.std(axis=0)}")
        models[variant.name] = {
            "problem_type": variant.problem_type, "hidden_act": variant.activation, "max_length": VARIANT_POSITIONS,
            "labels": list((variant.id2label or {i: f"LABEL_{i}" for i in range(variant.labels)}).values()),
            "transformers_reads_it": loads_alike(folder, ids, single),
            "items": [item(*row) for row in zip(ids, single, double, scores)],
        }
        size = sum(path.stat().st_size for path in folder.iterdir())
        print(f"{variant.name:20s} {size / 1000:6.1f} kB  spread of logits {double.std(axis=0).round(4)}  "
              f"F32-F64 {np.abs(single - double).max():.1e}")
    write_items(GOLDEN / "variants.json", {"versions": versions()}, VARIANT_TEXTS, models)


def make_tricky() -> None:
    models: dict[str, Any] = {}
    for name, folder in (("adesieve-minilm", DEFAULT_MODEL), ("tiny_bert_cls", TINY_MODEL)):
        model = load_model(folder, torch.float32)
        ids = token_ids(folder, [text for _, text in TRICKY])
        single, double, scores = outputs(model, ids, model.config.problem_type)
        models[name] = {"max_length": load_tokenizer(folder).model_max_length,
                        "items": [item(*row) for row in zip(ids, single, double, scores)]}
        print(f"{name}: {len(TRICKY)} odd texts, F32-F64 {np.abs(single - double).max():.1e}")
    write_items(GOLDEN / "tricky.json", {"versions": versions()},
                [{"name": name, "text": text} for name, text in TRICKY], models)


def make_default() -> None:
    test = read_split(DATA, "test")
    rows = [row for row in range(len(test)) if row < 200 or row % 10 == 0]
    ids = token_ids(DEFAULT_MODEL, test.texts)
    model = load_model(DEFAULT_MODEL, torch.float32)
    every = logits_one_by_one(model, ids)
    with (GOLDEN / "default_all.csv").open("w", encoding="ascii") as stream:
        stream.write("row,predicted,logit_0,logit_1\n")
        for row, logits in enumerate(every):
            stream.write(f"{row},{logits.argmax()},{logits[0]:.6f},{logits[1]:.6f}\n")
    single, double, scores = outputs(model, [ids[row] for row in rows], model.config.problem_type)
    with (GOLDEN / "default_rows.csv").open("w", encoding="ascii") as stream:
        stream.write("row,f32_logit_0,f32_logit_1,f64_logit_0,f64_logit_1,probability_0,probability_1\n")
        for row, f32, f64, p in zip(rows, single, double, scores):
            cells = [f"{v:.9g}" for v in f32] + [f"{v:.15g}" for v in f64] + [f"{v:.15g}" for v in p]
            stream.write(",".join([str(row), *cells]) + "\n")
    margins = np.sort(np.abs(every[:, 1] - every[:, 0]))
    print(f"default model: F32-F64 {np.abs(single - double).max():.1e}, smallest margins {margins[:3]}")


def write_manifest() -> None:
    """Digests, so that a golden file that belongs to another model is noticed."""
    write_json(GOLDEN / "golden_model.json", {
        "versions": versions(), "attention": "eager", "device": "cpu", "padding": False,
        "test_csv_sha256": sha256_of(DATA / "test.csv"),
        "model_sha256": {
            folder.name: sha256_of(folder / "model.safetensors") for folder in (DEFAULT_MODEL, TINY_MODEL)},
    })


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=("variants", "tricky", "default"), help="write this part alone")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    GOLDEN.mkdir(parents=True, exist_ok=True)
    for name, make in (("variants", make_variants), ("tricky", make_tricky), ("default", make_default)):
        if args.only in (None, name):
            make()
    if args.only != "variants":
        write_manifest()
    return 0


if __name__ == "__main__":
    sys.exit(main())
