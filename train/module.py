"""One training run as a Lightning module."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any

import pytorch_lightning as lightning
import torch
from torch import nn
from torch.utils.data import DataLoader

from runtime.errors import KitError
from runtime.spec import ModelSpec
from train.criterion import Criterion, Objects
from train.data import EpochSampler, TrainingSet, collate
from train.guidance import TrainedNetwork
from train.settings import Settings
from train.synced_norm import synchronise

_AVERAGE_RAMP = 2000  # Updates after which the average has two thirds of its full length.


class Training(lightning.LightningModule):
    """Trains `model` and keeps its moving average in `avg_model`, upstream's checkpoint names."""

    def __init__(self, spec: ModelSpec, settings: Settings) -> None:
        super().__init__()
        self.spec, self.settings = spec, settings
        self.steps_per_epoch = 1.0  # Known when the data is.
        self.model = TrainedNetwork(spec)
        self.criterion = Criterion(spec)
        self.avg_model: TrainedNetwork | None = None
        if settings.average_decay:
            self.avg_model = copy.deepcopy(self.model).requires_grad_(False)

    def training_step(self, batch: tuple[torch.Tensor, Sequence[Objects]], _: int) -> torch.Tensor:
        pixels, objects = batch
        detach = self.current_epoch >= self.settings.detach_epoch
        outputs, guide = self.model.train_forward(pixels, detach)
        height, width = pixels.shape[2:]
        losses = self.criterion(outputs, objects, (height, width), guide)
        self.log_dict(
            {f"train/{name}": value.detach() for name, value in losses.items()},
            batch_size=len(pixels),
            sync_dist=True,
        )
        self.log("loss", losses["loss"].detach(), prog_bar=True, logger=False)
        return losses["loss"]

    def transfer_batch_to_device(self, batch: Any, device: torch.device, _: int) -> Any:
        pixels, objects = batch
        moved = [Objects(o.xyxy.to(device), o.class_id.to(device)) for o in objects]
        return pixels.to(device), moved

    def on_train_batch_end(self, *_: Any) -> None:
        if self.avg_model is None:
            return
        update = self.global_step
        # Short at first, so that the random start is soon forgotten.
        decay = self.settings.average_decay * (1 - math.exp(-update / _AVERAGE_RAMP))
        average, current = self.avg_model.state_dict(), self.model.state_dict()
        with torch.no_grad():
            for name, value in average.items():
                if value.dtype.is_floating_point:
                    value.lerp_(current[name], 1 - decay)
                else:
                    value.copy_(current[name])

    def setup(self, stage: str) -> None:
        if self.trainer.world_size > 1:
            synchronise(self.model)

    def configure_optimizers(self) -> Any:
        s = self.settings
        # Lightning's own estimate would start loading before a resumed run knows its epoch.
        data: TrainingData = self.trainer.datamodule  # type: ignore[attr-defined]
        self.steps_per_epoch = data.steps(self.trainer.world_size)
        # Norms and biases are not decayed.
        decayed = [p for p in self.model.parameters() if p.ndim > 1]
        others = [p for p in self.model.parameters() if p.ndim <= 1]
        groups = [
            {"params": decayed, "weight_decay": s.weight_decay},
            {"params": others, "weight_decay": 0.0},
        ]
        optimizer: torch.optim.Optimizer
        if s.optimizer == "SGD":
            optimizer = torch.optim.SGD(groups, lr=s.rate, momentum=s.momentum)
        else:
            optimizer = torch.optim.AdamW(groups, lr=s.rate)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, self.rate_factor)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def rate_factor(self, step: int) -> float:
        """The learning rate of a step as a factor of its peak."""
        s = self.settings
        if step < s.warmup_steps:
            return s.warmup_ratio + (1 - s.warmup_ratio) * step / s.warmup_steps
        if s.milestones:
            epoch = step / self.steps_per_epoch
            return float(s.gamma ** sum(epoch >= m for m in s.milestones))
        done = min(1.0, step / (s.epochs * self.steps_per_epoch))
        lowest = s.last_rate / s.rate
        return lowest + (1 - lowest) * (1 + math.cos(math.pi * done)) / 2

    @property
    def deployed(self) -> nn.Module:
        """What is evaluated and converted: the average where there is one."""
        return self.model if self.avg_model is None else self.avg_model


class TrainingData(lightning.LightningDataModule):
    """Batches of a training set, dealt to the processes of the run."""

    def __init__(self, dataset: TrainingSet, batch: int, workers: int) -> None:
        super().__init__()
        self.dataset, self.batch, self.workers = dataset, batch, workers

    def steps(self, world: int) -> int:
        """Steps of an epoch with `world` processes."""
        return len(self.dataset) // (self.batch * world)

    def train_dataloader(self) -> Any:
        assert self.trainer is not None
        rank, world = self.trainer.global_rank, self.trainer.world_size
        dataset: Any = self.dataset
        count = len(dataset)
        if not self.steps(world):
            raise KitError(f"--data: {count} images are less than one batch, {self.batch * world}")
        sampler = EpochSampler(count, self.batch, dataset.seed, rank, world)
        # Loading processes ask for samples before Lightning tells a resumed run's sampler.
        progress: Any = self.trainer.fit_loop.epoch_progress.current
        sampler.set_epoch(progress.processed)
        return DataLoader(
            dataset,
            batch_size=self.batch,
            sampler=sampler,
            num_workers=self.workers,
            collate_fn=collate,
            persistent_workers=self.workers > 0,
        )
