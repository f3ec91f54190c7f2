# SPDX-License-Identifier: Apache-2.0
"""Progress bars, by tqdm where it is asked for."""

from __future__ import annotations

from typing import Any, Union

from ._optional import need

#: False: none; True: tqdm.auto's, which suits terminals and notebooks; a class that is called as tqdm's is.
Progress = Union[bool, Any]


class Bar:
    """A bar, or, without one, nothing at all. ``update`` takes what is new, ``move`` the whole so far."""

    def __init__(self, bar: Any) -> None:
        self._bar = bar

    def update(self, n: int) -> None:
        if self._bar is not None:
            self._bar.update(n)

    def move(self, done: int) -> None:
        if self._bar is not None and done > self._bar.n:
            self._bar.update(done - self._bar.n)

    def set_total(self, total: int) -> None:
        if self._bar is not None and total != self._bar.total:
            self._bar.total = total
            self._bar.refresh()

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()


def bar(progress: Progress, total: int | None, unit: str, desc: str) -> Bar:
    """A bar over ``total`` (None: not known) of ``unit``, such as "text" or "B", with ``desc`` in front of it."""
    if progress is None or progress is False:
        return Bar(None)
    make = need("tqdm.auto", "progress").tqdm if progress is True else progress
    if not callable(make):
        raise TypeError(f"progress is {progress!r}; it can be True, False, or a class that is called as tqdm's is")
    return Bar(make(total=total, unit=unit, desc=desc, unit_scale=True, dynamic_ncols=True))
