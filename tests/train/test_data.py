"""Samples: boxes follow their pictures, and depend on seed, epoch and image alone."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from data.shapes.dataset import write_set
from data.shapes.shapes import CLASS_NAMES
from runtime.errors import KitError
from runtime.image import load_rgb
from runtime.preprocess import to_canvas
from runtime.spec import ModelSpec
from train.augment import Augmentation, vary_colour, warp_boxes, warp_matrix, warp_picture
from train.criterion import Objects
from train.data import EpochSampler, Picture, TrainingSet, normalised, read_pictures
from train.settings import Settings

EVERYTHING = Augmentation(
    perspective=0.0005,
    scale=(0.6, 1.4),
    stretch=((0.8, 1.2), (0.8, 1.2)),
    rotation=20,
    shear=10,
    translate=0.2,
    flip=0.5,
    brightness=0.2,
    contrast=(0.6, 1.4),
    saturation=(0.5, 1.2),
)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scenes")
    write_set(folder, 6, 96, 64, seed=0)
    return folder


@pytest.fixture(scope="module")
def shapes(tiny: ModelSpec) -> ModelSpec:
    """`tiny` with the classes of the scenes."""
    return dataclasses.replace(tiny, class_names=CLASS_NAMES)


def plain_sample(picture: Picture, spec: ModelSpec) -> tuple[torch.Tensor, Objects]:
    """A picture as inference sees it."""
    canvas, placement = to_canvas(load_rgb(picture.path), spec.input)
    xyxy = picture.xyxy * np.tile(placement.scale, 2) + np.tile(placement.offset, 2)
    objects = Objects(torch.from_numpy(xyxy.astype(np.float32)), torch.from_numpy(picture.class_id))
    return normalised(canvas.astype(np.float32), spec), objects


def test_without_augmentation_a_sample_is_what_inference_sees(
    scenes: Path, shapes: ModelSpec
) -> None:
    pictures = read_pictures(scenes / "images", scenes / "annotations.json", CLASS_NAMES)
    dataset = TrainingSet(pictures, shapes, Augmentation(), seed=0)
    for i, picture in enumerate(pictures):
        pixels, objects = dataset[0, i]
        expected, whole = plain_sample(picture, shapes)
        inner = (slice(None), slice(2, -2), slice(2, -2))
        assert (pixels[inner] - expected[inner]).abs().max() < 0.02
        assert len(objects.class_id) <= len(whole.class_id)
        for box, class_id in zip(objects.xyxy, objects.class_id, strict=True):
            same = whole.xyxy[whole.class_id == class_id]
            assert (same - box).abs().amax(1).min() < 1e-3


@pytest.mark.parametrize("seed", range(6))
def test_warp_is_opencvs(tiny: ModelSpec, seed: int) -> None:
    rng = np.random.default_rng(seed)
    smooth = cv2.resize(rng.integers(0, 255, (6, 8, 3), np.uint8), (120, 80))
    matrix = warp_matrix(rng, EVERYTHING, (120, 80), tiny.input)
    found = warp_picture(Image.fromarray(smooth), matrix, tiny.input)
    expected = cv2.warpPerspective(smooth[..., ::-1], matrix, (96, 64))
    inside = cv2.warpPerspective(np.full((80, 120), 255, np.uint8), matrix, (96, 64))
    inside = cv2.erode(inside, np.ones((5, 5))) == 255
    assert inside.sum() > 100
    assert np.abs(found.astype(int) - expected)[inside].max() <= 4


def test_boxes_follow_the_picture(tiny: ModelSpec) -> None:
    """A bright rectangle is still inside its box, and fills it when nothing turns."""
    upright = dataclasses.replace(EVERYTHING, rotation=0, shear=0, perspective=0)
    for seed in range(10):
        rng = np.random.default_rng(seed)
        picture = np.zeros((80, 120, 3), np.uint8)
        picture[30:50, 40:80] = 255
        matrix = warp_matrix(rng, upright, (120, 80), tiny.input)
        canvas = warp_picture(Image.fromarray(picture), matrix, tiny.input)
        boxes, kept = warp_boxes(np.array([[40.0, 30, 80, 50]]), matrix, tiny.input)
        ys, xs = np.nonzero(canvas[..., 0] > 127)
        if kept[0]:
            seen = [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]
            # Upstream's pixel centres are whole numbers: half a pixel of play.
            np.testing.assert_allclose(boxes[0], seen, atol=1.6)
        else:
            assert len(xs) < 0.15 * 40 * 20


def test_colours() -> None:
    grey = np.full((2, 2, 3), 100, np.uint8)
    rng = np.random.default_rng(0)
    same = vary_colour(rng, grey, Augmentation(saturation=(0.5, 0.5)), "BGR")
    np.testing.assert_allclose(same, 100, atol=1e-3, err_msg="grey has no saturation")
    red = np.zeros((1, 1, 3), np.uint8)
    red[..., 2] = 200
    half = vary_colour(rng, red, Augmentation(saturation=(0.0, 0.0)), "BGR")
    np.testing.assert_allclose(half, 200 * 0.299, atol=1e-3)
    darker = vary_colour(rng, grey, Augmentation(contrast=(0.5, 0.5)), "BGR")
    np.testing.assert_allclose(darker, 50, atol=1e-3)


def test_samples_repeat(scenes: Path, shapes: ModelSpec) -> None:
    pictures = read_pictures(scenes / "images", scenes / "annotations.json", CLASS_NAMES)
    dataset = TrainingSet(pictures, shapes, Settings().augmentation, seed=3)
    first, again, later = dataset[1, 2], dataset[1, 2], dataset[2, 2]
    assert torch.equal(first[0], again[0]) and torch.equal(first[1].xyxy, again[1].xyxy)
    assert not torch.equal(first[0], later[0])


def batches(keys: Iterable[tuple[int, int]], size: int) -> list[list[int]]:
    numbers = [index for _, index in keys]
    return [numbers[i : i + size] for i in range(0, len(numbers), size)]


def test_processes_share_out_the_batches_of_one() -> None:
    alone = EpochSampler(21, 4, seed=5)
    shares = [EpochSampler(21, 2, seed=5, rank=rank, world=2) for rank in range(2)]
    for epoch in range(2):
        for sampler in (alone, *shares):
            sampler.set_epoch(epoch)
        pairs = zip(*(batches(share, 2) for share in shares), strict=True)
        assert batches(alone, 4) == [a + b for a, b in pairs]
        assert len(alone) == 20 and len(shares[0]) == 10
    assert len({index for _, index in alone}) == 20


@pytest.mark.parametrize(
    ("content", "message", "reason"),
    [
        ("{}", "not a COCO annotation file", "nothing in it"),
        ("[", "not a COCO annotation file", "no JSON"),
        (
            {"categories": [{"id": 1, "name": "unicorn"}], "images": [{"id": 1, "file_name": "x"}],
             "annotations": [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 9, 9]}]},
            "`unicorn` is not one of the model's",
            "a class the model lacks",
        ),
        ({"categories": [], "images": [], "annotations": []}, "lists no images", "empty"),
    ],
)  # fmt: skip
def test_bad_annotations(
    tmp_path: Path, content: str | dict[str, object], message: str, reason: str
) -> None:
    path = tmp_path / "a.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(KitError, match=message):
        read_pictures(tmp_path, path, ["person"])
    with pytest.raises(KitError, match="No such file"):
        read_pictures(tmp_path, tmp_path / "none.json", ["person"])
