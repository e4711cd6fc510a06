"""The options that README and docs name, and the commands' own parsers, which must know them.

In code an option belongs to the program before it: `nanodet firmware --out DIR`. One that stands
alone belongs to a program that its section names, or where that names none, its page.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import inspect
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, NoReturn
from unittest import mock

from commands import COMMANDS

# Programs, and the module that reads their command line.
_OF_NANODET = {command.name: command.module for command in COMMANDS}
SCRIPTS = {
    "recipe.sh": "pipeline",
    "evaluate.py": "evaluate",
    "example.py": "example",
    "interpreter.py": "runtime.engines.interpreter",
    "nanodet-runtime": "runtime",
    **{f"nanodet {name}": module for name, module in _OF_NANODET.items()},
}
# Programs of others, whose options are theirs; those of tests/run.sh are pytest's.
OTHERS = (
    *("pip", "ssh", "scp", "git", "cmake", "qemu-system-arm", "benchmark_model"),
    "tests/run.sh",
)
_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*")
_MODULE = re.compile(r"python -m ([a-z_.]+[a-z_])")
_SPAN = re.compile(r"`([^`]+)`")


class _Stopped(Exception):
    """Carries a parser out of the command that was about to use it."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        super().__init__()
        self.parser = parser


def _stop(parser: argparse.ArgumentParser, *_: object, **__: object) -> NoReturn:
    raise _Stopped(parser)


@cache
def parser_of(module: str) -> argparse.ArgumentParser | None:
    """The parser of `python -m MODULE`, as its `main` builds it; None where it reads no options."""
    package = importlib.util.find_spec(module)
    if package is not None and package.submodule_search_locations:
        module += ".__main__"
    found = importlib.import_module(module)
    if "parse_args" not in inspect.getsource(found):
        return None
    with (
        mock.patch.object(argparse.ArgumentParser, "parse_args", _stop),
        mock.patch.object(sys, "argv", [module]),
    ):
        try:
            found.main()
        except _Stopped as stopped:
            return stopped.parser
    raise AssertionError(f"{module}: does not read its command line first")


def _commands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Those within a command, by name."""
    made: list[Any] = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    return {name: sub for action in made for name, sub in action.choices.items()}


@dataclass(frozen=True)
class Program:
    """A mention. module: "" for another's program. command: within it, "" for none."""

    module: str
    command: str
    place: int

    def knows(self, option: str) -> bool:
        """Has it the option? Of a mention without a command, has any of its commands?"""
        if not self.module:
            return True
        parser = parser_of(self.module)
        if parser is None:
            return False
        within = _commands(parser)
        asked = [within[self.command]] if self.command in within else within.values()
        return any(option in p._option_string_actions for p in (parser, *asked))


def modules(texts: Iterable[str]) -> frozenset[str]:
    """What documents run with `python -m`."""
    return frozenset(name for text in texts for name in _MODULE.findall(text))


def programs(text: str, known: Iterable[str]) -> list[Program]:
    """Mentions in a text, in order. known: modules; those with a dot may stand by themselves, and
    so may commands of `nanodet` at the beginning of a piece of code."""
    found = []
    for name in (*SCRIPTS, *OTHERS):
        for match in re.finditer(rf"(?<![\w-]){re.escape(name)}(?![\w.-])(?: ([a-z]+))?", text):
            found.append(Program(SCRIPTS.get(name, ""), match[1] or "", match.start()))
    for module in known:
        alone = rf"(?<![\w./]){re.escape(module)}"
        name = alone if "." in module else f"python -m {module}"
        for match in re.finditer(rf"{name}(?![\w.])(?: ([a-z]+))?", text):
            found.append(Program(module, match[1] or "", match.start()))
    first = re.match(r"([a-z]+) ([a-z]*)", text)
    if first and first[1] in _OF_NANODET:
        found.append(Program(_OF_NANODET[first[1]], first[2], 0))
    return sorted(found, key=lambda program: program.place)


def sections(text: str) -> Iterator[str]:
    """A document's parts, each with its heading; long lines of code in one."""
    yield from re.split(r"^(?=#+ )", text.replace("\\\n", " "), flags=re.MULTILINE)


def unknown_options(text: str, known: frozenset[str]) -> list[str]:
    """Options of a document that no program in question has, each with where it stands."""
    page, wrong = [], []
    for section in sections(text):
        named, alone = [], []
        for piece in _pieces(section):
            found = programs(piece, known)
            named += found
            for match in _OPTION.finditer(piece):
                before = [p for p in found if p.place < match.start()]
                if not before:
                    alone.append((match[0], piece))
                elif not before[-1].knows(match[0]):
                    wrong.append(f"{match[0]} in: {piece}")
        page += named
        asked = [p for p in named if p.module] or page
        wrong += [f"{o} in: {piece}" for o, piece in alone if not any(p.knows(o) for p in asked)]
    return wrong


def _pieces(section: str) -> Iterator[str]:
    """Lines of code, code within sentences, and what is left of the sentences, cell by cell."""
    paragraph, fenced = "", False
    for line in [*section.splitlines(), ""]:
        if line.startswith("```"):
            fenced = not fenced
        elif fenced or line.startswith("    "):
            yield line.strip().partition("  #")[0]
        elif line.strip() and not line.startswith("|"):
            paragraph += " " + line.strip()
        else:
            for part in (paragraph, *re.split(r"(?<!\\)\|", line)):
                yield from (" ".join(code.split()) for code in _SPAN.findall(part))
                yield " ".join(_SPAN.sub(lambda m: m[1] if "--" not in m[1] else " ", part).split())
            paragraph = ""
