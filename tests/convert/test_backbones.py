from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
import yaml

from convert.lowering import APPROXIMATE, lower
from convert.network import NanoDet
from convert.network.backbones import build_backbone, handed_on
from convert.network.efficientnet_lite import InvertedBottleneck
from convert.network.ghostnet import SqueezeExcite
from convert.network.repvgg import Branches
from convert.training_config import read_training_config
from runtime.errors import KitError
from runtime.preprocess import to_canvas
from runtime.spec import ModelSpec
from runtime.tflite_graph import Graph
from tests.conftest import Converted, photo, small
from tests.convert.test_training_config import m_config, plus_config
from tests.random_network import random_network

_CSP = [
    *(["Conv", 3, 32, 3, 2], ["MaxPool", 3, 2], ["CspBlock", 32, 1, 3, 1]),
    *(["CspBlock", 64, 2, 3, 2], ["CspBlock", 128, 2, 3, 2], ["CspBlock", 256, 3, 3, 2]),
]
# `backbone` of a configuration; tensors, parameters and one tensor of upstream's network.
_UPSTREAM: dict[str, tuple[dict[str, Any], int, int, str, tuple[int, ...]]] = {
    "repvgg_a0": (
        {"name": "RepVGG", "arch": "A0", "out_stages": [2, 3, 4], "last_channel": 512},
        349, 6_350_336, "stage4.0.rbr_1x1.0.weight", (512, 192, 1, 1),
    ),
    "repvgg_b1": (
        {"name": "RepVGG", "arch": "B1", "out_stages": [2, 3, 4]},
        451, 55_366_016, "stage2.5.rbr_identity.running_mean", (256,),
    ),
    "efficientnet_lite0": (
        {"name": "EfficientNetLite", "model_name": "efficientnet_lite0"},
        288, 2_958_848, "blocks.3.0._depthwise_conv.weight", (240, 1, 3, 3),
    ),
    "efficientnet_lite2": (
        {"name": "EfficientNetLite", "model_name": "efficientnet_lite2"},
        378, 4_357_952, "blocks.6.0._project_conv.weight", (352, 1248, 1, 1),
    ),
    "mobilenet_v2": (
        {"name": "MobileNetV2", "width_mult": 0.5, "last_channel": 640},
        312, 580_768, "stage6.1.0.weight", (640, 160, 1, 1),
    ),
    "ghostnet": (
        {"name": "GhostNet", "width_mult": 0.5},
        508, 690_612, "blocks.5.0.ghost1.cheap_operation.0.weight", (60, 1, 3, 3),
    ),
    "custom_csp": (
        {"name": "CustomCspNet", "out_stages": [3, 4, 5], "net_cfg": _CSP},
        150, 3_182_432, "stages.3.res_blocks.1.mid_conv.conv.weight", (32, 32, 3, 3),
    ),
}  # fmt: skip
# What each hands on where it is built: channels and strides.
_HANDED_ON = {
    "repvgg_a0": ((96, 192, 512), (8, 16, 32)),
    "repvgg_b1": ((256, 512, 2048), (8, 16, 32)),
    "efficientnet_lite0": ((40, 112, 320), (8, 16, 32)),
    "efficientnet_lite2": ((48, 120, 352), (8, 16, 32)),
    "mobilenet_v2": ((12, 16, 48, 640), (4, 8, 16, 32)),
    "ghostnet": ((20, 56, 480), (8, 16, 32)),
    "custom_csp": ((128, 256, 512), (8, 16, 32)),
}
_SMALL_CSP = [["Conv", 3, 8, 3, 2], ["MaxPool", 3, 2], ["CspBlock", 8, 1, 3, 2],
              ["CspBlock", 16, 1, 3, 2], ["CspBlock", 32, 1, 3, 2]]  # fmt: skip


def config(
    backbone: dict[str, Any], strides: tuple[int, ...] = (8, 16, 32), plus: bool = False
) -> dict[str, Any]:
    """A training configuration with another backbone."""
    made = plus_config() if plus else m_config()
    arch = made["model"]["arch"]
    arch["backbone"] = backbone
    arch["fpn"].pop("in_channels", None)
    arch["fpn"]["num_outs" if not plus else "num_extra_level"] = 0 if plus else len(strides)
    arch["head"]["strides"] = list(strides)
    made["class_names"] = ["cat", "dog"]
    arch["head"]["num_classes"] = 2
    return made


def read(folder: Path, content: dict[str, Any]) -> ModelSpec:
    path = folder / "own.yml"
    path.write_text(yaml.safe_dump(content))
    return small(read_training_config(path), 96, 64)


def spec_of(folder: Path, name: str) -> ModelSpec:
    return read(folder, config(_UPSTREAM[name][0], _HANDED_ON[name][1]))


