"""A small build of the embedded demo, for what can go wrong around it."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from calibration.dataset import IMAGES
from tests.conftest import ROOT, photo
from tests.robustness.material import write_annotations

MODEL = "nanodet-m-0.5x-shapes"
STEM = "nanodet_m_0.5x_shapes_96x64"
STAGES = ("onnx", "tensorflow", "quantize", "measure", "publish", "report")
# What a stage leaves in the work folder.
_MADE = {
    "onnx": "model.onnx",
    "tensorflow": "saved_model",
    "quantize": "quantize.tflite",
    "report": "report.html",
}


@dataclass(frozen=True)
class Workshop:
    """A folder with what builds take: `images` and annotations; and a cache."""

    folder: Path

    @classmethod
    def prepare(cls, folder: Path) -> Workshop:
        """Write the images."""
        folder.mkdir(parents=True, exist_ok=True)
        write_annotations(folder)
        (folder / "calibration").mkdir()
        for i in range(IMAGES):
            Image.fromarray(photo(i, 48, 32)).save(folder / "calibration" / f"{i:03d}.png")
        return cls(folder)

    @property
    def environment(self) -> dict[str, str]:
        """Of every command: nothing but the workshop's data."""
        own = {"XDG_CACHE_HOME": str(self.folder / "cache"), "OMP_NUM_THREADS": "1"}
        kept = {k: v for k, v in os.environ.items() if k != "NANODET_DATA"}
        return {**kept, "PYTHONPATH": str(ROOT), **own}

    def options(self, out: Path, **changed: Path) -> list[str]:
        """Of recipe.sh. changed: other paths for `--images`, `--weights`."""
        paths = {
            "images": self.folder / "calibration",
            "evaluation-images": self.folder / "images",
            "annotations": self.folder / "annotations.json",
            "out": out,
            **changed,
        }
        given = [f"--{name}={path}" for name, path in paths.items()]
        return ["--model", MODEL, "--input-size", "96x64", *given]

    def start(self, out: Path, *options: str) -> subprocess.Popen[str]:
        """A build in a process group of its own; default options `--fast`."""
        return subprocess.Popen(
            [sys.executable, "-m", "pipeline", *self.options(out), *(options or ["--fast"])],
            cwd=self.folder, env=self.environment, text=True, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def build(self, out: Path, *options: str) -> subprocess.CompletedProcess[str]:
        """A build, to its end."""
        process = self.start(out, *options)
        printed, complaint = process.communicate()
        return subprocess.CompletedProcess(process.args, process.returncode, printed, complaint)


def sha256(out: Path) -> str:
    """Of the finished file; "" where there is none."""
    path = out / f"{STEM}.tflite"
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def leftovers(out: Path) -> list[str]:
    """Temporary names that should be gone."""
    return sorted(p.name for p in out.rglob(".writing-*"))


def stages_done(out: Path) -> list[str]:
    """Stages that have left their stamp."""
    folder = out / "build" / STEM
    return [stage for stage in STAGES if (folder / f"{stage}.stamp.json").is_file()]


def copy_until(source: Path, out: Path, stage: str) -> None:
    """What a build that stopped before `stage` has left, from the finished one in `source`."""
    shutil.copytree(source / "build", out / "build")
    if stage == "report":
        shutil.copy(source / f"{STEM}.tflite", out)
    folder = out / "build" / STEM
    (folder / "report.json").unlink()
    for later in STAGES[STAGES.index(stage) :]:
        (folder / f"{later}.stamp.json").unlink()
        made = folder / _MADE.get(later, "none")
        if made.is_dir():
            shutil.rmtree(made)
        made.unlink(missing_ok=True)
