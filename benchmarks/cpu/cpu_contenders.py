# SPDX-License-Identifier: Apache-2.0
"""Who is compared on a processor: adesieve and its peers behind one small interface, each as fast as it can be made.

A contender lives in a process of its own (cpu_worker.py), opens a model folder with a number of threads and a
precision, and turns texts into probabilities. `choices` says among which set-ups it may choose: the first value of each
choice is where the search begins; compare_cpu.py tries the others one choice after another, on a part of the texts.
"""

from __future__ import annotations

import os
import queue
import threading
from pathlib import Path
from typing import Any

import numpy as np

import contenders
import convert_peers as convert
from host import has_avx512

INPUTS = ("input_ids", "attention_mask", "token_type_ids")
TOKENS = (512, 256, 128, 1024, 2048)  # a batch may have, padding included
TOGETHER, EACH = "one batch", "a batch a thread"


class Absent(Exception):
    """Why a contender cannot take part; one line."""


class Adesieve(contenders.Adesieve):
    choices: dict[str, tuple] = {}
    modules = ("numpy", "adesieve")
    environment: dict[str, str] = {}

    def __init__(self, folder: Path, work: Path, precision: str, threads: int) -> None:
        import adesieve

        try:
            super().__init__(folder, work, precision, threads)
        except (adesieve.Error, ValueError) as error:
            raise Absent(" ".join(str(error).split())[:300]) from None
        self.classifier.predict_proba([])  # the session is opened here at the latest


