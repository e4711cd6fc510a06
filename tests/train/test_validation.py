"""AP while training, the best checkpoint, the curve, warnings, and where pictures come from."""

from __future__ import annotations

import csv
import dataclasses
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from PIL import Image

from convert.checkpoint import load_network
from convert.training_config import read_training_config, unused_keys
from data import locate
from data.shapes.dataset import write_set
from data.shapes.shapes import CLASS_NAMES
from tests.conftest import NANODET, run_here
from train.settings import Settings, read_settings
from train.starting import configuration
from train.validation import check_run

MODEL = ("--model", "nanodet-m-0.5x-shapes")
CHECKPOINT = locate.MODELS / "nanodet_m_0.5x_shapes.ckpt"


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`set` with train and valid."""
    folder = tmp_path_factory.mktemp("validated")
    write_set(folder / "set" / "train", 8, 128, 96, seed=0)
    write_set(folder / "set" / "valid", 6, 128, 96, seed=100)
    return folder


def train(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    given = ("--workers", "0", "--batch", "4", "--rate", "1e-5", "--input-size", "128x96")
    return run_here(folder, NANODET, "train", *MODEL, *given, *options)


def average_precisions(folder: Path) -> list[float]:
    parts = sorted(folder.glob("metrics*.csv"))
    rows = [row for part in parts for row in csv.DictReader(part.open())]
    return [float(row["val/AP"]) for row in rows if row.get("val/AP")]


@pytest.fixture(scope="module")
def whole(scenes: Path) -> str:
    """Output of a run of two epochs that begins with good weights, and validates the last."""
    done = train(
        scenes, "--data", "set", "--weights", str(CHECKPOINT), "--epochs", "2", "--out", "whole"
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_ap_is_what_evaluate_finds(scenes: Path, whole: str) -> None:
    (found,) = average_precisions(scenes / "whole" / "log")
    assert found > 10 and f"epoch 2: AP {found:.2f}" in whole
    hint = "bash recipe.sh --model nanodet-m-0.5x-shapes --input-size 128x96 --weights "
    assert f"convert it with: {hint}whole/best.ckpt --images set/train" in whole
    done = run_here(
        scenes, NANODET, "evaluate", "--engine", "torch", *MODEL, "--input-size", "128x96",
        "--weights", "whole/best.ckpt", "--annotations", "set", "--json", "scores.json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads((scenes / "scores.json").read_text())["AP"] == pytest.approx(found, abs=1e-3)


def test_curve_and_tensorboard(scenes: Path, whole: str) -> None:
    with Image.open(scenes / "whole" / "curve.png") as curve:
        assert curve.size == (1050, 600) and len(curve.getcolors(1 << 20) or ()) > 10
    assert list((scenes / "whole" / "log").glob("events.out.tfevents.*"))


def test_the_best_is_kept_over_a_pause(scenes: Path) -> None:
    """A rate that ruins the weights: the first epoch stays the best, also after `--resume`."""
    config = configuration(locate.model_spec("nanodet-m-0.5x-shapes"), CLASS_NAMES, {})
    config["schedule"] |= {"val_intervals": 1, "warmup": {"steps": 0}}
    del config["model"]["weight_averager"]
    config["schedule"]["optimizer"] |= {"name": "SGD", "lr": 2.0}
    config["schedule"]["lr_schedule"] = {"name": "MultiStepLR", "milestones": [9], "gamma": 0.1}
    (scenes / "own.yml").write_text(yaml.safe_dump(config))
    common = ("--config", "own.yml", "--data", "set", "--workers", "0", "--batch", "4",
              "--input-size", "128x96", "--epochs", "3", "--out", "paused")  # fmt: skip
    for more in (("--stop-after-epoch", "2"), ("--resume",)):
        done = run_here(scenes, NANODET, "train", *common, *more)
        assert done.returncode == 0, done.stderr
    found = average_precisions(scenes / "paused" / "log")
    assert len(found) == 3, "the metrics of the first part are kept"
    assert (scenes / "paused" / "best.ckpt").is_file()
    state = torch.load(scenes / "paused" / "last.ckpt", weights_only=False)
    assert state["callbacks"]["Validation"]["best"] == pytest.approx(max(found))
    assert "a learning rate of 2 is high for batches of 4" in done.stderr
    assert "at the end: nothing was learned" in done.stderr


def test_without_validation(scenes: Path) -> None:
    options = ("--train", "set/train/annotations.json", "--train-images", "set/train/images")
    done = train(scenes, *options, "--epochs", "1", "--out", "alone")
    assert done.returncode == 0, done.stderr
    assert "weights alone/last.ckpt" in done.stdout
    assert not (scenes / "alone" / "best.ckpt").exists()
    curve = (scenes / "alone" / "curve.png").read_bytes()
    again = train(scenes, *options, "--epochs", "1", "--out", "alone", "--resume")
    assert again.returncode == 0, again.stderr
    assert "weights alone/last.ckpt" in again.stdout, "no epoch was left to train"
    assert (scenes / "alone" / "curve.png").read_bytes() == curve


def test_pictures_of_the_configuration(scenes: Path) -> None:
    data = {
        part: {"img_path": f"set/{folder}/images", "ann_path": f"set/{folder}/annotations.json"}
        for part, folder in (("train", "train"), ("val", "valid"))
    }
    spec = locate.model_spec("nanodet-m-0.5x-shapes")
    (scenes / "paths.yml").write_text(yaml.safe_dump(configuration(spec, CLASS_NAMES, data)))
    options = ("--workers", "0", "--batch", "4", "--epochs", "1", "--input-size", "128x96")
    command = (NANODET, "train", "--config", "paths.yml", *options, "--out", "configured")
    done = run_here(scenes, *command)
    assert done.returncode == 0, done.stderr
    assert "not used" not in done.stderr
    assert len(average_precisions(scenes / "configured" / "log")) == 1


@pytest.mark.parametrize(
    ("change", "steps", "batch", "warning", "reason"),
    [
        ({}, 100, 32, "", "the kit's own"),
        ({"epochs": 2}, 100, 32, "300 steps of warm-up, but the run has 200", "too short"),
        ({"optimizer": "SGD", "rate": 0.14}, 100, 192, "", "upstream's"),
        ({"optimizer": "SGD", "rate": 0.14}, 100, 16, "upstream's would be 0.012", "small"),
        ({"rate": 0.01}, 100, 96, "with AdamW, upstream's would be 0.001", "ten times"),
    ],
)
def test_warnings(
    capsys: pytest.CaptureFixture[str],
    change: dict[str, Any],
    steps: int,
    batch: int,
    warning: str,
    reason: str,
) -> None:
    check_run(dataclasses.replace(Settings(), **change), steps, batch)
    said = capsys.readouterr().err
    assert (warning in said and len(said.splitlines()) == 1) if warning else said == "", reason


@pytest.mark.parametrize("name", sorted(locate.models()))
def test_a_starting_configuration_is_the_variant(tmp_path: Path, name: str) -> None:
    """Read again, it is the same network with other classes, and no key is unused."""
    done = run_here(tmp_path, NANODET, "config", "--model", name, "--names", "cat, dog,010")
    assert done.returncode == 0, done.stderr
    path = tmp_path / "own.yml"
    path.write_text(done.stdout)
    spec, found = locate.model_spec(name), read_training_config(path)
    assert found.architecture == spec.architecture and found.input == spec.input
    assert found.class_names == ("cat", "dog", "010")
    assert unused_keys(path, training=True) == ()
    plus = spec.architecture.neck == "ghost_pan"
    kits = Settings(
        epochs=50, batch=32, warmup_steps=100,
        momentum=0.0, detach_epoch=10 * plus,  # Of SGD, of NanoDet-Plus.
    )  # fmt: skip
    assert read_settings(path) == kits


def test_a_starting_configuration_of_a_set(scenes: Path) -> None:
    done = run_here(scenes, NANODET, "config", "--data", "set")
    assert done.returncode == 0, done.stderr
    content = yaml.safe_load(done.stdout)
    assert content["class_names"] == list(CLASS_NAMES)
    assert content["data"]["val"]["img_path"] == "set/valid/images"
    done = run_here(scenes, NANODET, "config")
    assert done.returncode == 2 and "no classes; give --names" in done.stderr


def test_the_best_checkpoint_converts(scenes: Path, whole: str) -> None:
    spec = locate.model_spec("nanodet-m-0.5x-shapes")
    notes = load_network(scenes / "whole" / "best.ckpt", spec).notes
    assert "uses the averaged weights (avg_model.*)" in notes
