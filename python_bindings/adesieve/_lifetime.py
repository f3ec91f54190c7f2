# SPDX-License-Identifier: Apache-2.0
"""`Lifetime`: how a `Classifier` opens and closes, whose turn it is, and what a fork leaves of it."""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from typing import Any, TypeVar

from ._engine import Engine
from .errors import Busy

Self = TypeVar("Self", bound="Lifetime")

_AT_WORK = "this Classifier is at work on this very thread"
_alive: weakref.WeakSet[Lifetime] = weakref.WeakSet()


def _forked() -> None:
    """Before any thread of the child can run."""
    for classifier in list(_alive):
        classifier._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


class Lifetime:
    """An `Engine` behind a lock."""

    _settings: dict[str, Any]

    def _begin(self, closed: bool) -> None:
        self._engine: Engine | None = None
        self._closed = closed
        self._lock = threading.RLock()
        _alive.add(self)

    def _after_fork(self) -> None:
        """In the child: the sessions' threads did not come along, and the lock may be held by one that did not. What is
        open is the parent's, and is left alone."""
        self._begin(self._closed)

    def _turn(self) -> threading.RLock:
        """The lock, for ``with``: C takes it and gives it back, so that no Ctrl-C can come between and leave it taken.

        A thread that has it already is in the middle of a call: what a progress bar or a handler would do there could
        close what the call works with.
        """
        if self._at_work():
            raise Busy(f"{_AT_WORK}; call it when that call is over, or use another one")
        return self._lock

    def _at_work(self) -> bool:
        """Whether this very thread is inside a call."""
        owned: bool = self._lock._is_owned()  # type: ignore[attr-defined, unused-ignore]  # as threading.Condition does
        return owned

    def _ready(self) -> Engine:
        """The open model and its sessions, for the thread that has the lock."""
        if self._closed:
            raise ValueError("this Classifier is closed")
        if self._engine is None:
            self._engine = Engine(self._settings)
            self._labels, self._problem = self._engine.labels, self._engine.problem
        return self._engine

    def close(self) -> None:
        """Releases the session and the model. Closing twice is fine; a closed Classifier cannot be used.

        Raises
        ------
        ValueError
            From within a call of its own, such as in a progress bar.

        Examples
        --------
        >>> baseline = adesieve.Classifier("models/tfidf-logreg")
        >>> baseline.close()
        >>> baseline.predict("Rash after amoxicillin.")
        Traceback (most recent call last):
        ValueError: this Classifier is closed
        """
        if self._at_work():
            raise ValueError(f"{_AT_WORK}; close it when that call is over")
        with self._lock:
            self._closed = True
            engine, self._engine = self._engine, None
            if engine is not None:
                engine.close()

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __del__(self) -> None:
        with contextlib.suppress(Exception):  # also half made, or while the interpreter goes down
            self.close()
