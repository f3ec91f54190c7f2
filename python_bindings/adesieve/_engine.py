# SPDX-License-Identifier: Apache-2.0
"""`Engine`: an open model with its sessions, in one process. `Classifier` guards it."""

from __future__ import annotations

import ctypes
import os
import re
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Callable

import numpy as np
import numpy.typing as npt

from . import _ffi, settings
from ._ffi import Watch
from ._texts import Block
from .errors import Error, InputOutput, Status

RESULT = np.dtype(_ffi.Result)
TOKEN = np.dtype(_ffi.Token)
_BYTES_A_TOKEN = 3  # English has four or more: a second call for want of room is rare
_FRAME = 2  # tokens around a text
OTHER_LENGTHS = 2  # sessions kept beside the Classifier's own, for calls with a max_length


@dataclass
class Outputs:
    """What ade_classify writes: a row a text; None for what is not wanted."""

    results: npt.NDArray[Any] | None  # of RESULT
    logits: npt.NDArray[np.float32] | None  # (texts, classes), like probabilities
    probabilities: npt.NDArray[np.float32] | None

    @classmethod
    def empty(cls, texts: int, classes: int, wanted: str) -> Outputs:
        """``wanted`` names them by their first letters: ``"rlp"`` is all."""
        return cls(
            np.empty(texts, dtype=RESULT) if "r" in wanted else None,
            np.empty((texts, classes), dtype=np.float32) if "l" in wanted else None,
            np.empty((texts, classes), dtype=np.float32) if "p" in wanted else None,
        )

    def part(self, first: int, end: int) -> Outputs:
        """Rows ``first`` to ``end`` of the same memory."""
        return Outputs(*(None if array is None else array[first:end] for array in self._arrays()))

    @classmethod
    def joined(cls, parts: list[Outputs]) -> Outputs:
        columns = zip(*(part._arrays() for part in parts))
        return cls(*(None if column[0] is None else np.concatenate(column) for column in columns))

    def _arrays(self) -> tuple[npt.NDArray[Any] | None, ...]:
        return self.results, self.logits, self.probabilities


def _at(array: npt.NDArray[Any] | None) -> int | None:
    return None if array is None else array.ctypes.data


