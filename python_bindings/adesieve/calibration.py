# SPDX-License-Identifier: Apache-2.0
"""What a model's calibration says: `Calibration` and `OperatingPoint`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from . import _ffi
from .errors import Unsupported

METHODS = {method.name.lower(): method for method in _ffi.CalibrationMethod}


@dataclass(frozen=True)
class Calibration:
    """How a model's scores are turned into probabilities, and on what that was fitted."""

    method: str  #: "temperature", "platt" or "isotonic"
    n: int  #: labelled texts that it was fitted on
    n_positive: int
    prevalence: float  #: n_positive / n: what calibrated values are for unless another one is given
    temperature: float | None  #: of "temperature"
    slope: float | None  #: of "platt", like offset
    offset: float | None
    log_loss_before: float  #: per text, of the scores as they are
    log_loss_after: float  #: calibrated, cross-validated
    ece_before: float  #: expected calibration error, 15 bins of equal width
    ece_after: float
    data: str  #: what the texts were
    model: str | None  #: SHA-256 of the model that it was fitted for; None: an older file


@dataclass(frozen=True)
class OperatingPoint:
    """A threshold of the score and what it gave on the calibration's texts; each ``.._interval`` is a 95 % interval."""

    threshold: float  #: score >= threshold is found
    prevalence: float  #: for which precision and review hold
    recall: float
    recall_interval: tuple[float, float]
    precision: float
    precision_interval: tuple[float, float]
    review: float  #: share of all texts that is found
    review_interval: tuple[float, float]


def calibration_of(model: Any) -> Calibration | None:
    """An open model's, or None where it has none."""
    try:
        return needed_calibration(model)
    except Unsupported:
        return None


def needed_calibration(model: Any) -> Calibration:
    """An open model's; the library's error where it has none."""
    info = _ffi.CalibrationInfo()
    _ffi.check(_ffi.load().ade_model_get_calibration(model, info))
    method = _ffi.CalibrationMethod(info.method)
    platt = method is _ffi.CalibrationMethod.PLATT
    return Calibration(
        method=method.name.lower(),
        n=info.n,
        n_positive=info.n_positive,
        prevalence=info.prevalence,
        temperature=info.temperature if method is _ffi.CalibrationMethod.TEMPERATURE else None,
        slope=info.slope if platt else None,
        offset=info.offset if platt else None,
        log_loss_before=info.log_loss_before,
        log_loss_after=info.log_loss_after,
        ece_before=info.ece_before,
        ece_after=info.ece_after,
        data=info.data.decode("utf-8", "replace"),
        model=info.model.decode("ascii") if info.model else None,
    )


def is_stale(calibration: Calibration, model: Any) -> bool:
    """Whether it was fitted for other weights than the open model has. An older file does not say for which."""
    return calibration.model is not None and calibration.model != _ffi.model_hash(model)


def find_point(model: Any, target: _ffi.Target, value: float, prevalence: float | None) -> OperatingPoint:
    """Looks the point up in an open model."""
    point = _ffi.OperatingPoint()
    _ffi.check(_ffi.load().ade_model_operating_point(model, target, value, prevalence_of(prevalence), point))
    return OperatingPoint(
        threshold=point.threshold,
        prevalence=point.prevalence,
        recall=point.recall,
        recall_interval=(point.recall_low, point.recall_high),
        precision=point.precision,
        precision_interval=(point.precision_low, point.precision_high),
        review=point.review,
        review_interval=(point.review_low, point.review_high),
    )


def prevalence_of(prevalence: float | None) -> float:
    """As the library takes it: 0 is the calibration's own."""
    if prevalence is None:
        return 0.0
    value = float(prevalence)
    if not 0.0 < value < 1.0:
        raise ValueError(f"prevalence is {value}; a share above 0 and below 1 is needed")
    return value


def parse_target(text: str) -> tuple[_ffi.Target, float]:
    """``"recall=0.95"`` is (RECALL, 0.95)."""
    name, equals, number = text.partition("=")
    try:
        if name in ("recall", "precision", "review") and equals:
            return _ffi.Target[name.upper()], float(number)
    except ValueError:
        pass
    raise ValueError(f"threshold is {text!r}; it can be a score, 'recall=R', 'precision=P' or 'review=S'")
