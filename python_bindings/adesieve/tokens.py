# SPDX-License-Identifier: Apache-2.0
"""A text's tokens: `Tokens`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ._engine import Engine

__all__ = ["Tokens"]


@dataclass(frozen=True)
class Tokens:
    """One text's tokens, just as the model gets them.

    Attributes
    ----------
    ids : list of int
    tokens : list of str
        Their texts, such as ``##ing``.
    offsets : list of (int, int)
        Each token's slice of the text, in code points; ``(0, 0)`` for the special tokens that frame it.
    unknown : int
        How many are ``[UNK]``.
    truncated : bool
        Whether the text was longer than ``max_length`` and its end was left out.
    """

    ids: list[int]
    tokens: list[str]
    offsets: list[tuple[int, int]]
    unknown: int
    truncated: bool


def tokens_of(engine: Engine, data: bytes) -> Tokens:
    """Of one text in UTF-8."""
    tokens, texts, info = engine.tokens(data, engine.session)
    # points[b]: code points that begin before byte b.
    begins = (np.frombuffer(data, dtype=np.uint8) & 0xC0) != 0x80
    points = np.concatenate(([0], np.cumsum(begins)))
    return Tokens(
        ids=tokens["id"].tolist(),
        tokens=texts,
        offsets=list(zip(points[tokens["start"]].tolist(), points[tokens["end"]].tolist())),
        unknown=info.unknown,
        truncated=bool(info.truncated),
    )
