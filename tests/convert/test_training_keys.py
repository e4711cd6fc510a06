"""No key of a training configuration is dropped in silence."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from convert.training_check import examine
from convert.training_config import read_training_config, unused_keys
from convert.training_keys import ACTS, network_rules, training_rules
from runtime.errors import KitError
from tests.convert.test_training_config import m_config, plus_config
from train.settings import read_settings

ARCH = "model.arch"
LOSS = f"{ARCH}.head.loss"
OPTIMIZER, RATES = "schedule.optimizer", "schedule.lr_schedule"


def whole(config: dict[str, Any], adam: bool) -> dict[str, Any]:
    """With the training part as upstream's own configurations have it."""
    normalize = config["data"]["val"]["pipeline"]["normalize"]
    files = {"name": "CocoDataset", "img_path": "coco/a", "ann_path": "coco/a.json"}
    config["data"]["val"] |= files
    config["data"]["train"] = copy.deepcopy(config["data"]["val"])
    config["data"]["train"]["pipeline"] = {
        "perspective": 0.0, "scale": [0.6, 1.4], "stretch": [[1, 1], [1, 1]], "rotation": 0,
        "shear": 0, "translate": 0.2, "flip": 0.5, "brightness": 0.2, "contrast": [0.6, 1.4],
        "saturation": [0.5, 1.2], "normalize": normalize,
    }  # fmt: skip
    config["model"]["arch"]["head"] |= {
        "norm_cfg": {"type": "BN"},
        "loss": {
            "loss_qfl": {"name": "QualityFocalLoss", "use_sigmoid": True, "beta": 2.0,
                         "loss_weight": 1.0},
            "loss_dfl": {"name": "DistributionFocalLoss", "loss_weight": 0.25},
            "loss_bbox": {"name": "GIoULoss", "loss_weight": 2.0},
        },
    }  # fmt: skip
    sgd = {"name": "SGD", "lr": 0.07, "momentum": 0.9, "weight_decay": 0.0001}
    steps = {"name": "MultiStepLR", "milestones": [130, 160], "gamma": 0.1}
    cosine = {"name": "CosineAnnealingLR", "T_max": 300, "eta_min": 0.00005}
    return config | {
        "save_dir": "workspace",
        "device": {"gpu_ids": [0], "workers_per_gpu": 8, "batchsize_per_gpu": 96, "precision": 32},
        "schedule": {
            "optimizer": {"name": "AdamW", "lr": 0.001, "weight_decay": 0.05} if adam else sgd,
            "warmup": {"name": "linear", "steps": 500, "ratio": 0.0001},
            "total_epochs": 300,
            "lr_schedule": cosine if adam else steps,
            "val_intervals": 10,
        },
        "grad_clip": 35,
        "evaluator": {"name": "CocoDetectionEvaluator", "save_key": "mAP"},
        "log": {"interval": 50},
    }


def plus() -> dict[str, Any]:
    config = whole(plus_config(), adam=True)
    config["model"]["arch"] |= {
        "detach_epoch": 10,
        "aux_head": {"name": "SimpleConvHead", "num_classes": 80, "input_channel": 192,
                     "feat_channels": 192, "stacked_convs": 4, "strides": [8, 16, 32, 64],
                     "activation": "LeakyReLU", "reg_max": 7},
    }  # fmt: skip
    return config


def m() -> dict[str, Any]:
    config = whole(m_config(), adam=False)
    arch = config["model"]["arch"]
    arch["name"] = "OneStageDetector"
    del arch["aux_head"]
    arch["fpn"]["in_channels"] = [48, 96, 192]
    arch["head"] |= {"octave_base_scale": 5, "scales_per_octave": 1}
    return config


CONFIGS = {"plus": plus, "m": m}


def put(config: dict[str, Any], dotted: str, value: Any) -> dict[str, Any]:
    """With one value changed; sections on the way are made."""
    *path, last = dotted.split(".")
    part = config
    for key in path:
        part = part.setdefault(key, {})
    part[last] = value
    return config


def drop(config: dict[str, Any], dotted: str) -> dict[str, Any]:
    *path, last = dotted.split(".")
    part = config
    for key in path:
        part = part[key]
    del part[last]
    return config


