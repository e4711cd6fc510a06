"""How to train: from an upstream configuration, or the kit's defaults."""

from __future__ import annotations

import math
import reprlib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from convert.training_check import examine
from convert.training_config import load_config
from convert.training_keys import PRECISIONS, value_at
from runtime.errors import KitError
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
    then on the guidance of NanoDet-Plus no longer trains the rest. precision: Lightning's name.
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
    precision: str = "32-true"
    augmentation: Augmentation = DEFAULT_AUGMENTATION
    loss: LossSetting = DEFAULT_LOSS

    def __post_init__(self) -> None:
        for name, lowest, highest in _LIMITS:
            value = getattr(self, name)
            if not lowest <= value <= highest:
                raise KitError(f"{name} is {value}, expected {lowest:g} to {highest:g}")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise KitError(f"betas are {self.betas}, expected two numbers from 0 to below 1")
        if self.nesterov and not self.momentum:
            raise KitError("nesterov needs a momentum above 0")


def read_settings(path: Path) -> Settings:
    """The training part of an upstream configuration.

    Raises `KitError` naming a setting that this kit does not follow, see `training_keys`.
    """
    config = load_config(path)
    for section in ("schedule.optimizer", "schedule.lr_schedule", "data.train.pipeline"):
        if not isinstance(value_at(config, section), dict):
            raise KitError(f"--config {path}: no training part of NanoDet's (no `{section}`)")
    examine(config, f"--config {path}", training=True)
    try:
        return _settings(config)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise KitError(f"--config {path}: no training part of NanoDet's ({error})") from None
    except KitError as error:
        raise KitError(f"--config {path}: {error}") from None


def _settings(config: dict[str, Any]) -> Settings:
    schedule, device, model = config["schedule"], config.get("device") or {}, config["model"]
    optimizer, warmup = schedule["optimizer"], schedule.get("warmup") or {}
    averager = model.get("weight_averager")
    epochs = int(schedule["total_epochs"])
    adam = optimizer["name"] == "AdamW"
    return Settings(
        epochs=epochs,
        batch=int(device.get("batchsize_per_gpu", Settings.batch)),
        optimizer=optimizer["name"],
        rate=float(optimizer["lr"]),
        momentum=float(optimizer.get("momentum", 0.0)),
        nesterov=_flag(optimizer, "nesterov"),
        betas=_like(Settings.betas, list(optimizer.get("betas", Settings.betas)), "betas"),
        epsilon=float(optimizer.get("eps", Settings.epsilon)),
        weight_decay=float(optimizer.get("weight_decay", 0.01 if adam else 0.0)),
        decayed_norms=not _flag(optimizer, "no_norm_decay"),
        decayed_biases=not _flag(optimizer, "no_bias_decay"),
        factors=_factors(optimizer.get("param_level_cfg") or {}),
        warmup=warmup.get("name", Settings.warmup),
        warmup_steps=int(warmup.get("steps", 0)),
        warmup_ratio=float(warmup.get("ratio", 1.0)),
        gradient_clip=float(config.get("grad_clip", 0.0)),
        average_decay=0.0 if averager is None else float(averager.get("decay", 0.9998)),
        detach_epoch=int(model["arch"].get("detach_epoch", 0)),
        precision=PRECISIONS[device.get("precision", 32)],
        augmentation=_augmentation(config["data"]["train"]["pipeline"]),
        loss=_loss(model["arch"]["head"].get("loss") or {}),
        **_schedule(schedule["lr_schedule"], epochs),
    )


def _schedule(rates: dict[str, Any], epochs: int) -> dict[str, Any]:
    if rates["name"] == "MultiStepLR":
        milestones = tuple(int(m) for m in rates["milestones"])
        return {
            "schedule": rates["name"],
            "milestones": milestones,
            "gamma": float(rates.get("gamma", 0.1)),
        }
    length = int(rates.get("T_max", epochs))
    if length < 1:
        raise KitError(f"T_max is {length}, expected 1 or more")
    return {
        "schedule": rates["name"],
        "cosine_epochs": 0 if length == epochs else length,
        "last_rate": float(rates.get("eta_min", 0.0)),
    }


def _factors(config: dict[str, Any]) -> tuple[tuple[str, float, float], ...]:
    """`param_level_cfg`: part of a name -> `lr_mult`, `decay_mult`."""
    for part, values in config.items():
        unknown = sorted(map(str, set(values) - {"lr_mult", "decay_mult"}))
        if unknown:
            raise KitError(f"param_level_cfg.{part}.{unknown[0]} is not known")
    return tuple(
        (str(part), *(_like(1.0, values.get(key, 1.0), key) for key in ("lr_mult", "decay_mult")))
        for part, values in config.items()
    )


def _loss(config: dict[str, Any]) -> LossSetting:
    default = DEFAULT_LOSS
    parts = {
        "qfl_weight": ("loss_qfl", "loss_weight"),
        "qfl_beta": ("loss_qfl", "beta"),
        "box_weight": ("loss_bbox", "loss_weight"),
        "dfl_weight": ("loss_dfl", "loss_weight"),
    }
    return LossSetting(**{
        name: _like(getattr(default, name),
                    config.get(section, {}).get(key, getattr(default, name)),
                    f"{section}.{key}")
        for name, (section, key) in parts.items()
    })  # fmt: skip


def _flag(section: dict[str, Any], key: str) -> bool:
    value = section.get(key, False)
    if not isinstance(value, bool):
        raise ValueError(f"`{key}` is {reprlib.repr(value)}")
    return value


def _augmentation(pipeline: dict[str, Any]) -> Augmentation:
    defaults = Augmentation()
    known = {field.name: getattr(defaults, field.name) for field in fields(Augmentation)}
    return Augmentation(**{k: _like(known[k], v, k) for k, v in pipeline.items() if k in known})


def _like(default: Any, value: Any, name: str) -> Any:
    """`value` with the structure of `default`: a number, or pairs of such."""
    if isinstance(default, tuple):
        if not isinstance(value, list) or len(value) != len(default):
            raise ValueError(f"`{name}` is {reprlib.repr(value)}")
        return tuple(_like(d, v, name) for d, v in zip(default, value, strict=True))
    if not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(f"`{name}` is {reprlib.repr(value)}")
    return value
