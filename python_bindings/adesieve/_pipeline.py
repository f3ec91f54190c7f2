# SPDX-License-Identifier: Apache-2.0
"""The face of a transformers text-classification pipeline: its arguments, and the shape of its answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable

import numpy as np
import numpy.typing as npt

from . import settings
from ._ffi import Problem

PIECE = 1024  # texts taken from an iterator at a time, unless batch_size says otherwise
CHECKED = 8192  # texts classified before their lengths are looked at, where nothing may be cut

_FUNCTIONS = ("default", "softmax", "sigmoid", "none")
_CUTS: dict[Any, bool] = {"longest_first": True, "only_first": True, "do_not_truncate": False}
_PADDINGS = ("longest", "max_length", "do_not_pad")


@dataclass(frozen=True)
class Options:
    """One call's arguments, checked.

    Attributes
    ----------
    top_k : int or None
        How many labels; None = all.
    flat : bool
        ``top_k`` was left out: the best label alone, not in a list.
    function : str
        One of "default", "softmax", "sigmoid", "none".
    cut : bool
        Whether long texts are cut; else they are refused.
    max_length : int
        Where; 0 = the Classifier's own.
    piece : int
        Texts taken from an iterator at a time.
    """

    top_k: int | None
    flat: bool
    function: str
    cut: bool
    max_length: int
    piece: int


def options(
    top_k: Any,
    function_to_apply: Any,
    truncation: Any,
    max_length: Any,
    batch_size: Any,
    padding: Any,
    num_workers: Any,
) -> Options:
    """Checks a call's arguments; those that change nothing, too."""
    flat = isinstance(top_k, str) and top_k == ""
    if not flat and top_k is not None:
        top_k = settings.count("top_k", top_k)
    function = "default"
    if function_to_apply is not None:
        if not isinstance(function_to_apply, str) or function_to_apply.lower() not in _FUNCTIONS:
            known = ", ".join(map(repr, _FUNCTIONS))
            raise ValueError(f"function_to_apply is {function_to_apply!r}; it can be {known} or None")
        function = function_to_apply.lower()
    if truncation is None or isinstance(truncation, bool):
        cut = truncation is not False
    elif isinstance(truncation, str) and truncation in _CUTS:
        cut = _CUTS[truncation]
    else:
        known = ", ".join(map(repr, _CUTS))
        raise ValueError(f"truncation is {truncation!r}; it can be True, False, {known} (there are no second texts)")
    if not (padding is None or isinstance(padding, (bool, str)) and padding in (True, False, *_PADDINGS)):
        raise ValueError(f"padding is {padding!r}; it can be True, False, {', '.join(map(repr, _PADDINGS))}")
    if num_workers is not None:
        settings.count("num_workers", num_workers)
    length = 0 if max_length is None else settings.count("max_length", max_length, 1)
    return Options(
        top_k=1 if flat else top_k,
        flat=flat,
        function=function,
        cut=cut,
        max_length=length if cut else 0,  # as there: without truncation it says nothing
        piece=PIECE if batch_size is None else settings.count("batch_size", batch_size, 1),
    )


def wanted(chosen: Options) -> str:
    """Which of the library's outputs the scores are made of; see `Outputs.empty`."""
    return ("" if chosen.cut else "r") + ("p" if chosen.function == "default" else "l")


def scores(chosen: Options, outputs: Any, problem: Problem) -> npt.NDArray[np.float32]:
    """(texts, classes), float32 as there."""
    if chosen.function == "default":
        found: npt.NDArray[np.float32] = outputs.probabilities
        return found
    logits: npt.NDArray[np.float32] = outputs.logits
    if chosen.function == "none":
        return logits
    if chosen.function == "sigmoid":
        with np.errstate(over="ignore"):  # exp of a large number is inf, and the sigmoid 0
            return np.asarray(1.0 / (1.0 + np.exp(-logits)), dtype=np.float32)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), dtype=np.float32)


def answers(chosen: Options, values: npt.NDArray[np.float32], labels: tuple[str, ...]) -> list[Any]:
    """An answer a text: a dict, or with ``top_k`` a list of them, best first; equal ones in the labels' order."""
    if chosen.flat:
        best = values.argmax(axis=1)
        tops = values[np.arange(len(values)), best]
        return [{"label": labels[i], "score": score} for i, score in zip(best.tolist(), tops.tolist())]
    order = np.argsort(-values, axis=1, kind="stable")[:, : chosen.top_k]
    rows = np.take_along_axis(values, order, axis=1)
    return [
        [{"label": labels[i], "score": score} for i, score in zip(*row)] for row in zip(order.tolist(), rows.tolist())
    ]


def shaped(chosen: Options, found: list[Any], alone: str) -> Any:
    """The answers nested as there: for one str a list of one, unless ``top_k`` made it a list already."""
    if not alone or (alone == "str" and chosen.flat):
        return found
    return found[0]


# ---- Texts that are too long ------------------------------------------------------------------------------------

_WINDOW = 1 << 14  # bytes tokenized at a time

#: Tokenizes some UTF-8: where each token begins, in bytes, whether it begins a word, and whether it was all.
Encode = Callable[[bytes], "tuple[list[tuple[int, bool]], bool]"]


def count_tokens(data: bytes, encode: Encode) -> int:
    """How many tokens a text of any length has, the two that frame it included.

    The library tells no more than the model's maximum. So the text is taken in windows: the tokens before a window's
    last word are counted, and the next window begins with that word. What a token is never depends on words before it.
    """
    count, at, size = 0, 0, _WINDOW
    while True:
        window = _whole(data[at : at + size])
        tokens, complete = encode(window)
        if complete and at + len(window) >= len(data):
            return count + len(tokens) + 2
        last = next((i for i in range(len(tokens) - 1, 0, -1) if tokens[i][1]), 0)
        if last:
            count, at, size = count + last, at + tokens[last][0], _WINDOW
        elif complete and not tokens:
            at, size = at + max(len(window), 1), _WINDOW  # white space
        elif complete:
            size *= 2  # in the middle of one long word
        else:
            return count + len(tokens) + 2  # one word that is longer than the model can take: at least so many


def _whole(window: bytes) -> bytes:
    """Without a character that was cut at its end."""
    for back in range(1, min(4, len(window)) + 1):
        byte = window[-back]
        if byte & 0xC0 != 0x80:
            need = 1 if byte < 0x80 else 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return window[:-back] if need > back and len(window) > back else window
    return window

