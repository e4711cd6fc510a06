"""Which files each engine's folder holds, and where they come from."""

from __future__ import annotations

from pathlib import Path

from firmware.engine import ENGINES

HERE = Path(__file__).parent
_APP = {
    "tflm": ("application.c", "model_runner.h", "model_runner_replay.c"),
    "c": ("benchmark.c", "detect_frames.c", "timed.c", "timed.h"),
}
# Of the library, what the engine's kernels replace.
_REPLACED = ("leaky_relu", "lookup_s8", "stem")
_RENDERED = {
    "tflm": ("model_data.h", "model_data.c", "nanodet_ops.cc"),
    "c": ("nanodet_network.c",),
}
# Rendered, too; the header in place of the kit's own.
OTHERS = {
    "tflm": ("CMakeLists.txt", "README.md"),
    "c": ("CMakeLists.txt", "README.md", "nanodet/include/nanodet/board.h"),
}
_SHARED = ("nanodet_settings.h", "nanodet_settings.c", "test_image.h", "test_image.c")
_OF_STEM = ("stem_data.h", "stem_data.c")
_OF_RECORDING = ("recorded.h",)


def copied(engine: str) -> dict[str, Path]:
    """By name in the folder, the kit's file."""
    (other,) = (name for name in ENGINES if name != engine)
    found = {**_within(HERE / "board", "board"), **_within(HERE / "app", "app")}
    found = {n: p for n, p in found.items() if p.name not in _APP[other]}
    library = _within(HERE / "nanodet", "nanodet")
    kernels = _within(HERE / "engine", "nanodet")
    if engine == "tflm":
        pairs = "nanodet/src/nanodet_pairs.h"
        return {**found, **library, pairs: kernels[pairs], **_within(HERE / "tflm", "tflm")}
    library = {n: p for n, p in library.items() if not any(word in p.name for word in _REPLACED)}
    return {**found, **library, **kernels, **_within(HERE / "qemu", "qemu")}


def _within(folder: Path, name: str) -> dict[str, Path]:
    """Files of a folder; of one with sources in Python, those in `include` and `src`."""
    paths = sorted(p for p in folder.rglob("*") if p.is_file())
    found = {path.relative_to(folder): path for path in paths}
    if (folder / "src").is_dir():
        found = {n: p for n, p in found.items() if n.parts[0] in ("include", "src")}
    return {f"{name}/{path.as_posix()}": origin for path, origin in found.items()}


def rendered(engine: str, stem: bool = False, recording: bool = False) -> list[str]:
    """Names in `generated/` of what a template makes."""
    more = (*(_OF_STEM if stem else ()), *(_OF_RECORDING if recording else ()))
    return [*_SHARED, *_RENDERED[engine], *more]


def sources(engine: str) -> list[str]:
    """The library's own files for a compiler."""
    return sorted(n for n in copied(engine) if n.startswith("nanodet/") and n[-2:] in (".c", ".S"))


def of_any() -> dict[str, Path | None]:
    """Every file that some generation writes, with the kit's file where it is a copy."""
    made = {f"generated/{n}" for engine in ENGINES for n in rendered(engine, True, True)}
    found: dict[str, Path | None] = dict.fromkeys(sorted(made | {"model.tflite"}))
    for engine in ENGINES:
        found |= copied(engine)
    return found