def write(folder: Path, config: dict[str, Any]) -> Path:
    path = folder / "own.yml"
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.mark.parametrize("name", CONFIGS)
def test_official_configurations_are_taken_with_one_short_line(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, CONFIGS[name]())
    assert unused_keys(path) == (), "conversion asks for the network alone"
    assert sorted(unused_keys(path, training=True)) == [
        "device.gpu_ids (--accelerator, --devices)",
        "device.workers_per_gpu (--workers)",
        "evaluator",
        "log",
        "save_dir (--out)",
    ]
    read_settings(path)


@pytest.mark.parametrize(
    ("name", "dotted", "value", "message"),
    [
        ("m", f"{ARCH}.fpn.activation", "LeakyReLU", "fpn.activation is 'LeakyReLU'"),
        ("m", f"{ARCH}.fpn.norm_cfg", {"type": "BN"}, "fpn.norm_cfg is"),
        ("m", f"{ARCH}.fpn.start_level", 1, "fpn.start_level is 1"),
        ("m", f"{ARCH}.fpn.end_level", 2, "fpn.end_level is 2"),
        ("m", f"{ARCH}.fpn.num_extra_level", 1, "fpn.num_extra_level is a key that"),
        ("m", f"{ARCH}.fpn.in_channels", [116, 232, 464], "the other parts need .48, 96, 192."),
        ("m", f"{ARCH}.head.input_channel", 128, "head.input_channel is 128"),
        ("m", f"{ARCH}.head.norm_cfg", None, "head.norm_cfg is None, expected a section"),
        ("m", f"{ARCH}.head.norm_cfg.type", "GN", "norm_cfg.type is 'GN'"),
        ("m", f"{ARCH}.head.norm_cfg.eps", 1e-3, "norm_cfg.eps is 0.001"),
        ("m", f"{ARCH}.head.norm_cfg.num_groups", 4, "norm_cfg.num_groups is a key that"),
        ("m", f"{ARCH}.name", "CenterNet", "arch.name is 'CenterNet'"),
        ("plus", f"{ARCH}.fpn.upsample_cfg", {"mode": "nearest"}, "upsample_cfg.mode is 'nearest'"),
        ("plus", f"{ARCH}.fpn.upsample_cfg.align_corners", True, "align_corners is True"),
        ("plus", f"{ARCH}.fpn.upsample_cfg.scale_factor", 4, "scale_factor is 4"),
        ("plus", f"{ARCH}.fpn.upsample_cfg.size", 4, "upsample_cfg.size is a key that"),
        ("plus", f"{ARCH}.fpn.num_extra_level", 0, "num_extra_level is 0, the other parts need 1"),
        ("plus", f"{ARCH}.fpn.num_extra_level", 2, "num_extra_level is 2"),
        ("plus", f"{ARCH}.fpn.use_depthwise", False, "use_depthwise is False"),
        ("plus", f"{ARCH}.fpn.expand", 2, "expand is 2"),
        ("plus", f"{ARCH}.fpn.norm_cfg.type", "GN", "norm_cfg.type is 'GN'"),
        ("plus", f"{ARCH}.fpn.kernel_sise", 3, "kernel_sise is a key that"),
        ("plus", f"{ARCH}.backbone.with_last_conv", True, "with_last_conv is True"),
        ("plus", f"{ARCH}.backbone.width", 2, "backbone.width is a key that"),
    ],
)
def test_another_network_is_refused(
    tmp_path: Path, name: str, dotted: str, value: Any, message: str
) -> None:
    path = write(tmp_path, put(CONFIGS[name](), dotted, value))
    with pytest.raises(KitError, match=message):
        read_training_config(path)
    with pytest.raises(KitError, match=message):
        read_training_config(path, training=True)


