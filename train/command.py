"""`./nanodet train`: train or fine-tune a NanoDet on annotated pictures."""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import logging
import os
import shlex
import sys
import types
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from convert.training_keys import PRECISIONS
from data.names import add_model_options, chosen_spec
from runtime import quiet
from runtime.cli import Parser, positive, whole
from runtime.errors import KitError
from runtime.spec import ModelSpec
from train.sources import add_options, chosen_sets

_ACCELERATORS = ("auto", "cpu", "gpu", "cuda", "mps", "tpu")
_PRECISIONS = (*PRECISIONS.values(), "16-true", "bf16-true", *map(str, PRECISIONS))
_MOST_SEED = 2**32 - 1


def parse_arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = Parser(description=__doc__)
    add_model_options(parser.add_argument_group("network"), "default nanodet-m-0.5x")
    add = parser.add_argument
    add_options(parser.add_argument_group("pictures", "default as in --config"))
    add("--epochs", type=positive, help="default as in --config, else 100")
    add("--batch", type=positive, help="a process, default as in --config, else 16")
    add("--rate", type=float, help="peak learning rate, default as in --config, else 0.001")
    add("--no-augmentation", action="store_true", help="the pictures as they are, for a check")
    add(
        "--accelerator", choices=_ACCELERATORS, default="auto", help="default a GPU if there is one"
    )
    add(
        "--devices",
        type=parse_devices,
        default="auto",
        metavar="N|LIST",
        help="processes, one per GPU, or the numbers of GPUs such as 0,2; default all GPUs, or one",
    )
    add(
        "--precision",
        choices=_PRECISIONS,
        metavar="NAME",
        help=f"{', '.join(_PRECISIONS[:6])}; default as in --config, else 32-true",
    )
    add("--workers", type=whole, default=2, help="loading processes, default %(default)s")
    add("--seed", type=whole, default=0, help="default %(default)s")
    add("--stop-after-epoch", type=positive, metavar="N", help="stop early, to --resume later")
    add("--resume", action="store_true", help="go on from --out's last.ckpt")
    add("--out", type=Path, default=Path("runs/train"), metavar="DIR", help="default %(default)s")
    options = parser.parse_args(words)
    if options.seed > _MOST_SEED:
        parser.error(f"--seed {options.seed}: must be at most {_MOST_SEED}")
    return options


def parse_devices(text: str) -> str | int | list[int]:
    """Command-line type: `auto`, a number of processes, -1 for all, or a list of GPUs."""
    if text == "auto":
        return text
    try:
        numbers = [int(part) for part in text.split(",") if part.strip()]
    except ValueError:
        numbers = []
    if len(numbers) == 1 and "," not in text and (numbers[0] > 0 or numbers[0] == -1):
        return numbers[0]
    if "," in text and numbers and min(numbers) >= 0 and len(set(numbers)) == len(numbers):
        return numbers
    raise argparse.ArgumentTypeError(f"{text}: expected auto, a number of 1 or more, or 0,1")


def main(words: Sequence[str] | None = None) -> int:
    """Train; leaves `last.ckpt`, `best.ckpt` and `log/metrics.csv` in --out."""
    options = parse_arguments(words)
    import pytorch_lightning as lightning

    from convert.checkpoint import read_weights
    from train.validation import check_run, draw_curve, keep_log

    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    for module in ("pytorch_lightning", "lightning_fabric"):
        warnings.filterwarnings("ignore", module=module)
    lightning.seed_everything(options.seed, verbose=False)
    spec = _spec(options)
    training, data, validation = _prepare(options, spec)
    last = options.out / "last.ckpt"
    if options.resume and not last.is_file():
        raise KitError(f"--resume: {last} is not there; start without --resume")
    if options.resume:
        read_weights(last)  # Refuses in one line what Lightning would.
    first = os.environ.get("LOCAL_RANK", "0") == "0"
    if options.resume and first:
        keep_log(options.out / "log")
    trainer = _trainer(options, training.settings, validation)
    if first and (steps := data.steps(trainer.world_size)):
        check_run(training.settings, steps, data.batch * trainer.world_size)
    if options.stop_after_epoch:
        trainer.fit_loop.max_epochs = options.stop_after_epoch
    if options.config:
        _name_unused(options.config)
    try:
        trainer.fit(training, data, ckpt_path=str(last) if options.resume else None)
    except KitError as error:
        raise KitError(_without_traceback(str(error))) from None
    if trainer.is_global_zero:
        draw_curve(options.out / "log", options.out / "curve.png")
        best = options.out / "best.ckpt"
        chosen = last if validation.images is None or not best.is_file() else best
        print(f"checkpoint {chosen}; convert it with: {_conversion(options, chosen)}")
    return 0


def _conversion(options: argparse.Namespace, checkpoint: Path) -> str:
    """The command that builds what was trained, calibrated on what it learned from."""
    size = options.input_size and "x".join(map(str, options.input_size))
    given = {
        "config": options.config,
        "model": options.variant,
        "input-size": size,
        "activation": options.activation,
        "weights": checkpoint,
        "images": chosen_sets(options)[0].folder,
    }
    words = [w for name, value in given.items() if value for w in (f"--{name}", str(value))]
    return shlex.join(["bash", "recipe.sh", *words])


