"""One training run as a Lightning module."""

from __future__ import annotations

import copy
import functools
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
        self.steps_per_epoch = 1  # Known when the data is.
        self.model = TrainedNetwork(spec)
        self.criterion = Criterion(spec, settings.loss)
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

    def on_train_batch_start(self, *_: Any) -> None:
        """What a network draws, such as blocks to drop, depends on seed, step and process alone."""
        data: TrainingData = self.trainer.datamodule  # type: ignore[attr-defined]
        torch.manual_seed(hash((data.dataset.seed, self.global_step, self.trainer.global_rank)))

    def transfer_batch_to_device(self, batch: Any, device: torch.device, _: int) -> Any:
        pixels, objects = batch
        moved = [Objects(o.xyxy.to(device), o.class_id.to(device)) for o in objects]
        return pixels.to(device), moved

    def on_train_batch_end(self, *_: Any) -> None:
        if self.avg_model is None:
            return
        # Short at first, so that the random start is soon forgotten.
        update = 1 + self.global_step
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
        optimizer: torch.optim.Optimizer
        if s.optimizer == "SGD":
            optimizer = torch.optim.SGD(
                self._parameter_groups(), lr=s.rate, momentum=s.momentum, nesterov=s.nesterov
            )
        else:
            optimizer = torch.optim.AdamW(
                self._parameter_groups(), lr=s.rate, betas=s.betas, eps=s.epsilon
            )
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer,
            [functools.partial(self.rate_factor, peak=g["lr"]) for g in optimizer.param_groups],
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def _parameter_groups(self) -> list[dict[str, Any]]:
        """A group for each parameter with its rate and decay, as upstream's `build_optimizer` makes
        them: it resumes our runs by their order."""
        s = self.settings
        norms = (nn.GroupNorm, nn.BatchNorm2d)
        of_norms = {id(p) for m in self.model.modules() if isinstance(m, norms)
                    for p in m.parameters()}  # fmt: skip
        groups = []
        for name, parameter in self.model.named_parameters():
            rate, decay = next((f[1:] for f in s.factors if f[0] in name), (1.0, 1.0))
            spared = id(parameter) in of_norms and not s.decayed_norms
            spared |= name.endswith(".bias") and not s.decayed_biases
            decay = 0.0 if spared else s.weight_decay * decay
            groups.append({"params": [parameter], "lr": s.rate * rate, "weight_decay": decay})
        return groups

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """For upstream, which may go on from here: its schedules count epochs, and its Lightning,
        1.9, counts steps under another name."""
        loop = checkpoint["loops"]["fit_loop"]
        steps = loop["epoch_loop.automatic_optimization.optim_progress"]
        loop["epoch_loop.batch_loop.optimizer_loop.optim_progress"] = {
            **steps, "optimizer_position": 0
        }  # fmt: skip
        checkpoint["lr_schedulers"] = [
            {**_shared(state), "last_epoch": state["last_epoch"] // self.steps_per_epoch}
            for state in checkpoint["lr_schedulers"]
        ]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Ours counts steps."""
        step = checkpoint["global_step"]
        checkpoint["lr_schedulers"] = [
            {**_shared(state), "last_epoch": step, "lr_lambdas": [None] * len(state["base_lrs"])}
            for state in checkpoint["lr_schedulers"]
        ]

    def rate_factor(self, step: int, peak: float) -> float:
        """The learning rate of a step as a factor of its `peak`.

        As upstream's: the schedule changes it between epochs alone. What warm-up ends with stays
        for the rest of that epoch, and the schedule goes on from there.
        """
        s = self.settings
        if step <= s.warmup_steps > 0:
            done, ratio = step / s.warmup_steps, s.warmup_ratio
            warmed = {"constant": ratio, "exp": ratio ** (1 - done)}
            return warmed.get(s.warmup, ratio + (1 - ratio) * done)
        epoch, first, start = step // self.steps_per_epoch, -1, 1.0
        if s.warmup_steps:
            first = s.warmup_steps // self.steps_per_epoch
            start = s.warmup_ratio if s.warmup == "constant" else 1.0
        if s.schedule == "MultiStepLR":
            return start * float(s.gamma ** sum(first < m <= epoch for m in s.milestones))
        if epoch == first:
            return start
        floor, length = s.last_rate / (peak or s.rate), s.cosine_epochs or s.epochs
        first = max(first, 0)
        if epoch > length:  # It rises again, to its peak, as torch's does.
            first, start = 0, 1.0
        waves = [1 + math.cos(math.pi * at / length) for at in (epoch, first)]
        return floor + (start - floor) * waves[0] / waves[1]


def _shared(state: dict[str, Any]) -> dict[str, Any]:
    """What the state of every schedule of torch holds."""
    return {name: state[name] for name in ("base_lrs", "_last_lr", "_step_count")}


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