@pytest.mark.parametrize(
    ("name", "dotted", "value"),
    [
        ("m", f"{ARCH}.fpn.activation", None),
        ("m", f"{ARCH}.fpn.activation", "None"),
        ("m", f"{ARCH}.fpn.end_level", 3),
        ("m", f"{ARCH}.head.norm_cfg.type", "SyncBN"),
        ("m", f"{ARCH}.name", "GFL"),
        ("plus", f"{ARCH}.fpn.upsample_cfg", {"scale_factor": 2, "mode": "bilinear"}),
        ("plus", f"{ARCH}.fpn.upsample_cfg", {"mode": "bilinear", "align_corners": False}),
        ("plus", f"{ARCH}.name", "OneStageDetector"),
        ("plus", f"{ARCH}.head.loss.loss_bbox.name", "CIoULoss"),
        ("plus", f"{ARCH}.backbone.out_stages", "(2, 3, 4)"),
        ("plus", f"{ARCH}.head.loss.loss_bbox", None),
        ("plus", f"{ARCH}.backbone.pretrain", True),
    ],
)
def test_the_same_network_is_taken(tmp_path: Path, name: str, dotted: str, value: Any) -> None:
    plain = read_training_config(write(tmp_path, CONFIGS[name]()))
    path = write(tmp_path, put(CONFIGS[name](), dotted, value))
    assert read_training_config(path) == plain
    assert unused_keys(path) == ()


def test_what_upstream_leaves_unused_is_named_when_converting(tmp_path: Path) -> None:
    config = put(m(), f"{ARCH}.backbone.kernal_size", 5)
    config = put(put(config, f"{ARCH}.head.kernel_size", 5), f"{ARCH}.head.feat_chanels", 64)
    names = {"backbone.kernal_size", "head.{kernel_size,feat_chanels}"}
    found = unused_keys(write(tmp_path, config))
    assert {name.removeprefix(f"{ARCH}.") for name in found} <= names | {
        "head.{feat_chanels,kernel_size}"
    }
    assert len(found) == 2


@pytest.mark.parametrize(
    ("name", "dotted", "value", "message"),
    [
        ("m", f"{LOSS}.loss_bbox.name", "CIoULoss", "loss_bbox.name is 'CIoULoss'"),
        ("m", f"{LOSS}.loss_bbox.name", "DIoULoss", "loss_bbox.name is 'DIoULoss'"),
        ("m", f"{LOSS}.loss_qfl.name", "FocalLoss", "loss_qfl.name is 'FocalLoss'"),
        ("m", f"{LOSS}.loss_qfl.use_sigmoid", False, "use_sigmoid is False"),
        ("m", f"{LOSS}.loss_bbox", None, "loss_bbox is None, expected a section"),
        ("m", f"{LOSS}.loss_dfl.loss_weight", -1, "dfl_weight is -1"),
        ("m", f"{LOSS}.loss_dfl.loss_weight", "much", "loss_dfl.loss_weight"),
        ("m", f"{ARCH}.head.octave_base_scale", -1, "anchor_strides is -1"),
        ("m", "data.train.pipeline.divisible", -32, "divisible is -32"),
        ("m", f"{ARCH}.head.ignore_iof_thr", 0.5, "ignore_iof_thr is 0.5"),
        ("m", "data.train.multi_scale", [0.8, 1.2], "multi_scale is .0.8, 1.2."),
        ("m", "device.precision", 8, "device.precision is 8"),
        ("m", "schedule.warmup.name", "cosine", "warmup.name is 'cosine'"),
        ("m", f"{OPTIMIZER}.name", "Adam", "optimizer.name is 'Adam'"),
        ("m", f"{OPTIMIZER}.betas", [0.9, 0.99], "optimizer.betas is a key that"),
        ("m", f"{OPTIMIZER}.dampening", 0.5, "dampening is 0.5"),
        ("m", f"{OPTIMIZER}.nesterov", "yes", "nesterov: expected bool, got 'yes'"),
        ("m", f"{OPTIMIZER}.param_level_cfg.fpn.rate", 2, "param_level_cfg.fpn.rate"),
        ("m", f"{RATES}.T_max", 10, "lr_schedule.T_max is a key that"),
        ("plus", f"{OPTIMIZER}.momentum", 0.9, "optimizer.momentum is a key that"),
        ("plus", f"{OPTIMIZER}.betas", [0.9, 1.0], "betas are"),
        ("plus", f"{OPTIMIZER}.amsgrad", True, "amsgrad is True"),
        ("plus", f"{RATES}.T_max", 0, "T_max is 0"),
        ("plus", f"{RATES}.milestones", [1], "lr_schedule.milestones is a key that"),
        ("plus", f"{ARCH}.name", "OneStageDetector", "arch.name is 'OneStageDetector'"),
        ("plus", f"{ARCH}.head.assigner_cfg", {"topk": 0}, "candidates is 0"),
        ("plus", f"{ARCH}.aux_head.name", "GFLHead", "aux_head.name is 'GFLHead'"),
        ("plus", f"{ARCH}.aux_head.stacked_convs", 2, "aux_head.stacked_convs is 2"),
        ("plus", f"{ARCH}.aux_head.feat_channels", 96, "aux_head.feat_channels is 96"),
        ("plus", f"{ARCH}.aux_head.activation", "ReLU", "aux_head.activation is 'ReLU'"),
        ("plus", "model.weight_averager.name", "SWA", "weight_averager.name is 'SWA'"),
    ],
)
def test_another_training_is_refused(
    tmp_path: Path, name: str, dotted: str, value: Any, message: str
) -> None:
    path = write(tmp_path, put(CONFIGS[name](), dotted, value))
    with pytest.raises(KitError, match=message):
        read_settings(path)
    assert unused_keys(path) == () and read_training_config(path), "converting it is another matter"


