# SPDX-License-Identifier: Apache-2.0
"""What the command says on standard error while Python does its work: as the C command says it."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
import time
from collections.abc import Iterator
from typing import Any

from . import _ffi
from ._command_line import Wanted


class Stop(Exception):
    """Ends the command with a status; what was to be said has been."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


# ---- What is said -----------------------------------------------------------------------------------------------


class Messages(logging.Handler):
    """Standard error, as the C command writes it; also takes what the library says."""

    _COLOURS = {"error": "\033[1;31m", "warning": "\033[1;35m", "hint": "\033[1;36m"}

    def __init__(self, wanted: Wanted) -> None:
        super().__init__()
        self._command = wanted.command
        self._quiet, self.json = wanted.flag("quiet"), wanted.flag("log-json")
        self.line: Line | None = None
        self.reading = False
        self.written = ""  #: the output, once it has its name
        self._held: str | None = None
        colour = sys.stderr.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        self._colours = self._COLOURS if colour else {}

    def say(self, level: str, message: str, **more: Any) -> None:
        if (self._quiet and level != "error") or (level == "detail" and not self.json):
            return
        message = message.encode("utf-8", "replace").decode("utf-8")  # a name that is no UTF-8
        if self.json:
            now = time.time()
            stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now * 1000) % 1000:03}Z"
            line = json.dumps({"time": stamp, "level": level, "command": self._command, "message": message, **more})
        else:
            # A hostile file name must not drive the terminal.
            line = "".join("?" if c < " " or "\x7f" <= c < "\xa0" else c for c in message)
            if level != "note":
                name = f"{self._colours[level]}{level}:\033[0m" if level in self._colours else f"{level}:"
                line = f"adesieve {self._command}: {name} {line}"
            if level in ("error", "warning") and not line.endswith((".", "!", "?")):
                line += "."
        if self.line is not None:
            self.line.hide()
        with contextlib.suppress(OSError, ValueError):  # nobody listens, and there is nobody to tell
            sys.stderr.write(line + "\n")
            sys.stderr.flush()

    def stop(self, status: int, message: str, hint: str = "") -> Stop:
        self.say("error", message)
        if hint:
            self.say("hint", hint)
        return Stop(status)

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Takes what the library says meanwhile, alone."""
        logger, before = _ffi.logger, (_ffi.logger.propagate, _ffi.logger.level)
        logger.addHandler(self)
        logger.propagate, logger.level = False, logging.DEBUG
        try:
            yield
        finally:
            logger.removeHandler(self)
            logger.propagate, logger.level = before

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if self.reading and record.levelno >= logging.WARNING:
            self.release_held()  # it waits for the end of its file, which says it with more
            self._held = message
        else:
            self.say("warning" if record.levelno >= logging.WARNING else "detail", message)

    def release_held(self, but: str | None = None) -> None:
        """Says what was held back, unless it is this."""
        if self._held is not None and self._held != but:
            self.say("error", self._held)
        self._held = None


class Line:
    """The line that says how far the run is; made and moved as a tqdm bar is."""

    messages: Messages

    def __init__(self, total: int | None, **_: Any) -> None:
        self.n, self.total = 0, total
        self._began = self._last = time.monotonic()
        self._shown = False
        self._terminal = sys.stderr.isatty()
        self.messages.line = self

    def update(self, n: int) -> None:
        self.n += n
        now = time.monotonic()
        if now - self._began < 1.0 or now - self._last < 1 / 6:
            return
        self._last = now
        seconds = now - self._began
        share = min(self.n / self.total, 1.0) if self.total else None
        left = None if not share or seconds < 6 else seconds * (1 - share) / share
        if self.messages.json:
            said: dict[str, Any] = {"level": "progress", "KiB": self.n // 1024, "seconds": round(seconds, 1)}
            if share is not None:
                said["fraction"] = round(share, 4)
            if left is not None:
                said["seconds_left"] = round(left)
            text = json.dumps(said) + "\n"
        else:
            text = "" if share is None else f"{share:6.1%}  ".replace("%", " %")
            text += f"{self.n // 1024} KiB  {self.n / 1024 / seconds:.0f} KiB/s"
            text += "" if left is None else f"  {int(left) // 60}:{int(left) % 60:02} left"
            text = f"\r\033[K{text}" if self._terminal else text + "\n"
            self._shown = self._terminal
        with contextlib.suppress(OSError, ValueError):  # nobody listens: no reason to stop
            sys.stderr.write(text)
            sys.stderr.flush()

    def refresh(self) -> None:
        """The next update shows it."""

    def hide(self) -> None:
        if self._shown:
            self._shown = False
            with contextlib.suppress(OSError, ValueError):
                sys.stderr.write("\r\033[K")

    def close(self) -> None:
        self.hide()
        self.messages.line = None


def grouped(count: int, name: str = "") -> str:
    return f"{count:,}" if not name else f"{count:,} {name}{'' if count == 1 else 's'}"
