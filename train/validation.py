"""AP while a network trains, the best checkpoint, and a curve of it all."""

from __future__ import annotations

import csv
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as lightning
import torch

from convert.engines import TorchEngine
from evaluation import CocoSet, ap_detector, detect_all, score
from runtime import quiet
from runtime.spec import ModelSpec
from train.settings import Settings

_HOPELESS_AP = 1.0  # Percent.
_RATE_MARGIN = 4.0
# Optimizer -> learning rate and batch with which upstream trains, and how one follows the other.
_USUAL = {"SGD": (0.14, 192, 1.0), "AdamW": (1e-3, 96, 0.5)}


class Validation(lightning.Callback):
    """Measures the weights that will be deployed, the averaged ones where there are some, every
    `Settings.validate_every` epochs and at the end; keeps the best in `best.ckpt`.

    spec: with the input that will be deployed. images: None where there are none.
    """

    def __init__(self, spec: ModelSpec, images: CocoSet | None, every: int, out: Path) -> None:
        self.spec, self.images, self.every, self.out = spec, images, every, out
        self.best = self.last = -1.0

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best = state_dict["best"]

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        done = trainer.current_epoch + 1
        if self.images is None or (done % self.every and done != pl_module.settings.epochs):
            return
        figures = self._figures(pl_module) if trainer.is_global_zero else None
        figures = trainer.strategy.broadcast(figures)
        assert figures is not None
        metrics = {"epoch": done - 1, **{f"val/{name}": value for name, value in figures.items()}}
        for logger in trainer.loggers:
            logger.log_metrics(metrics, trainer.global_step - 1)
        self.last = figures["AP"]
        better = self.last > self.best
        if trainer.is_global_zero:
            note = f", better than {self.best:.2f}" if better and self.best >= 0 else ""
            quiet.say(f"epoch {done}: AP {self.last:.2f}, AP50 {figures['AP50']:.2f}{note}")
        if better:
            self.best = self.last
            trainer.save_checkpoint(self.out / "best.ckpt")

    def _figures(self, module: Any) -> dict[str, float]:
        assert self.images is not None
        network = module.avg_model or module.model
        trained = network.training
        engine = TorchEngine(_OnItsDevice(network.eval()), self.spec)
        results = detect_all(ap_detector(engine), self.images, progress=False)
        network.train(trained)
        figures = score(self.images, results, self.spec.classes).figures
        return {name: figures[name] for name in ("AP", "AP50", "AP75", "APs", "APm", "APl")}

    def on_fit_end(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        if self.images is not None and 0 <= self.last < _HOPELESS_AP and trainer.is_global_zero:
            warn(
                f"AP {self.last:.2f} at the end: nothing was learned; start from --weights, train "
                "longer or lower --rate, and look at ./nanodet data"
            )


class _OnItsDevice(torch.nn.Module):
    """A network whose input and outputs are on the CPU, in float32."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        like = next(self.network.parameters())
        return [level.float().cpu() for level in self.network(x.to(like))]


def warn(text: str) -> None:
    """One line on stderr."""
    print(f"warning: {text}", file=sys.stderr)


def check_run(settings: Settings, steps_per_epoch: int, batch: int) -> None:
    """Warn of a run that cannot work. batch: of all processes."""
    steps = steps_per_epoch * settings.epochs
    if steps <= settings.warmup_steps:
        warn(
            f"{settings.warmup_steps} steps of warm-up, but the run has {steps}: the learning rate "
            "never gets to its peak; train for more --epochs, or set warmup.steps"
        )
    rate, usual, power = _USUAL[settings.optimizer]
    most = _RATE_MARGIN * rate * (batch / usual) ** power
    if settings.rate > most:
        warn(
            f"a learning rate of {settings.rate:g} is high for batches of {batch}; with "
            f"{settings.optimizer}, upstream's would be {most / _RATE_MARGIN:.2g}: lower --rate"
        )


def keep_log(folder: Path) -> None:
    """Number the metrics of an earlier part of the run, which the next part would remove."""
    path = folder / "metrics.csv"
    if path.is_file():
        path.rename(folder / f"metrics.{len(list(folder.glob('metrics.*.csv')))}.csv")


def draw_curve(folder: Path, path: Path) -> None:
    """Draw the loss of each epoch, and AP, from the metrics of all parts of a run."""
    from matplotlib.figure import Figure

    from evaluation.figures import save

    losses: dict[int, list[float]] = defaultdict(list)
    ap: dict[int, float] = {}
    for part in sorted(folder.glob("metrics*.csv")):  # No new one where no epoch was left.
        with part.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                if row.get("train/loss"):
                    losses[int(row["epoch"])].append(float(row["train/loss"]))
                if row.get("val/AP"):
                    ap[int(row["epoch"])] = float(row["val/AP"])
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    epochs = np.array(sorted(losses)) + 1
    axes.plot(epochs, [np.mean(losses[e - 1]) for e in epochs], "tab:blue", marker=".")
    axes.set(xlabel="epoch", ylim=(0, None))
    axes.set_ylabel("mean training loss", color="tab:blue")
    if ap:
        other = axes.twinx()
        other.plot([e + 1 for e in ap], list(ap.values()), "tab:orange", marker="o")
        other.set_ylabel("AP in percent", color="tab:orange")
        other.set_ylim(0, None)
    save(figure, path)
