from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from convert.training_config import read_training_config
from data import locate
from runtime.errors import KitError
from runtime.spec import ModelSpec


def plus_config() -> dict[str, Any]:
    """An upstream configuration of NanoDet-Plus, with what training needs left out."""
    return {
        "model": {
            "weight_averager": {"name": "ExpMovingAverager", "decay": 0.9998},
            "arch": {
                "name": "NanoDetPlus",
                "backbone": {"name": "ShuffleNetV2", "model_size": "1.0x",
                             "out_stages": [2, 3, 4], "activation": "LeakyReLU"},
                "fpn": {"name": "GhostPAN", "in_channels": [116, 232, 464], "out_channels": 96,
                        "kernel_size": 5, "num_extra_level": 1, "use_depthwise": True,
                        "activation": "LeakyReLU"},
                "head": {"name": "NanoDetPlusHead", "num_classes": 80, "input_channel": 96,
                         "feat_channels": 96, "stacked_convs": 2, "kernel_size": 5,
                         "strides": [8, 16, 32, 64], "activation": "LeakyReLU", "reg_max": 7},
                "aux_head": {"name": "SimpleConvHead"},
            },
        },
        "data": {
            "val": {"input_size": [416, 416], "keep_ratio": False,
                    "pipeline": {"normalize": [[103.53, 116.28, 123.675],
                                               [57.375, 57.12, 58.395]]}},
        },
        "class_names": [f"class{i}" for i in range(80)],
    }  # fmt: skip


def m_config() -> dict[str, Any]:
    config = plus_config()
    arch = config["model"]["arch"]
    arch["backbone"]["model_size"] = "0.5x"
    arch["fpn"] = {"name": "PAN", "out_channels": 96, "start_level": 0, "num_outs": 3}
    arch["head"] = {"name": "NanoDetHead", "num_classes": 80, "input_channel": 96,
                    "feat_channels": 96, "stacked_convs": 2, "share_cls_reg": True,
                    "strides": [8, 16, 32], "reg_max": 7}  # fmt: skip
    config["data"]["val"] |= {"input_size": [320, 320], "keep_ratio": True}
    return config


def read(folder: Path, config: Any) -> ModelSpec:
    path = folder / "my model.yml"
    path.write_text(yaml.safe_dump(config))
    return read_training_config(path)


@pytest.mark.parametrize(
    ("config", "name"), [(plus_config(), "nanodet-plus-m-416"), (m_config(), "nanodet-m-0.5x")]
)
def test_official_configurations_give_the_official_variants(
    tmp_path: Path, config: dict[str, Any], name: str
) -> None:
    spec, expected = read(tmp_path, config), locate.model_spec(name)
    assert spec.architecture == expected.architecture
    assert spec.input == expected.input
    assert spec.name == "my-model" and spec.weights is None
    assert spec.graph.strides == expected.architecture.strides


def test_one_mean_makes_a_grey_network(tmp_path: Path) -> None:
    """As forks of upstream that read pictures in grey write it."""
    normalize = [[129.75], [72.06]]
    size = read(tmp_path, put(m_config(), "data.val.pipeline.normalize", normalize)).input
    assert (size.colour_order, size.mean, size.std) == ("GREY", (129.75,), (72.06,))
    uneven = put(m_config(), "data.val.pipeline.normalize", [[129.75], [57.0, 57.0, 57.0]])
    with pytest.raises(KitError, match=r"mean: must have 3 values"):
        read(tmp_path, uneven)


def put(config: dict[str, Any], dotted: str, value: Any) -> dict[str, Any]:
    *path, last = dotted.split(".")
    part = config
    for key in path:
        part = part[key]
    part[last] = value
    return config


@pytest.mark.parametrize(
    ("dotted", "value", "message"),
    [
        ("model.arch.backbone.name", "ResNet", "backbone.name is 'ResNet'"),
        ("model.arch.backbone.model_size", "3.0x", "shufflenet_v2_3.0x"),
        ("model.arch.backbone.out_stages", [3, 4], r"backbone.out_stages is \[3, 4\]"),
        ("model.arch.backbone.activation", "SiLU", "backbone.activation is 'SiLU'"),
        ("model.arch.fpn.name", "TAN", "fpn.name is 'TAN'"),
        ("model.arch.fpn.use_res", True, "fpn.use_res is True"),
        ("model.arch.fpn.num_blocks", 2, "fpn.num_blocks is 2"),
        ("model.arch.head.name", "GFLHead", "head.name is 'GFLHead'"),
        ("model.arch.head.conv_type", "Linear", "head.conv_type is 'Linear'"),
        ("model.arch.head.strides", [8, 16], "do not fit neck"),
        ("model.arch.head.num_classes", 79, "80 class_names, but .* 79"),
        ("data.val.input_size", [300, 416], "multiple of 32"),
        ("data.val.input_size", 416, r"\[width, height\]"),
        ("data.val.pipeline", {}, r"\[mean, std\]"),
        ("class_names", "person", "class_names must be a list"),
        ("model.arch", None, "no section `model.arch.backbone`"),
    ],
)
def test_what_is_not_supported_is_named(
    tmp_path: Path, dotted: str, value: Any, message: str
) -> None:
    with pytest.raises(KitError, match=f"my model.yml.*{message}"):
        read(tmp_path, put(plus_config(), dotted, value))


