"""What is known of a board: one YAML each in `boards/`, and in a folder of the user's."""

from __future__ import annotations

import reprlib
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from ..errors import KitError
from ..yaml_file import read_yaml

BOARDS = Path(__file__).parent / "boards"
KINDS = ("linux", "microcontroller")
_PLAIN: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "int | None": (int, type(None)),
    "float": (int, float),
}
_TEXTS = "dict[str, str]"


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
    the linker script puts data anyway.
    """

    name: str
    bytes: int
    speed: str
    free_bytes: int
    address: int | None = None

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
    TensorFlow Lite Micro. core_flags: of the compiler, as that library was built with."""

    sdk_board: str
    core: str
    core_flags: str


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
    none is generated for.
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
    flash: Memory | None = None
    published: tuple[Published, ...] = ()
    firmware: Firmware | None = None

    @classmethod
    def read(cls, path: Path) -> Board:
        """Read a YAML file. Raises `KitError` naming it and the key at fault."""
        return _board(read_yaml(path), path)

    @property
    def names(self) -> tuple[str, ...]:
        """All that the board may be called."""
        return (self.name, *self.aliases, *([self.firmware.sdk_board] if self.firmware else ()))

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


def _board(values: Any, path: Path) -> Board:
    values = _table(values, path, "the file")
    accelerators = _table(values.get("accelerators") or {}, path, "accelerators")
    values = {
        **values,
        "name": path.stem,
        "cores": _build(Cores, values.get("cores"), path),
        **{
            key: tuple(_texts(_list(values, key, path), path))
            for key in ("aliases", "benchmark_model")
        },
        "accelerators": {
            str(name): _build(Accelerator, settings or {}, path)
            for name, settings in accelerators.items()
        },
        "memories": tuple(_memory(m, path) for m in _list(values, "memories", path)),
        "flash": None if values.get("flash") is None else _memory(values["flash"], path),
        "published": tuple(_build(Published, p, path) for p in _list(values, "published", path)),
    }
    if values.get("firmware") is not None:
        values["firmware"] = _build(Firmware, values["firmware"], path)
    board: Board = _build(Board, values, path)
    if board.kind not in KINDS:
        raise KitError(f"{path}: kind `{board.kind}`, expected one of {', '.join(KINDS)}")
    return board


def _memory(values: Any, path: Path) -> Memory:
    values = _table(values, path, "memory")
    free = values.get("free_bytes", values.get("bytes", 0))
    memory: Memory = _build(Memory, {**values, "free_bytes": free}, path)
    if not 0 <= memory.free_bytes <= memory.bytes:
        raise KitError(
            f"{path}: {memory.name} has {memory.bytes} bytes, of which {memory.free_bytes} "
            "cannot be free"
        )
    return memory


def _table(values: Any, path: Path, what: str) -> dict[str, Any]:
    if not isinstance(values, dict):
        raise KitError(f"{path}: {what} is no table of keys and values")
    return values


def _list(values: dict[str, Any], key: str, path: Path) -> list[Any]:
    entries = values.get(key) or []
    if not isinstance(entries, list):
        raise KitError(f"{path}: `{key}` is no list")
    return entries


def _texts(values: list[Any], path: Path) -> list[str]:
    """YAML reads `true` and `1` as no text; drivers want them as they are written."""
    for value in values:
        if not isinstance(value, str):
            raise KitError(f"{path}: {value!r} is no text; write it in quotes")
    return values


def _build(kind: type, values: Any, path: Path) -> Any:
    """A dataclass from a table, each key one of its fields, each plain value of its type."""
    values = _table(values, path, kind.__name__.lower())
    types = {f.name: f.type for f in fields(kind)}
    for key, value in values.items():
        if key not in types:
            raise KitError(
                f"{path}: {kind.__name__.lower()} has no `{key}`, only {', '.join(types)}"
            )
        wanted = _PLAIN.get(str(types[key]))
        if wanted is not None and (not isinstance(value, wanted) or isinstance(value, bool)):
            raise KitError(f"{path}: `{key}` is {reprlib.repr(value)}, expected {types[key]}")
        if types[key] == _TEXTS:
            _texts([w for pair in _table(value, path, key).items() for w in pair], path)
    try:
        return kind(**values)
    except TypeError as error:
        missing = str(error).partition("argument")[2].strip(" s:")
        raise KitError(f"{path}: {kind.__name__.lower()} lacks {missing}") from None
