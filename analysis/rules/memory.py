"""What the memories and the flash of a microcontroller hold."""

from __future__ import annotations

from collections.abc import Iterator

from analysis.diagnosis import Arena, Finding
from runtime.benchmark.board import Board


def memory_lines(board: Board, arena: Arena, what: str, flash_bytes: int) -> Iterator[str]:
    """Where the arena goes, and what the board's memories leave free. what: is reserved."""
    if board.memories:
        yield f"{arena.reserved_bytes:,} bytes {what}: {arena.goes_to}"
    flash = [(board.flash, flash_bytes)] if board.flash else []
    for memory, needed in [*((m, arena.reserved_bytes) for m in board.memories), *flash]:
        verdict = "fits" if memory.holds(needed) else "does not fit"
        free = f"{memory.free_bytes:,}" if memory.free_bytes else "none"
        size = f"{memory.name} {memory.bytes:,} bytes, {free} of them free"
        yield f"{size} ({memory.speed}): {verdict}"


def misfit(board: Board, needed: int) -> tuple[str, str, str] | None:
    """Of an arena that the memories on the chip do not hold: severity, those memories, and where
    it goes. None where one does, or none is known."""
    roomy = board.fits(needed).memory
    if not board.memories or (roomy and not roomy.external):
        return None
    inside = [m for m in board.memories if m.free_bytes and not m.external]
    memories = " or ".join(f"{m.name} ({m.free_bytes:,} free)" for m in inside)
    effect = f"It goes to {roomy.name}, {roomy.speed}." if roomy else "It fits nowhere."
    return "warning" if roomy else "error", memories or "any memory on the chip", effect


def full_flash(board: Board, what: str, needed: int, free: str) -> list[Finding]:
    """What the flash does not hold, a part of the program. free: what of it is, in words."""
    if board.flash is None or board.fits(0, needed).in_flash:
        return []
    return [
        Finding(
            "flash",
            "error",
            f"{what} of {needed:,} bytes does not fit {board.flash.name} "
            f"({board.flash.free_bytes:,} free)",
            f"The {what} is a part of the program, which is read from there.",
            "recipe.sh --quantization int8, a smaller --model",
            f"{free}, {board.name}.yaml",
        )
    ]
