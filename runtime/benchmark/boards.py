"""`./nanodet boards`: which boards are known, and what was published of them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from ..cli import Parser
from .board import load_all
from .tables import accelerator_name


def parse_arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = Parser(description=__doc__)
    parser.add_argument("--boards", type=Path, metavar="DIR", help="folder with more profiles")
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None) -> int:
    """Print each board, its accelerators and the latencies published for it."""
    options = parse_arguments(words)
    for board in load_all(options.boards):
        accelerators = ", ".join(board.accelerators) or "see the doctor"
        print(f"{board.described}: {board.title}; {accelerators}")
        for entry in board.published:
            ran_on = accelerator_name(entry.accelerator, entry.threads)
            print(f"  {entry.latency_ms:g} ms  {entry.model}, {ran_on} ({entry.source})")
    return 0
