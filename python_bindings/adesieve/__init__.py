# SPDX-License-Identifier: Apache-2.0
"""Finds the sentences of biomedical text that report an adverse drug effect.

`Classifier` scores texts; `Classifier.screen` reads MEDLINE/PubMed XML and gives its hits. The work is done by
libadesieve, which is loaded at the first use, not at import.
"""

from ._ffi import Error, Status, library_path, library_version
from ._version import __version__
from .calibration import Calibration, OperatingPoint
from .classifier import Classifier, Tokens
from .screening import Hit, Record, Screening, Stats

__all__ = [
    "Calibration",
    "Classifier",
    "Error",
    "Hit",
    "OperatingPoint",
    "Record",
    "Screening",
    "Stats",
    "Status",
    "Tokens",
    "__version__",
    "library_path",
    "library_version",
]
