# SPDX-License-Identifier: Apache-2.0
"""Who is compared: adesieve and its peers behind one small interface, each as fast as it can be made.

A contender lives in a process of its own (compare_encoders.py starts it), opens a model folder with a number of threads
and a precision, and turns texts into probabilities. Peers may choose among several set-ups; what is best for them on a
part of the texts is measured before the first round.
"""

from __future__ import annotations

import itertools
import os
import queue
import sys
import threading
from pathlib import Path

import numpy as np

BATCH_SIZES = (8, 16, 32, 64)


class Adesieve:
    """By its Python binding, with its defaults."""

    precisions = ("f32", "bf16")
    name = "adesieve"

    def __init__(self, folder: Path, work: Path, precision: str, threads: int) -> None:
        import adesieve

        self.classifier = adesieve.Classifier(folder, "cpu", precision, threads)
        self.version = adesieve.library_version()

    def setups(self) -> list[dict]:
        return [{}]

    def use(self, setup: dict) -> None:
        pass

    def logits(self, texts: list[str]) -> np.ndarray:
        return self.classifier.logits(texts)

    def probabilities(self, texts: list[str]) -> np.ndarray:
        return self.classifier.predict_proba(texts)


class Peer:
    """What the peers share: the reference tokenizer, batches of like length with dynamic padding, softmax."""

    version = ""

    def __init__(self, folder: Path, threads: int) -> None:
        from tokenizers import Tokenizer

        self.threads = threads
        self.batch = 32
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(512)

    def run(self, ids: np.ndarray, mask: np.ndarray, types: np.ndarray) -> np.ndarray:
        """One padded batch -> logits."""
        raise NotImplementedError

    def run_all(self, batches: list[tuple[np.ndarray, ...]]) -> list[np.ndarray]:
        return [self.run(*batch) for batch in batches]

    def logits(self, texts: list[str]) -> np.ndarray:
        encodings = self.tokenizer.encode_batch_fast(texts)
        ids = [encoding.ids for encoding in encodings]
        lengths = np.fromiter(map(len, ids), dtype=np.int64, count=len(ids))
        order = np.argsort(-lengths, kind="stable")
        pieces = [order[i : i + self.batch] for i in range(0, len(order), self.batch)]
        batches = []
        for piece in pieces:
            width = int(lengths[piece[0]])
            padded = np.zeros((len(piece), width), dtype=np.int64)
            for row, i in enumerate(piece):
                padded[row, : lengths[i]] = ids[i]
            mask = (np.arange(width) < lengths[piece, None]).astype(np.int64)
            batches.append((padded, mask, np.zeros_like(padded)))
        out = np.concatenate(self.run_all(batches)).astype(np.float32)
        result = np.empty_like(out)
        result[order] = out
        return result

    def probabilities(self, texts: list[str]) -> np.ndarray:
        logits = self.logits(texts)
        e = np.exp(logits - logits.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)

    def setups(self) -> list[dict]:
        return [dict(zip(self.choices, values)) for values in itertools.product(*self.choices.values())]

    choices: dict[str, tuple] = {"batch": BATCH_SIZES}

    def use(self, setup: dict) -> None:
        self.batch = setup["batch"]


def torch_model(folder: Path, precision: str = "f32"):
    import torch
    from transformers import AutoModelForSequenceClassification

    types = {"f32": torch.float32, "bf16": torch.bfloat16}
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32)
    return model.to(types[precision]).eval()


class PyTorch(Peer):
    """transformers in PyTorch, for reference."""

    precisions = ("f32", "bf16")
    name = "PyTorch"

    def __init__(self, folder: Path, work: Path, precision: str, threads: int) -> None:
        import torch

        super().__init__(folder, threads)
        torch.set_num_threads(threads)
        self.model = torch_model(folder, precision)
        self.version = torch.__version__

    def run(self, ids, mask, types):
        import torch

        with torch.inference_mode():
            out = self.model(
                input_ids=torch.from_numpy(ids),
                attention_mask=torch.from_numpy(mask),
                token_type_ids=torch.from_numpy(types),
            )
        return out.logits.float().numpy()