# Key -> another value that it may have.
OTHERS: dict[str, Any] = {
    f"{ARCH}.backbone.model_size": None, f"{ARCH}.backbone.name": None,
    f"{ARCH}.fpn.out_channels": None,
    f"{ARCH}.fpn.in_channels": None, f"{ARCH}.head.input_channel": None,
    f"{ARCH}.fpn.num_extra_level": None, f"{ARCH}.head.name": None,
    f"{ARCH}.head.num_classes": None, f"{ARCH}.head.strides": None,
    f"{ARCH}.fpn.kernel_size": 3, f"{ARCH}.head.feat_channels": 64,
    f"{ARCH}.head.stacked_convs": 3, f"{ARCH}.head.reg_max": 8, f"{ARCH}.head.kernel_size": 3,
    f"{LOSS}.loss_qfl.beta": 1.5, f"{LOSS}.loss_qfl.loss_weight": 3,
    f"{LOSS}.loss_dfl.loss_weight": 3, f"{LOSS}.loss_bbox.loss_weight": 3,
    f"{ARCH}.head.octave_base_scale": 4, f"{ARCH}.head.assigner_cfg.topk": 9,
    f"{ARCH}.head.assigner_cfg.iou_factor": 2, "data.train.pipeline.divisible": 32,
    f"{ARCH}.detach_epoch": 3, "model.weight_averager.decay": 0.5,
    "data.train.input_size": [64, 96], "data.train.keep_ratio": None,
    "data.val.input_size": [64, 96], "data.val.keep_ratio": None,
    "data.train.pipeline.normalize": [[1, 2, 3], [4, 5, 6]],
    "data.val.pipeline.normalize": [[1, 2, 3], [4, 5, 6]],
    "data.train.pipeline.perspective": 0.1, "data.train.pipeline.scale": [1, 2],
    "data.train.pipeline.stretch": [[1, 2], [1, 2]], "data.train.pipeline.rotation": 5,
    "data.train.pipeline.shear": 5, "data.train.pipeline.translate": 0.5,
    "data.train.pipeline.flip": 1, "data.train.pipeline.brightness": 0.5,
    "data.train.pipeline.contrast": [1, 2], "data.train.pipeline.saturation": [1, 2],
    "device.batchsize_per_gpu": 3, "schedule.total_epochs": 3,
    "schedule.warmup.steps": 3, "schedule.warmup.ratio": 0.5,
    f"{OPTIMIZER}.lr": "3e-4", f"{OPTIMIZER}.weight_decay": 0.3,
    f"{OPTIMIZER}.no_norm_decay": True, f"{OPTIMIZER}.no_bias_decay": True,
    f"{OPTIMIZER}.param_level_cfg": {"backbone": {"lr_mult": 0.1}},
    f"{OPTIMIZER}.momentum": 0.5, f"{OPTIMIZER}.nesterov": True,
    f"{OPTIMIZER}.betas": [0.8, 0.9], f"{OPTIMIZER}.eps": 1e-4,
    f"{RATES}.T_max": 100, f"{RATES}.eta_min": 0.1,
    f"{RATES}.milestones": [7], f"{RATES}.gamma": 0.5,
    "grad_clip": 3, "class_names": None, "schedule.val_intervals": 3,
    "data.train.img_path": None, "data.train.ann_path": None,
    "data.val.img_path": None, "data.val.ann_path": None,
}  # fmt: skip
# None: what changes with another key; `test_training_config` has those.
CHOSEN: dict[str, tuple[Any, ...]] = {
    f"{ARCH}.head.activation": ("ReLU",), f"{ARCH}.backbone.activation": ("ReLU6",),
    "schedule.warmup.name": ("constant", "exp"), "device.precision": (16, 64, "bf16"),
}  # fmt: skip


