"""What is known of a board: one YAML each in `boards/`, and in a folder of the user's."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

from ..errors import KitError
from ..records import read_record
from ..yaml_file import read_yaml

BOARDS = Path(__file__).parent / "boards"
DEFAULT_BOARD = "imxrt1170"  # Of the commands for microcontrollers.
BOARD_HELP = "see nanodet boards; default %(default)s"
KINDS = ("linux", "microcontroller")


@dataclass(frozen=True)
class Cores:
    """count: of cores of one kind, such as Cortex-A53, at `mhz`."""

    count: int
    kind: str
    mhz: int


@dataclass(frozen=True)
class Memory:
    """A memory region.

    bytes: its size. speed: in words, beside the others. free_bytes: what the SDK's linker script
    leaves to a model; a file that does not say it means all. address: where that begins; None where
    the linker script puts data anyway. external: outside the chip.
    """

    name: str
    bytes: int
    speed: str
    free_bytes: int
    # `Optional`, not `| None`: Python 3.9 evaluates the hints.
    address: Optional[int] = None
    external: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.free_bytes <= self.bytes:
            raise KitError(
                f"{self.name} has {self.bytes} bytes, of which {self.free_bytes} cannot be free"
            )

    def holds(self, count: int) -> bool:
        """Whether so many bytes fit what is free."""
        return max(count, 1) <= self.free_bytes


@dataclass(frozen=True)
class Fit:
    """Where a model goes. memory: the fastest that holds its arena, None where none does or the
    flash does not hold its file, which `in_flash` says."""

    memory: Memory | None
    in_flash: bool

    @property
    def where(self) -> str:
        """Name of the memory, or `nowhere`."""
        return self.memory.name if self.memory else "nowhere"


@dataclass(frozen=True)
class Firmware:
    """sdk_board: the evaluation kit's name in NXP's SDK. core: folder of the SDK's library of
    TensorFlow Lite Micro. core_flags: of the compiler, as that library was built with. target: of
    the SDK's examples, a release that starts from flash. itcm_bytes: of the core's own memory for
    code (m_qacode), 0 where the linker script knows none."""

    sdk_board: str
    core: str
    core_flags: str
    target: str
    itcm_bytes: int = 0

    def code_section(self, code_bytes: int) -> str:
        """The section that the SDK's linker script puts there; "" where so much does not fit."""
        return "CodeQuickAccess" if code_bytes <= self.itcm_bytes else ""


@dataclass(frozen=True)
class Accelerator:
    """What runs a model on a Linux board.

    delegate: path of the external delegate's library there; "" for the CPU. options: of the
    delegate. cache_environment: variables that keep the compiled graph in the folder `{folder}`.
    cache_options: options of the delegate that keep it in the file `{file}`. profile_environment:
    variables that make the driver print what it does.
    """

    delegate: str = ""
    options: dict[str, str] = field(default_factory=dict)
    cache_environment: dict[str, str] = field(default_factory=dict)
    cache_options: dict[str, str] = field(default_factory=dict)
    profile_environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Emulation:
    """cpu: QEMU's name of one with the same instructions. midr, features: identity and features of
    the board's own, by which kernels are chosen. instructions: of an inference of NXP's file, by
    LiteRT's kernels: `built-in` and `xnnpack`."""

    cpu: str
    midr: int
    features: str
    instructions: dict[str, int] = field(default_factory=dict)

    def cpuinfo(self, cores: int) -> str:
        """Content of the board's /proc/cpuinfo."""
        said = {
            "Features": self.features,
            "CPU implementer": f"0x{self.midr >> 24:02x}",
            "CPU architecture": "8",
            "CPU variant": f"0x{self.midr >> 20 & 15:x}",
            "CPU part": f"0x{self.midr >> 4 & 0xFFF:03x}",
            "CPU revision": f"{self.midr & 15}",
        }
        rest = "".join(f"{key}\t: {value}\n" for key, value in said.items())
        return "".join(f"processor\t: {i}\n{rest}\n" for i in range(cores))


@dataclass(frozen=True)
class Published:
    """A latency that somebody else published. threads: 0 where there is nothing to
    choose, or the source does not say."""

    model: str
    accelerator: str
    threads: int
    latency_ms: float
    source: str