class Engine:
    """Used by one thread at a time.

    Attributes
    ----------
    model
        The handle.
    labels : tuple of str
    problem : Problem
    positive : int
        The positive label's number.
    """

    def __init__(self, chosen: dict[str, Any]) -> None:
        self._library = _ffi.load()
        self._settings = chosen
        self._others: OrderedDict[tuple[int, bool], Any] = OrderedDict()
        self.watch = Watch()
        folder = chosen["model"]
        if folder is None:
            folder = self._library.ade_default_model()
            if folder is None:
                raise InputOutput(
                    "there is no default model beside the library; name a model folder, or set ADESIEVE_MODEL"
                )
        self.model: Any = _ffi.Model()
        _ffi.check(self._library.ade_model_open(os.fsencode(folder), settings.model_options(chosen), self.model))
        self.session: Any = None
        info = _ffi.ModelInfo()
        try:
            self.session = self._open(chosen)
            _ffi.check(self._library.ade_model_get_info(self.model, info))
        except BaseException:
            self.close()
            raise
        self.problem = _ffi.Problem(info.problem)
        self.positive = int(info.positive_label)
        self.labels: tuple[str, ...] = tuple(
            self._library.ade_model_label(self.model, i).decode("utf-8", "replace") for i in range(info.n_labels)
        )
        self.max_length = int(info.max_length)
        self.calibrated = bool(info.calibrated)

    def _open(self, chosen: dict[str, Any]) -> Any:
        session = _ffi.Session()
        options = settings.session_options(chosen, self.watch)
        _ffi.check(self._library.ade_session_open(self.model, options, session))
        return session

    def info(self) -> dict[str, Any]:
        """What the model is and how it runs: the members of ``ade_model_info`` and ``ade_session_info``, by name."""
        model, session = _ffi.ModelInfo(), _ffi.SessionInfo()
        _ffi.check(self._library.ade_model_get_info(self.model, model))
        _ffi.check(self._library.ade_session_get_info(self.session, session))
        values: dict[str, Any] = {}
        for structure in (model, session):
            for name, *_ in structure._fields_:
                value = getattr(structure, name)
                values[name] = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
        for name in ("struct_size", "reserved"):
            del values[name]
        for name, kind in (
            ("problem", _ffi.Problem),
            ("kind", _ffi.ModelKind),
            ("device", _ffi.Device),
            ("precision", _ffi.Precision),
        ):
            values[name] = kind(values[name]).name.lower()
        for name in ("lowercase", "strip_accents", "calibrated"):
            values[name] = bool(values[name])
        values["positive_label"] = self.labels[self.positive]
        values["labels"] = list(self.labels)
        return values

    def of_length(self, max_length: int, only_tokens: bool = False) -> Any:
        """A session that cuts texts there. The last few are kept: opening one takes time, keeping one takes memory.

        With ``only_tokens`` it is one that cannot classify, and takes hardly any.
        """
        own = self._settings["max_length"] or self.max_length
        if not only_tokens and (max_length == 0 or max_length == own):
            return self.session
        key = (max_length, only_tokens)
        if key not in self._others:
            changed = {**self._settings, "max_length": max_length}
            if only_tokens:
                changed["device"] = "none"
            made = self._open(changed)
            while len(self._others) >= OTHER_LENGTHS:
                self._library.ade_session_close(self._others.popitem(last=False)[1])
            self._others[key] = made
        self._others.move_to_end(key)
        return self._others[key]

    def classify(
        self, block: Block, outputs: Outputs, max_length: int = 0, report: Callable[[int], None] | None = None
    ) -> None:
        """Fills ``outputs``, whose rows are the block's texts. ``report`` is called with how many are done."""
        session = self.of_length(max_length)
        self.watch.begin()
        if report is not None:
            self.watch.report = lambda: report(self.watch.done)
        try:
            status = self._library.ade_classify(
                session,
                block.views.ctypes.data,
                len(block),
                _at(outputs.results),
                _at(outputs.logits),
                _at(outputs.probabilities),
            )
            try:
                self.watch.check(status)
            except Error as error:
                raise _counted_from(block.first, error) from None
        finally:
            self.watch.report = None

    def tokens(self, data: bytes, session: Any) -> tuple[npt.NDArray[Any], list[str], Any]:
        """A text's tokens (of TOKEN), their texts, and the ade_tokens_info."""
        info = _ffi.TokensInfo()
        text = _ffi.Text(ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p), len(data))
        _ffi.check(self._library.ade_tokenize(session, text, None, 0, info))
        tokens: npt.NDArray[Any] = np.empty(info.n_tokens, dtype=TOKEN)
        address = ctypes.cast(tokens.ctypes.data, ctypes.POINTER(_ffi.Token))
        _ffi.check(self._library.ade_tokenize(session, text, address, len(tokens), info))
        names = [
            self._library.ade_model_token(self.model, i).decode("utf-8", "replace") for i in tokens["id"].tolist()
        ]
        return tokens, names, info

    def ids(self, block: Block) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
        """The ids of the block's texts, one behind the other, and where each text's begin; the last is their number."""
        starts = np.empty(len(block) + 1, dtype=np.uintp)
        found = ctypes.c_size_t()
        capacity = int(block.views[:, 1].sum()) // _BYTES_A_TOKEN + _FRAME * len(block)
        while True:
            ids: npt.NDArray[np.int32] = np.empty(capacity, dtype=np.int32)
            status = self._library.ade_encode(
                self.session,
                block.views.ctypes.data,
                len(block),
                ids.ctypes.data if capacity else None,
                capacity,
                starts.ctypes.data,
                found,
            )
            if status not in (Status.OK, Status.INVALID_ARGUMENT) or found.value <= capacity:
                break
            capacity = found.value
        try:
            _ffi.check(status)
        except Error as error:
            raise _counted_from(block.first, error) from None
        return ids[: found.value], starts.astype(np.int64)

    def close(self) -> None:
        for session in (*self._others.values(), self.session):
            self._library.ade_session_close(session)
        self._others.clear()
        self._library.ade_model_close(self.model)


def _counted_from(first: int, error: Error) -> Error:
    """The library counts texts from the block's first."""
    named = re.match(r"text (\d+)(?=[: ])", str(error))
    if first == 0 or named is None:
        return error
    return type(error)(f"text {first + int(named[1])}{str(error)[named.end() :]}", error.status)
