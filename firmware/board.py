"""The boards that firmware is generated for: `boards/<name>/board.yaml`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml

BOARDS = Path(__file__).parent / "boards"
# Of the compiler, for the cores that the SDK has a library for.
_CORE_FLAGS = {"cm7": "-mcpu=cortex-m7 -mthumb -mfpu=fpv5-d16 -mfloat-abi=hard"}


@dataclass(frozen=True)
class Memory:
    """address: of a region that the SDK's linker script leaves free; None: where data goes."""

    name: str
    bytes: int
    address: int | None = None


@dataclass(frozen=True)
class Board:
    """memories: for the tensor arena, the fastest first; the last is where data goes anyway.
    core: folder of the SDK's library of TensorFlow Lite Micro."""

    name: str
    soc: str
    core: str
    core_mhz: int
    memories: tuple[Memory, ...]

    @property
    def core_flags(self) -> str:
        """Compiler's flags for the core, as the SDK's library was built with."""
        return _CORE_FLAGS[self.core]

    @classmethod
    def read(cls, name: str) -> Board:
        """The board called `name`, one of `names`."""
        values = yaml.safe_load((BOARDS / name / "board.yaml").read_text(encoding="utf-8"))
        memories = tuple(Memory(**memory) for memory in values.pop("memories"))
        return cls(name=name, memories=memories, **values)

    def place(self, arena_bytes: int) -> Memory:
        """The fastest memory that holds the arena; the last one where none does."""
        return next((m for m in self.memories if m.bytes >= arena_bytes), self.memories[-1])


def names() -> list[str]:
    """Boards there are, sorted."""
    return sorted(path.parent.name for path in BOARDS.glob("*/board.yaml"))
