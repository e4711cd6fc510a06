"""Rates, averages and checkpoints of a training."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from convert.checkpoint import load_network
from convert.network import NanoDet
from data import locate
from runtime.spec import ModelSpec
from tests.conftest import run_here, small
from train.module import Training
from train.settings import Settings

STEPS_PER_EPOCH = 7


def upstreams_rates(settings: Settings, peak: float) -> Iterator[float]:
    """Step by step as `nanodet/trainer/task.py`: torch's schedule between epochs, and warm-up,
    which overwrites it up to its last step."""
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=peak)
    schedule: Any = torch.optim.lr_scheduler.MultiStepLR(
        optimizer, list(settings.milestones), settings.gamma
    )
    if settings.schedule == "CosineAnnealingLR":
        length = settings.cosine_epochs or settings.epochs
        optimizer = torch.optim.SGD([torch.zeros(1)], lr=peak)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, length, settings.last_rate)
    (group,) = optimizer.param_groups
    for step in range(settings.epochs * STEPS_PER_EPOCH):
        if step <= settings.warmup_steps and settings.warmup_steps:
            done, ratio = step / settings.warmup_steps, settings.warmup_ratio
            kinds = {
                "constant": ratio,
                "linear": 1 - (1 - done) * (1 - ratio),
                "exp": ratio ** (1 - done),
            }
            group["lr"] = group["initial_lr"] * kinds[settings.warmup]
        yield group["lr"]
        optimizer.step()
        if step % STEPS_PER_EPOCH == STEPS_PER_EPOCH - 1:
            schedule.step()


@pytest.mark.parametrize("warmup", ["linear", "exp", "constant"])
@pytest.mark.parametrize("steps", [0, 3, 7, 24], ids="warm{}".format)
@pytest.mark.parametrize("schedule", ["cosine", "cosine of 4 epochs", "steps"])
@pytest.mark.parametrize("share", [1.0, 0.1], ids="rate*{}".format)
def test_rates_are_upstreams(
    tiny: ModelSpec, warmup: str, steps: int, schedule: str, share: float
) -> None:
    settings = Settings(
        epochs=10, rate=0.01, last_rate=1e-4, warmup=warmup, warmup_steps=steps, warmup_ratio=0.05,
        schedule="MultiStepLR" if schedule == "steps" else "CosineAnnealingLR",
        cosine_epochs=4 if "4" in schedule else 0, milestones=(2, 5), gamma=0.1,
    )  # fmt: skip
    training = Training(tiny, settings)
    training.steps_per_epoch = STEPS_PER_EPOCH
    peak = settings.rate * share
    for step, expected in enumerate(upstreams_rates(settings, peak)):
        assert training.rate_factor(step, peak) * peak == pytest.approx(expected, rel=1e-9), step


def test_rates_by_hand(tiny: ModelSpec) -> None:
    """Warm-up of 10 steps in the first epoch of 10, the cosine of 10 epochs after it."""
    training = Training(tiny, Settings(epochs=10, warmup_steps=10, warmup_ratio=0.1))
    training.steps_per_epoch = 10
    found = [training.rate_factor(step, 1e-3) for step in (0, 5, 10, 50, 59)]
    floor, half, first = 0.05, 1.0, 1 + math.cos(math.pi / 10)
    assert found == pytest.approx([0.1, 0.55, 1, *[floor + (1 - floor) * half / first] * 2])


def test_the_average_begins_as_upstreams(tiny: ModelSpec) -> None:
    """After the first step the new weights count 0.9998 * exp(-2 / 2000) + 0.0002."""
    training = Training(tiny, Settings())
    assert training.avg_model is not None
    old = training.avg_model.state_dict()["head.gfl_cls.0.weight"].clone()
    with torch.no_grad():
        dict(training.model.named_parameters())["head.gfl_cls.0.weight"].add_(1)
    training._trainer = SimpleNamespace(global_step=1)  # type: ignore[assignment]
    training.on_train_batch_end()
    moved = training.avg_model.state_dict()["head.gfl_cls.0.weight"] - old
    share = 0.9998 * math.exp(-2 / 2000) + 0.0002
    torch.testing.assert_close(moved, torch.full_like(moved, share), atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("name", "extra"),
    [
        (
            "nanodet-m-0.5x",
            {f"head.gfl_reg.{i}.{part}" for i in range(3) for part in ("weight", "bias")},
        ),
        ("nanodet-plus-m-320", set()),
    ],
)
def test_checkpoints_hold_what_upstream_asks_for(name: str, extra: set[str]) -> None:
    """The keys of upstream's modules, which it loads strictly, beyond those that are deployed."""
    spec = locate.model_spec(name)
    training = Training(spec, Settings())
    deployed = set(NanoDet(spec).state_dict())
    for prefix in ("model.", "avg_model."):
        state = {
            key.removeprefix(prefix): value
            for key, value in training.state_dict().items()
            if key.startswith(prefix)
        }
        more = {key for key in set(state) - deployed if not key.startswith("aux_")}
        assert more == extra | {"head.distribution_project.project"}
        assert state["head.distribution_project.project"].tolist() == list(range(8))
        assert all(state[key].shape[0] == 32 for key in extra)


