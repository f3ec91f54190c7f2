# SPDX-License-Identifier: Apache-2.0
"""A command line of screen or classify, read as the C command reads it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

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