def _loggers(out: Path) -> list[Any]:
    """CSV, and TensorBoard where its package is at hand."""
    from pytorch_lightning.loggers import CSVLogger, TensorBoardLogger

    loggers: list[Any] = [CSVLogger(out, name="", version="log")]
    if importlib.util.find_spec("tensorboard"):
        # Asked for this module, it does without TensorFlow, which takes seconds to load.
        sys.modules.setdefault("tensorboard.compat.notf", types.ModuleType("notf"))
        loggers.append(TensorBoardLogger(out, name="", version="log"))
    return loggers


def _trainer(options: argparse.Namespace, settings: Any, validation: Any) -> Any:
    """Lightning's trainer. Raises `KitError` for a machine that this computer does not have."""
    import pytorch_lightning as lightning
    from pytorch_lightning.callbacks import ModelCheckpoint, TQDMProgressBar
    from pytorch_lightning.utilities.exceptions import MisconfigurationException

    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise KitError(f"--out {options.out}: cannot be written ({error.strerror})") from None
    precision = options.precision or settings.precision

    class FromOne(TQDMProgressBar):
        """Lightning's counts epochs from 0."""

        def on_train_epoch_start(self, trainer: Any, *rest: Any) -> None:
            super().on_train_epoch_start(trainer, *rest)
            self.train_progress_bar.set_description(f"epoch {trainer.current_epoch + 1}")

    bar = [FromOne()] if quiet.level >= 0 else []
    try:
        return lightning.Trainer(
            max_epochs=settings.epochs,
            accelerator=options.accelerator,
            devices=options.devices,
            precision=precision,
            gradient_clip_val=settings.gradient_clip,
            logger=_loggers(options.out),
            callbacks=[
                validation,
                ModelCheckpoint(options.out, filename="last", enable_version_counter=False),
                *bar,
            ],
            use_distributed_sampler=False,
            log_every_n_steps=1,
            enable_model_summary=False,
            enable_progress_bar=bool(bar),
        )
    except (MisconfigurationException, ImportError, RuntimeError, TypeError, ValueError) as error:
        raise KitError(
            f"--accelerator {options.accelerator} --devices {options.devices} --precision "
            f"{precision}: not on this machine ({error})"
        ) from None


def _without_traceback(message: str) -> str:
    """What a loading process complained of; PyTorch puts its traceback in front."""
    return message.rstrip().splitlines()[-1].split("KitError: ", 1)[-1]


def _spec(options: argparse.Namespace) -> ModelSpec:
    spec = chosen_spec(options, "linux", training=True)
    if spec.graph.class_ids or options.strides:
        raise KitError("--classes and --strides are chosen when converting, not when training")
    return spec


def _prepare(options: argparse.Namespace, spec: ModelSpec) -> tuple[Any, Any, Any]:
    """The Lightning module, its data, and the callback that validates."""
    from evaluation import CocoSet
    from train.augment import Augmentation
    from train.data import TrainingSet, check_pictures, read_pictures
    from train.module import Training, TrainingData
    from train.settings import Settings, read_settings
    from train.start import MEASURED_PICTURES, start_from
    from train.validation import Validation

    settings = read_settings(options.config) if options.config else Settings()
    given = {name: getattr(options, name) for name in ("epochs", "batch", "rate")}
    changed = {name: value for name, value in given.items() if value is not None}
    settings = dataclasses.replace(settings, **changed)
    if options.no_augmentation:
        settings = dataclasses.replace(settings, augmentation=Augmentation())
    learned, judged = chosen_sets(options)
    pictures = read_pictures(learned.folder, learned.path, spec.class_names)
    check_pictures(pictures, learned.path)
    deployed, images = _deployed(options, spec), None
    if judged is not None:
        images = CocoSet.load(judged.folder, judged.path, spec.class_names)
    validation = Validation(deployed, images, settings.validate_every, options.out)
    dataset = TrainingSet(pictures, spec, settings.augmentation, options.seed)
    training = Training(spec, settings)
    if options.weights is not None:
        plain = TrainingSet(pictures, spec, Augmentation(), options.seed)
        samples = [plain[0, i][0] for i in range(min(len(plain), MEASURED_PICTURES))]
        start_from(training, options.weights, samples)
    return training, TrainingData(dataset, settings.batch, options.workers), validation


def _deployed(options: argparse.Namespace, spec: ModelSpec) -> ModelSpec:
    """The network with the input that it will be evaluated with."""
    if options.config is None or options.input_size is not None:
        return spec
    from convert.training_config import read_training_config

    return dataclasses.replace(spec, input=read_training_config(options.config).input)


def _name_unused(config: Path) -> None:
    """One line on stderr, by the first process of the run."""
    from convert.training_config import unused_keys

    unused = unused_keys(config, training=True)
    if unused and os.environ.get("LOCAL_RANK", "0") == "0":
        print(f"--config {config}: not used: {', '.join(unused)}", file=sys.stderr)
