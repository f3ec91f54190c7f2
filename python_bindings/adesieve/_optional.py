# SPDX-License-Identifier: Apache-2.0
"""Packages that adesieve works with but does not need."""

from __future__ import annotations

import importlib
from typing import Any


def need(package: str, extra: str) -> Any:
    """Imports ``package``, or says which extra of adesieve brings it.

    Raises
    ------
    ImportError
        Where it is not installed; where it is but its own import fails, with that cause.
    """
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name != package.partition(".")[0]:
            raise
        name = package.partition(".")[0]
        raise ImportError(
            f"this needs {name}, which is not installed; pip install 'adesieve[{extra}]' brings it", name=name
        ) from error
