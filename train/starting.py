"""`./nanodet config --model NAME --names cat,dog`: print a training configuration to start from.

It is one of upstream's kind, for the variant's network and your classes, with the kit's defaults.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from convert.network.backbones import handed_on
from convert.training_keys import ACTIVATIONS
from data import locate
from data.names import DEFAULT_MODEL, parse_names
from data.sets import find_sets
from runtime.cli import Parser
from runtime.errors import KitError
from runtime.spec import Architecture, InputSpec, ModelSpec
from train.settings import Settings

_UPSTREAMS = {own: name for name, own in ACTIVATIONS.items()}
_BATCH, _EPOCHS, _WARMUP_STEPS = 32, 50, 100


def configuration(spec: ModelSpec, names: Sequence[str], data: dict[str, Any]) -> dict[str, Any]:
    """Upstream's configuration of a variant for other classes. data: `img_path` and `ann_path` of
    `train` and `val`, where they are known."""
    settings, plus = Settings(), spec.architecture.neck == "ghost_pan"
    size = {
        "input_size": [spec.input.width, spec.input.height],
        "keep_ratio": spec.input.keep_ratio,
    }
    normalize = [list(spec.input.mean), list(spec.input.std)]
    augmentation = {
        name: _listed(getattr(settings.augmentation, name))
        for name in (
            "scale", "stretch", "translate", "flip", "brightness", "contrast", "saturation"
        )
    }  # fmt: skip
    return {
        "model": {
            "weight_averager": {"name": "ExpMovingAverager", "decay": settings.average_decay},
            "arch": _architecture(spec.architecture, len(names), plus),
        },
        "class_names": list(names),
        "data": {
            "train": {
                **data.get("train", {}),
                **size,
                "pipeline": {**augmentation, "normalize": normalize},
            },
            "val": {**data.get("val", {}), **size, "pipeline": {"normalize": normalize}},
        },
        "device": {"batchsize_per_gpu": _BATCH},
        "schedule": {
            "optimizer": {
                "name": settings.optimizer,
                "lr": settings.rate,
                "weight_decay": settings.weight_decay,
                "no_norm_decay": True,
                "no_bias_decay": True,
            },
            "warmup": {"name": settings.warmup, "steps": _WARMUP_STEPS, "ratio": 1e-4},
            "total_epochs": _EPOCHS,
            "lr_schedule": {
                "name": settings.schedule,
                "T_max": _EPOCHS,
                "eta_min": settings.last_rate,
            },
            "val_intervals": settings.validate_every,
        },
        "grad_clip": settings.gradient_clip,
    }


def in_grey(size: InputSpec) -> InputSpec:
    """With one channel, normalised as the int8 input is scaled."""
    mean, std = (float(size.raw_offset),), (size.raw_scale,)
    return dataclasses.replace(size, colour_order="GREY", mean=mean, std=std)


def _architecture(a: Architecture, classes: int, plus: bool) -> dict[str, Any]:
    """`model.arch`."""
    widths = list(handed_on(a)[0])
    strides = list(a.strides)
    head = {
        "name": "NanoDetPlusHead" if plus else "NanoDetHead",
        "num_classes": classes,
        "input_channel": a.neck_channels,
        "feat_channels": a.head_channels,
        "stacked_convs": a.head_convs,
        "strides": strides,
        "reg_max": a.reg_max,
        "activation": _UPSTREAMS[a.head_activation],
        "norm_cfg": {"type": "BN"},
        "loss": {
            "loss_qfl": {
                "name": "QualityFocalLoss", "use_sigmoid": True, "beta": 2.0, "loss_weight": 1.0
            },
            "loss_dfl": {"name": "DistributionFocalLoss", "loss_weight": 0.25},
            "loss_bbox": {"name": "GIoULoss", "loss_weight": 2.0},
        },
    }  # fmt: skip
    fpn: dict[str, Any] = {"in_channels": widths, "out_channels": a.neck_channels}
    arch: dict[str, Any] = {
        "name": "NanoDetPlus" if plus else "OneStageDetector",
        "backbone": {
            "name": "ShuffleNetV2",
            "model_size": a.backbone.removeprefix("shufflenet_v2_"),
            "out_stages": [2, 3, 4],
            "activation": _UPSTREAMS[a.backbone_activation],
            "pretrain": False,
        },
    }
    if not plus:
        fpn = {"name": "PAN", **fpn, "start_level": 0, "num_outs": len(strides)}
        return arch | {"fpn": fpn, "head": head | {"share_cls_reg": True}}
    fpn = {
        "name": "GhostPAN",
        **fpn,
        "kernel_size": a.neck_kernel,
        "num_extra_level": len(strides) - len(widths),
        "use_depthwise": True,
        "activation": _UPSTREAMS[a.neck_activation],
    }
    aux = {
        "name": "SimpleConvHead",
        "num_classes": classes,
        "input_channel": 2 * a.neck_channels,
        "feat_channels": 2 * a.neck_channels,
        "stacked_convs": 4,
        "strides": strides,
        "activation": _UPSTREAMS[a.head_activation],
        "reg_max": a.reg_max,
    }
    head["kernel_size"] = a.head_kernel
    return arch | {
        "detach_epoch": Settings().detach_epoch, "fpn": fpn, "head": head, "aux_head": aux
    }  # fmt: skip


def _listed(value: Any) -> Any:
    """Tuples as lists, which YAML has."""
    return [_listed(v) for v in value] if isinstance(value, tuple) else value


def main(words: Sequence[str] | None = None) -> int:
    """Print it."""
    import yaml

    parser = Parser(description=__doc__)
    add = parser.add_argument
    add("--model", default=DEFAULT_MODEL, metavar="NAME", help="of models/, default %(default)s")
    add("--names", type=parse_names, metavar="LIST", help="the classes, e.g. cat,dog")
    add("--data", type=Path, metavar="DIR", help="a data set, which names them, too")
    add("--grey", action="store_true", help="a network of one channel")
    options = parser.parse_args(words)
    if options.names is None and options.data is None:
        raise KitError("no classes; give --names cat,dog or --data DIR")
    spec, data, names = locate.model_spec(options.model), {}, options.names
    if options.data is not None:
        from data.annotations import read_annotations

        for part, images in find_sets(options.data).items():
            paths = {"img_path": str(images.folder), "ann_path": str(images.path)}
            data[part] = {"name": "CocoDataset", **paths}
            listed = read_annotations(images.path, images.folder)["categories"]
            names = names or [category["name"] for category in listed]
    if options.grey:
        spec = dataclasses.replace(spec, input=in_grey(spec.input))
    content = configuration(spec, names, data)
    print(yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100), end="")
    return 0
