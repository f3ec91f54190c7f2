# SPDX-License-Identifier: Apache-2.0
"""What can go wrong: `Status`, and one exception class for each.

All are `Error`, with the library's own sentence as the message. Those that Python has a class for are that, too:
``except ValueError`` catches `InvalidArgument` and `BadInput`, ``except OSError`` catches `InputOutput`.
"""

from __future__ import annotations

import enum
from typing import Any, ClassVar

__all__ = [
    "BadInput",
    "BadModel",
    "Busy",
    "Cancelled",
    "DeviceFailed",
    "Error",
    "InputOutput",
    "Internal",
    "InvalidArgument",
    "OutOfMemory",
    "Status",
    "Unsupported",
]


class Status(enum.IntEnum):
    """What a call came to; `Error.status` is one of them."""

    OK = 0
    INVALID_ARGUMENT = 1
    OUT_OF_MEMORY = 2
    IO = 3
    BAD_MODEL = 4
    UNSUPPORTED = 5
    BAD_INPUT = 6
    DEVICE = 7
    CANCELLED = 8
    BUSY = 9
    INTERNAL = 10
    END = 100

    @classmethod
    def _missing_(cls, value: object) -> Status:
        return cls.INTERNAL  # a value of a newer library


class Error(Exception):
    """A call into libadesieve failed.

    Attributes
    ----------
    status : Status
        What kind of failure, such as ``Status.BAD_MODEL``; it has a ``name`` and a ``value``.

    Examples
    --------
    >>> import adesieve
    >>> try:
    ...     adesieve.Classifier("no/such/folder")
    ... except adesieve.Error as error:
    ...     print(error.status.name)
    IO
    """

    _of: ClassVar[dict[Status, type[Error]]] = {}
    status: Status

    def __init__(self, message: str, status: Status | int | None = None) -> None:
        super().__init__(message)
        self.status = Status(self._default() if status is None else status)

    @classmethod
    def _default(cls) -> Status:
        return next((status for status, made in Error._of.items() if issubclass(cls, made)), Status.INTERNAL)

    def __str__(self) -> str:  # OSError's own would show a tuple where it was given two arguments
        return str(self.args[0]) if self.args else ""

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.status)


class InvalidArgument(Error, ValueError):
    """The library was called with an argument that it cannot take."""


class OutOfMemory(Error, MemoryError):
    """Memory, the host's or the device's, did not suffice. Nothing is lost: smaller calls can follow."""


class InputOutput(Error, OSError):
    """A file or stream cannot be opened, read or written."""


class BadModel(Error):
    """The files of the model are malformed, incomplete or contradictory."""


class Unsupported(Error):
    """This library, build or machine cannot do what is asked for."""


class BadInput(Error, ValueError):
    """An input text or document is malformed."""


class DeviceFailed(Error):
    """The device failed."""


class Cancelled(Error):
    """The call was asked to stop. (Ctrl-C raises KeyboardInterrupt instead.)"""


class Busy(Error):
    """The object, or the file that it stands for, is in use elsewhere."""


class Internal(Error):
    """A fault inside adesieve."""


Error._of.update(
    {
        Status.INVALID_ARGUMENT: InvalidArgument,
        Status.OUT_OF_MEMORY: OutOfMemory,
        Status.IO: InputOutput,
        Status.BAD_MODEL: BadModel,
        Status.UNSUPPORTED: Unsupported,
        Status.BAD_INPUT: BadInput,
        Status.DEVICE: DeviceFailed,
        Status.CANCELLED: Cancelled,
        Status.BUSY: Busy,
        Status.INTERNAL: Internal,
    }
)


def error_of(status: int, message: str) -> Error:
    """The exception for a status of the library."""
    known = Status(status)
    return Error._of.get(known, Internal)(message, known)
