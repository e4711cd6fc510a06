"""The keys of upstream's training configurations, and what the kit does with each.

The one rule: a key acts, or `training_check` names it as not used, or it is refused where to
ignore it would give another network or another training than the one asked for. Defaults are
upstream's (`nanodet/model`, `nanodet/trainer/task.py`, `nanodet/optim/builder.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ACTIVATIONS = {
    "LeakyReLU": "leaky_relu",
    "ReLU": "relu",
    "ReLU6": "relu6",
    "Hardswish": "hard_swish",
    "HardSwish": "hard_swish",
}
OPTIMIZERS, SCHEDULES = ("AdamW", "SGD"), ("CosineAnnealingLR", "MultiStepLR")
WARMUPS = ("constant", "linear", "exp")
PRECISIONS = {32: "32-true", 16: "16-mixed", 64: "64-true", "bf16": "bf16-mixed"}
MISSING = object()


@dataclass(frozen=True)
class Rule:
    """What is done with one key.

    only: the values it may have; empty where it may have any. missing: its value where it is not
    written. unused: it is not followed, and named unless it has the value `like`, as which the kit
    does anyway; `instead` is the option in its place.
    """

    only: tuple[Any, ...] = ()
    missing: Any = None
    unused: bool = False
    like: Any = MISSING
    instead: str = ""


ACTS = Rule()


def only(*values: Any, missing: Any = MISSING) -> Rule:
    """One of these values, by default the first."""
    return Rule(only=values, missing=values[0] if missing is MISSING else missing)


def unused(instead: str = "", like: Any = MISSING) -> Rule:
    """A key that is named."""
    return Rule(unused=True, instead=instead, like=like)


Rules = dict[str, Rule]


def _under(section: str, rules: Mapping[str, Rule]) -> Rules:
    return {f"{section}.{key}": rule for key, rule in rules.items()}


_NORM: Rules = {
    "norm_cfg.type": only("BN", "SyncBN"),
    "norm_cfg.eps": only(1e-5),
    "norm_cfg.affine": only(True),
    "norm_cfg.track_running_stats": only(True),
    "norm_cfg.momentum": only(0.1),
    "norm_cfg.requires_grad": only(True),
}
_STAGES: Rules = {"name": ACTS, "out_stages": ACTS}
_RELU = only(*ACTIVATIONS, missing="ReLU")
_WIDTH: Rules = {"width_mult": ACTS, "activation": _RELU, "act": only(None, *ACTIVATIONS)}
_BACKBONES: dict[str, Rules] = {
    "ShuffleNetV2": {
        "name": ACTS,
        "model_size": ACTS,
        "out_stages": only([2, 3, 4]),
        "with_last_conv": only(False),
        "activation": _RELU,
        "kernal_size": unused(like=3),  # Upstream reads it and leaves it, too.
    },
    "RepVGG": {
        **_STAGES,
        "arch": ACTS,
        "activation": _RELU,
        "last_channel": ACTS,
        "deploy": only(False),
    },
    "EfficientNetLite": {
        **_STAGES,
        "model_name": ACTS,
        "activation": only(*ACTIVATIONS, missing="ReLU6"),
    },
    "MobileNetV2": {**_STAGES, **_WIDTH, "last_channel": ACTS},
    "GhostNet": {**_STAGES, **_WIDTH},
    "CustomCspNet": {
        **_STAGES,
        "net_cfg": ACTS,
        "activation": only(*ACTIVATIONS),
        **_NORM,
    },
}
BACKBONES = tuple(_BACKBONES)
# What is refused -> what to do instead.
WAYS_OUT = {
    "TAN": "its attention has no int8 kernel on the targets; train with PAN",
    "TIMMWrapper": "a network of another library; train with one of these",
    "ResNet": "train with one of these",
}
_HEAD: Rules = {
    "num_classes": ACTS,
    "input_channel": ACTS,
    "feat_channels": ACTS,
    "stacked_convs": ACTS,
    "strides": ACTS,
    "reg_max": ACTS,
    "activation": only(*ACTIVATIONS),
    "conv_type": only("DWConv", "Conv"),
    "conv_cfg": unused(like=None),
    **_NORM,
}
_ARCHITECTURES = ("OneStageDetector", "GFL", "NanoDetPlus")
_NETWORKS: dict[str, Rules] = {
    "NanoDetHead": {
        **_under("model.arch.fpn", {
            "name": only("PAN", missing=None),
            "in_channels": ACTS,
            "out_channels": ACTS,
            "num_outs": unused(like=3),
            "start_level": only(0),
            "end_level": only(-1, 3),
            "conv_cfg": unused(like=None),
            "norm_cfg": only(None),
            "activation": only(None),
        }),
        **_under("model.arch.head", {
            **_HEAD,
            "share_cls_reg": only(True, missing=False),
            "kernel_size": unused(like=3),
        }),
    },
    "NanoDetPlusHead": {
        **_under("model.arch.fpn", {
            "name": only("GhostPAN", missing=None),
            "in_channels": ACTS,
            "out_channels": ACTS,
            "use_depthwise": only(True, missing=False),
            "kernel_size": ACTS,
            "expand": only(1),
            "num_blocks": only(1),
            "use_res": only(False),
            "num_extra_level": ACTS,
            "upsample_cfg.mode": only("bilinear"),
            "upsample_cfg.scale_factor": only(2),
            "upsample_cfg.align_corners": only(None, False),
            "activation": only(*ACTIVATIONS),
            **_NORM,
        }),
        **_under("model.arch.head", {**_HEAD, "kernel_size": ACTS}),
    },
}  # fmt: skip

HEADS = tuple(_NETWORKS)

_PICTURES: Rules = {
    "input_size": ACTS,
    "keep_ratio": ACTS,
    "pipeline.normalize": ACTS,
    **dict.fromkeys(("img_path", "ann_path"), ACTS),
    "name": unused(like="CocoDataset"),
    "class_names": unused(),
    **{
        key: unused(like=False)
        for key in ("load_mosaic", "use_instance_mask", "use_seg_mask", "use_keypoint")
    },
}
_WARPS = (
    *("perspective", "scale", "stretch", "rotation", "shear", "translate", "flip"),
    *("brightness", "contrast", "saturation"),
)
_LOSS = "model.arch.head.loss"
_TRAINING: Rules = {
    "model.arch.backbone.pretrain": unused("--weights", like=False),
    "model.weight_averager.name": only("ExpMovingAverager"),
    "model.weight_averager.decay": ACTS,
    f"{_LOSS}.loss_qfl.name": only("QualityFocalLoss"),
    f"{_LOSS}.loss_qfl.use_sigmoid": only(True),
    f"{_LOSS}.loss_qfl.beta": ACTS,
    f"{_LOSS}.loss_qfl.loss_weight": ACTS,
    f"{_LOSS}.loss_dfl.name": only("DistributionFocalLoss"),
    f"{_LOSS}.loss_dfl.loss_weight": ACTS,
    f"{_LOSS}.loss_bbox.name": only("GIoULoss"),
    f"{_LOSS}.loss_bbox.loss_weight": ACTS,
    **_under("data.train", _PICTURES),
    "data.train.multi_scale": only(None),
    **{f"data.train.pipeline.{key}": ACTS for key in _WARPS},
    "data.train.pipeline.divisible": ACTS,
    **_under("data.val", _PICTURES),
    "device.batchsize_per_gpu": ACTS,
    "device.precision": only(*PRECISIONS),
    "device.gpu_ids": unused("--accelerator, --devices"),
    "device.workers_per_gpu": unused("--workers"),
    "schedule.total_epochs": ACTS,
    "schedule.resume": unused("--resume"),
    "schedule.load_model": unused("--weights"),
    "schedule.val_intervals": ACTS,
    "schedule.warmup.name": only(*WARMUPS, missing="linear"),
    "schedule.warmup.steps": ACTS,
    "schedule.warmup.ratio": ACTS,
    "schedule.optimizer.name": only(*OPTIMIZERS, missing=None),
    "schedule.optimizer.lr": ACTS,
    "schedule.optimizer.weight_decay": ACTS,
    "schedule.optimizer.no_norm_decay": ACTS,
    "schedule.optimizer.no_bias_decay": ACTS,
    "schedule.optimizer.param_level_cfg": ACTS,
    "schedule.optimizer.maximize": only(False),
    "schedule.lr_schedule.name": only(*SCHEDULES, missing=None),
    "schedule.lr_schedule.last_epoch": only(-1),
    "schedule.lr_schedule.verbose": unused(like=False),
    "grad_clip": ACTS,
    "class_names": ACTS,
    "save_dir": unused("--out"),
    "evaluator": unused(),
    "log": unused(),
}  # fmt: skip
_TRAINING_BY_HEAD: dict[str, Rules] = {
    "NanoDetHead": {
        "model.arch.head.octave_base_scale": ACTS,
        "model.arch.head.scales_per_octave": unused(like=1),
        "model.arch.head.ignore_iof_thr": only(-1),
    },
    "NanoDetPlusHead": {
        "model.arch.name": only("NanoDetPlus"),  # With its guidance.
        "model.arch.detach_epoch": ACTS,
        "model.arch.head.assigner_cfg.topk": ACTS,
        "model.arch.head.assigner_cfg.iou_factor": ACTS,
        "model.arch.head.assigner_cfg.ignore_iof_thr": only(-1),
        "model.arch.aux_head.name": only("SimpleConvHead"),
        "model.arch.aux_head.stacked_convs": only(4),
        "model.arch.aux_head.conv_cfg": unused(like=None),
        "model.arch.aux_head.norm_cfg.type": only("GN"),
        "model.arch.aux_head.norm_cfg.num_groups": only(32),
        "model.arch.aux_head.norm_cfg.requires_grad": only(True),
    },
}
_BY_OPTIMIZER: dict[str, Rules] = {
    "AdamW": {"betas": ACTS, "eps": ACTS, "amsgrad": only(False)},
    "SGD": {"momentum": ACTS, "nesterov": ACTS, "dampening": only(0)},
}
_BY_SCHEDULE: dict[str, Rules] = {
    "CosineAnnealingLR": {"T_max": ACTS, "eta_min": ACTS},
    "MultiStepLR": {"milestones": ACTS, "gamma": ACTS},
}
_AS_HEAD = ("num_classes", "strides", "activation", "reg_max")  # What the guidance has of it.

# Sections of whose keys upstream takes none that it does not know, for they change what is built.
CLOSED = (
    *("model.arch.backbone", "model.arch.fpn", "model.arch.head.norm_cfg"),
    *("schedule.optimizer", "schedule.lr_schedule"),
)
NETWORK_SECTIONS = ("model.arch.backbone", "model.arch.fpn", "model.arch.head")


def network_rules(head: str, backbone: str) -> Rules:
    """The rules of the keys that make a network with this head and backbone."""
    names = {"model.arch.name": only(*_ARCHITECTURES), "model.arch.head.name": ACTS}
    return {**_under("model.arch.backbone", _BACKBONES[backbone]), **_NETWORKS[head], **names}


def training_rules(config: Mapping[str, Any], head: str) -> Rules:
    """The rules of training keys: those of the optimizer, schedule and guidance written."""
    rules = {**_TRAINING, **_TRAINING_BY_HEAD[head]}
    optimizer = str(value_at(config, "schedule.optimizer.name"))
    schedule = str(value_at(config, "schedule.lr_schedule.name"))
    rules |= _under("schedule.optimizer", _BY_OPTIMIZER.get(optimizer, {}))
    rules |= _under("schedule.lr_schedule", _BY_SCHEDULE.get(schedule, {}))
    if head == "NanoDetPlusHead":  # The guidance is as wide as two necks, else as the head.
        width = value_at(config, "model.arch.fpn.out_channels")
        own = {key: value_at(config, f"model.arch.head.{key}") for key in _AS_HEAD}
        double = 2 * width if isinstance(width, int) else None
        values = {**own, "input_channel": double, "feat_channels": double}
        rules |= {
            f"model.arch.aux_head.{key}": only(value)
            for key, value in values.items()
            if value is not None
        }
    return rules


def value_at(config: Any, path: str, missing: Any = None) -> Any:
    """The value at a dotted path, `missing` where there is none."""
    for key in path.split("."):
        if not isinstance(config, Mapping) or key not in config:
            return missing
        config = config[key]
    return config
