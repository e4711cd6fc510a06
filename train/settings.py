"""How to train: from an upstream configuration, or the kit's defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_type_hints

from convert.training_check import examine
from convert.training_config import load_config
from convert.training_keys import MISSING, PRECISIONS, value_at
from runtime.errors import KitError
from runtime.records import read_value
from train.augment import Augmentation
from train.criterion import DEFAULT_LOSS, LossSetting

# As upstream trains NanoDet-Plus.
DEFAULT_AUGMENTATION = Augmentation(
    scale=(0.6, 1.4),
    stretch=((0.8, 1.2), (0.8, 1.2)),
    translate=0.2,
    flip=0.5,
    brightness=0.2,
    contrast=(0.6, 1.4),
    saturation=(0.5, 1.2),
)

_LARGE, _SMALL = 1e9, 1e-12
# Setting, the least and the most it may be.
_LIMITS = (
    ("epochs", 1, _LARGE),
    ("batch", 1, _LARGE),
    ("rate", _SMALL, _LARGE),
    ("momentum", 0, 1),
    ("epsilon", 0, 1),
    ("weight_decay", 0, _LARGE),
    ("warmup_steps", 0, _LARGE),
    ("warmup_ratio", 0, 1),
    ("gamma", _SMALL, 1),
    ("cosine_epochs", 0, _LARGE),
    ("last_rate", 0, _LARGE),
    ("gradient_clip", 0, _LARGE),
    ("average_decay", 0, 1),
    ("detach_epoch", 0, _LARGE),
    ("validate_every", 1, _LARGE),
)


@dataclass(frozen=True)
class Settings:
    """One training run.

    rate: at the peak. momentum, nesterov: of SGD. betas, epsilon: of AdamW. decayed_norms,
    decayed_biases: whether `weight_decay` holds for these, too. factors: part of a parameter's
    name, and by what its rate and its decay are multiplied; the first that fits holds.
    warmup: `linear` or `exp` from `warmup_ratio * rate`, or `constant` there, for `warmup_steps`.
    schedule: of torch's; milestones: epochs after which the rate is multiplied by `gamma`;
    cosine_epochs: of the way down to `last_rate`, 0 for the whole run.
    average_decay: of the exponential moving average of weights; 0 for none. detach_epoch: from
    then on the guidance of NanoDet-Plus no longer trains the rest. validate_every: epochs.
    precision: Lightning's name.
    """

    epochs: int = 100
    batch: int = 16
    optimizer: str = "AdamW"
    rate: float = 1e-3
    momentum: float = 0.9
    nesterov: bool = False
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8
    weight_decay: float = 0.05
    decayed_norms: bool = False
    decayed_biases: bool = False
    factors: tuple[tuple[str, float, float], ...] = ()
    warmup: str = "linear"
    warmup_steps: int = 300
    warmup_ratio: float = 1e-4
    schedule: str = "CosineAnnealingLR"
    milestones: tuple[int, ...] = ()
    gamma: float = 0.1
    cosine_epochs: int = 0
    last_rate: float = 5e-5
    gradient_clip: float = 35.0
    average_decay: float = 0.9998
    detach_epoch: int = 10
    validate_every: int = 10
    precision: str = "32-true"
    augmentation: Augmentation = DEFAULT_AUGMENTATION
    loss: LossSetting = DEFAULT_LOSS

    def __post_init__(self) -> None:
        for name, least, most in _LIMITS:
            value = getattr(self, name)
            if not least <= value <= most:
                raise KitError(f"{name} is {value}, expected {least:g} to {most:g}")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise KitError(f"betas are {self.betas}, expected two numbers from 0 to below 1")
        if self.nesterov and not self.momentum:
            raise KitError("nesterov needs a momentum above 0")


# Setting -> its key in an upstream configuration, and what upstream takes where it is missing; the
# kit's own default where that is not said.
_KEYS: dict[str, tuple[str, Any]] = {
    "batch": ("device.batchsize_per_gpu", MISSING),
    "optimizer": ("schedule.optimizer.name", MISSING),
    "momentum": ("schedule.optimizer.momentum", 0.0),
    "nesterov": ("schedule.optimizer.nesterov", False),
    "betas": ("schedule.optimizer.betas", MISSING),
    "epsilon": ("schedule.optimizer.eps", MISSING),
    "warmup": ("schedule.warmup.name", MISSING),
    "warmup_steps": ("schedule.warmup.steps", 0),
    "warmup_ratio": ("schedule.warmup.ratio", 1.0),
    "schedule": ("schedule.lr_schedule.name", MISSING),
    "gamma": ("schedule.lr_schedule.gamma", 0.1),
    "last_rate": ("schedule.lr_schedule.eta_min", 0.0),
    "gradient_clip": ("grad_clip", 0.0),
    "detach_epoch": ("model.arch.detach_epoch", 0),
    "validate_every": ("schedule.val_intervals", MISSING),
}
_REQUIRED = object()
_LOSSES = {
    "qfl_weight": "loss.loss_qfl.loss_weight",
    "qfl_beta": "loss.loss_qfl.beta",
    "box_weight": "loss.loss_bbox.loss_weight",
    "dfl_weight": "loss.loss_dfl.loss_weight",
    "anchor_strides": "octave_base_scale",
    "candidates": "assigner_cfg.topk",
    "iou_factor": "assigner_cfg.iou_factor",
}


def read_settings(path: Path) -> Settings:
    """The training part of an upstream configuration.

    Raises `KitError` naming a setting that this kit does not follow, see `training_keys`.
    """
    config, source = load_config(path), f"--config {path}"
    for section in ("schedule.optimizer", "schedule.lr_schedule", "data.train.pipeline"):
        if not isinstance(value_at(config, section), dict):
            raise KitError(f"{source}: no training part of NanoDet's (no `{section}`)")
    examine(config, source, training=True)
    try:
        return Settings(**_Values(config, source).settings())
    except KitError as error:
        text = str(error)
        raise KitError(text if text.startswith(source) else f"{source}: {text}") from None


class _Values:
    """Takes values out of a configuration; errors name the file and the key."""

    def __init__(self, config: Any, source: str) -> None:
        self.config, self.source = config, source

    def settings(self) -> dict[str, Any]:
        """Arguments of `Settings`."""
        hints = get_type_hints(Settings)
        found = {n: self.value(hints[n], key, missing) for n, (key, missing) in _KEYS.items()}
        adam = found["optimizer"] == "AdamW"
        optimizer, rates = "schedule.optimizer", "schedule.lr_schedule"
        epochs = self.value(int, "schedule.total_epochs")
        length = self.value(int, f"{rates}.T_max", epochs)
        if length < 1 <= epochs:
            raise KitError(f"T_max is {length}, expected 1 or more")
        averaged = value_at(self.config, "model.weight_averager") is not None
        precision = value_at(self.config, "device.precision", 32)
        found |= {
            "epochs": epochs,
            "cosine_epochs": 0 if length == epochs else length,
            "milestones": self.value(tuple[int, ...], f"{rates}.milestones", ()),
            "rate": self.value(float, f"{optimizer}.lr"),
            "weight_decay": self.value(float, f"{optimizer}.weight_decay", 0.01 if adam else 0.0),
            "decayed_norms": not self.value(bool, f"{optimizer}.no_norm_decay", False),
            "decayed_biases": not self.value(bool, f"{optimizer}.no_bias_decay", False),
            "factors": self.factors(f"{optimizer}.param_level_cfg"),
            "average_decay": self.value(float, "model.weight_averager.decay", 0.9998)
            if averaged
            else 0.0,
            "precision": PRECISIONS[precision],
            "augmentation": self.record(Augmentation(), "data.train.pipeline"),
            "loss": self.record(DEFAULT_LOSS, "model.arch.head", _LOSSES),
        }
        return {name: value for name, value in found.items() if value is not MISSING}

    def value(self, hint: Any, key: str, missing: Any = _REQUIRED) -> Any:
        """The value of a dotted key, `missing` where it is not written."""
        value = value_at(self.config, key, missing)
        if value is _REQUIRED:
            raise KitError(f"no training part of NanoDet's (no `{key}`)")
        if hint is int and isinstance(value, float) and value.is_integer():
            value = int(value)
        return value if value is missing else read_value(hint, value, f"{self.source}: {key}")

    def record(self, default: Any, section: str, keys: Mapping[str, str] | None = None) -> Any:
        """A dataclass from a section. keys: of its fields, which else have their names."""
        hints = get_type_hints(type(default))
        keys = keys or {name: name for name in hints}
        return type(default)(**{
            name: self.value(hints[name], f"{section}.{key}", getattr(default, name))
            for name, key in keys.items()
        })  # fmt: skip

    def factors(self, section: str) -> tuple[tuple[str, float, float], ...]:
        """`param_level_cfg`: part of a name -> `lr_mult`, `decay_mult`."""
        parts = value_at(self.config, section) or {}
        for part, values in read_value(dict[str, dict[str, float]], parts, section).items():
            unknown = sorted(set(values) - {"lr_mult", "decay_mult"})
            if unknown:
                raise KitError(f"param_level_cfg.{part}.{unknown[0]} is not known")
        return tuple(
            (part, float(values.get("lr_mult", 1.0)), float(values.get("decay_mult", 1.0)))
            for part, values in parts.items()
        )
