# SPDX-License-Identifier: Apache-2.0
"""The command ``adesieve``, as the package installs it, and ``python -m adesieve``.

It is the C command, which takes this process's place, but for one thing: ``screen`` and ``classify`` can also write
Parquet (``-f parquet``, or an output named ``.parquet``), which the C command cannot. That needs pyarrow, and is done
here.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Sequence

from . import _ffi
from ._command_line import FAILED, FLAGS, INTERRUPTED, USAGE, Wanted, read

#: What the C command's --help of screen and classify cannot know.
HELP = """
The Python package's command, which this is, also writes Parquet: -f parquet, or -o FILE.parquet. That needs pyarrow:
pip install 'adesieve[arrow]'.
"""


# ---- The binary -------------------------------------------------------------------------------------------------


def _is_program(path: str) -> bool:
    """Whether it can be run and is no script: those are this function's callers, by whatever name."""
    try:
        if not (os.path.isfile(path) and os.access(path, os.X_OK)):
            return False
        with open(path, "rb") as file:
            return file.read(2) != b"#!"
    except OSError:
        return False


def binary() -> str | None:
    """The C command: the one in the package, else the one beside the library, else one in PATH."""
    places = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "bin")]
    places += [os.path.dirname(os.path.realpath(place)) for place in _ffi._places() if os.path.isfile(place)]
    places += [folder for folder in os.environ.get("PATH", os.defpath).split(os.pathsep) if folder]
    return next((path for folder in places if _is_program(path := os.path.join(folder, "adesieve"))), None)


def _complain(message: str, hint: str = "", command: str = "") -> None:
    for level, text in (("error", message), ("hint", hint)):
        if text and sys.stderr is not None:  # None: it is closed, and print would take standard output
            print(f"adesieve{command and ' '}{command}: {level}: {text}", file=sys.stderr)


def _replace_process(program: str, arguments: Sequence[str]) -> int:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # as it is where the caller closed it
            with contextlib.suppress(OSError):
                stream.flush()
    try:
        os.execv(program, ["adesieve", *arguments])
    except (OSError, ValueError) as error:  # ValueError: a NUL in an argument
        _complain(f"{program}: cannot be run: {error}.")
    return FAILED


def _check(program: str, wanted: Wanted) -> int:
    """Has the C command check options and values; what it finds, it says. 0, or its exit status."""
    if wanted.needs_value:
        _complain(f"'{wanted.stopped_at}' needs a value.", command=wanted.command)
        return USAGE
    stop = [wanted.stopped_at] if wanted.stopped_at else []
    arguments = [program, wanted.command, *wanted.options("format"), *stop, "--help"]
    try:
        status = subprocess.run(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL).returncode
    except OSError as error:
        _complain(f"{program}: cannot be run: {error}.", command=wanted.command)
        return FAILED
    if status == 0 and stop:
        _complain(f"'{wanted.stopped_at}' does not go with Parquet.", command=wanted.command)
    return status or (USAGE if stop else 0)


def _parquet(program: str, wanted: Wanted) -> int:
    if wanted.flag("version"):  # the format would be unknown there
        return _replace_process(program, [wanted.command, "--version"])
    status = _check(program, wanted)
    if status != 0:
        return status
    from . import _command_parquet  # only here: it needs what most runs do not

    return _command_parquet.run(program, wanted)


def _help(program: str, arguments: Sequence[str]) -> int:
    """The C command's help, and what is to be added."""
    try:
        status = subprocess.run([program, *arguments]).returncode
    except (OSError, ValueError) as error:
        _complain(f"{program}: cannot be run: {error}.")
        return FAILED
    if status == 0 and sys.stdout is not None:
        try:
            print(HELP, end="", flush=True)
        except OSError:  # a pager that was left
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return status


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command.

    Parameters
    ----------
    argv : sequence of str, optional
        What stands behind the command's name. By default ``sys.argv[1:]``.

    Returns
    -------
    int
        The exit status: 0 all done, 1 failed, 2 wrong usage, 3 done but for inputs that failed, 130 interrupted. It
        does not return where the C command does the work.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    program = binary()
    if program is None:
        _complain(
            "the program is not there: not in this package, not beside the library, not in PATH.",
            "install adesieve's wheel, or build the command and put its folder into PATH",
        )
        return FAILED
    if arguments and arguments[0] in FLAGS:
        wanted = read(arguments[0], arguments[1:])
        if wanted.flag("help") and not wanted.flag("version"):
            return _help(program, [wanted.command, "--help"])
        if wanted.is_parquet():
            try:
                return _parquet(program, wanted)
            except KeyboardInterrupt:  # before there was anything to clean up
                return INTERRUPTED
    return _replace_process(program, arguments)
