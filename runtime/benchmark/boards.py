"""`python -m runtime.benchmark boards`: which boards are known, and what was published of them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from .board import load_all
from .tables import accelerator_name


def register(commands: Any) -> None:
    """Add the command to argparse's."""
    parser = commands.add_parser("boards", help="list the boards and published latencies")
    parser.add_argument("--boards", type=Path, metavar="DIR", help="folder with more profiles")
    parser.set_defaults(run=show)


def show(options: argparse.Namespace) -> int:
    """Print each board, its accelerators and the latencies published for it."""
    for board in load_all(options.boards):
        accelerators = ", ".join(board.accelerators) or "see the doctor"
        print(f"{board.name}: {board.title}; {accelerators}")
        for entry in board.published:
            ran_on = accelerator_name(entry.accelerator, entry.threads)
            print(f"  {entry.latency_ms:g} ms  {entry.model}, {ran_on} ({entry.source})")
    return 0
