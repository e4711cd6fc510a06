"""`python -m runtime.benchmark run MODEL --board root@HOST`: how fast a model is on a board."""

from __future__ import annotations

import argparse
from typing import Any

from tqdm import tqdm

from . import output, remote
from .measure import Request, measure


def register(commands: Any) -> None:
    """Add the command to argparse's."""
    parser = commands.add_parser("run", help="measure a model on a Linux board over SSH")
    output.add_options(parser)
    remote.add_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Measure, write and print."""
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
        result = measure(board, request, progress.set_description_str)
    return output.finish(result, options.out)
