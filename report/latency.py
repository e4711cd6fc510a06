"""What each board takes: predicted for this file, published for NXP's."""

from __future__ import annotations

from report.contract import Latency, PublishedLatency
from runtime.benchmark import profile
from runtime.benchmark.cortex_m7 import PUBLISHED_INSTRUCTIONS, ns_per_instruction
from runtime.benchmark.profile import Profile


def latencies(instructions: int, reserved_bytes: int | None) -> tuple[Latency, ...]:
    """One a board. instructions: predicted for a Cortex-M7; 0 where they are not."""
    return tuple(_latency(board, instructions, reserved_bytes) for board in _boards())


def published() -> tuple[PublishedLatency, ...]:
    """What the board profiles have."""
    return tuple(
        PublishedLatency(
            board.title,
            p.accelerator.upper()
            + (f", {p.threads} thread{'s' * (p.threads > 1)}" if p.threads else ""),
            p.latency_ms,
            f"{p.model} ({p.source})",
        )
        for board in _boards()
        for p in board.published
    )


def _boards() -> list[Profile]:
    known = [profile.load(name) for name in profile.find()]
    return [board for board in known if board.published]


def _latency(board: Profile, instructions: int, reserved_bytes: int | None) -> Latency:
    cores = f"{board.cores.count} x {board.cores.kind}, {board.cores.mhz} MHz"
    if board.kind != "microcontroller":
        why = "Not predicted: the kit knows costs of the Cortex-M7 alone; measure on the board."
        return Latency(board.title, cores, None, why, "")
    nanoseconds = ns_per_instruction(board)
    if not instructions or nanoseconds is None:
        why = "Not predicted: only int8 operators on known boards were counted."
        return Latency(board.title, cores, None, why, _memory(board, reserved_bytes))
    basis = (
        f"{instructions / 1e6:.1f} M instructions, predicted, at {nanoseconds:.3f} ns each: NXP's "
        f"published latency of its own file over the {PUBLISHED_INSTRUCTIONS / 1e6:.1f} M it takes."
    )
    milliseconds = instructions * nanoseconds / 1e6
    return Latency(board.title, cores, milliseconds, basis, _memory(board, reserved_bytes))


def _memory(board: Profile, reserved_bytes: int | None) -> str:
    """The fastest memory that the arena fits, as the firmware reserves it."""
    if reserved_bytes is None:
        return ""
    fitting = [memory for memory in board.memories if reserved_bytes <= memory.bytes]
    return f"{fitting[0].name} (speed: {fitting[0].speed})" if fitting else "nowhere"
