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
from dataclasses import dataclass, field

from . import _ffi

USAGE = 2  # the command's exit status for wrong usage
FAILED, INTERRUPTED = 1, 130

#: What screen and classify take: name -> letter. tests/test_command.py holds it equal to the command's own --help.
FLAGS = {
    "screen": {
        "calibrated": "",
        "all": "a",
        "no-text": "",
        "no-deleted": "",
        "no-section-label": "",
        "document": "",
        "metadata": "",
        "no-md5": "",
        "dry-run": "",
        "no-store-text": "",
        "abandon-output": "",
        "split-special-tokens": "",
        "fail-fast": "",
        "quiet": "q",
        "log-json": "",
        "help": "h",
        "version": "",
    },
    "classify": {
        "calibrated": "",
        "with-text": "",
        "split-special-tokens": "",
        "fail-fast": "",
        "quiet": "q",
        "log-json": "",
        "help": "h",
        "version": "",
    },
}
_MODEL = dict.fromkeys(
    (
        "calibration prevalence max-length labels positive-label device precision threads token-budget stats "
        "progress"
    ).split(),
    "",
)
VALUES = {
    "screen": {
        "model": "m",
        "output": "o",
        "format": "f",
        "threshold": "t",
        "prefilter": "",
        "prefilter-recall": "",
        "parts": "",
        "other-abstracts": "",
        "limit": "",
        "files-from": "",
        "state": "",
        "output-dir": "",
        "manifest": "",
        "metrics-file": "",
        **_MODEL,
    },
    "classify": {
        "model": "m",
        "output": "o",
        "format": "f",
        "threshold": "t",
        "input-format": "i",
        "text-field": "",
        "invalid-utf8": "",
        **_MODEL,
    },
}


#: What the C command's --help of screen and classify cannot know.
HELP = """
The Python package's command, which this is, also writes Parquet: -f parquet, or -o FILE.parquet. That needs pyarrow:
pip install 'adesieve[arrow]'.
"""


@dataclass
class Wanted:
    """A command line of screen or classify, as far as it could be read."""

    command: str
    given: list[tuple[str, str | None]] = field(default_factory=list)  #: options in their order
    files: list[str] = field(default_factory=list)
    stopped_at: str = ""  #: what cannot be read
    needs_value: bool = False  #: because nothing stands behind it

    def value(self, name: str) -> str | None:
        """The last one counts."""
        return next((value for option, value in reversed(self.given) if option == name), None)

    def flag(self, name: str) -> bool:
        return any(option == name for option, _ in self.given)

    def is_parquet(self) -> bool:
        if self.flag("format"):
            return self.value("format") == "parquet"
        return (self.value("output") or "").lower().endswith(".parquet")

    def options(self, *without: str) -> list[str]:
        """As the C command takes them."""
        left = [(name, value) for name, value in self.given if name not in without]
        return [f"--{name}" if value is None else f"--{name}={value}" for name, value in left]


def read(command: str, arguments: Sequence[str]) -> Wanted:
    """Reads as the C command does, but checks no value."""
    flags, values = FLAGS[command], VALUES[command]
    letters = {letter: name for name, letter in (*flags.items(), *values.items()) if letter}
    wanted, left = Wanted(command), list(arguments)
    while left and not (wanted.stopped_at or wanted.flag("help") or wanted.flag("version")):
        argument = left.pop(0)
        if argument == "--":
            wanted.files += left
            break
        if not argument.startswith("-") or argument == "-":
            wanted.files.append(argument)
        elif argument.startswith("--"):
            name, equals, value = argument[2:].partition("=")
            if name in values and (equals or left):
                wanted.given.append((name, value if equals else left.pop(0)))
            elif name in flags and not equals:
                wanted.given.append((name, None))
            else:
                wanted.stopped_at, wanted.needs_value = argument, name in values
        else:
            _read_letters(argument[1:], left, letters, wanted)
    return wanted


def _read_letters(group: str, left: list[str], letters: dict[str, str], wanted: Wanted) -> None:
    for at, letter in enumerate(group):
        name = letters.get(letter)
        if name is not None and name in FLAGS[wanted.command]:
            wanted.given.append((name, None))
        elif name is not None and (group[at + 1 :] or left):
            wanted.given.append((name, group[at + 1 :] or left.pop(0)))
            return
        else:
            wanted.stopped_at, wanted.needs_value = f"-{letter}", name is not None
            return


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