def acting() -> Iterator[tuple[str, str]]:
    for name, make in CONFIGS.items():
        config = make()
        head = config["model"]["arch"]["head"]["name"]
        backbone = config["model"]["arch"]["backbone"]["name"]
        rules = network_rules(head, backbone) | training_rules(config, head)
        yield from ((name, path) for path, rule in rules.items() if rule == ACTS)


def outcome(path: Path) -> tuple[Any, ...]:
    return (
        read_training_config(path),
        read_training_config(path, training=True),
        read_settings(path),
    )


@pytest.mark.parametrize(("name", "dotted"), list(acting()))
def test_what_is_said_to_act_does(tmp_path: Path, name: str, dotted: str) -> None:
    assert dotted in OTHERS, "give it another value here"
    if OTHERS[dotted] is not None:
        plain = outcome(write(tmp_path, CONFIGS[name]()))
        changed = put(CONFIGS[name](), dotted, OTHERS[dotted])
        changed["model"]["arch"].pop("aux_head", None)  # It would have to follow the head.
        assert outcome(write(tmp_path, changed)) != plain


@pytest.mark.parametrize("dotted", CHOSEN)
def test_each_choice_acts(tmp_path: Path, dotted: str) -> None:
    plain = outcome(write(tmp_path, m()))
    for value in CHOSEN[dotted]:
        assert outcome(write(tmp_path, put(m(), dotted, value))) != plain


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize(
    "section",
    ["", "model", ARCH, f"{ARCH}.backbone", f"{ARCH}.fpn", f"{ARCH}.head", LOSS,
     f"{LOSS}.loss_qfl", f"{ARCH}.head.norm_cfg", "model.weight_averager", "data", "data.train",
     "data.train.pipeline", "data.val", "device", "schedule", OPTIMIZER, RATES, "schedule.warmup"],
)  # fmt: skip
def test_a_key_that_nobody_knows_is_named(tmp_path: Path, name: str, section: str) -> None:
    dotted = f"{section}.surprise".lstrip(".")
    config = put(CONFIGS[name](), dotted, 1)
    try:
        listed = ", ".join(examine(config, "own.yml", training=True))
    except KitError as error:
        listed = str(error)
    assert dotted.rpartition(".")[0] in listed and "surprise" in listed


@pytest.mark.parametrize(
    ("name", "dotted", "attribute", "expected"),
    [
        ("m", "grad_clip", "gradient_clip", 0),
        ("m", "model.weight_averager", "average_decay", 0),
        ("m", "model.weight_averager.decay", "average_decay", 0.9998),
        ("m", f"{OPTIMIZER}.weight_decay", "weight_decay", 0),
        ("plus", f"{OPTIMIZER}.weight_decay", "weight_decay", 0.01),
        ("plus", f"{ARCH}.detach_epoch", "detach_epoch", 0),
        ("plus", f"{RATES}.eta_min", "last_rate", 0),
        ("m", f"{RATES}.gamma", "gamma", 0.1),
        ("m", "device.precision", "precision", "32-true"),
    ],
)
def test_what_is_not_written_is_upstreams_default(
    tmp_path: Path, name: str, dotted: str, attribute: str, expected: Any
) -> None:
    settings = read_settings(write(tmp_path, drop(CONFIGS[name](), dotted)))
    assert getattr(settings, attribute) == expected
