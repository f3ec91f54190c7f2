# SPDX-License-Identifier: Apache-2.0
"""`inputs`: which files a screening run over some paths takes, in its order."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable
from typing import Union

from . import _ffi, settings

PathLike = Union[str, "os.PathLike[str]"]


def inputs(paths: PathLike | Iterable[PathLike]) -> list[str]:
    """The files of a screening run over ``paths``, in the order in which it takes them.

    A file's place in the list is its number where files are screened apart and their rows merged
    (`adesieve.merge.merge`). No file is opened.

    Parameters
    ----------
    paths : path or iterable of paths
        Files or folders, as for `Classifier.screen`. Of a folder, all ``*.xml`` and ``*.xml.gz`` directly in it.

    Returns
    -------
    list of str
        By the year and number in the files' names (pubmed26n1334: 26, 1334), then by name; those without a number
        first.

    Raises
    ------
    InputOutput
        A path that does not exist, or a folder without such files.
    InvalidArgument
        A file that is given twice, under whatever name.

    Examples
    --------
    >>> import adesieve
    >>> adesieve.inputs(["tests/data/medline/pubmed1.xml", "tests/data/medline/handmade.xml"])
    ['tests/data/medline/handmade.xml', 'tests/data/medline/pubmed1.xml']
    """
    library = _ffi.load()
    session = _ffi.SessionOptions(log=_ffi.log)
    options = _ffi.ScreenOptions(dry_run=1, session=ctypes.pointer(session))
    screen = _ffi.Screen()
    found: list[str] = []
    _ffi.check(library.ade_screen_open(None, options, screen))
    try:
        for path in [paths] if isinstance(paths, (str, bytes, os.PathLike)) else paths:
            _ffi.check(library.ade_screen_add(screen, settings.path("a path", path)))
        while (file := library.ade_screen_input(screen, len(found))) is not None:
            found.append(os.fsdecode(file))
    finally:
        library.ade_screen_close(screen)
    return found
