# SPDX-License-Identifier: Apache-2.0
"""A Hugging Face folder in the forms that the peers read. Run as a program it writes them all:

    python convert_peers.py FOLDER WORK CALIBRATION.json

CALIBRATION.json holds sentences by which OpenVINO's int8 model is calibrated; none of them is measured or scored.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np

NAMES = ("input_ids", "attention_mask", "token_type_ids")


def torch_model(folder: Path, precision: str = "f32", attention: str = "sdpa"):
    import torch
    from transformers import AutoModelForSequenceClassification

    types = {"f32": torch.float32, "bf16": torch.bfloat16}
    model = AutoModelForSequenceClassification.from_pretrained(
        folder, dtype=torch.float32, attn_implementation=attention
    )
    return model.to(types[precision]).eval()


def logits_only(model):
    import torch

    class Logits(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids, attention_mask, token_type_ids):
            given = dict(zip(NAMES, (input_ids, attention_mask, token_type_ids)))
            return self.model(**given).logits

    return Logits()


def to_openvino(folder: Path, work: Path, calibration: list[str]) -> None:
    """openvino.xml in f32; openvino-int8.xml, quantized after training; openvino-weights.xml, weights alone in int8."""
    import nncf
    import openvino
    import torch
    from tokenizers import Tokenizer

    nncf.set_log_level(30)
    ids = torch.randint(5, 1000, (2, 16))
    with torch.no_grad():
        converted = openvino.convert_model(
            logits_only(torch_model(folder)), example_input=(ids, torch.ones_like(ids), torch.zeros_like(ids))
        )
    for node, name in zip(converted.inputs, NAMES):
        node.set_names({name})
    openvino.save_model(converted, work / "openvino.xml", compress_to_fp16=False)

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(512)

    def inputs(text: str) -> dict[str, np.ndarray]:
        row = np.array([tokenizer.encode(text).ids], dtype=np.int64)
        return dict(zip(NAMES, (row, np.ones_like(row), np.zeros_like(row))))

    core = openvino.Core()
    quantized = nncf.quantize(
        core.read_model(work / "openvino.xml"),
        nncf.Dataset(calibration, inputs),
        model_type=nncf.ModelType.TRANSFORMER,
        subset_size=len(calibration),
    )
    openvino.save_model(quantized, work / "openvino-int8.xml", compress_to_fp16=False)
    weights = nncf.compress_weights(core.read_model(work / "openvino.xml"), mode=nncf.CompressWeightsMode.INT8_SYM)
    openvino.save_model(weights, work / "openvino-weights.xml", compress_to_fp16=False)


def to_onnx(folder: Path, work: Path) -> None:
    """plain.onnx, and fused.onnx by onnxruntime's own tool for transformers."""
    import torch
    from onnxruntime.transformers import optimizer
    from onnxruntime.transformers.fusion_options import FusionOptions

    model = torch_model(folder, attention="eager")  # the fusing tool knows this form
    ids = torch.randint(5, 1000, (2, 16))
    with torch.no_grad():
        torch.onnx.export(
            logits_only(model),
            (ids, torch.ones_like(ids), torch.zeros_like(ids)),
            str(work / "plain.onnx"),
            input_names=list(NAMES),
            output_names=["logits"],
            dynamic_axes={name: {0: "batch", 1: "tokens"} for name in NAMES} | {"logits": {0: "batch"}},
            opset_version=17,
            dynamo=False,
        )
    fused = optimizer.optimize_model(
        str(work / "plain.onnx"),
        model_type="bert",
        num_heads=model.config.num_attention_heads,
        hidden_size=model.config.hidden_size,
        optimization_options=FusionOptions("bert"),
        opt_level=0,
    )
    print("fused operators:", {k: n for k, n in fused.get_fused_operator_statistics().items() if n}, file=sys.stderr)
    fused.save_model_to_file(str(work / "fused.onnx"))


def quantized_onnx(path: Path, weights: str, scales: str) -> Path:
    """The graph quantized dynamically; made when it is first asked for."""
    made = path.with_name(f"{path.stem}-{weights}-{scales}.onnx")
    if made.exists() and made.stat().st_mtime > path.stat().st_mtime:
        return made
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    part = made.with_suffix(f".{os.getpid()}.part")
    quantize_dynamic(
        str(path),
        str(part),
        per_channel=scales == "channel",
        weight_type={"s8": QuantType.QInt8, "u8": QuantType.QUInt8}[weights],
        # ONNX's inference of types stops at the fused operators.
        extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},
    )
    part.rename(made)
    return made


def to_ctranslate2(folder: Path, work: Path) -> None:
    from ctranslate2.converters import TransformersConverter
    from safetensors.numpy import load_file

    for precision, quantization in (("f32", "float32"), ("int8", "int8_float32")):
        TransformersConverter(str(folder)).convert(
            str(work / f"ctranslate2-{precision}"), quantization=quantization, force=True
        )
    tensors = load_file(folder / "model.safetensors")
    head = {name: tensors[f"classifier.{name}"].astype(np.float32) for name in ("weight", "bias")}
    np.savez(work / "classifier.npz", **head)


def main() -> None:
    folder, work = Path(sys.argv[1]), Path(sys.argv[2])
    calibration = json.loads(Path(sys.argv[3]).read_text(encoding="utf-8"))
    work.mkdir(parents=True, exist_ok=True)
    to_onnx(folder, work)
    to_openvino(folder, work, calibration)
    to_ctranslate2(folder, work)
    (work / "converted").write_text("")  # last: the folder is complete


def convert(folder: Path, work: Path, calibration: Path) -> None:
    """All of it in a process of its own, unless it is newer than the weights and this file."""
    import subprocess

    done = work / "converted"
    newest = max(path.stat().st_mtime for path in (folder / "model.safetensors", Path(__file__)))
    if done.exists() and done.stat().st_mtime > newest:
        return
    done.unlink(missing_ok=True)
    command = [sys.executable, __file__, str(folder), str(work), str(calibration)]
    log = work.with_suffix(".log")
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "w", encoding="utf-8") as file:
        status = subprocess.run(command, stdout=file, stderr=file, check=False).returncode
    if status:
        sys.exit(f"{folder} could not be converted for the peers (status {status}); {log} says why")


if __name__ == "__main__":
    main()
