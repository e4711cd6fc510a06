"""What each board takes: predicted for this file, published for NXP's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from analysis.cortex_m7 import PUBLISHED_INSTRUCTIONS, ns_per_instruction
from pipeline.report.contract import Latency, PublishedLatency
from runtime.benchmark import profile
from runtime.benchmark.profile import Profile


def latencies(cost: Mapping[str, Any] | None, reserved_bytes: int | None) -> tuple[Latency, ...]:
    """One a board. cost: `cortex_m7` of `report.json`; None for a float file."""
    return tuple(_latency(board, cost, reserved_bytes) for board in _boards())


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


def _latency(board: Profile, cost: Mapping[str, Any] | None, reserved_bytes: int | None) -> Latency:
    cores = f"{board.cores.count} x {board.cores.kind}, {board.cores.mhz} MHz"
    if board.kind != "microcontroller":
        why = "Not predicted: the kit knows costs of the Cortex-M7 alone; measure on the board."
        return Latency(board.title, cores, None, why, "")
    nanoseconds, memory = ns_per_instruction(board), _memory(board, reserved_bytes)
    if nanoseconds is None:
        why = "Not predicted: nobody published what an instruction takes there."
        return Latency(board.title, cores, None, why, memory)
    if cost is None:
        return Latency(board.title, cores, None, "Not predicted: a float file.", memory)
    left_out = ", ".join(cost["not_counted"])
    if not cost["by_kind"]:
        why = f"Not predicted: none of its operators was ever counted ({left_out})."
        return Latency(board.title, cores, None, why, memory)
    instructions = cost["instructions"]
    basis = (
        f"{instructions / 1e6:.1f} M instructions, predicted, at {nanoseconds:.3f} ns each: NXP's "
        f"published latency of its own file over the {PUBLISHED_INSTRUCTIONS / 1e6:.1f} M it takes."
    )
    if left_out:
        basis += f" A lower bound, for these were never counted: {left_out}."
    milliseconds = instructions * nanoseconds / 1e6
    return Latency(board.title, cores, milliseconds, basis, memory, bool(left_out))


def _memory(board: Profile, reserved_bytes: int | None) -> str:
    """The fastest memory that the arena fits, as the firmware reserves it."""
    if reserved_bytes is None:
        return ""
    fitting = [memory for memory in board.memories if reserved_bytes <= memory.bytes]
    return f"{fitting[0].name} (speed: {fitting[0].speed})" if fitting else "nowhere"
