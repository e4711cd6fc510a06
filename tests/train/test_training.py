"""The criterion, the guidance module, and the command."""

from __future__ import annotations

import csv
import dataclasses
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import assets
from convert.checkpoint import load_network
from convert.training_config import read_training_config
from runtime.errors import KitError
from runtime.spec import ModelSpec
from synthetic.dataset import write_set
from synthetic.shapes import CLASS_NAMES
from tests.conftest import run_python, small
from tests.convert.test_training_config import m_config, plus_config
from train.criterion import Criterion, Objects, flatten
from train.guidance import TrainedNetwork
from train.module import Training
from train.settings import Settings, read_settings

SCHEDULE = {
    "optimizer": {"name": "SGD", "lr": 0.07, "momentum": 0.9, "weight_decay": 0.0001},
    "warmup": {"steps": 10, "ratio": 0.1},
    "total_epochs": 4,
    "lr_schedule": {"name": "MultiStepLR", "milestones": [2, 3], "gamma": 0.1},
}


def objects() -> list[Objects]:
    return [
        Objects(torch.tensor([[10.0, 8, 60, 50], [40, 20, 95, 64]]), torch.tensor([3, 7])),
        Objects(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64)),
    ]


@pytest.mark.parametrize("name", ["nanodet-m-0.5x", "nanodet-plus-m-320"])
def test_loss_falls(name: str) -> None:
    torch.manual_seed(0)
    spec = small(assets.model_spec(name), 96, 64)
    network, criterion = TrainedNetwork(spec).train(), Criterion(spec)
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3)
    pixels = torch.randn(2, 3, 64, 96)
    seen = []
    for _ in range(40):
        outputs, guide = network.train_forward(pixels, detach=False)
        assert (guide is not None) == (name == "nanodet-plus-m-320")
        losses = criterion(outputs, objects(), (64, 96), guide)
        parts = [value for part, value in losses.items() if part != "loss"]
        assert float(losses["loss"]) == pytest.approx(float(sum(parts)), rel=1e-5)
        optimizer.zero_grad()
        losses["loss"].backward()
        optimizer.step()
        seen.append(float(losses["loss"].detach()))
    assert seen[-1] < 0.5 * seen[0], seen


def test_guidance_leaves_the_rest_alone_when_detached() -> None:
    spec = small(assets.model_spec("nanodet-plus-m-320"), 96, 64)
    network = TrainedNetwork(spec)
    _, guide = network.train_forward(torch.randn(1, 3, 64, 96), detach=True)
    assert guide is not None
    guide.sum().backward()
    assert all(p.grad is None for p in network.backbone.parameters())
    assert all(p.grad is None for p in network.fpn.parameters())
    assert any(p.grad is not None for p in network.aux_fpn.parameters())


def test_outputs_are_cell_by_cell(tiny: ModelSpec) -> None:
    levels = TrainedNetwork(tiny).eval()(torch.randn(1, 3, 64, 96))
    flat = flatten(levels)
    assert flat.shape == (1, 96 + 24 + 6, 112)
    torch.testing.assert_close(flat[0, 96 + 7], levels[1][0, :, 1, 1])


