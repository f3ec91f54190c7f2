# SPDX-License-Identifier: Apache-2.0
"""The arguments of a `Classifier`, checked before the library sees them."""

from __future__ import annotations

import operator
import os
from collections.abc import Iterable, Sequence
from typing import Any, Union

from . import _ffi

PathLike = Union[str, "os.PathLike[str]"]

_DEVICES = {"auto": _ffi.Device.AUTO, "cpu": _ffi.Device.CPU, "cuda": _ffi.Device.CUDA, "none": _ffi.Device.NONE}
_PRECISIONS = {
    "auto": _ffi.Precision.AUTO,
    "f32": _ffi.Precision.F32,
    "bf16": _ffi.Precision.BF16,
    "f16": _ffi.Precision.F16,
    "int8": _ffi.Precision.INT8,
}
_INVALID_UTF8 = {"error": _ffi.InvalidUtf8.ERROR, "replace": _ffi.InvalidUtf8.REPLACE}
_DEFAULTS = {"device": "auto", "precision": "auto", "invalid_utf8": "error"}


def one_of(name: str, value: object, known: Iterable[str]) -> str:
    """The value, if it is one of the names that are known."""
    known = list(known)
    if not isinstance(value, str) or value not in known:
        raise ValueError(f"{name} is {value!r}; it can be {', '.join(map(repr, known))}")
    return value


def count(name: str, value: object, least: int = 0) -> int:
    """The value as an int that the library can take."""
    try:
        number = operator.index(value)  # type: ignore[arg-type]  # its TypeError is the check
    except TypeError:
        raise TypeError(f"{name} is {type(value).__name__}, not int") from None
    if not least <= number <= 0x7FFFFFFF:
        raise ValueError(f"{name} is {number}; a number from {least} to 2147483647 is needed")
    return number


def number(name: str, value: object) -> float:
    """The value as a float."""
    try:
        return float(value)  # type: ignore[arg-type]  # its TypeError is the check
    except OverflowError:
        raise ValueError(f"{name} is beyond all that a float can hold") from None
    except (TypeError, ValueError):
        raise TypeError(f"{name} is {value!r}, not a number") from None


def string(name: str, value: object) -> bytes:
    """The value as a C string, in UTF-8."""
    if not isinstance(value, str):
        raise TypeError(f"{name} is {type(value).__name__}, not str")
    if "\0" in value:
        raise ValueError(f"{name} is {value!r}; it cannot hold a NUL character")
    try:
        return str.encode(value)
    except UnicodeEncodeError:
        raise ValueError(f"{name} is {value!r}; it cannot hold a lone surrogate") from None


def path(name: str, value: object) -> bytes:
    """The value as the library takes a path."""
    if not isinstance(value, (str, os.PathLike)):
        raise TypeError(f"{name} is {type(value).__name__}, not str or os.PathLike")
    try:
        encoded = os.fsencode(str.__str__(value) if isinstance(value, str) else value)
    except UnicodeEncodeError:
        shown = os.fspath(value)
        raise ValueError(f"{name} is {shown!r}; no file is named so: this system cannot encode it") from None
    if b"\0" in encoded:
        raise ValueError(f"{name} is {os.fsdecode(encoded)!r}; no file is named so: it holds a NUL character")
    return encoded


def device(value: object) -> tuple[int, int]:
    """The device and its number; ``"cuda:1"`` is (CUDA, 1)."""
    kind, colon, number = value.partition(":") if isinstance(value, str) else ("", "", "")
    if kind not in _DEVICES or (colon and (kind != "cuda" or not (number.isascii() and number.isdecimal()))):
        raise ValueError(f"device is {value!r}; it can be 'auto', 'cpu', 'cuda', 'cuda:N' (such as 'cuda:0') or 'none'")
    return _DEVICES[kind], count("device", int(number[:12] or 0))


def absolute(name: str, value: object) -> str | None:
    """A path that means the same in a process that works in another folder; None stays, and "" as a calibration."""
    if value is None or (value == "" and name == "calibration"):
        return value
    if value == "":
        raise ValueError(f"{name} is ''; name one, or leave it out")
    return os.path.abspath(os.fsdecode(path(name, value)))


def _labels(labels: Any) -> list[str] | None:
    if labels is None:
        return None
    names = [labels] if isinstance(labels, str) else list(labels)
    for name in names:
        if not isinstance(name, str) or not name or "," in name:
            raise ValueError(f"{name!r} cannot be a label: a name without commas is needed")
        string("a label", name)
    return [str.__str__(name) for name in names]  # no subclass: what pickles is plain


def checked(
    *,
    model: PathLike | None,
    device: str,
    precision: str,
    threads: int,
    max_length: int,
    labels: Sequence[str] | None,
    positive_label: str | None,
    token_budget: int,
    invalid_utf8: str,
    calibration: PathLike | None,
) -> dict[str, Any]:
    """The arguments in plain types, which pickle; paths are absolute."""
    _device(device)
    if positive_label is not None:
        string("positive_label", positive_label)
    return {
        "model": absolute("model", model),
        "device": str.__str__(device),
        "precision": one_of("precision", precision, _PRECISIONS),
        "threads": count("threads", threads),
        "max_length": count("max_length", max_length),
        "labels": _labels(labels),
        "positive_label": None if positive_label is None else str.__str__(positive_label),
        "token_budget": count("token_budget", token_budget),
        "invalid_utf8": one_of("invalid_utf8", invalid_utf8, _INVALID_UTF8),
        "calibration": absolute("calibration", calibration),
    }


_device = device  # `checked` has an argument of that name


def shown(settings: dict[str, Any]) -> str:
    """Those that are not the defaults, as they were written in the call."""
    return ", ".join(
        f"{name}={value!r}" for name, value in settings.items() if value is not None and value != _DEFAULTS.get(name, 0)
    )


def model_options(settings: dict[str, Any]) -> _ffi.ModelOptions:
    labels, positive, calibration = (settings[name] for name in ("labels", "positive_label", "calibration"))
    return _ffi.ModelOptions(
        labels=None if labels is None else ",".join(labels).encode(),
        positive_label=None if positive is None else positive.encode(),
        calibration=None if calibration is None else os.fsencode(calibration),
        log=_ffi.log,
    )


def session_options(settings: dict[str, Any], watch: _ffi.Watch) -> _ffi.SessionOptions:
    kind, index = device(settings["device"])
    return _ffi.SessionOptions(
        device=kind,
        device_index=index,
        precision=_PRECISIONS[settings["precision"]],
        threads=settings["threads"],
        max_length=settings["max_length"],
        token_budget=settings["token_budget"],
        invalid_utf8=_INVALID_UTF8[settings["invalid_utf8"]],
        progress=watch.callback,
        log=_ffi.log,
    )
