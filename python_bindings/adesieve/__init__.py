# SPDX-License-Identifier: Apache-2.0
"""Finds the sentences of biomedical text that report an adverse drug effect.

`Classifier` scores texts; `Classifier.screen` reads MEDLINE/PubMed XML and gives its hits. The work is done by
libadesieve, which is loaded at the first use, not at import.

`adesieve.sklearn`, `adesieve.ray`, `adesieve.spark`, `adesieve.merge`, `adesieve.convert` and `adesieve.plan` are
imported when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ._ffi import library_path, library_version
from ._version import __version__
from .calibration import Calibration, OperatingPoint
from .classifier import Classifier
from .errors import (
    BadInput,
    BadModel,
    Busy,
    Cancelled,
    DeviceFailed,
    Error,
    InputOutput,
    Internal,
    InvalidArgument,
    OutOfMemory,
    Status,
    Unsupported,
)
from ._inputs import inputs
from .profile import Profile
from .results import Result, Results
from .rows import Hit, InputFile, Record, Stats
from .screening import Screening
from .tokens import Tokens

if TYPE_CHECKING:
    from . import convert as convert, merge as merge, plan as plan, ray as ray, sklearn as sklearn, spark as spark
else:

    def __getattr__(name: str) -> Any:
        if name in ("convert", "merge", "plan", "ray", "sklearn", "spark"):
            return importlib.import_module("." + name, __name__)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "BadInput",
    "BadModel",
    "Busy",
    "Calibration",
    "Cancelled",
    "Classifier",
    "DeviceFailed",
    "Error",
    "Hit",
    "InputFile",
    "InputOutput",
    "Internal",
    "InvalidArgument",
    "OperatingPoint",
    "OutOfMemory",
    "Profile",
    "Record",
    "Result",
    "Results",
    "Screening",
    "Stats",
    "Status",
    "Tokens",
    "Unsupported",
    "__version__",
    "inputs",
    "library_path",
    "library_version",
]