def test_separate_towers_are_refused(tmp_path: Path) -> None:
    config = put(m_config(), "model.arch.head.share_cls_reg", False)
    with pytest.raises(KitError, match="share_cls_reg is False"):
        read(tmp_path, config)


@pytest.mark.parametrize(
    ("written", "expected", "reason"),
    [
        ("[0, 1, 2]", ("0", "1", "2"), "digits"),
        ("[010, 1.50, 1e3]", ("010", "1.50", "1e3"), "numbers keep their form"),
        ("[no, Yes, 2024-01-01]", ("no", "Yes", "2024-01-01"), "booleans and dates"),
        ("[null, ~, 0x1F]", ("null", "~", "0x1F"), "nothing, and another base"),
        ("['a b', \"x:y\", None]", ("a b", "x:y", "None"), "quotes are YAML's"),
        ("&names [1, 2, 3]\nmore: *names", ("1", "2", "3"), "upstream's way for other data sets"),
    ],
)
def test_class_names_are_the_text_written(
    tmp_path: Path, written: str, expected: tuple[str, ...], reason: str
) -> None:
    config = put(m_config(), "model.arch.head.num_classes", 3)
    del config["class_names"]
    path = tmp_path / "a.yml"
    path.write_text(yaml.safe_dump(config) + f"class_names: {written}\n")
    assert read_training_config(path).class_names == expected, reason


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("[a, b, a]", "`a` more than once"),
        ("[a, , b]", "cannot be read as YAML"),
        ("\n- a\n-\n- b", "entry 2 of class_names is empty, no name; write it in quotes"),
        ("\n- a\n- b: c\n- d", "entry 2 of class_names is {'b': 'c'}, no name; write it in quotes"),
        ("[a, [b], c]", r"entry 2 of class_names is \['b'\]"),
        ("", "class_names must be a list"),
        ("5", "class_names must be a list"),
    ],
)
def test_unusable_class_names(tmp_path: Path, written: str, message: str) -> None:
    config = put(m_config(), "model.arch.head.num_classes", 3)
    del config["class_names"]
    path = tmp_path / "a.yml"
    path.write_text(yaml.safe_dump(config) + f"class_names: {written}\n")
    with pytest.raises(KitError, match=message):
        read_training_config(path)


def test_training_sees_what_its_own_part_says(tmp_path: Path) -> None:
    config = m_config()
    config["data"]["train"] = {"input_size": [416, 352], "keep_ratio": False, "pipeline": {}}
    path = tmp_path / "a.yml"
    path.write_text(yaml.safe_dump(config))
    deployed, trained = read_training_config(path), read_training_config(path, training=True)
    assert (deployed.input.width, deployed.input.height, deployed.input.keep_ratio) == (
        320,
        320,
        True,
    )
    assert (trained.input.width, trained.input.height, trained.input.keep_ratio) == (
        416,
        352,
        False,
    )
    assert trained.input.mean == deployed.input.mean, "what it does not say holds"


def test_upstreams_default_keeps_the_ratio(tmp_path: Path) -> None:
    config = plus_config()
    del config["data"]["val"]["keep_ratio"]
    assert read(tmp_path, config).input.keep_ratio


def test_mappings_that_hold_themselves(tmp_path: Path) -> None:
    path = tmp_path / "a.yml"
    path.write_text(yaml.safe_dump(m_config()) + "log: &log {again: *log}\n")
    assert read_training_config(path).name == "a"


@pytest.mark.parametrize("text", ["", "- 1\n", "a: [", "just words"])
def test_no_configuration(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.yml").write_text(text)
    with pytest.raises(KitError, match=r"--config .*a\.yml"):
        read_training_config(tmp_path / "a.yml")
