"""The folder of `--engine c`: what its options, the board and another engine change."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from firmware.engine import WEIGHTS
from firmware.engine.file import plan_of
from firmware.engine.plan import Plan
from firmware.layout import EngineLayout, basis, lay_out_engine
from firmware.spare import place
from runtime.benchmark.board import Memory, load
from runtime.errors import KitError
from runtime.postprocess import Selection
from runtime.tflite_file import TfliteFile
from tests.conftest import NANODET, Build, run_here


def test_measured_of_something_else(build: Build, image: Path, tmp_path: Path) -> None:
    (tmp_path / "layers.jsonl").write_text("{}")
    words = [str(build.tflite), "--engine", "c", "--out", "out", "--image", str(image)]
    done = run_here(tmp_path, NANODET, "firmware", *words, "--measured", "layers.jsonl")
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "layers.jsonl: line 1: missing key" in done.stderr and not (tmp_path / "out").exists()


def test_the_other_engine_in_the_same_folder(build: Build, image: Path, tmp_path: Path) -> None:
    """Each leaves what it would leave in an empty folder, and the user's own files."""
    for name, engine in (("one", "c"), ("two", "tflm")):
        generated(tmp_path / name, engine, build, image)
    folder = tmp_path / "one" / "out"
    (folder / "app" / "image_provider.c").write_text("mine")
    (folder / "app" / "timed.c").write_text("mine, too")
    generated(tmp_path / "one", "tflm", build, image)
    wanted = contents(tmp_path / "two" / "out")
    wanted |= {"app/image_provider.c": b"mine", "app/timed.c": b"mine, too"}
    assert contents(folder) == wanted
    done = generated(tmp_path / "two", "c", build, image)
    assert "kept" not in done.stdout
    generated(tmp_path / "three", "c", build, image)
    assert contents(tmp_path / "two" / "out") == contents(tmp_path / "three" / "out")


def generated(folder: Path, engine: str, build: Build, image: Path) -> Any:
    folder.mkdir(exist_ok=True)
    words = [str(build.tflite), "--engine", engine, "--out", "out", "--image", str(image)]
    done = run_here(folder, NANODET, "firmware", *words)
    assert done.returncode == 0, done.stderr
    return done


def contents(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert {p.parent for p in files} == {p for p in folder.rglob("*") if p.is_dir()} - {
        folder / "nanodet", folder / "nanodet" / "include",
    } | {folder}, "no empty folder"  # fmt: skip
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--engine", "c", "--split-stem", "--out", "out"], "--split-stem: only with"),
        (["--engine", "c", "--record", "--out", "out"], "--record: only with"),
        (["--engine", "tflm", "--plan", "--out", "out"], "--plan: only with --engine c"),
        (["--engine", "tflm", "--weights", "int8", "--out", "out"], "--weights: only with"),
        (["--engine", "c", "--weights", "int4", "--out", "out"], "int16"),
        (["--engine", "tflm", "--measured", "f", "--out", "out"], "--measured: only with"),
        (["--engine", "c"], "--out DIR is missing"),
        (["--engine", "rust", "--out", "out"], "tflm"),
    ],
)
def test_bad_input(build: Build, tmp_path: Path, words: list[str], message: str) -> None:
    done = run_here(tmp_path, NANODET, "firmware", str(build.tflite), *words)
    assert done.returncode == 2 and message in done.stderr and done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_the_plan_is_shown(build: Build, tmp_path: Path) -> None:
    done = run_here(tmp_path, NANODET, "firmware", str(build.tflite), "--engine", "c", "--plan")
    plan = plan_of(TfliteFile.read(build.tflite))
    assert done.returncode == 0 and f"{plan.storage.arena_bytes:,}" in done.stdout
    assert not list(tmp_path.iterdir())


def test_weights_go_by_the_flash(build: Build) -> None:
    """int16 while the flash holds them, then int8; a form that is asked for is not replaced."""
    file, board = TfliteFile.read(build.tflite), load("mcxn947")
    selection = Selection(0.35, 0.6, 100)

    def laid_out(flash_bytes: int, weights: str | None, linked: int = 0) -> EngineLayout:
        flash = Memory("flash", flash_bytes, "on chip", linked)
        about = basis(file, replace(board, flash=flash), selection, "bilinear")
        return lay_out_engine(about, file, weights)

    large, small = (laid_out(1 << 21, form).network.program_bytes for form in WEIGHTS)
    assert small < large
    assert laid_out(large, None).weights == "int16"
    assert laid_out(large - 1, None).weights == "int8"
    assert laid_out(large, None, linked=large).linked is None, "all that the linker script leaves"
    assert laid_out(large, None, linked=large - 1).linked is not None
    with pytest.raises(KitError, match=f"{large:,} bytes do not fit .* or other --weights"):
        laid_out(large - 1, "int16")
    with pytest.raises(KitError, match=rf"{small:,} bytes do not fit .* smaller --model$"):
        laid_out(small - 1, None)


@pytest.mark.parametrize(("columns", "candidates"), [(768, 16000), (4, 4), (64, 100_000)])
def test_what_lies_beside_the_network(plan: Plan, columns: int, candidates: int) -> None:
    """Step by step: whatever a row is written to or still read from is neither's at that time."""
    spare, steps = place(plan, columns, candidates), plan.schedule.steps
    decodes = {n for n, layer in enumerate(plan.network.layers) if layer.kind == "decode"}
    fetches = [i for i, (number, _) in enumerate(steps) if number == -1]
    first = next(i for i, (number, _) in enumerate(steps) if number in decodes)
    sizes = {"columns": (spare.columns_at, columns), "found": (spare.candidates_at, candidates)}
    for at, count in sizes.values():
        assert at % 4 == 0 and at + count <= spare.arena_bytes
    for i in range(len(steps)):
        owned = np.zeros(spare.arena_bytes, bool)
        for value, number in plan.storage.buffer.items():
            buffer = plan.storage.buffers[number]
            for y, birth in enumerate(plan.schedule.birth[value]):
                last = int(plan.schedule.death[value][y].max(initial=-1))
                if birth <= 2 * i + 1 and max(last, birth) >= 2 * i:
                    start = buffer.offset + y % buffer.rows * buffer.row_bytes
                    owned[start : start + buffer.row_bytes] = True
        scratch = plan.storage.buffers[-1]
        owned[scratch.offset : scratch.offset + scratch.bytes] = True
        for name, (at, count) in sizes.items():
            if i <= fetches[-1] if name == "columns" else i >= first:
                assert not owned[at : at + count].any(), (name, i)
                owned[at : at + count] = True
