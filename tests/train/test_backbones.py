"""Networks of other backbones while they are trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from convert.checkpoint import load_network
from convert.training_config import read_training_config
from data.shapes.dataset import write_set
from data.shapes.shapes import CLASS_NAMES
from runtime.spec import ModelSpec
from tests.conftest import NANODET, run_here
from tests.convert.test_backbones import _UPSTREAM, config, read, spec_of
from tests.train.test_settings import SCHEDULE
from train.criterion import Criterion, Objects
from train.guidance import TrainedNetwork

_TRAINED = ("repvgg_a0", "efficientnet_lite0", "mobilenet_v2", "ghostnet", "custom_csp")


@pytest.fixture
def idle(tmp_path: Path) -> ModelSpec:
    """A network that leaves the last stage of its backbone aside."""
    backbone = {"name": "GhostNet", "width_mult": 0.5, "out_stages": [4, 6, 8]}
    return read(tmp_path, config(backbone, plus=True))


def step(network: TrainedNetwork, spec: ModelSpec) -> float:
    """Gradients of one batch; the loss."""
    objects = [Objects(torch.tensor([[10.0, 8, 60, 50]]), torch.tensor([1]))] * 2
    outputs, guide = network.train_forward(torch.randn(2, 3, 64, 96), detach=False)
    loss = Criterion(spec)(outputs, objects, (64, 96), guide)["loss"]
    network.zero_grad()
    loss.backward()
    return float(loss.detach())


@pytest.mark.parametrize("name", _TRAINED)
def test_every_weight_learns_and_is_loaded(tmp_path: Path, name: str) -> None:
    torch.manual_seed(0)
    spec = spec_of(tmp_path, name)
    network = TrainedNetwork(spec).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3)
    losses = []
    for _ in range(6):
        losses.append(step(network, spec))
        missing = [n for n, p in network.named_parameters() if p.requires_grad and p.grad is None]
        assert not missing
        optimizer.step()
    assert min(losses[3:]) < losses[0], losses
    torch.save({"state_dict": network.state_dict()}, tmp_path / "own.ckpt")
    loaded = load_network(tmp_path / "own.ckpt", spec).network
    with torch.no_grad():
        x = torch.randn(1, 3, 64, 96)
        for one, other in zip(network.eval()(x), loaded(x), strict=True):
            torch.testing.assert_close(one, other)


def test_what_nothing_reads_is_left_out_of_training(idle: ModelSpec) -> None:
    """Processes that train together wait for every gradient."""
    network = TrainedNetwork(idle).train()
    step(network, idle)
    still = {n for n, p in network.named_parameters() if not p.requires_grad}
    assert still and all(name.startswith("backbone.blocks.9.") for name in still)
    assert all(p.grad is not None for p in network.parameters() if p.requires_grad)


def test_a_run_that_drops_blocks_resumes(tmp_path: Path) -> None:
    write_set(tmp_path / "scenes", 4, 96, 64, seed=0)
    content = config(_UPSTREAM["efficientnet_lite0"][0])
    content |= {"schedule": SCHEDULE, "device": {"batchsize_per_gpu": 2}}
    content["data"]["train"] = {"input_size": [96, 64], "pipeline": {"flip": 0.5}}
    content["model"]["arch"]["head"]["num_classes"] = len(CLASS_NAMES)
    content["class_names"] = list(CLASS_NAMES)
    (tmp_path / "own.yml").write_text(yaml.safe_dump(content))
    given = ("--config", "own.yml", "--data", "scenes", "--workers", "0", "--epochs", "2")
    for options in (
        ("--out", "whole"),
        ("--out", "halves", "--stop-after-epoch", "1"),
        ("--out", "halves", "--resume"),
    ):
        done = run_here(tmp_path, NANODET, "train", *given, *options)
        assert done.returncode == 0, done.stderr
    spec = read_training_config(tmp_path / "own.yml")
    whole, halves = (
        load_network(tmp_path / out / "last.ckpt", spec).network.state_dict()
        for out in ("whole", "halves")
    )
    assert all(torch.equal(value, halves[name]) for name, value in whole.items())


@pytest.mark.parametrize(
    ("name", "weight", "deviation", "reason"),
    [
        ("ghostnet", "conv_stem.weight", 0.01, "the stem"),
        ("ghostnet", "blocks.8.0.ghost1.primary_conv.0.weight", 1 / 80, "1 / inputs"),
        ("mobilenet_v2", "stage6.1.0.weight", 0.001, "all alike"),
        ("efficientnet_lite0", "blocks.5.1._project_conv.weight", (2 / 192) ** 0.5, "fan out"),
        ("efficientnet_lite0", "blocks.5.1._depthwise_conv.weight", (2 / (1152 * 25)) ** 0.5,
         "fan out of all channels"),
        ("custom_csp", "stages.5.in_conv.conv.weight", (2 / (256 * 9)) ** 0.5, "He, fan out"),
        ("repvgg_a0", "stage3.3.rbr_dense.0.weight", (1 / (192 * 9) / 3) ** 0.5,
         "PyTorch's own, uniform within 1 / sqrt(inputs)"),
    ],
)  # fmt: skip
def test_weights_begin_as_upstreams(
    tmp_path: Path, name: str, weight: str, deviation: float, reason: str
) -> None:
    torch.manual_seed(0)
    values = TrainedNetwork(spec_of(tmp_path, name)).backbone.state_dict()[weight]
    error = 4 / (2 * values.numel()) ** 0.5  # Four standard errors of a deviation.
    assert float(values.std()) == pytest.approx(deviation, rel=error), reason


@pytest.mark.parametrize(("name", "bias"), [("ghostnet", 1e-4), ("mobilenet_v2", 0.0)])
def test_norms_begin_as_upstreams(tmp_path: Path, name: str, bias: float) -> None:
    backbone: Any = TrainedNetwork(spec_of(tmp_path, name)).backbone
    norms = [m for m in backbone.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert norms and all(torch.all(norm.bias == torch.tensor(bias)) for norm in norms)
