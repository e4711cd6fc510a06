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
_PLAIN: dict[str, tuple[type, ...]] = {"str": (str,), "int": (int,), "float": (int, float)}
_TEXTS = "dict[str, str]"


@dataclass(frozen=True)
class Cores:
    """count: of cores of one kind, such as Cortex-A53, at `mhz`."""

    count: int
    kind: str
    mhz: int


@dataclass(frozen=True)
class Memory:
    """A memory region that tensors may lie in. bytes: what is free for them. speed: in words,
    beside the others."""

    name: str
    bytes: int
    speed: str


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
class Profile:
    """One board.

    kind: one of `KINDS`. soc: word in `uname -a` that tells it, "" where there is none.
    benchmark_model: globs of the tool's path there. memories: the fastest first.
    """

    name: str
    title: str
    kind: str
    soc: str
    cores: Cores
    benchmark_model: tuple[str, ...] = ()
    accelerators: dict[str, Accelerator] = field(default_factory=dict)
    memories: tuple[Memory, ...] = ()
    published: tuple[Published, ...] = ()

    @classmethod
    def read(cls, path: Path) -> Profile:
        """Read a YAML file. Raises `KitError` naming it and the key at fault."""
        return _profile(read_yaml(path), path)


def load(name: str, folder: Path | None = None) -> Profile:
    """The board called `name`, of the user's `folder` first. Raises `KitError` for another."""
    known = find(folder)
    if name not in known:
        raise KitError(f"board `{name}` is unknown; known: {', '.join(known)}")
    return Profile.read(known[name])


def find(folder: Path | None = None) -> dict[str, Path]:
    """Path of each board's file, by name, sorted; a file of the user's hides ours."""
    if folder is not None and not folder.is_dir():
        raise KitError(f"--boards {folder}: no such folder")
    paths = [*BOARDS.glob("*.yaml"), *(folder.glob("*.yaml") if folder else ())]
    return {path.stem: path for path in sorted(paths, key=lambda path: path.stem)}


def _profile(values: Any, path: Path) -> Profile:
    values = _table(values, path, "the file")
    accelerators = _table(values.get("accelerators") or {}, path, "accelerators")
    values = {
        **values,
        "name": path.stem,
        "cores": _build(Cores, values.get("cores"), path),
        "benchmark_model": tuple(_texts(_list(values, "benchmark_model", path), path)),
        "accelerators": {
            str(name): _build(Accelerator, settings or {}, path)
            for name, settings in accelerators.items()
        },
        "memories": tuple(_build(Memory, m, path) for m in _list(values, "memories", path)),
        "published": tuple(_build(Published, p, path) for p in _list(values, "published", path)),
    }
    profile: Profile = _build(Profile, values, path)
    if profile.kind not in KINDS:
        raise KitError(f"{path}: kind `{profile.kind}`, expected one of {', '.join(KINDS)}")
    return profile


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
