"""Fine-tuning begins with what a checkpoint has."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from torch import nn

from convert.network import NanoDet
from data import locate
from runtime.spec import ModelSpec
from tests.conftest import in_grey, small
from tests.random_network import random_network
from train.module import Training
from train.settings import Settings
from train.start import start_from, unfold

SAMPLES = [torch.randn(3, 64, 96, generator=torch.Generator().manual_seed(i)) for i in range(12)]


def spoilt(network: nn.Module) -> NanoDet:
    """Folded, as exporters do it: batch norms add their bias, and nothing else."""
    assert isinstance(network, NanoDet)
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.ones_(norm.weight)
            nn.init.zeros_(norm.running_mean)  # type: ignore[arg-type]
            nn.init.constant_(norm.running_var, 1 - norm.eps)  # type: ignore[arg-type]
    return network


@pytest.mark.parametrize("name", ["nanodet-m-0.5x", "nanodet-plus-m-320"])
def test_folded_norms_are_measured_anew(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Evaluated, the network is the same; trained, it normalises by what it was told."""
    spec = small(locate.model_spec(name), 96, 64)
    folded = spoilt(random_network(spec)).eval()
    torch.save({"state_dict": folded.state_dict()}, tmp_path / "folded.ckpt")
    training = Training(spec, Settings())
    start_from(training, tmp_path / "folded.ckpt", SAMPLES)
    assert "folded batch norms, measured anew on 12 pictures" in capsys.readouterr().out
    assert training.avg_model is not None
    for key, value in training.avg_model.state_dict().items():
        assert torch.equal(value, training.model.state_dict()[key]), key
    pixels, network = torch.stack(SAMPLES), training.model
    with torch.no_grad():
        for found, wanted in zip(network.eval()(pixels), folded(pixels), strict=True):
            torch.testing.assert_close(found, wanted, atol=2e-3, rtol=1e-3)
        trained, evaluated = (network.train(mode)(pixels) for mode in (True, False))
        for found, wanted in zip(trained, evaluated, strict=True):
            assert float((found - wanted).abs().mean()) < 0.05 * float(wanted.std())


def test_norms_that_are_not_folded_stay(tmp_path: Path, tiny: ModelSpec) -> None:
    network = random_network(tiny)
    torch.save({"state_dict": network.state_dict()}, tmp_path / "a.ckpt")
    training = Training(tiny, Settings())
    start_from(training, tmp_path / "a.ckpt", SAMPLES)
    state = training.model.state_dict()
    for name, value in network.state_dict().items():
        assert torch.equal(state[name], value) or name.endswith("num_batches_tracked"), name


def test_unfolded_statistics_are_those_of_the_pictures(tiny: ModelSpec) -> None:
    network = spoilt(random_network(tiny)).eval()
    conv, norm = (network.get_submodule(f"backbone.conv1.{i}") for i in (0, 1))
    assert isinstance(norm, torch.nn.BatchNorm2d)
    with torch.no_grad():
        seen = conv(torch.stack(SAMPLES))
    unfold(network, SAMPLES)
    assert norm.running_mean is not None and norm.running_var is not None
    torch.testing.assert_close(norm.running_mean, seen.mean((0, 2, 3)), atol=1e-5, rtol=1e-4)
    variance = seen.var((0, 2, 3), unbiased=False)
    torch.testing.assert_close(norm.running_var, variance, atol=1e-5, rtol=1e-4)


def test_grey_takes_the_sum_of_colours(tmp_path: Path, tiny: ModelSpec) -> None:
    network = random_network(tiny)
    torch.save({"state_dict": network.state_dict()}, tmp_path / "colour.ckpt")
    training = Training(in_grey(tiny), Settings())
    start_from(training, tmp_path / "colour.ckpt", [sample[:1] for sample in SAMPLES])
    pixels = torch.stack(SAMPLES)[:, :1]
    with torch.no_grad():
        found = training.model.eval()(pixels)
        for level, wanted in zip(found, network(pixels.expand(-1, 3, -1, -1)), strict=True):
            torch.testing.assert_close(level, wanted, atol=1e-3, rtol=1e-3)


def test_a_last_layer_with_other_classes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = small(locate.model_spec("nanodet-m-0.5x"), 96, 64)
    network = random_network(spec)
    torch.save({"state_dict": network.state_dict()}, tmp_path / "coco.ckpt")
    own = dataclasses.replace(spec, class_names=("Traffic_Light", "unicorn", "person"))
    training = Training(own, Settings())
    before = training.model.state_dict()["head.gfl_cls.1.weight"].clone()
    start_from(training, tmp_path / "coco.ckpt", SAMPLES)
    found = training.model.state_dict()["head.gfl_cls.1.weight"]
    coco = network.state_dict()["head.gfl_cls.1.weight"]
    assert torch.equal(found[3:], coco[80:]), "distances"
    assert torch.equal(found[0], coco[9]) and torch.equal(found[2], coco[0]), "by their names"
    assert torch.equal(found[1], before[1]), "nobody knows unicorns"
    assert "gives the distances, and 2 of 3 classes" in capsys.readouterr().out