class OnnxRuntime(Peer):
    """All graph optimisations; the export as it is or fused by onnxruntime's own tool for transformers; one batch on
    all threads or, as adesieve does, a batch a thread."""

    precisions = ("f32",)  # there is no bf16 on x86 processors
    name = "ONNX Runtime"
    choices = {"graph": ("plain", "fused"), "at_once": ("one batch", "a batch a thread"), "batch": BATCH_SIZES}

    def __init__(self, folder: Path, work: Path, precision: str, threads: int) -> None:
        import onnxruntime

        super().__init__(folder, threads)
        self.version = onnxruntime.__version__
        self.sessions: dict[tuple[str, bool], onnxruntime.InferenceSession] = {}
        self.work = work
        self.use({"graph": "plain", "at_once": "one batch", "batch": 32})

    def use(self, setup: dict) -> None:
        import onnxruntime

        super().use(setup)
        self.spread = setup["at_once"] == "a batch a thread" and self.threads > 1
        key = (setup["graph"], self.spread)
        if key not in self.sessions:
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = 1 if self.spread else self.threads
            options.inter_op_num_threads = 1
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
            options.log_severity_level = 3
            path = self.work / f"{setup['graph']}.onnx"
            self.sessions = {
                key: onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
            }
        self.session = self.sessions[key]
        self.inputs = [i.name for i in self.session.get_inputs()]

    def run(self, ids, mask, types):
        given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}
        return self.session.run(None, {name: given[name] for name in self.inputs})[0]

    def run_all(self, batches):
        if not self.spread:
            return super().run_all(batches)
        out: list = [None] * len(batches)
        todo: queue.SimpleQueue = queue.SimpleQueue()
        for i in range(len(batches)):
            todo.put(i)

        def work() -> None:
            while True:
                try:
                    i = todo.get_nowait()
                except queue.Empty:
                    return
                out[i] = self.run(*batches[i])

        workers = [threading.Thread(target=work) for _ in range(self.threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        return out


class OpenVino(Peer):
    """Converted from PyTorch or from ONNX; the hint LATENCY or THROUGHPUT, the latter with asynchronous requests."""

    precisions = ("f32", "bf16")
    name = "OpenVINO"
    choices = {"source": ("pytorch", "onnx"), "hint": ("LATENCY", "THROUGHPUT"), "batch": BATCH_SIZES}

    def __init__(self, folder: Path, work: Path, precision: str, threads: int) -> None:
        import openvino

        super().__init__(folder, threads)
        self.version = openvino.__version__
        self.core = openvino.Core()
        self.work, self.precision = work, precision
        self.compiled: dict[tuple[str, str], object] = {}
        self.use({"source": "pytorch", "hint": "LATENCY", "batch": 32})

    def use(self, setup: dict) -> None:
        import openvino

        super().use(setup)
        key = (setup["source"], setup["hint"])
        if key not in self.compiled:
            path = self.work / ("openvino.xml" if setup["source"] == "pytorch" else "plain.onnx")
            config = {
                "INFERENCE_NUM_THREADS": self.threads,
                "PERFORMANCE_HINT": setup["hint"],
                "INFERENCE_PRECISION_HINT": self.precision,
            }
            self.compiled = {key: self.core.compile_model(self.core.read_model(path), "CPU", config)}
            self.request = self.compiled[key].create_infer_request()
            self.queue = openvino.AsyncInferQueue(self.compiled[key]) if setup["hint"] == "THROUGHPUT" else None
        model = self.compiled[key]
        self.inputs = [next(iter(i.names & {"input_ids", "attention_mask", "token_type_ids"})) for i in model.inputs]

    def given(self, ids, mask, types):
        values = {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}
        return {name: values[name] for name in self.inputs}

    def run(self, *batch):
        return self.request.infer(self.given(*batch), share_inputs=True)[0].copy()

    def run_all(self, batches):
        if self.queue is None:
            return super().run_all(batches)
        out: list = [None] * len(batches)

        def done(request, i):
            out[i] = request.get_output_tensor(0).data.copy()

        self.queue.set_callback(done)
        for i, batch in enumerate(batches):
            self.queue.start_async(self.given(*batch), i, share_inputs=True)
        self.queue.wait_all()
        return out


CONTENDERS = {kind.name: kind for kind in (Adesieve, OnnxRuntime, OpenVino, PyTorch)}


def convert(folder: Path, work: Path) -> None:
    """Writes plain.onnx, fused.onnx and openvino.xml for the peers, unless they are newer than the weights."""
    made = [work / name for name in ("plain.onnx", "fused.onnx", "openvino.xml")]
    weights = (folder / "model.safetensors").stat().st_mtime
    if all(path.exists() and path.stat().st_mtime > weights for path in made):
        return
    import openvino
    import torch
    from onnxruntime.transformers import optimizer
    from onnxruntime.transformers.fusion_options import FusionOptions

    work.mkdir(parents=True, exist_ok=True)
    names = ["input_ids", "attention_mask", "token_type_ids"]
    ids = torch.randint(5, 1000, (2, 16))
    example = (ids, torch.ones_like(ids), torch.zeros_like(ids))

    class Logits(torch.nn.Module):
        def __init__(self, model) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids, attention_mask, token_type_ids):
            return self.model(
                input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids
            ).logits

    model = torch_model(folder)
    with torch.no_grad():
        converted = openvino.convert_model(Logits(model), example_input=example)
        for node, name in zip(converted.inputs, names):
            node.set_names({name})
        openvino.save_model(converted, made[2], compress_to_fp16=False)
        model.set_attn_implementation("eager")  # the fusing tool knows this form
        torch.onnx.export(
            Logits(model),
            example,
            str(made[0]),
            input_names=names,
            output_names=["logits"],
            dynamic_axes={name: {0: "batch", 1: "tokens"} for name in names} | {"logits": {0: "batch"}},
            opset_version=17,
            dynamo=False,
        )
    config = model.config
    fused = optimizer.optimize_model(
        str(made[0]),
        model_type="bert",
        num_heads=config.num_attention_heads,
        hidden_size=config.hidden_size,
        optimization_options=FusionOptions("bert"),
        opt_level=0,
    )
    print("fused operators:", fused.get_fused_operator_statistics(), file=sys.stderr)
    fused.save_model_to_file(str(made[1]))


def has_bf16() -> bool:
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


def quiet_environment(threads: int) -> dict[str, str]:
    """The environment of a contender's process: its thread pools have the number of threads that is measured."""
    return {
        **os.environ,
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "RAYON_NUM_THREADS": str(threads),
        "TOKENIZERS_PARALLELISM": "true",
        "TRANSFORMERS_VERBOSITY": "error",
        "HF_HUB_OFFLINE": "1",
    }
