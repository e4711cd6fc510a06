"""Command lines: arguments that fail in one line, and errors as exit codes."""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, NoReturn

from . import quiet
from .errors import KitError


class Parser(argparse.ArgumentParser):
    """An argument parser that raises `KitError` instead of printing its usage and exiting.

    Every command takes `-q` and `-v`, see `quiet.set_level`. program: what the usage calls the
    command, where that is not the script's name.
    """

    program: ClassVar[str | None] = None

    def __init__(self, prog: str | None = None, **options: Any) -> None:
        super().__init__(prog=prog or self.program, **options)
        add = self.add_mutually_exclusive_group().add_argument
        add("-q", "--quiet", action=_Level, const=-1, help="print the result, without progress")
        add("-v", "--verbose", action=_Level, const=1, help="print what the tools say, too")

    def format_help(self) -> str:
        """With what a value is, where the option does not say it."""
        for action in self._actions:
            if action.metavar is None and action.choices is None and action.type in _METAVARS:
                action.metavar = _METAVARS[action.type]
        return super().format_help()

    def error(self, message: str) -> NoReturn:
        """Report a wrong option."""
        raise KitError(f"{message}; --help lists the options")


class Renamed(argparse.Action):
    """An option of an earlier version, which names its successor: `help`."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        parser.error(f"{self.option_strings[0]} is called {self.metavar} now")


class _Level(argparse.Action):
    """Sets how much is printed, at once, so that it does not matter which parser reads it."""

    def __init__(self, option_strings: list[str], dest: str, const: int, help: str) -> None:
        super().__init__(option_strings, argparse.SUPPRESS, 0, const, argparse.SUPPRESS, help=help)

    def __call__(self, *_: object) -> None:
        quiet.set_level(self.const)


def positive(text: str) -> int:
    """Type of an option that counts: an integer of 1 or more."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text}: must be a whole number of 1 or more")
    return value


def amount(text: str) -> float:
    """Type of an option that measures: a finite number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text}: must be a number above 0")
    return value


def whole(text: str) -> int:
    """Type of an option that may be 0: an integer of 0 or more."""
    try:
        value = int(text)
    except ValueError:
        value = -1
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text}: must be a whole number of 0 or more")
    return value


def fraction(text: str) -> float:
    """Type of an option from 0 to 1."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text}: must be a number from 0 to 1")
    return value


_METAVARS: dict[Any, str] = {
    **dict.fromkeys((int, positive, whole), "N"),
    **dict.fromkeys((float, amount), "X"),
    fraction: "0..1",
    Path: "PATH",
}


def plural(count: int, noun: str) -> str:
    """`1 image`, `2,000 images`, `2 boxes`."""
    ending = "es" if noun[-1] in "sx" else "s"
    return f"{count:,} {noun}{'' if count == 1 else ending}"


def printable(text: str) -> str:
    """Text of a file or a board without what steers a terminal."""
    return "".join(c if c.isprintable() else "?" for c in text)


def run(main: Callable[[], int]) -> int:
    """Run a command line's `main`; print a `KitError` as one line on stderr.

    Returns the exit code: 2 bad input, 3 data unavailable, 4 gate failed, 130 interrupted.
    """
    try:
        return main()
    except KitError as error:
        print(f"error: {printable(' '.join(str(error).split()))}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader (`| head`) went away; keep the interpreter from complaining at shutdown.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
