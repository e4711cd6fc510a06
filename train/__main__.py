"""`python -m train`: train or fine-tune a NanoDet on a COCO-format set."""

from __future__ import annotations

import argparse
import dataclasses
import logging
import sys
import warnings
from pathlib import Path
from typing import Any

from pipeline.names import add_model_options, chosen_spec
from runtime.cli import Parser, positive, run
from runtime.errors import KitError
from runtime.spec import ModelSpec


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = Parser(prog="python -m train", description=__doc__)
    add_model_options(parser.add_argument_group("network"), "default nanodet-m-0.5x")
    add = parser.add_argument
    add("--data", type=Path, required=True, metavar="DIR", help="annotations.json and images/")
    add("--epochs", type=positive, help="default as in --config, else 100")
    add("--batch", type=positive, help="a process, default as in --config, else 16")
    add("--rate", type=float, help="peak learning rate, default as in --config, else 0.001")
    add("--no-augmentation", action="store_true", help="the pictures as they are, for a check")
    add("--accelerator", default="auto", help="cpu or gpu, default a GPU where there is one")
    add("--devices", default="auto", help="processes, one a GPU; default all GPUs, or one")
    add("--precision", default="32-true", help="e.g. 16-mixed, bf16-mixed; default %(default)s")
    add("--workers", type=int, default=2, help="loading processes, default %(default)s")
    add("--seed", type=int, default=0, help="default %(default)s")
    add("--stop-after-epoch", type=positive, metavar="N", help="stop early, to --resume later")
    add("--resume", action="store_true", help="go on from --out's last.ckpt")
    add("--out", type=Path, default=Path("runs/train"), metavar="DIR", help="default %(default)s")
    return parser.parse_args()


def main() -> int:
    """Train; leaves `last.ckpt` and `metrics.csv` in --out."""
    options = parse_arguments()
    import pytorch_lightning as lightning
    from pytorch_lightning.callbacks import ModelCheckpoint
    from pytorch_lightning.loggers import CSVLogger

    from convert.checkpoint import read_weights

    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", module="pytorch_lightning")
    lightning.seed_everything(options.seed, verbose=False)
    spec = _spec(options)
    training, data = _prepare(options, spec)
    last = options.out / "last.ckpt"
    if options.resume and not last.is_file():
        raise KitError(f"--resume: {last} is not there; start without --resume")
    if options.resume:
        read_weights(last)  # Refuses in one line what Lightning would.
    trainer = lightning.Trainer(
        max_epochs=training.settings.epochs,
        accelerator=options.accelerator,
        devices=options.devices if options.devices == "auto" else int(options.devices),
        precision=options.precision,
        gradient_clip_val=training.settings.gradient_clip,
        logger=CSVLogger(options.out, name="", version="log"),
        callbacks=[ModelCheckpoint(options.out, filename="last", enable_version_counter=False)],
        use_distributed_sampler=False,
        log_every_n_steps=1,
        enable_model_summary=False,
    )
    if options.stop_after_epoch:
        trainer.fit_loop.max_epochs = options.stop_after_epoch
    trainer.fit(training, data, ckpt_path=str(last) if options.resume else None)
    print(f"checkpoint {last}; convert it with: bash recipe.sh --weights {last} ...")
    return 0


def _spec(options: argparse.Namespace) -> ModelSpec:
    spec = chosen_spec(options, "linux")
    if spec.graph.class_ids or options.strides:
        raise KitError("--classes and --strides are chosen when converting, not when training")
    return spec


def _prepare(options: argparse.Namespace, spec: ModelSpec) -> tuple[Any, Any]:
    """The Lightning module and its data."""
    from train.augment import Augmentation
    from train.data import TrainingSet, read_pictures
    from train.module import Training, TrainingData
    from train.settings import Settings, read_settings

    settings = read_settings(options.config) if options.config else Settings()
    given = {name: getattr(options, name) for name in ("epochs", "batch", "rate")}
    changed = {name: value for name, value in given.items() if value is not None}
    settings = dataclasses.replace(settings, **changed)
    if options.no_augmentation:
        settings = dataclasses.replace(settings, augmentation=Augmentation())
    images, annotations = options.data / "images", options.data / "annotations.json"
    pictures = read_pictures(images, annotations, spec.class_names)
    dataset = TrainingSet(pictures, spec, settings.augmentation, options.seed)
    training = Training(spec, settings)
    if options.weights is not None:
        _start_from(training, options.weights)
    return training, TrainingData(dataset, settings.batch, options.workers)


def _start_from(training: Any, path: Path) -> None:
    """Fine-tune: take what fits of a checkpoint, and say what does not."""
    from convert.checkpoint import read_weights

    found = read_weights(path).weights
    own = training.model.state_dict()
    fitting = {k: v for k, v in found.items() if k in own and v.shape == own[k].shape}
    if not fitting:
        raise KitError(f"--weights {path}: nothing in it fits this network")
    left = sorted(k for k in own if k not in fitting and not k.startswith("aux_"))
    for name in left:
        if not name.endswith("num_batches_tracked"):
            print(f"{path.name}: `{name}` starts at random")
    training.model.load_state_dict({**own, **fitting})
    if training.avg_model is not None:
        training.avg_model.load_state_dict(training.model.state_dict())


if __name__ == "__main__":
    sys.exit(run(main))