@pytest.mark.parametrize("name", _UPSTREAM)
def test_networks_are_upstreams(tmp_path: Path, name: str) -> None:
    _, tensors, parameters, key, shape = _UPSTREAM[name]
    spec = spec_of(tmp_path, name)
    assert spec.architecture.backbone == name
    assert handed_on(spec.architecture) == _HANDED_ON[name]
    with torch.device("meta"):
        backbone = build_backbone(spec.architecture)
    state = backbone.state_dict()
    assert len(state) == tensors and tuple(state[key].shape) == shape
    assert sum(p.numel() for p in backbone.parameters()) == parameters


@pytest.mark.parametrize("name", [n for n in _UPSTREAM if n not in ("repvgg_b1",)])
def test_features_have_their_sizes(tmp_path: Path, name: str) -> None:
    spec = spec_of(tmp_path, name)
    with torch.inference_mode():
        found = build_backbone(spec.architecture).eval()(torch.zeros(1, 3, 64, 96))
    channels, strides = _HANDED_ON[name]
    expected = [(1, c, 64 // s, 96 // s) for c, s in zip(channels, strides, strict=True)]
    assert [tuple(f.shape) for f in found] == expected


def test_the_spec_is_read_back(tmp_path: Path) -> None:
    for name in _UPSTREAM:
        spec = spec_of(tmp_path, name)
        assert ModelSpec.from_json(spec.to_json(), "x") == spec


def test_files_of_older_networks_stay_as_they_were(official: ModelSpec) -> None:
    assert "backbone_options" not in official.to_json() and "head_dense" not in official.to_json()


@pytest.mark.parametrize(
    ("backbone", "strides", "plus", "message"),
    [
        ({"name": "ResNet", "depth": 18}, (8, 16, 32), False, "ResNet.*train with one of these"),
        ({"name": "TIMMWrapper"}, (8, 16, 32), False, "another library; train with one of these"),
        ({"name": "RepVGG", "arch": "B3"}, (4, 8, 16, 32), False, "repvgg_b3.*known"),
        ({"name": "RepVGG", "arch": "A0", "deploy": True}, (8, 16, 32), False, "deploy is True"),
        ({"name": "RepVGG", "arch": "A0", "depth": 3}, (8, 16, 32), False, "depth is a key that"),
        ({"name": "GhostNet", "out_stages": [4, 6, 12]}, (8, 16, 32), False, "no stages 4, 6, 12"),
        ({"name": "GhostNet", "out_stages": [6, 4, 9]}, (8, 16, 32), False, "must rise"),
        ({"name": "GhostNet", "out_stages": [5, 6, 9]}, (8, 16, 32), False,
         r"head.strides is \[8, 16, 32\], the other parts need \[16, 16, 32\]"),
        ({"name": "GhostNet", "width_mult": 0}, (8, 16, 32), False, "width: must lie in"),
        ({"name": "MobileNetV2"}, (8, 16, 32), False, "do not fit neck"),
        ({"name": "CustomCspNet", "out_stages": [0, 1], "net_cfg": [["Conv", 3, 8, 3, 2],
          ["CspBlock", 9, 1, 3, 2]]}, (2, 4), False, "`CspBlock 9 1 3 2` is no stage"),
        ({"name": "CustomCspNet", "out_stages": [0]}, (2,), False, "no stages 0"),
        ({"name": "GhostNet"}, (8, 16, 32, 64, 128), True, "do not fit neck"),
    ],
)  # fmt: skip
def test_what_is_refused(
    tmp_path: Path, backbone: dict[str, Any], strides: tuple[int, ...], plus: bool, message: str
) -> None:
    with pytest.raises(KitError, match=message):
        read(tmp_path, config(backbone, strides, plus))


def test_attention_is_refused_with_the_way_out(tmp_path: Path) -> None:
    made = m_config()
    made["model"]["arch"]["fpn"]["name"] = "TAN"
    with pytest.raises(KitError, match=r"TAN.*train with PAN"):
        read(tmp_path, made)


def test_strides_must_be_the_backbones(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, "ghostnet")
    options = dataclasses.replace(spec.architecture.backbone_options, stages=(2, 4, 9))  # type: ignore[type-var]
    other = dataclasses.replace(spec.architecture, backbone_options=options)
    with pytest.raises(KitError, match="8, 16, 32 and 4, 8, 32"):
        NanoDet(dataclasses.replace(spec, architecture=other))


@pytest.mark.parametrize(("inputs", "stride"), [(6, 1), (6, 2), (4, 1)])
def test_folded_branches_are_their_sum(inputs: int, stride: int) -> None:
    generator = torch.Generator().manual_seed(0)
    block = Branches(inputs, 6, stride, "relu").double().eval()
    for name, value in block.state_dict().items():
        if value.dtype.is_floating_point:
            value.uniform_(0.5 if name.endswith("var") else -1, 2, generator=generator)
    x = torch.randn(1, inputs, 8, 6, dtype=torch.float64, generator=generator)
    state = block.state_dict()

    def normed(y: torch.Tensor, norm: str) -> torch.Tensor:
        parts = ("running_mean", "running_var", "weight", "bias")
        mean, var, weight, bias = (state[f"{norm}.{part}"] for part in parts)
        return F.batch_norm(y, mean, var, weight, bias, eps=1e-5)

    total = normed(F.conv2d(x, state["rbr_dense.0.weight"], None, stride, 1), "rbr_dense.1")
    total += normed(F.conv2d(x, state["rbr_1x1.0.weight"], None, stride), "rbr_1x1.1")
    if inputs == 6 and stride == 1:
        total += normed(x, "rbr_identity")
    torch.testing.assert_close(block(x), total.relu(), atol=1e-12, rtol=0)
    torch.testing.assert_close(block.folded()(x), total, atol=1e-12, rtol=0)


def test_a_gate_is_a_hard_sigmoid_of_means() -> None:
    torch.manual_seed(0)
    block = SqueezeExcite(16).double()
    x = torch.randn(2, 16, 3, 5, dtype=torch.float64)
    state = block.state_dict()
    hidden = x.mean((2, 3)) @ state["conv_reduce.weight"][:, :, 0, 0].T + state["conv_reduce.bias"]
    gate = hidden.relu() @ state["conv_expand.weight"][:, :, 0, 0].T + state["conv_expand.bias"]
    expected = x * ((gate + 3).clamp(0, 6) / 6)[..., None, None]
    torch.testing.assert_close(block(x), expected, atol=1e-12, rtol=0)


def test_blocks_are_dropped_in_training_alone() -> None:
    torch.manual_seed(0)
    block = InvertedBottleneck(8, 8, 3, 1, 6, dropped=0.4)
    x = torch.randn(1, 8, 4, 4).expand(4000, 8, 4, 4)
    with torch.no_grad():
        kept = (block(x) - x).abs().amax((1, 2, 3)) > 0
        whole = block.eval()(x[:1])
        assert torch.equal(whole, block(x[:1])) and not torch.equal(whole, x[:1])
    assert float(kept.float().mean()) == pytest.approx(0.6, abs=4 * (0.24 / 4000) ** 0.5)


@pytest.mark.parametrize(
    ("name", "strides", "plus"),
    [
        ("repvgg_a0", (8, 16, 32), False),
        ("repvgg_a0", (32,), False),
        ("efficientnet_lite0", (8, 16, 32), True),
        ("mobilenet_v2", (4, 8, 16, 32), False),
        ("ghostnet", (8, 16, 32), True),
        ("custom_csp", (8, 16, 32), False),
    ],
)
def test_every_rewrite_is_exact(
    tmp_path: Path, name: str, strides: tuple[int, ...], plus: bool
) -> None:
    known = _HANDED_ON[name][1]
    spec = read(tmp_path, config(_UPSTREAM[name][0], known, plus)).with_strides(strides)
    canvas, _ = to_canvas(photo(8, 200, 150), spec.input)
    lowered, reports = lower(random_network(spec), spec, canvas)
    for report in reports:
        assert report.largest_difference < 1e-9 or report.name in APPROXIMATE, report
    kinds = {type(layer) for layer in lowered.module.modules()}
    assert not kinds & {Branches, torch.nn.BatchNorm2d, torch.nn.Hardsigmoid}
    assert lowered.spec.graph.rotated_180


def small_spec(folder: Path) -> ModelSpec:
    """Of a few channels, with HardSwish and 3x3 convolutions."""
    backbone = {"name": "CustomCspNet", "out_stages": [2, 3, 4], "net_cfg": _SMALL_CSP}
    content = config(backbone | {"activation": "HardSwish"})
    content["model"]["arch"]["head"] |= {"conv_type": "Conv", "feat_channels": 16}
    content["model"]["arch"]["fpn"]["out_channels"] = 16
    content["model"]["arch"]["head"]["input_channel"] = 16
    return read(folder, content)


_SLOW = pytest.mark.full(reason="the small one has the same stages")


@pytest.mark.parametrize(
    ("name", "operators"),
    [
        ("small", {"CONV_2D", "HARD_SWISH"}),
        pytest.param("repvgg_a0", {"CONV_2D"}, marks=_SLOW),
        pytest.param("efficientnet_lite0", {"ADD", "DEPTHWISE_CONV_2D"}, marks=_SLOW),
        pytest.param("mobilenet_v2", {"ADD", "DEPTHWISE_CONV_2D"}, marks=_SLOW),
        pytest.param("ghostnet", {"MUL", "AVERAGE_POOL_2D"}, marks=_SLOW),
    ],
)
def test_it_becomes_an_int8_file(
    tmp_path: Path, converted: Converted, name: str, operators: set[str]
) -> None:
    """Through all gates."""
    spec = small_spec(tmp_path) if name == "small" else spec_of(tmp_path, name)
    graph = Graph.read(converted(spec).tflite)
    assert operators <= set(graph.counts)
    assert {t.dtype for t in graph.tensors} == {"INT8", "INT32"}
