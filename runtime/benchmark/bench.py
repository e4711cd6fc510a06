"""`./nanodet bench MODEL [--board root@HOST|emulated]`: how fast a model is, here or on a board."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from ..cli import Parser, positive
from . import foretell, host, output, remote
from .measure import Request, measure
from .types import Result


def parse_arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = Parser(description=__doc__)
    add = parser.add_argument
    add("model", type=Path, metavar="MODEL", help="any .tflite")
    add("--threads", type=positive, default=1, help="default %(default)s")
    add("--runs", type=positive, default=50, help="default %(default)s")
    add("--out", type=Path, default=Path("benchmark"), metavar="DIR", help="default %(default)s")
    remote.add_timeout(parser)
    group = parser.add_argument_group("on a Linux board, over SSH")
    remote.add_options(group, required=False)
    options = parser.parse_args(words)
    given = [a for a in group._group_actions if getattr(options, a.dest) != a.default]
    if given and options.board is None:
        parser.error(f"{given[0].option_strings[0]} goes with --board, which names the board")
    return options


def main(words: Sequence[str] | None = None) -> int:
    """Measure, write and print."""
    options = parse_arguments(words)
    if options.board == remote.EMULATED:
        return foretell.bench(options)
    if options.board is None:
        result = host.measure(options.model, options.threads, options.runs, options.timeout)
    else:
        result = _on_board(options)
    return output.finish(result, options.out)


def _on_board(options: argparse.Namespace) -> Result:
    board = remote.Connection.of(options)
    request = Request(
        options.model,
        options.accelerator,
        options.threads,
        options.runs,
        options.profile or "",
        options.boards,
        options.timeout,
    )
    with tqdm(bar_format="{desc} ({elapsed})", disable=None, leave=False) as progress:
        return measure(board, request, progress.set_description_str)
