"""Which pictures a run learns from and is judged on: options before the configuration."""

from __future__ import annotations

import argparse
from pathlib import Path

from convert.training_config import load_config
from convert.training_keys import value_at
from data.annotations import AnnotatedImages
from data.sets import find_sets
from runtime.errors import KitError

_NAMES = ("train", "val")


def add_options(parser: argparse._ActionsContainer) -> None:
    """`--data`, and `--train` and `--val` with their pictures."""
    add = parser.add_argument
    add("--data", type=Path, metavar="DIR", help="a set as tools lay it out, or a data.yaml")
    for name, use in zip(_NAMES, ("to learn from", "that measure AP"), strict=True):
        help_text = f"annotations {use}, instead of --data's"
        add(f"--{name}", type=Path, metavar="PATH", help=help_text)
        add(f"--{name}-images", type=Path, metavar="DIR", help="their pictures")


def chosen_sets(options: argparse.Namespace) -> tuple[AnnotatedImages, AnnotatedImages | None]:
    """What is for training, and what for validation if anything is.

    Raises `KitError` where nothing is given to learn from.
    """
    found = find_sets(options.data) if options.data else {}
    if not found and options.config:
        found = _of_config(options.config)
    for name in _NAMES:
        path, images = getattr(options, name), getattr(options, f"{name}_images")
        if images is not None and path is None:
            raise KitError(f"--{name}-images belongs to --{name}; give both")
        if path is not None:
            found[name] = AnnotatedImages(images, path) if images else _own(path, name)
    if "train" not in found:
        raise KitError("nothing to learn from; give --data DIR, or --train with its annotations")
    return found["train"], found.get("val")


def _own(path: Path, name: str) -> AnnotatedImages:
    """The set at a path that names its pictures, too."""
    found = find_sets(path)
    return found.get(name) or next(iter(found.values()))


def _of_config(config: Path) -> dict[str, AnnotatedImages]:
    """Upstream's `img_path` and `ann_path`, where they are written."""
    content = load_config(config)
    found = {}
    for name in _NAMES:
        images, path = (value_at(content, f"data.{name}.{key}") for key in ("img_path", "ann_path"))
        if isinstance(images, str) and isinstance(path, str) and images and path:
            found[name] = AnnotatedImages(Path(images), Path(path))
    return found
