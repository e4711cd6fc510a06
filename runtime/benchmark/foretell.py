"""`bench --board emulated`: counted instructions, and the milliseconds that they foretell."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..errors import KitError
from ..files import write_text
from . import emulator
from .board import Board, load
from .counted import KERNELS
from .instructions import PUBLISHED_KERNELS, count, latencies_ms, threads_error, transfer_error
from .measure import read_model
from .remote import EMULATED
from .tables import accelerator_name, table

_HEAD = ("Model", "CPU", "Kernels", "M instructions", "of NXP's file", "Foretold, not measured")
_BOARDS = "imx8mp", "imx93"  # For which NXP publishes both.


@dataclass(frozen=True)
class Foretold:
    """board: name of the one with the CPU's like. instructions: of an inference on one thread.
    share: of those of NXP's file, None where these are not known. latency_ms: by threads."""

    model: str
    cpu: str
    board: str
    kernels: str
    instructions: int
    share: float | None
    latency_ms: dict[int, float]


def bench(options: argparse.Namespace) -> int:
    """Count, write and print. Raises `KitError`."""
    read_model(options.model)
    for name, default in (("threads", 1), ("runs", 50)):
        if getattr(options, name) != default:
            raise KitError(f"--{name}: --board {EMULATED} counts one inference on one thread")
    boards = emulator.known(options.boards)
    found = []
    for emulated in emulator.chosen(options):
        for kernels in KERNELS:
            counted = count(emulated, options.model, kernels, options.timeout)
            found.append(foretell(options.model.name, boards[emulated.cpu], kernels, counted))
    path = options.out / f"{options.model.stem}-{EMULATED}.json"
    values = [dataclasses.asdict(entry) for entry in found]
    write_text(path, json.dumps({"foretold": values, "notes": list(notes())}, indent=2) + "\n")
    for note in notes():
        print(f"note: {note}", file=sys.stderr)
    print(as_table(found))
    print(f"written: {path}")
    return 0


def foretell(model: str, board: Board, kernels: str, instructions: int) -> Foretold:
    """What so many instructions mean on a board that has an `emulation`."""
    assert board.emulation is not None
    of_nxp = board.emulation.instructions.get(kernels)
    share = instructions / of_nxp if of_nxp else None
    foretold = latencies_ms(board, share) if share and kernels == PUBLISHED_KERNELS else {}
    cpu = board.emulation.cpu
    return Foretold(model, cpu, board.name, kernels, instructions, share, foretold)


def as_table(found: Sequence[Foretold]) -> str:
    """A row for each count, in Markdown."""
    return table(_HEAD, map(_row, found))


def _row(entry: Foretold) -> Iterator[str]:
    yield from (f"`{entry.model}`", entry.cpu, entry.kernels, f"{entry.instructions / 1e6:.1f}")
    yield "-" if entry.share is None else f"{entry.share:.2f}"
    latencies = [
        f"{ms:.1f} ms on {accelerator_name('cpu', threads)}"
        for threads, ms in entry.latency_ms.items()
    ]
    yield f"{load(entry.board).title}: {', '.join(latencies)}" if latencies else "-"


def notes() -> Iterator[str]:
    """What the milliseconds rest on, and how far off they are where that is known."""
    one, other = map(load, _BOARDS)
    errors = {kernels: transfer_error(one, other, kernels) for kernels in KERNELS}
    likely, unlikely = (errors[kernels] for kernels in KERNELS)
    yield (
        "no board has run this: the milliseconds are those that NXP publishes of its own file, "
        "times the instructions of this file over those of NXP's"
    )
    yield (
        f"such scaling from the {one.title} and both clocks misses what NXP publishes of its file "
        f"on the {other.title} by {likely:+.0%} on one thread, by {threads_error(one, other):+.0%} "
        "on several"
    )
    yield (
        f"by XNNPACK's instructions it would miss by {unlikely:+.0%}, so the published latencies "
        "are taken for those of the built-in kernels, and XNNPACK's are not foretold"
    )
