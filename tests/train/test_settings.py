"""Settings from a configuration of upstream's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from convert.training_config import read_training_config
from runtime.errors import KitError
from tests.convert.test_training_config import m_config
from train.module import Training
from train.settings import read_settings

SCHEDULE = {
    "optimizer": {"name": "SGD", "lr": 0.07, "momentum": 0.9, "weight_decay": 0.0001},
    "warmup": {"steps": 10, "ratio": 0.1},
    "total_epochs": 4,
    "lr_schedule": {"name": "MultiStepLR", "milestones": [2, 3], "gamma": 0.1},
}


def test_settings_of_upstream(tmp_path: Path) -> None:
    config = m_config() | {"schedule": SCHEDULE, "device": {"batchsize_per_gpu": 24}}
    config["data"]["train"] = {"pipeline": {"scale": [0.5, 1.5], "flip": 0.5, "normalize": []}}
    path = tmp_path / "own.yml"
    path.write_text(yaml.safe_dump(config))
    settings = read_settings(path)
    assert (settings.optimizer, settings.rate, settings.batch) == ("SGD", 0.07, 24)
    assert settings.milestones == (2, 3) and settings.augmentation.scale == (0.5, 1.5)
    training = Training(read_training_config(path), settings)
    training.steps_per_epoch = 100
    factors = [training.rate_factor(step, 0.07) for step in (0, 5, 10, 199, 200, 300)]
    assert factors == pytest.approx([0.1, 0.55, 1, 1, 0.1, 0.01])
    config["schedule"] = SCHEDULE | {"lr_schedule": {"name": "Magic"}}
    path.write_text(yaml.safe_dump(config))
    with pytest.raises(KitError, match="'Magic', this kit knows CosineAnnealingLR"):
        read_settings(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"total_epochs": 0}, "epochs is 0, expected 1 to"),
        ({"total_epochs": float("inf")}, "schedule.total_epochs: expected int, got inf"),
        ({"total_epochs": "many"}, "schedule.total_epochs: expected int, got 'many'"),
        ({"optimizer": {"name": "SGD", "lr": float("nan")}}, "optimizer.lr: nan is not finite"),
        ({"optimizer": {"name": "SGD"}}, "no training part .*no `schedule.optimizer.lr`"),
        ({"optimizer": []}, "no training part"),
        (
            {"lr_schedule": {"name": "MultiStepLR", "milestones": ["a"]}},
            "milestones: expected int, got 'a'",
        ),
    ],
)
def test_unusable_settings(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    config = m_config() | {"schedule": SCHEDULE | change}
    config["data"]["train"] = {"pipeline": {}}
    path = tmp_path / "own.yml"
    path.write_text(yaml.safe_dump(config))
    with pytest.raises(KitError, match=message):
        read_settings(path)


@pytest.mark.parametrize("value", [[1], [1, "a"], "wide", float("nan"), {}])
def test_unusable_augmentation(tmp_path: Path, value: Any) -> None:
    config = m_config() | {"schedule": SCHEDULE}
    config["data"]["train"] = {"pipeline": {"scale": value}}
    path = tmp_path / "own.yml"
    path.write_text(yaml.safe_dump(config))
    with pytest.raises(KitError, match=r"own\.yml: data\.train\.pipeline\.scale: (expected|nan)"):
        read_settings(path)