@dataclass(frozen=True)
class Board:
    """One board.

    name: of its file. kind: one of `KINDS`. soc: word in `uname -a` that tells it, "" where there
    is none. aliases: further names. benchmark_model: globs of the tool's path there. memories: for
    tensors, the fastest first. flash: None where it is not known. firmware: None for a board that
    none is generated for. emulation: None for one whose CPU is not emulated.
    """

    name: str
    title: str
    kind: str
    soc: str
    cores: Cores
    aliases: tuple[str, ...] = ()
    benchmark_model: tuple[str, ...] = ()
    accelerators: dict[str, Accelerator] = field(default_factory=dict)
    memories: tuple[Memory, ...] = ()
    flash: Optional[Memory] = None
    published: tuple[Published, ...] = ()
    firmware: Optional[Firmware] = None
    emulation: Optional[Emulation] = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise KitError(f"kind `{self.kind}`, expected one of {', '.join(KINDS)}")

    @classmethod
    def read(cls, path: Path) -> Board:
        """Read a YAML file. Raises `KitError` naming it and the key at fault."""
        values = read_yaml(path)
        if isinstance(values, dict):
            values = {"name": path.stem, **_plain(values)}
        return read_record(cls, values, str(path))

    @property
    def names(self) -> tuple[str, ...]:
        """All that the board may be called."""
        return (self.name, *self.aliases, *([self.firmware.sdk_board] if self.firmware else ()))

    @property
    def described(self) -> str:
        """Its name, and the others that commands take."""
        others = ", ".join(self.names[1:])
        return f"{self.name} ({others})" if others else self.name

    def fits(self, arena_bytes: int, file_bytes: int = 0) -> Fit:
        """Where a model goes. arena_bytes: as `runtime.engines.arena.reserved_bytes` has them.
        file_bytes: of the part of the file that the board gets."""
        in_flash = self.flash is None or self.flash.holds(file_bytes)
        memories = self.memories if in_flash else ()
        return Fit(next((m for m in memories if m.holds(arena_bytes)), None), in_flash)


def load(name: str, folder: Path | None = None) -> Board:
    """The board of that name, of the user's `folder` first. Raises `KitError` for another."""
    known = find(folder)
    if name in known:
        return Board.read(known[name])
    for board in load_all(folder):
        if name in board.names:
            return board
    raise KitError(f"board `{name}` is unknown; known: {', '.join(known)}")


def board_type(boards: Sequence[Board]) -> Callable[[str], str]:
    """Command-line type: any name of one of the boards -> its name."""

    def name(text: str) -> str:
        found = next((board.name for board in boards if text in board.names), None)
        if found is None:
            known = ", ".join(board.described for board in boards)
            raise argparse.ArgumentTypeError(f"{text}: unknown; known: {known}")
        return found

    return name


def load_all(folder: Path | None = None) -> list[Board]:
    """Every board, in the order of `find`."""
    return [Board.read(path) for path in find(folder).values()]


def microcontrollers(folder: Path | None = None) -> list[Board]:
    """Those that run TensorFlow Lite Micro."""
    return [board for board in load_all(folder) if board.kind == "microcontroller"]


def find(folder: Path | None = None) -> dict[str, Path]:
    """Path of each board's file, by name, sorted; a file of the user's hides ours."""
    if folder is not None and not folder.is_dir():
        raise KitError(f"--boards {folder}: no such folder")
    paths = [*BOARDS.glob("*.yaml"), *(folder.glob("*.yaml") if folder else ())]
    return {path.stem: path for path in sorted(paths, key=lambda path: path.stem)}


def _plain(values: dict[Any, Any]) -> dict[Any, Any]:
    """Without keys that have nothing behind them; memories with the `free_bytes` left unsaid."""
    values = {key: value for key, value in values.items() if value is not None}
    for key, value in values.items():
        if key == "accelerators" and isinstance(value, dict):
            values[key] = {name: settings or {} for name, settings in value.items()}
        if key == "memories" and isinstance(value, list):
            values[key] = [_memory(memory) for memory in value]
        if key == "flash":
            values[key] = _memory(value)
    return values


def _memory(values: Any) -> Any:
    free = isinstance(values, dict) and "bytes" in values
    return {"free_bytes": values["bytes"], **values} if free else values
