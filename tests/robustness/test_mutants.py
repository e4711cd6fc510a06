"""Damaged models, checkpoints, pictures, JSON and YAML: a clear error or a right answer."""

from __future__ import annotations

import os
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conftest import Build
from tests.robustness import mutate
from tests.robustness.conftest import Record
from tests.robustness.faults import Workshop
from tests.robustness.kinds import KINDS
from tests.robustness.material import prepare
from tests.robustness.pool import run_mutants

_WORKERS = min(4, os.cpu_count() or 1)
# What the models to damage are built with, besides the small one of all other tests.
_BUILDS = (
    ["--fast", "--target", "mcu"],
    ["--fast", "--target", "ethos-u65"],
    ["--target", "linux", "--quantization", "float16"],
    ["--fast", "--target", "linux", "--quantization", "int16x8"],
)


@pytest.fixture(scope="module")
def material(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, full: bool
) -> Path:
    folder = tmp_path_factory.mktemp("material")
    build: Build = request.getfixturevalue("build")
    models = [build.tflite]
    if full:
        workshop: Workshop = request.getfixturevalue("workshop")
        with ThreadPoolExecutor(_WORKERS) as threads:
            made = threads.map(lambda o: workshop.build(workshop.folder / "models", *o), _BUILDS)
            for done in made:
                assert done.returncode == 0, done.stderr
        models += sorted((workshop.folder / "models").glob("*.tflite"))
        assert len(models) == 1 + len(_BUILDS)
    prepare(folder, models)
    return folder


@pytest.mark.parametrize("kind", KINDS)
def test_mutants(kind: str, material: Path, tmp_path: Path, record: Record, full: bool) -> None:
    """None of them a traceback, a wrong answer, 30 s, 4 GiB, or the end of the process."""
    count = int(os.environ.get("NANODET_ROBUSTNESS_MUTANTS", 500)) if full else 20
    outcome = run_mutants(kind, range(count), material, tmp_path, _WORKERS if full else 1)
    assert not outcome.broken, "\n".join(f"{k}: {v}" for k, v in outcome.broken.items())
    assert outcome.mutants == count
    assert outcome.errors and outcome.answers, "a test that sees both"
    record(
        "mutants", kind, mutants=outcome.mutants, trials=sum(outcome.trials.values()),
        through=sorted(outcome.trials), errors=outcome.errors, answers=outcome.answers,
        worst_s=outcome.worst_s, worst_bytes=outcome.worst_bytes,
    )  # fmt: skip


def test_the_harness_notices(
    material: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong answer, a hang, a crash, swelling, and a traceback."""
    quick = {-1: "wrong answer", -3: "died, -11", -4: "Unable to allocate", -5: "ZeroDivisionError"}
    # Busy machines take seconds.
    for limit_s, wanted in ((15, quick), (3, {-2: "hangs"})):
        monkeypatch.setattr("tests.robustness.pool.HANG_S", limit_s)
        outcome = run_mutants("selftest", wanted, material, tmp_path / f"{limit_s}")
        assert outcome.mutants == len(outcome.broken) == len(wanted)
        for found, words in zip(outcome.broken.values(), wanted.values(), strict=True):
            assert words in found


def test_the_same_seed_gives_the_same_mutant(build: Build) -> None:
    content = build.tflite.read_bytes()
    one, again, other = (
        mutate.mutate_tflite(content, random.Random(seed)) for seed in ("a", "a", "b")
    )
    assert one == again != other
