# SPDX-License-Identifier: Apache-2.0
"""One tokenizer in a process of its own, which does what it is told on standard input, a line at a time.

    tokenizer_contenders.py NAME CASES.json

CASES.json holds the texts of each case. "time CASE N" tokenizes it N times and answers with the processor seconds of
each, as JSON; "ids CASE FILE" writes the ids of each text as JSON. Every contender gets its texts beforehand in the
form that it likes best, and none keeps a result longer than it must.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "models" / "adesieve-minilm"
MAX_LENGTH = 512


class Adesieve:
    """ade_encode, called with an array of addresses and sizes; the ids go to an array that is there before."""

    class Text(ctypes.Structure):
        _fields_ = [("data", ctypes.c_char_p), ("size", ctypes.c_size_t)]

    class Options(ctypes.Structure):
        """The first members of ade_session_options; the library has defaults for the rest."""

        _fields_ = [("struct_size", ctypes.c_uint32), ("device", ctypes.c_int32)]

    def __init__(self) -> None:
        self.library = ctypes.CDLL(os.environ["ADESIEVE_LIBRARY"])
        self.library.ade_last_error.restype = ctypes.c_char_p
        self.library.ade_version.restype = ctypes.c_char_p
        self.version = self.library.ade_version().decode()
        model, self.session = ctypes.c_void_p(), ctypes.c_void_p()
        options = self.Options(ctypes.sizeof(self.Options), 3)  # ADE_DEVICE_NONE: tokenizes only
        self.check(self.library.ade_model_open(str(MODEL).encode(), None, ctypes.byref(model)))
        self.check(self.library.ade_session_open(model, ctypes.byref(options), ctypes.byref(self.session)))

    def check(self, status: int) -> None:
        if status:
            raise RuntimeError(self.library.ade_last_error().decode())

    def prepare(self, texts: list[str]) -> Any:
        encoded = [text.encode() for text in texts]
        array = (self.Text * len(texts))(*[self.Text(text, len(text)) for text in encoded])
        room = sum(map(len, encoded)) + 2 * len(texts)
        ids, starts = (ctypes.c_int32 * room)(), (ctypes.c_size_t * (len(texts) + 1))()
        ctypes.memset(ids, 1, ctypes.sizeof(ids))  # the memory is there
        return encoded, (self.session, array, ctypes.c_size_t(len(texts)), ids, ctypes.c_size_t(room), starts,
                         ctypes.byref(ctypes.c_size_t()))

    def encode(self, prepared: Any) -> Any:
        self.check(self.library.ade_encode(*prepared[1]))
        return prepared[1]

    @staticmethod
    def lists(result: Any) -> list[list[int]]:
        ids, starts = result[3], result[5]
        return [ids[starts[i] : starts[i + 1]] for i in range(len(starts) - 1)]


class Nanotoken:
    """encode_batch without threads, of a list of Python strings."""

    def __init__(self) -> None:
        import importlib.metadata

        import nanotoken

        self.version = importlib.metadata.version("nanotoken")
        self.tokenizer = nanotoken.Tokenizer(str(MODEL))

    def prepare(self, texts: list[str]) -> Any:
        return texts

    def encode(self, prepared: Any) -> Any:
        return self.tokenizer.encode_batch(prepared, max_length=MAX_LENGTH, parallel=False)

    @staticmethod
    def lists(result: Any) -> list[list[int]]:
        return result.to_list()


class HuggingFace:
    """encode_batch_fast, which makes no offsets, of a list of Python strings."""

    def __init__(self) -> None:
        import tokenizers

        self.version = tokenizers.__version__
        self.tokenizer = tokenizers.Tokenizer.from_file(str(MODEL / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(MAX_LENGTH)

    def prepare(self, texts: list[str]) -> Any:
        return texts

    def encode(self, prepared: Any) -> Any:
        return self.tokenizer.encode_batch_fast(prepared)

    @staticmethod
    def lists(result: Any) -> list[list[int]]:
        return [encoding.ids for encoding in result]


KINDS = {"adesieve": Adesieve, "nanotoken": Nanotoken, "tokenizers": HuggingFace}


def main() -> None:
    name, path = sys.argv[1:]
    contender = KINDS[name]()
    prepared = {case: contender.prepare(texts) for case, texts in json.loads(Path(path).read_text("utf-8")).items()}
    print(json.dumps(contender.version), flush=True)
    for line in sys.stdin:
        command, case, argument = line.split(" ", 2)
        if command == "ids":
            lists = contender.lists(contender.encode(prepared[case]))
            Path(argument.rstrip("\n")).write_text(json.dumps(lists), "utf-8")
            print("null", flush=True)
            continue
        seconds = []
        for _ in range(int(argument)):
            begin = time.process_time()
            result = contender.encode(prepared[case])
            seconds.append(time.process_time() - begin)
            del result
        print(json.dumps(seconds), flush=True)


if __name__ == "__main__":
    main()
