"""What decides a stage's result, as a checksum: its sources, its arguments, its machine.

A stage runs again when any of it differs. `SOURCES` is the one place that says which of the kit's
folders a stage reads; its arguments say the rest, files by their content.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import json
import platform
import re
import sys
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent

_CONVERT = ("convert", "convert/network")
_RUNTIME = ("runtime", "runtime/engines")
_QUANTIZE = ("quantize", "quantize/rewrites")

# Folders of modules and data that each stage reads, without the folders in them.
SOURCES: dict[str, tuple[str, ...]] = {
    "onnx": ("pipeline", "calibration", *_CONVERT, "convert/lowering", *_RUNTIME),
    "tensorflow": ("pipeline", "calibration", *_CONVERT, "convert/lowering", *_RUNTIME),
    "quantize": ("pipeline", "calibration", "convert", *_QUANTIZE, *_RUNTIME),
    "fine-tuning": ("pipeline", *_CONVERT, "data", "evaluation", *_QUANTIZE, *_RUNTIME, "train"),
    "compare": ("pipeline", *_CONVERT, "data", "evaluation", *_RUNTIME),
    "strides": ("pipeline", *_CONVERT, "data", "evaluation", *_RUNTIME),
    "measure": (
        "pipeline", *_CONVERT, "data", "evaluation", *_RUNTIME, "analysis", "runtime/benchmark",
        "firmware", "firmware/engine", "quantize",
    ),
    "publish": ("pipeline", *_RUNTIME),
    "report": (
        "pipeline", "data", "data/shapes", "calibration", *_CONVERT, "evaluation", *_QUANTIZE,
        "pipeline/report", "pipeline/report/templates", *_RUNTIME, "analysis", "runtime/benchmark",
        "runtime/benchmark/boards", "firmware", "firmware/engine", "analysis/rules",
    ),
}  # fmt: skip

_LOCKS = ("locks/recipe.lock", "locks/torch-cpu.lock", "locks/torch-cuda.lock")
_LOCKED = re.compile(r"^([A-Za-z0-9._-]+)==", re.MULTILINE)
# Extensions that libraries choose their kernels by.
_EXTENSIONS = ("sse", "avx", "fma", "f16c", "amx", "asimd", "sve")


def fingerprint(sources: Sequence[str], arguments: Mapping[str, Any], root: Path = ROOT) -> str:
    """SHA-256 over all that decides a result.

    arguments: name -> value. A path stands for the content of its file or folder; besides there may
    be JSON values, sets, and dataclasses and mappings of them. An object that reads files which its
    fields do not show has a method `files()` that lists them.
    """
    values = {name: _plain(value) for name, value in arguments.items()}
    content = [source_checksum(sources, root), values, installed(), processor()]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def source_checksum(folders: Sequence[str], root: Path = ROOT) -> str:
    """SHA-256 over modules and data of `folders`, without the folders in them."""
    digest = hashlib.sha256()
    for folder in folders:
        for path in sorted((root / folder).iterdir()):
            if path.is_file() and not path.name.startswith("."):
                digest.update(f"{folder}/{path.name}\0{checksum(path)}\0".encode())
    return digest.hexdigest()


def checksums(paths: Sequence[Path]) -> dict[str, str]:
    """`checksum` of each path, by its name."""
    return {path.name: checksum(path) for path in paths}


def checksum(path: Path) -> str:
    """SHA-256 of a file, or of all files of a folder; "" for what is missing."""
    if path.is_file():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    if not path.is_dir():
        return ""
    digest = hashlib.sha256()
    for file in sorted(p for p in path.rglob("*") if p.is_file()):
        digest.update(f"{file.relative_to(path)}\0{checksum(file)}\0".encode())
    return digest.hexdigest()


@lru_cache
def installed() -> dict[str, str]:
    """Python's version, and that of each package that the locks name, as installed."""
    found = {"python": "{}.{}".format(*sys.version_info)}
    for name in sorted({n for lock in _LOCKS for n in _LOCKED.findall((ROOT / lock).read_text())}):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


@lru_cache
def processor() -> list[str]:
    """Architecture, maker and extensions: by these, libraries choose how they round and sum."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    told = {key.strip(): value.split() for key, _, value in (line.partition(":") for line in lines)}
    extensions = {*told.get("flags", ()), *told.get("Features", ())}
    chosen = sorted(name for name in extensions if name.startswith(_EXTENSIONS))
    return [platform.machine(), *told.get("vendor_id", ()), *chosen]


def _plain(value: Any) -> Any:
    """The value as JSON knows it."""
    if isinstance(value, Path):
        return [value.name, checksum(value)]
    if hasattr(value, "files"):
        return [_plain(path) for path in value.files()]
    if dataclasses.is_dataclass(value):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, (set, frozenset)):
        return sorted(_plain(one) for one in value)
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return value
