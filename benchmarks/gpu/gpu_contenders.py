# SPDX-License-Identifier: Apache-2.0
"""Who is compared on a GPU. A contender lives in a process of its own; compare_gpu.py asks it by JSON lines."""

from __future__ import annotations

import itertools
import json
import queue
import sys
import threading
import time
from pathlib import Path

import numpy as np

import contenders

CHUNK = 16_384  # texts that a peer tokenizes while the GPU works on those before


class Absent(Exception):
    """Why a contender cannot take part."""


class Adesieve(contenders.Adesieve):
    """By its Python binding, with its defaults: all of the host's threads, f16."""

    def __init__(self, folder: Path, device: str) -> None:
        import adesieve

        self.classifier = adesieve.Classifier(folder, "cuda" if device == "emulated" else device)
        self.classifier.predict_proba(["Rash."])  # opens, loads the kernels
        self.version = adesieve.library_version()
        # Where the model lies says nothing to a reader of the results.
        self.info = {k: v for k, v in self.classifier.info.items() if k not in ("folder", "casing_reason")}


class GpuPeer(contenders.Peer):
    """Hugging Face's tokenizer on all threads; batches of like length, padded to their longest, of up to so many
    tokens; the next texts are tokenized and laid out by a second thread while the GPU works."""

    choices = {"tokens": (8192, 16384, 32768, 65536, 131072)}

    def __init__(self, folder: Path, device: str) -> None:
        super().__init__(folder, 0)
        self.device = "cpu" if device == "emulated" else device
        self.use(self.setups()[0])

    def use(self, setup: dict) -> None:
        self.tokens = setup["tokens"]

    def batches(self, texts: list[str]) -> list[tuple[np.ndarray, np.ndarray, np.ndarray | None]]:
        """Which texts, their ids, and the mask where one is needed; the longest first."""
        encodings = self.tokenizer.encode_batch_fast(texts)
        lengths = np.fromiter(map(len, encodings), dtype=np.int64, count=len(encodings))
        order = np.argsort(-lengths, kind="stable")
        made, at = [], 0
        while at < len(order):
            width = int(lengths[order[at]])
            rows = order[at : at + max(self.tokens // width, 1)]
            at += len(rows)
            filled = np.arange(width) < lengths[rows, None]
            ids = np.zeros((len(rows), width), dtype=np.int64)
            ids[filled] = np.fromiter(
                itertools.chain.from_iterable(encodings[i].ids for i in rows),
                dtype=np.int64,
                count=int(lengths[rows].sum()),
            )
            made.append((rows, ids, None if filled.all() else filled.astype(np.int64)))
        return made

    def start(self, ids: np.ndarray, mask: np.ndarray | None):
        """Queues a batch; what it gives is handed to `finish`."""
        raise NotImplementedError

    def finish(self, outputs: list) -> np.ndarray:
        raise NotImplementedError

    def logits(self, texts: list[str]) -> np.ndarray:
        ready: queue.Queue = queue.Queue(maxsize=2)

        def tokenize() -> None:
            try:
                for first in range(0, len(texts), CHUNK):
                    ready.put((first, self.batches(texts[first : first + CHUNK])))
                ready.put(None)
            except BaseException as error:  # noqa: BLE001  (raised again below)
                ready.put(error)

        thread = threading.Thread(target=tokenize)
        thread.start()
        places, outputs = [], []
        while (item := ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            for rows, ids, mask in item[1]:
                places.append(item[0] + rows)
                outputs.append(self.start(ids, mask))
        thread.join()
        values = self.finish(outputs)
        result = np.empty_like(values)
        result[np.concatenate(places)] = values
        return result


class PyTorch(GpuPeer):
    """transformers with sdpa in fp16."""

    name = "PyTorch"

    def __init__(self, folder: Path, device: str) -> None:
        try:
            import torch
            import transformers
        except ImportError as error:
            raise Absent(f"{error}") from None
        super().__init__(folder, device)
        if self.device != "cpu" and not torch.cuda.is_available():
            raise Absent("this PyTorch has no CUDA")
        self.torch = torch
        dtype = torch.float32 if self.device == "cpu" else torch.float16
        model = transformers.AutoModelForSequenceClassification.from_pretrained(
            folder, dtype=dtype, attn_implementation="sdpa"
        )
        self.model = model.to(self.device).eval()
        self.version = f"{torch.__version__}, transformers {transformers.__version__}"
        self.info = {"attention": "sdpa", "dtype": str(dtype)}

    def upload(self, values: np.ndarray | None):
        if values is None:
            return None
        tensor = self.torch.from_numpy(values)
        return tensor if self.device == "cpu" else tensor.pin_memory().to(self.device, non_blocking=True)

    def start(self, ids, mask):
        with self.torch.inference_mode():
            return self.model(input_ids=self.upload(ids), attention_mask=self.upload(mask)).logits

    def finish(self, outputs):
        return self.torch.cat(outputs).float().cpu().numpy()

    def synchronize(self) -> None:
        if self.device != "cpu":
            self.torch.cuda.synchronize()

    def encoder(self, texts: list[str]) -> float:
        """Seconds of the passes alone: batches are tokenized and on the device already."""
        batches = [(self.upload(ids), self.upload(mask)) for _, ids, mask in self.batches(texts)]
        seconds = []
        with self.torch.inference_mode():
            for _ in range(3):
                self.synchronize()
                start = time.perf_counter()
                for ids, mask in batches:
                    self.model(input_ids=ids, attention_mask=mask)
                self.synchronize()
                seconds.append(time.perf_counter() - start)
        return sorted(seconds)[1]

    def rates(self) -> dict:
        """The device's own: bytes a second of a large copy, FLOP/s of a large product in f16."""
        torch, tiny = self.torch, self.device == "cpu"
        n, size = (128, 1 << 20) if tiny else (8192, 1 << 30)
        a = torch.randn(n, n, device=self.device, dtype=torch.float32 if tiny else torch.float16)
        b = torch.randn(n, n, device=self.device, dtype=a.dtype)
        source = torch.empty(size, dtype=torch.uint8, device=self.device)
        target = torch.empty_like(source)

        def rate(work, times: int) -> float:
            runs = []
            for _ in range(6):
                self.synchronize()
                start = time.perf_counter()
                for _ in range(times):
                    work()
                self.synchronize()
                runs.append(times / (time.perf_counter() - start))
            return sorted(runs[1:])[2]

        product = torch.empty_like(a)
        return {
            "flop_per_second": 2.0 * n**3 * rate(lambda: torch.matmul(a, b, out=product), 40),
            "copy_bytes_per_second": 2.0 * size * rate(lambda: target.copy_(source), 40),
        }


class OnnxRuntime(GpuPeer):
    """Exported by PyTorch, fused and turned into fp16 by onnxruntime's own tool, on its CUDA provider."""

    name = "ONNX Runtime"
    choices = {"tokens": (16384, 32768, 65536)}

    def __init__(self, folder: Path, device: str) -> None:
        try:
            import onnxruntime
            import torch
            import transformers
            from onnxruntime.transformers import optimizer
        except ImportError as error:
            raise Absent(f"{error}") from None
        wanted = "CPUExecutionProvider" if device == "emulated" else "CUDAExecutionProvider"
        if wanted not in onnxruntime.get_available_providers():
            raise Absent(f"this onnxruntime has no {wanted}, only {', '.join(onnxruntime.get_available_providers())}")
        super().__init__(folder, device)
        model = transformers.AutoModelForSequenceClassification.from_pretrained(
            folder, dtype=torch.float32, attn_implementation="eager"
        ).eval()

        class Logits(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.model = model

            def forward(self, input_ids, attention_mask, token_type_ids):
                return self.model(
                    input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids
                ).logits

        names = ["input_ids", "attention_mask", "token_type_ids"]
        ids = torch.randint(5, 1000, (2, 16))
        plain, fused_path = str(folder / "plain.onnx"), str(folder / "fused.onnx")
        with torch.no_grad():
            torch.onnx.export(
                Logits(),
                (ids, torch.ones_like(ids), torch.zeros_like(ids)),
                plain,
                input_names=names,
                output_names=["logits"],
                opset_version=17,
                dynamo=False,
                dynamic_axes={n: {0: "batch", 1: "tokens"} for n in names} | {"logits": {0: "batch"}},
            )
        fused = optimizer.optimize_model(
            plain,
            model_type="bert",
            num_heads=model.config.num_attention_heads,
            hidden_size=model.config.hidden_size,
            opt_level=0,
        )
        if self.device != "cpu":
            fused.convert_float_to_float16(keep_io_types=False)
        fused.save_model_to_file(fused_path)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(fused_path, options, providers=[wanted])
        if self.session.get_providers()[0] != wanted:
            raise Absent(f"onnxruntime could not start its {wanted}")
        self.types = {i.name: np.int32 if "int32" in i.type else np.int64 for i in self.session.get_inputs()}
        self.version = onnxruntime.__version__
        self.info = {"fused": fused.get_fused_operator_statistics()}

    def start(self, ids, mask):
        given = {
            "input_ids": ids,
            "attention_mask": np.ones_like(ids) if mask is None else mask,
            "token_type_ids": np.zeros_like(ids),
        }
        return self.session.run(None, {name: given[name].astype(kind) for name, kind in self.types.items()})[0]

    def finish(self, outputs):
        return np.concatenate(outputs).astype(np.float32)


CONTENDERS = {kind.name: kind for kind in (Adesieve, PyTorch, OnnxRuntime)}


# ---- A contender's process: one JSON request a line, one answer a line ---------------------------------------------


def answer_of(contender, request: dict, mixes: dict[str, list[str]]) -> dict:
    do = request["do"]
    texts = mixes.get(request.get("mix", ""), [])
    if do == "setups":
        return {"setups": contender.setups()}
    if do == "use":
        contender.use(request["setup"])
        return {}
    if do == "try":  # every eighth text, twice
        some, seconds = texts[::8] or texts, []
        for _ in range(2):
            start = time.perf_counter()
            contender.probabilities(some)
            seconds.append(time.perf_counter() - start)
        return {"seconds": min(seconds)}
    if do == "round":
        start, cpu = time.perf_counter(), time.process_time()
        contender.probabilities(texts)
        return {"seconds": time.perf_counter() - start, "cpu": time.process_time() - cpu}
    if do == "encoder":
        return {"seconds": contender.encoder(texts) if hasattr(contender, "encoder") else None}
    if do == "rates":
        return contender.rates() if hasattr(contender, "rates") else {}
    if do == "logits":
        return {"logits": contender.logits(texts[: request["count"]]).tolist()}
    raise ValueError(do)


def main() -> None:
    name, folder, device, mixes_file = sys.argv[1:]
    answers, sys.stdout = sys.stdout, sys.stderr  # libraries print what they like
    mixes = json.loads(Path(mixes_file).read_text(encoding="utf-8"))

    def reply(value: dict) -> None:
        print(json.dumps(value), file=answers, flush=True)

    start = time.perf_counter()
    try:
        contender = CONTENDERS[name](Path(folder), device)
    except Absent as reason:
        reply({"absent": str(reason)})
        return
    except Exception as error:
        reply({"failed": f"{type(error).__name__}: {error}"[:500]})
        return
    reply({"seconds": time.perf_counter() - start, "version": contender.version, "info": contender.info})
    for line in sys.stdin:
        request = json.loads(line)
        try:
            reply(answer_of(contender, request, mixes))
        except Exception as error:  # out of memory at a large batch, say
            reply({"failed": f"{type(error).__name__}: {error}"[:500]})


if __name__ == "__main__":
    main()
