"""recipe.sh killed, run twice at once, out of disk, in a read-only checkout, on odd paths."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.robustness.conftest import Record
from tests.robustness.faults import (
    STAGES,
    STEM,
    Workshop,
    copy_until,
    leftovers,
    sha256,
    stages_done,
)

_KILLS = 30
_AT_ONCE = 2
# Names that shells, argument parsers and format strings trip over.
_ODD = "-ö ü 'q\" $(x) %s {y}\n#;&"
_SHOWN = _ODD.replace("\n", "\\n")

# With a lock that is not installed yet: nothing can be.
_BARE = 'cd "$1"; . tools/environment.sh; environment locks/test.lock'


@dataclass(frozen=True)
class Reference:
    """Two builds of one model at once into `out`: what each printed, the file's SHA-256, and how
    long the first took."""

    out: Path
    printed: list[str]
    sha256: str
    wall_s: float


@pytest.fixture(scope="module")
def reference(workshop: Workshop) -> Reference:
    out, start = workshop.folder / "reference", time.perf_counter()
    builds = [workshop.start(out) for _ in range(2)]
    printed = []
    for build in builds:
        text, complaint = build.communicate()
        assert build.returncode == 0, complaint
        printed.append(text)
    return Reference(out, printed, sha256(out), time.perf_counter() - start)


def test_two_builds_at_once(reference: Reference, record: Record) -> None:
    """Into one folder: the second waits, and finds everything made."""
    waited = sorted(text.count("waiting for it to finish") for text in reference.printed)
    unchanged = sorted(text.count("unchanged") for text in reference.printed)
    assert waited == [0, 1] and unchanged == [0, len(STAGES)]
    assert reference.sha256 and not leftovers(reference.out)
    record("fault", "two builds of one model at once, into one folder", cases=1,
           held="the second waits, says so, and finds everything made")  # fmt: skip


def test_other_annotations_are_measured(
    workshop: Workshop, reference: Reference, tmp_path: Path
) -> None:
    """In a file of the same name: a rebuild published the AP of the former ones once."""
    shutil.copytree(reference.out, tmp_path / "out")
    other = tmp_path / "annotations.json"
    content = json.loads((workshop.folder / other.name).read_text())
    for annotation in content["annotations"]:
        annotation["bbox"] = [0, 0, 1, 1]
    other.write_text(json.dumps(content))
    options = workshop.options(tmp_path / "out", annotations=other)
    done = run(workshop, tmp_path, sys.executable, "-m", "pipeline", *options, "--fast")
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines() if line.startswith("[")]
    again = {words[1] for words in lines if words[-1] != "unchanged"}
    assert again == {"inputs", "measure", "report"}


@pytest.mark.full(reason="two builds of a minute")
def test_two_models_at_once(
    workshop: Workshop, reference: Reference, tmp_path: Path, record: Record
) -> None:
    """Into one folder, neither in the other's way."""
    builds = [workshop.start(tmp_path, "--fast", *more) for more in ([], ["--strides", "16,32"])]
    for build in builds:
        printed, complaint = build.communicate()
        assert build.returncode == 0, complaint
        assert "waiting" not in printed
    assert sha256(tmp_path) == reference.sha256 and not leftovers(tmp_path)
    assert (tmp_path / f"{STEM}_s16.tflite").is_file()
    record("fault", "two models at once, into one folder", cases=1, held="both are made, the same "
           "SHA-256 as alone")  # fmt: skip


@pytest.mark.full(reason="30 builds killed and done again")
def test_kill_9(workshop: Workshop, reference: Reference, tmp_path: Path, record: Record) -> None:
    """At a random moment, the whole process group; the next run finishes with the same bytes."""
    rng = random.Random(9)
    moments = [rng.uniform(0.02, 0.98) for _ in range(_KILLS)]

    def trial(number: int) -> str:
        out, moment_s = tmp_path / str(number), moments[number] * reference.wall_s
        while not killed(workshop, out, moment_s):  # It was done already; sooner, then.
            shutil.rmtree(out)
            moment_s *= 0.7
        at = ["inputs", *STAGES, "summary"][len(stages_done(out)) + 1] if out.exists() else "inputs"
        again = workshop.build(out)
        assert again.returncode == 0, f"kill {number} in {at}: {again.stderr}"
        assert sha256(out) == reference.sha256, f"kill {number} in {at}"
        assert not leftovers(out), f"kill {number} in {at}"
        shutil.rmtree(out)
        return at

    with ThreadPoolExecutor(_AT_ONCE) as threads:
        where = Counter(threads.map(trial, range(_KILLS)))
    assert where.total() == _KILLS
    spread = ", ".join(f"{stage} {count}" for stage, count in where.most_common())
    record("fault", "kill -9 of the build at a random moment, then again", cases=_KILLS,
           held=f"finishes, same SHA-256; killed during: {spread}")  # fmt: skip


def killed(workshop: Workshop, out: Path, moment_s: float) -> bool:
    """Start a build and kill its process group after so long; False when it had ended."""
    build = workshop.start(out)
    with contextlib.suppress(subprocess.TimeoutExpired):
        build.communicate(timeout=moment_s)
    if build.poll() is not None:
        return False
    os.killpg(build.pid, signal.SIGKILL)
    build.communicate()
    return build.returncode == -signal.SIGKILL


