# SPDX-License-Identifier: Apache-2.0
"""What a session has spent its time on: `Profile`."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from . import _ffi
from ._engine import Engine
from .errors import Status

__all__ = ["Profile"]


@dataclass(frozen=True)
class Profile:
    """What a `Classifier` has done since it was opened, and what on.

    The stages are seconds of threads, added up over all of them. They are 0 on a GPU, which computes by itself, and all
    that a baseline does is its ``tokenizing``.

    Attributes
    ----------
    threads : int
    texts, tokens, batches : int
        That were encoded; a baseline encodes none.
    seconds : float
        By the clock, inside calls that classify.
    tokenizing : float
    encoding : float
        From packing batches to results; of this:
    products : float
        The matrix products.
    attention : float
    elementwise : float
        Embeddings, biases, activation, residuals, normalization, conversions.
    waiting : float
        For other threads that shared a batch.
    operations : float
        Multiplications and additions of the products.
    """

    threads: int
    texts: int
    tokens: int
    batches: int
    seconds: float
    tokenizing: float
    encoding: float
    products: float
    attention: float
    elementwise: float
    waiting: float
    operations: float

    @property
    def other(self) -> float:
        """What is left of ``encoding``; 0 where the stages are not known.

        Examples
        --------
        >>> 0 <= clf.profile().other <= clf.profile().encoding
        True
        """
        stages = self.products + self.attention + self.elementwise + self.waiting
        return max(self.encoding - stages, 0.0) if stages else 0.0


def _plain(found: _ffi.SessionProfile) -> Profile:
    return Profile(**{field.name: getattr(found, field.name) for field in fields(Profile)})


def profile_of(engine: Engine) -> Profile:
    """Of the engine's own session."""
    found = _ffi.SessionProfile()
    _ffi.check(_ffi.load().ade_session_get_profile(engine.session, found))
    return _plain(found)


def profile_of_screen(screen: Any) -> Profile | None:
    """Of a run; None while it is at work, or where it only reads."""
    found = _ffi.SessionProfile()
    return _plain(found) if _ffi.load().ade_screen_get_profile(screen, found) == Status.OK else None


def stats_of(profile: Profile | None, kind: int, device: str) -> dict[str, Any] | None:
    """As --stats of the command has it: nothing that is not known."""
    if profile is None:
        return None
    names = ["threads", "seconds", "tokenizing"]
    if kind != _ffi.ModelKind.BASELINE:
        names += ["texts", "tokens", "batches", "operations", "encoding"]
        if device == "cpu":
            names += ["products", "attention", "elementwise", "waiting", "other"]
    values = {name: getattr(profile, name) for name in names}
    if "operations" in values:
        values["operations"] = int(profile.operations)
    return values