def upstreams_groups(
    network: torch.nn.Module, settings: Settings
) -> dict[str, tuple[float, float]]:
    """`nanodet/optim/builder.py` word for word: name -> rate and decay."""
    found = {n: [settings.rate, settings.weight_decay] for n, _ in network.named_parameters()}
    for name in found:
        for part, rate, decay in settings.factors:
            if part in name:
                found[name] = [settings.rate * rate, settings.weight_decay * decay]
                break
    norms = torch.nn.GroupNorm, torch.nn.modules.batchnorm._BatchNorm
    for name, module in network.named_modules():
        if isinstance(module, norms) and not settings.decayed_norms:
            found[f"{name}.weight"][1] = found[f"{name}.bias"][1] = 0
        if getattr(module, "bias", None) is not None and not settings.decayed_biases:
            found[f"{name}.bias"][1] = 0
    return {name: (rate, decay) for name, (rate, decay) in found.items()}


@pytest.mark.parametrize("norms", [True, False])
@pytest.mark.parametrize("biases", [True, False])
@pytest.mark.parametrize("factors", [(), (("fpn", 0.1, 2.0), ("backbone", 0.5, 0.0))])
def test_rates_and_decays_are_upstreams(
    norms: bool, biases: bool, factors: tuple[tuple[str, float, float], ...]
) -> None:
    spec = small(locate.model_spec("nanodet-plus-m-320"), 96, 64)
    settings = dataclasses.replace(
        Settings(), decayed_norms=norms, decayed_biases=biases, factors=factors
    )
    training = Training(spec, settings)
    names = {id(p): n for n, p in training.model.named_parameters()}
    found = {
        names[id(p)]: (group["lr"], group["weight_decay"])
        for group in training._parameter_groups()
        for p in group["params"]
    }
    assert found == upstreams_groups(training.model, settings)


def test_half_weights(tiny: ModelSpec, tmp_path: Path) -> None:
    """What is deployed survives, the same bytes each time."""
    training = Training(tiny, Settings())
    torch.save({"state_dict": training.state_dict()}, tmp_path / "last.ckpt")
    for name in ("a.ckpt", "b.ckpt"):
        done = run_here(tmp_path, "-m", "train.export", "last.ckpt", name)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "a.ckpt").read_bytes() == (tmp_path / "b.ckpt").read_bytes()
    whole, half = (load_network(tmp_path / n, tiny).network for n in ("last.ckpt", "a.ckpt"))
    pixels = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        for wanted, found in zip(whole(pixels), half(pixels), strict=True):
            torch.testing.assert_close(found, wanted, atol=0.02, rtol=0.02)