@contextlib.contextmanager
def mounted(folder: Path, *arguments: str) -> Iterator[Path]:
    """A mount at `folder`; skips where that is not permitted."""
    folder.mkdir()
    done = subprocess.run(["mount", *arguments, str(folder)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"mounting is not permitted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.full(reason="two builds for each stage")
@pytest.mark.skipif(shutil.which("mount") is None, reason="no mount here")
@pytest.mark.parametrize("stage", STAGES)
def test_full_disk(
    workshop: Workshop, reference: Reference, tmp_path: Path, stage: str, record: Record
) -> None:
    """The disk fills while `stage` writes; with room again, the next run finishes."""
    with mounted(tmp_path / "disk", "-t", "tmpfs", "-o", "size=64m", "tmpfs") as disk:
        out = disk / "out"
        copy_until(reference.out, out, stage)
        fill(disk, spare_bytes=0 if stage == "measure" else 40_960)
        before = sorted(p for p in out.rglob("*") if p.is_file())
        done = workshop.build(out)
        assert done.returncode in (2, 3), done.stdout + done.stderr
        assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1, done.stderr
        assert "No space left" in done.stderr or "no space left" in done.stderr
        assert bool(sha256(out)) == (stage == "report") and not leftovers(out)
        kept = {p for p in out.rglob("*") if p.is_file()}
        assert kept - set(before) <= {
            out / "build" / STEM / name for name in ("build.log", ".lock")
        }
        (disk / "ballast").unlink()
        again = workshop.build(out)
        assert again.returncode == 0 and sha256(out) == reference.sha256, again.stderr
    record("fault", f"disk full in stage {stage}, then room again", cases=1,
           held="one line; nothing half-written; then the same SHA-256")  # fmt: skip


def fill(disk: Path, spare_bytes: int) -> None:
    """A file that leaves so much."""
    with (disk / "ballast").open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    size = (disk / "ballast").stat().st_size
    os.truncate(disk / "ballast", size - spare_bytes)


def check_out(folder: Path) -> None:
    """A copy of the sources, with a `.venv` whose Python is this one."""
    without = shutil.ignore_patterns(".*", "build", "__pycache__", "*.tflite", "*.onnx")
    shutil.copytree(ROOT, folder, ignore=without)
    python = folder / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
    python.chmod(0o755)
    installed = '. tools/environment.sh; touch "$(marker_of locks/recipe.lock)"'
    subprocess.run(["bash", "-c", installed], cwd=folder, check=True)


@pytest.mark.skipif(shutil.which("mount") is None, reason="no mount here")
def test_read_only_checkout_and_odd_paths(
    workshop: Workshop, reference: Reference, tmp_path: Path, record: Record
) -> None:
    """The checkout cannot be written, and every name is odd: recipe.sh, evaluate.py, example.py."""
    odd = tmp_path / _ODD
    odd.mkdir()
    weights, images, out = odd / f"{_ODD}.ckpt", odd / "images", odd / "out"
    shutil.copy(ROOT / "models" / "nanodet_m_0.5x_shapes.ckpt", weights)
    shutil.copytree(workshop.folder / "calibration", images)
    check_out(tmp_path / "sources")
    with mounted(odd / "checkout", "--bind", str(tmp_path / "sources")) as checkout:
        remount = ["mount", "-o", "remount,bind,ro", str(checkout)]
        assert subprocess.run(remount, capture_output=True).returncode == 0
        with pytest.raises(OSError, match="Read-only"):
            (checkout / "touched").write_text("")
        bare = run(workshop, odd, "bash", "-c", _BARE, "bash", str(checkout))
        assert bare.returncode == 2 and bare.stderr.startswith("error: "), bare.stderr
        assert bare.stderr.count("\n") == 1 and ".venv cannot be written" in bare.stderr
        options = workshop.options(out, images=images, weights=weights)
        done = run(workshop, odd, "bash", str(checkout / "recipe.sh"), "--fast", *options)
        assert done.returncode == 0, done.stderr
        assert sha256(out) == reference.sha256 and not leftovers(out)
        model = odd / _ODD.replace("\n", " ")
        shutil.copy(out / f"{STEM}.tflite", model)
        found, scores, picture = workshop.folder, odd / "ö 1.json", odd / f"{_ODD}.png"
        given = {"images": found / "images", "annotations": found / "annotations.json"}
        paths = [f"--{name}={path}" for name, path in {**given, "json": scores}.items()]
        evaluate = [sys.executable, str(checkout / "evaluate.py"), *paths, "--"]
        scored = run(workshop, odd, *evaluate, model.name)
        assert scored.returncode == 0 and scores.is_file(), scored.stderr
        drawn = run(
            workshop, odd, sys.executable, str(checkout / "example.py"), f"--tflite={model.name}",
            f"--out={picture.name}", str(images / "001.png"),
        )  # fmt: skip
        assert drawn.returncode == 0 and picture.is_file(), drawn.stderr
        nowhere = run(workshop, odd, *evaluate, f"{_ODD}.tflite")
        assert nowhere.returncode == 2 and nowhere.stderr.count("\n") == 1, nowhere.stderr
    record("fault", f"read-only checkout, every path like `{_SHOWN}`", cases=5,
           held="recipe.sh: same SHA-256; evaluate.py and example.py run; one line for a missing "
           "file, and where .venv would have to be made")  # fmt: skip


def run(workshop: Workshop, folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=folder, env=workshop.environment, capture_output=True, text=True, check=False
    )
