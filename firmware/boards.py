"""The boards that firmware is generated for, and where the arena goes there."""

from __future__ import annotations

from dataclasses import dataclass

_KIB = 1 << 10


@dataclass(frozen=True)
class Memory:
    """region: its name in the linker scripts of the SDK (GCC, `flexspi_nor_sdram`)."""

    name: str
    bytes: int
    region: str


@dataclass(frozen=True)
class Board:
    """memories: for the tensor arena, the fastest first; the last is where data goes anyway.
    core: folder of the SDK's library of TensorFlow Lite Micro."""

    name: str
    soc: str
    core_mhz: int
    memories: tuple[Memory, ...]
    core: str = "cm7"

    def place(self, arena_bytes: int) -> Memory:
        """The fastest memory that holds the arena; the last one where none does."""
        return next((m for m in self.memories if m.bytes >= arena_bytes), self.memories[-1])


BOARDS = {
    board.name: board
    for board in (
        Board(
            "evkbmimxrt1170",
            "i.MX RT1170",
            996,
            (
                Memory("OCRAM", 512 * _KIB, "m_data3"),
                Memory("SDRAM", 48 * _KIB * _KIB, "m_data"),
            ),
        ),
        Board(
            "evkbimxrt1050",
            "i.MX RT1050",
            600,
            (Memory("SDRAM", 30 * _KIB * _KIB, "m_data"),),
        ),
    )
}
