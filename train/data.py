"""A COCO-format set as samples; a sample depends on seed, epoch and image alone."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.data import Dataset, Sampler

from data.annotations import plain, read_annotations
from runtime.errors import KitError
from runtime.image import load_rgb
from runtime.preprocess import to_grey
from runtime.spec import ModelSpec
from train.augment import (
    Augmentation,
    smallest_canvas,
    vary_colour,
    warp_boxes,
    warp_matrix,
    warp_picture,
)
from train.criterion import Objects

_BATCH_STEP = 32  # Of which the sides of a batch are multiples: the coarsest stride of a backbone.

# A sample is asked for by epoch and image, so that workers need no state.
Key = tuple[int, int]


@dataclass(frozen=True)
class Picture:
    """One annotated picture. xyxy: (M, 4) float64 in its pixels. class_id: (M,) int64."""

    path: Path
    xyxy: np.ndarray
    class_id: np.ndarray


def read_pictures(images: Path, annotations: Path, class_names: Sequence[str]) -> list[Picture]:
    """The annotated pictures of a set, by id; crowds and boxes without area are left out, and so
    are boxes of categories that the model lacks, which are named on stderr.

    Raises `KitError` for annotations that are none.
    """
    content = read_annotations(annotations, images)
    names = {c["id"]: c["name"] for c in content["categories"]}
    files = {image["id"]: image["file_name"] for image in content["images"]}
    boxes = [
        (a["image_id"], a["category_id"], tuple(map(float, a["bbox"])))
        for a in content["annotations"]
        if not a["iscrowd"]
    ]
    nameless = sorted({c for _, c, _ in boxes if c not in names})
    if nameless:
        raise KitError(f"{annotations}: category {nameless[0]} of a box is not listed")
    number = {plain(name): i for i, name in enumerate(class_names)}
    unknown = sorted({names[c] for _, c, _ in boxes if plain(names[c]) not in number})
    if unknown:
        listed = ", ".join(f"`{name}`" for name in unknown)
        print(f"{annotations}: not of the model's classes, left out: {listed}", file=sys.stderr)
    by_image: dict[int, list[tuple[float, ...]]] = defaultdict(list)
    for image_id, category, (x, y, w, h) in boxes:
        if w >= 1 and h >= 1 and plain(names[category]) in number:
            by_image[image_id].append((x, y, x + w, y + h, number[plain(names[category])]))
    pictures = []
    for image_id in sorted(files):
        rows = np.array(by_image[image_id], np.float64).reshape(-1, 5)
        path = images / files[image_id]
        pictures.append(Picture(path, rows[:, :4], rows[:, 4].astype(np.int64)))
    if not pictures:
        raise KitError(f"{annotations}: lists no images")
    return pictures


def check_pictures(pictures: Sequence[Picture], annotations: Path) -> None:
    """Raise `KitError` for pictures that are missing or none, before hours of training.

    Reads their beginnings alone; one that is cut off later is found when it is loaded.
    """
    missing = [picture.path for picture in pictures if not picture.path.is_file()]
    if missing:
        raise KitError(
            f"{missing[0]}: no such image, {len(missing)} of {len(pictures)} are missing that "
            f"{annotations} names"
        )
    for picture in pictures:
        try:
            with Image.open(picture.path) as image:
                image.verify()
        except Image.DecompressionBombError:
            raise KitError(f"{picture.path}: too many pixels; scale it down first") from None
        except (OSError, SyntaxError, ValueError) as error:
            raise KitError(f"{picture.path}: damaged or not an image ({error})") from None
    if not any(len(picture.xyxy) for picture in pictures):
        raise KitError(f"{annotations} has no box to learn from")


class TrainingSet(Dataset[tuple[torch.Tensor, Objects]]):
    """Augmented samples: normalised pixels (C, H, W) float32, and the objects in them.

    bars: a picture that keeps its ratio fills the input, with bars beside it, as for inference;
    else it is as large as the input allows, as upstream trains.
    """

    def __init__(
        self,
        pictures: Sequence[Picture],
        spec: ModelSpec,
        setting: Augmentation,
        seed: int,
        bars: bool = False,
    ) -> None:
        self.pictures, self.spec, self.setting, self.seed = pictures, spec, setting, seed
        self.bars = bars

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, key: Key) -> tuple[torch.Tensor, Objects]:
        epoch, index = key
        rng = np.random.default_rng([self.seed, epoch, index])
        picture, spec = self.pictures[index], self.spec.input
        rgb = load_rgb(picture.path)
        image = Image.fromarray(to_grey(rgb) if spec.channels == 1 else rgb)
        size = spec.width, spec.height
        if not self.bars:
            size = smallest_canvas(image.size, spec, self.setting.divisible)
        matrix = warp_matrix(rng, self.setting, image.size, size, spec.keep_ratio)
        canvas = warp_picture(image, matrix, size).reshape(*size[::-1], spec.channels)
        pixels = vary_colour(rng, canvas, self.setting)
        if spec.colour_order == "BGR":
            pixels = pixels[..., ::-1]
        return normalised(pixels, self.spec), Objects(
            torch.from_numpy(warp_boxes(picture.xyxy, matrix, size)),
            torch.from_numpy(picture.class_id),
        )


def normalised(pixels: np.ndarray, spec: ModelSpec) -> torch.Tensor:
    """float32 (H, W, C), 0..255 -> (C, H, W) as the network was trained."""
    mean, std = (np.array(v, np.float32) for v in (spec.input.mean, spec.input.std))
    return torch.from_numpy(np.ascontiguousarray(((pixels - mean) / std).transpose(2, 0, 1)))


def collate(
    samples: Sequence[tuple[torch.Tensor, Objects]],
) -> tuple[torch.Tensor, list[Objects]]:
    """Samples -> (B, C, H, W), with zeros at their right and bottom, and the objects of each."""
    sides = [max(pixels.shape[axis] for pixels, _ in samples) for axis in (1, 2)]
    canvas = (-(-side // _BATCH_STEP) * _BATCH_STEP for side in sides)
    batch = torch.zeros(len(samples), len(samples[0][0]), *canvas)
    for place, (pixels, _) in zip(batch, samples, strict=True):
        place[:, : pixels.shape[1], : pixels.shape[2]] = pixels
    return batch, [objects for _, objects in samples]


class EpochSampler(Sampler[Key]):
    """Shuffles by seed and epoch, and deals batches to processes so that `world` processes with
    batches of n see what one with batches of `world * n` sees. The ragged end is dropped.
    """

    def __init__(self, count: int, batch: int, seed: int, rank: int = 0, world: int = 1) -> None:
        self.count, self.batch, self.seed = count, batch, seed
        self.rank, self.world = rank, world
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.count // (self.batch * self.world) * self.batch

    def __iter__(self) -> Iterator[Key]:
        order = np.random.default_rng([self.seed, self.epoch]).permutation(self.count)
        whole = self.batch * self.world
        for start in range(0, self.count - whole + 1, whole):
            first = start + self.rank * self.batch
            for index in order[first : first + self.batch].tolist():
                yield self.epoch, index