class CpuPeer(contenders.Peer):
    """Batches of like length, padded to their longest, of up to so many tokens. `run` gives one batch's logits; where a
    set-up says "a batch a thread", as many Python threads as are measured each run batches on one thread."""

    modules: tuple[str, ...] = ()
    environment: dict[str, str] = {}
    precisions: tuple[str, ...] = ()

    def __init__(self, folder: Path, work: Path, precision: str, threads: int) -> None:
        super().__init__(folder, threads)
        self.folder, self.work, self.precision = folder, work, precision
        self.setup: dict[str, Any] = {}
        self.spread = False
        if threads == 1:
            self.choices = {k: v[:1] if EACH in v else v for k, v in self.choices.items()}

    def use(self, setup: dict) -> None:
        """Opens what the set-up names, unless it is open."""
        before, self.setup = self.setup, setup
        self.spread = setup.get("at_once") == EACH and self.threads > 1
        if {k: v for k, v in before.items() if k != "tokens"} != {k: v for k, v in setup.items() if k != "tokens"}:
            self.open(setup)

    def open(self, setup: dict) -> None:
        raise NotImplementedError

    def run(self, ids: np.ndarray, mask: np.ndarray, types: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    def batches(self, texts: list[str]) -> tuple[np.ndarray, list[tuple[np.ndarray, ...]]]:
        """The order of the texts, and ids, mask, types and lengths of each batch; the longest texts first."""
        ids = [encoding.ids for encoding in self.tokenizer.encode_batch_fast(texts)]
        lengths = np.fromiter(map(len, ids), dtype=np.int64, count=len(ids))
        order = np.argsort(-lengths, kind="stable")
        made, at = [], 0
        while at < len(order):
            width = int(lengths[order[at]])
            rows = order[at : at + max(self.setup["tokens"] // width, 1)]
            at += len(rows)
            padded = np.zeros((len(rows), width), dtype=np.int64)
            for row, i in enumerate(rows):
                padded[row, : lengths[i]] = ids[i]
            mask = (np.arange(width) < lengths[rows, None]).astype(np.int64)
            made.append((padded, mask, np.zeros_like(padded), lengths[rows]))
        return order, made

    def run_all(self, batches: list[tuple[np.ndarray, ...]]) -> list[np.ndarray]:
        if not self.spread or len(batches) == 1:
            return [self.run(*batch) for batch in batches]
        out: list[Any] = [None] * len(batches)
        waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
        for i in range(len(batches)):
            waiting.put(i)

        def work() -> None:
            while True:
                try:
                    i = waiting.get_nowait()
                except queue.Empty:
                    return
                try:
                    out[i] = self.run(*batches[i])
                except Exception as error:  # raised again by the caller's thread
                    out[i] = error

        workers = [threading.Thread(target=work) for _ in range(self.threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        for answer in out:
            if isinstance(answer, Exception):
                raise answer
        return out

    def logits(self, texts: list[str]) -> np.ndarray:
        order, batches = self.batches(texts)
        out = np.concatenate(self.run_all(batches)).astype(np.float32)
        result = np.empty_like(out)
        result[order] = out
        return result


class PyTorch(CpuPeer):
    """transformers; attention by its own code or by PyTorch's scaled_dot_product_attention; all under inference_mode.
    torch.compile, which takes half a minute and gains a few per cent, is tried where all texts are measured."""

    name = "PyTorch"
    precisions = ("f32", "bf16")
    modules = ("numpy", "tokenizers", "torch", "transformers.models.bert.modeling_bert")

    def __init__(self, folder: Path, work: Path, precision: str, threads: int) -> None:
        self.choices = {"attention": ("sdpa", "eager"), "at_once": (TOGETHER, EACH), "tokens": TOKENS}
        if os.environ.get("ADESIEVE_BENCH_FULL"):
            self.choices = {"compiled": ("no", "yes"), **self.choices}
        super().__init__(folder, work, precision, threads)

    def open(self, setup: dict) -> None:
        import torch
        import transformers

        self.version = f"{torch.__version__.partition('+')[0]}, transformers {transformers.__version__}"
        self.torch = torch
        torch.set_num_threads(1 if self.spread else self.threads)
        self.model = convert.torch_model(self.folder, self.precision, setup["attention"])
        if setup.get("compiled") == "yes":
            self.model = torch.compile(self.model, dynamic=True)

    def run(self, ids, mask, types, lengths):
        of = self.torch.from_numpy
        with self.torch.inference_mode():
            # Where no row is padded no mask is needed, and attention without one is faster.
            masked = None if int(lengths.min()) == ids.shape[1] else of(mask)
            return self.model(input_ids=of(ids), attention_mask=masked).logits.float().numpy()


class OnnxRuntime(CpuPeer):
    """All graph optimisations; the export as it is or fused by onnxruntime's own tool for transformers. int8 is dynamic
    quantization of either, with scales for each channel or matrix, and weights with or without a sign."""

    name = "ONNX Runtime"
    modules = ("numpy", "tokenizers", "onnxruntime")
    precisions = ("f32", "int8")  # there is no bf16 on x86 processors

    def __init__(self, folder: Path, work: Path, precision: str, threads: int) -> None:
        self.choices = {"graph": ("plain", "fused"), "at_once": (TOGETHER, EACH), "tokens": TOKENS}
        if precision == "int8":
            self.choices = {"weights": ("s8", "u8"), "scales": ("channel", "matrix"), **self.choices}
        super().__init__(folder, work, precision, threads)

    def open(self, setup: dict) -> None:
        import onnxruntime

        self.version = onnxruntime.__version__
        path = self.work / f"{setup['graph']}.onnx"
        if self.precision == "int8":
            path = convert.quantized_onnx(path, setup["weights"], setup["scales"])
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1 if self.spread else self.threads
        options.inter_op_num_threads = 1
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.inputs = [i.name for i in self.session.get_inputs()]

    def run(self, ids, mask, types, lengths):
        given = dict(zip(INPUTS, (ids, mask, types)))
        return self.session.run(None, {name: given[name] for name in self.inputs})[0]


class OpenVino(CpuPeer):
    """Converted from PyTorch or from ONNX; one stream on all threads or a stream a thread with asynchronous requests.
    int8 is quantized by NNCF after training ("activations too"), or its weights only, with activations then quantized
    as it runs; the rest computes in bf16 or f32."""

    name = "OpenVINO"
    modules = ("numpy", "tokenizers", "openvino")
    precisions = ("f32", "bf16", "int8")

    def __init__(self, folder: Path, work: Path, precision: str, threads: int) -> None:
        self.choices = {"source": ("pytorch", "onnx"), "at_once": (TOGETHER, EACH), "tokens": TOKENS}
        if precision == "int8":
            rest = ("bf16", "f32") if os.environ.get("ADESIEVE_BENCH_BF16") else ("f32",)
            kinds = ("activations too", "weights, groups of 32", "weights, groups of 128", "weights, whole rows")
            self.choices = {"quantized": kinds, "rest": rest, **self.choices}
            self.choices["source"] = ("pytorch",)
        super().__init__(folder, work, precision, threads)

    def open(self, setup: dict) -> None:
        import openvino

        self.version = openvino.__version__.partition("-")[0]
        streams = self.threads if self.spread else 1
        config = {
            "INFERENCE_NUM_THREADS": self.threads,
            "NUM_STREAMS": streams,
            "PERFORMANCE_HINT": "THROUGHPUT" if self.spread else "LATENCY",
            "INFERENCE_PRECISION_HINT": setup.get("rest", self.precision),
        }
        path = self.work / ("openvino.xml" if setup["source"] == "pytorch" else "plain.onnx")
        if self.precision == "int8":
            kind, _, groups = setup["quantized"].partition(", ")
            path = self.work / ("openvino-int8.xml" if kind == "activations too" else "openvino-weights.xml")
            if groups:
                sizes = {"groups of 32": "32", "groups of 128": "128", "whole rows": str(2**64 - 1)}
                config["DYNAMIC_QUANTIZATION_GROUP_SIZE"] = sizes[groups]
        core = openvino.Core()
        model = core.compile_model(core.read_model(path), "CPU", config)
        self.inputs = [next(iter(i.names & set(INPUTS))) for i in model.inputs]
        self.request = model.create_infer_request()
        self.queue = openvino.AsyncInferQueue(model, streams) if self.spread else None

    def given(self, ids, mask, types, lengths):
        values = dict(zip(INPUTS, (ids, mask, types)))
        return {name: values[name] for name in self.inputs}

    def run(self, *batch):
        return self.request.infer(self.given(*batch), share_inputs=True)[0].copy()

    def run_all(self, batches):
        if self.queue is None:
            return [self.run(*batch) for batch in batches]
        out: list[Any] = [None] * len(batches)

        def done(request, i):
            out[i] = request.get_output_tensor(0).data.copy()

        self.queue.set_callback(done)
        for i, batch in enumerate(batches):
            self.queue.start_async(self.given(*batch), i, share_inputs=True)
        self.queue.wait_all()
        return out


class CTranslate2(CpuPeer):
    """Its encoder with the pooling layer; the classifier, the last two columns, by NumPy. It knows no bf16 on x86
    processors. One replica on all threads or a replica a thread."""

    name = "CTranslate2"
    modules = ("numpy", "tokenizers", "ctranslate2")
    precisions = ("f32", "int8")
    choices = {"at_once": (TOGETHER, EACH), "tokens": TOKENS}
    # Left alone it takes AVX-512 on Intel's processors only; on an AMD one int8 is a sixth faster with it.
    environment = {"CT2_FORCE_CPU_ISA": "AVX512"} if has_avx512() else {}

    def open(self, setup: dict) -> None:
        import ctranslate2

        self.version = ctranslate2.__version__
        self.ctranslate2 = ctranslate2
        kind = {"f32": "float32", "int8": "int8_float32"}[self.precision]
        replicas = self.threads if self.spread else 1
        self.encoder = ctranslate2.Encoder(
            str(self.work / f"ctranslate2-{self.precision}"),
            compute_type=kind,
            inter_threads=replicas,
            intra_threads=self.threads // replicas,
        )
        if self.encoder.compute_type != kind:
            raise Absent(f"ctranslate2 computes in {self.encoder.compute_type} here, not in {kind}")
        head = np.load(self.work / "classifier.npz")
        self.weight, self.bias = head["weight"].T.copy(), head["bias"]

    def run(self, ids, mask, types, lengths):
        view = self.ctranslate2.StorageView.from_array
        out = self.encoder.forward_batch(view(ids.astype(np.int32)), view(lengths.astype(np.int32)))
        return np.array(out.pooler_output) @ self.weight + self.bias


CONTENDERS = {kind.name: kind for kind in (Adesieve, PyTorch, OnnxRuntime, OpenVino, CTranslate2)}
