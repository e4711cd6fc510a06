"""How to train: from an upstream configuration, or the kit's defaults."""

from __future__ import annotations

import math
import reprlib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from runtime.errors import KitError
from runtime.yaml_file import read_yaml
from train.augment import Augmentation

_OPTIMIZERS = ("SGD", "AdamW")
_SCHEDULES = ("CosineAnnealingLR", "MultiStepLR")

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
    ("weight_decay", 0, _LARGE),
    ("warmup_steps", 0, _LARGE),
    ("warmup_ratio", 0, 1),
    ("gamma", _SMALL, 1),
    ("last_rate", 0, _LARGE),
    ("gradient_clip", 0, _LARGE),
    ("average_decay", 0, 1),
    ("detach_epoch", 0, _LARGE),
)


@dataclass(frozen=True)
class Settings:
    """One training run.

    rate: at the peak. warmup_steps, warmup_ratio: linear from `warmup_ratio * rate`. milestones:
    epochs after which the rate is multiplied by `gamma`; none for a cosine down to `last_rate`.
    average_decay: of the exponential moving average of weights; 0 for none. detach_epoch: from
    then on the guidance of NanoDet-Plus no longer trains the rest.
    """

    epochs: int = 100
    batch: int = 16
    optimizer: str = "AdamW"
    rate: float = 1e-3
    momentum: float = 0.9
    weight_decay: float = 0.05
    warmup_steps: int = 300
    warmup_ratio: float = 1e-4
    milestones: tuple[int, ...] = ()
    gamma: float = 0.1
    last_rate: float = 5e-5
    gradient_clip: float = 35.0
    average_decay: float = 0.9998
    detach_epoch: int = 10
    augmentation: Augmentation = DEFAULT_AUGMENTATION

    def __post_init__(self) -> None:
        for name, lowest, highest in _LIMITS:
            value = getattr(self, name)
            if not lowest <= value <= highest:
                raise KitError(f"{name} is {value}, expected {lowest:g} to {highest:g}")


def read_settings(path: Path) -> Settings:
    """The training part of an upstream configuration.

    Raises `KitError` naming a setting this kit does not know.
    """
    config = read_yaml(path, f"--config {path}")
    try:
        return _settings(config)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise KitError(f"--config {path}: no training part of NanoDet's ({error})") from None
    except KitError as error:
        raise KitError(f"--config {path}: {error}") from None


def _settings(config: Any) -> Settings:
    schedule, device = config["schedule"], config.get("device", {})
    optimizer, rates = schedule["optimizer"], schedule["lr_schedule"]
    warmup = schedule.get("warmup", {})
    model = config["model"]
    averager = model.get("weight_averager") or {}
    pipeline = config["data"]["train"]["pipeline"]
    for value, known in ((optimizer.get("name"), _OPTIMIZERS), (rates.get("name"), _SCHEDULES)):
        if value not in known:
            raise KitError(f"{reprlib.repr(value)}, this kit knows {' and '.join(known)}")
    return Settings(
        epochs=int(schedule["total_epochs"]),
        batch=int(device.get("batchsize_per_gpu", Settings.batch)),
        optimizer=optimizer["name"],
        rate=float(optimizer["lr"]),
        momentum=float(optimizer.get("momentum", 0.0)),
        weight_decay=float(optimizer.get("weight_decay", 0.0)),
        warmup_steps=int(warmup.get("steps", 0)),
        warmup_ratio=float(warmup.get("ratio", 1.0)),
        milestones=tuple(int(m) for m in rates.get("milestones", ())),
        gamma=float(rates.get("gamma", 0.1)),
        last_rate=float(rates.get("eta_min", 0.0)),
        gradient_clip=float(config.get("grad_clip", Settings.gradient_clip)),
        average_decay=float(averager.get("decay", 0.0)),
        detach_epoch=int(model["arch"].get("detach_epoch", 0)),
        augmentation=_augmentation(pipeline),
    )


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