def test_settings_of_upstream(tmp_path: Path) -> None:
    config = m_config() | {"schedule": SCHEDULE, "device": {"batchsize_per_gpu": 24}}
    config["data"]["train"] = {"pipeline": {"scale": [0.5, 1.5], "flip": 0.5, "normalize": []}}
    path = tmp_path / "own.yml"
    path.write_text(yaml.safe_dump(config))
    settings = read_settings(path)
    assert (settings.optimizer, settings.rate, settings.batch) == ("SGD", 0.07, 24)
    assert settings.milestones == (2, 3) and settings.augmentation.scale == (0.5, 1.5)
    training = Training(read_training_config(path), settings)
    training.steps_per_epoch = 100
    factors = [training.rate_factor(step) for step in (0, 5, 10, 199, 200, 300)]
    assert factors == pytest.approx([0.1, 0.55, 1, 1, 0.1, 0.01])
    config["schedule"] = SCHEDULE | {"lr_schedule": {"name": "Magic"}}
    path.write_text(yaml.safe_dump(config))
    with pytest.raises(KitError, match="'Magic', this kit knows CosineAnnealingLR"):
        read_settings(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"total_epochs": 0}, "epochs is 0, expected 1 to"),
        ({"total_epochs": float("inf")}, "no training part"),
        ({"total_epochs": "many"}, "no training part"),
        ({"optimizer": {"name": "SGD", "lr": float("nan")}}, "rate is nan"),
        ({"optimizer": []}, "no training part"),
        ({"lr_schedule": {"name": "MultiStepLR", "milestones": ["a"]}}, "no training part"),
    ],
)
def test_unusable_settings(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    config = m_config() | {"schedule": SCHEDULE | change}
    config["data"]["train"] = {"pipeline": {}}
    path = tmp_path / "own.yml"
    path.write_text(yaml.safe_dump(config))
    with pytest.raises(KitError, match=message):
        read_settings(path)


@pytest.mark.parametrize("value", [[1], [1, "a"], "wide", float("nan"), {}])
def test_unusable_augmentation(tmp_path: Path, value: Any) -> None:
    config = m_config() | {"schedule": SCHEDULE}
    config["data"]["train"] = {"pipeline": {"scale": value}}
    path = tmp_path / "own.yml"
    path.write_text(yaml.safe_dump(config))
    with pytest.raises(KitError, match="`scale` is"):
        read_settings(path)


def test_cosine_schedule(tiny: ModelSpec) -> None:
    settings = dataclasses.replace(Settings(), epochs=10, warmup_steps=0)
    training = Training(tiny, settings)
    training.steps_per_epoch = 10
    assert training.rate_factor(0) == pytest.approx(1)
    assert training.rate_factor(50) == pytest.approx((1 + 0.05) / 2)
    assert training.rate_factor(100) == pytest.approx(0.05)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with scenes, and configurations of both networks for them."""
    folder = tmp_path_factory.mktemp("own")
    write_set(folder / "scenes", 8, 96, 64, seed=0)
    for name, config in (("plus.yml", plus_config()), ("m.yml", m_config())):
        config |= {"schedule": SCHEDULE, "device": {"batchsize_per_gpu": 4}}
        config["data"]["train"] = {"pipeline": {"flip": 0.5}}
        config["data"]["val"]["input_size"] = [192, 128]
        config["model"]["arch"]["head"]["num_classes"] = len(CLASS_NAMES)
        config["class_names"] = list(CLASS_NAMES)
        (folder / name).write_text(yaml.safe_dump(config))
    return folder


def train(own: Path, config: str, *options: str) -> subprocess.CompletedProcess[str]:
    given = ("--config", config, "--data", "scenes", "--workers", "0")
    return run_python(own, "-m", "train", *given, *options)


@pytest.mark.parametrize("workers", ["0", "1"])
def test_resumed_training_is_the_uninterrupted_one(own: Path, workers: str) -> None:
    """Loading processes look ahead, and must do so in the right epoch."""
    for arguments in (
        ("--out", "whole", "--epochs", "3"),
        ("--out", "halves", "--epochs", "3", "--stop-after-epoch", "2"),
        ("--out", "halves", "--epochs", "3", "--resume"),
    ):
        done = train(own, "plus.yml", *arguments, "--workers", workers)
        assert done.returncode == 0, done.stderr
    spec = read_training_config(own / "plus.yml")
    whole, halves = (load_network(own / f / "last.ckpt", spec) for f in ("whole", "halves"))
    assert "uses the averaged weights (avg_model.*)" in whole.notes
    other = halves.network.state_dict()
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, other[name]), name


def test_two_processes_lose_what_one_with_twice_the_batch_loses(own: Path) -> None:
    """NanoDet-m, whose assignment does not hang on predictions; in float64, for the gradients of
    an untrained network with batch norm magnify rounding a thousandfold."""
    found = []
    for out, *options in (("one", "--batch", "4"), ("two", "--batch", "2", "--devices", "2")):
        more = ("--out", out, "--epochs", "2", "--rate", "0.01", "--precision", "64-true", *options)
        done = train(own, "m.yml", *more)
        assert done.returncode == 0, done.stderr
        with (own / out / "log" / "metrics.csv").open() as file:
            found.append([float(row["train/loss"]) for row in csv.DictReader(file)])
    one, two = found
    assert len(one) == 4
    assert two == pytest.approx(one, abs=1e-4)


@pytest.mark.parametrize(
    ("options", "message", "reason"),
    [
        (("--resume", "--out", "none"), "--resume: none/last.ckpt is not there", "nothing yet"),
        (("--batch", "9"), "8 images are less than one batch", "too few"),
        (("--weights", "m.yml"), "m.yml: this is text that begins", "no checkpoint"),
        (("--strides", "32"), "chosen when converting", "all strides are trained"),
    ],
)
def test_bad_input(own: Path, options: tuple[str, ...], message: str, reason: str) -> None:
    done = train(own, "plus.yml", *options)
    assert done.returncode == 2, reason
    assert message in done.stderr and len(done.stderr.splitlines()) == 1, done.stderr


def test_half_weights(tiny: ModelSpec, tmp_path: Path) -> None:
    """What is deployed survives, the same bytes each time."""
    training = Training(tiny, Settings())
    torch.save({"state_dict": training.state_dict()}, tmp_path / "last.ckpt")
    for name in ("a.ckpt", "b.ckpt"):
        done = run_python(tmp_path, "-m", "train.half", "last.ckpt", name)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "a.ckpt").read_bytes() == (tmp_path / "b.ckpt").read_bytes()
    whole, half = (load_network(tmp_path / n, tiny).network for n in ("last.ckpt", "a.ckpt"))
    pixels = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        for wanted, found in zip(whole(pixels), half(pixels), strict=True):
            torch.testing.assert_close(found, wanted, atol=0.02, rtol=0.02)
