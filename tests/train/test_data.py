"""Samples: boxes follow their pictures, and depend on seed, epoch and image alone."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

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
from tests.conftest import in_grey
from tests.train.literal import uniform_distance
from train.augment import (
    Augmentation,
    Size,
    smallest_canvas,
    vary_colour,
    warp_boxes,
    warp_matrix,
    warp_picture,
)
from train.criterion import Objects
from train.data import EpochSampler, Picture, TrainingSet, collate, normalised, read_pictures
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
    dataset = TrainingSet(pictures, shapes, Augmentation(), seed=0, bars=True)
    for i, picture in enumerate(pictures):
        pixels, objects = dataset[0, i]
        expected, whole = plain_sample(picture, shapes)
        inner = (slice(None), slice(2, -2), slice(2, -2))
        assert (pixels[inner] - expected[inner]).abs().max() < 0.02
        assert len(objects.class_id) == len(whole.class_id)
        for box, class_id in zip(objects.xyxy, objects.class_id, strict=True):
            same = whole.xyxy[whole.class_id == class_id]
            assert (same - box).abs().amax(1).min() < 1e-3


def test_a_grey_sample_is_what_inference_sees(scenes: Path, shapes: ModelSpec) -> None:
    pictures = read_pictures(scenes / "images", scenes / "annotations.json", CLASS_NAMES)
    spec = in_grey(shapes)
    dataset = TrainingSet(pictures, spec, Augmentation(saturation=(0.1, 0.2)), seed=0, bars=True)
    for i, picture in enumerate(pictures):
        expected, _ = plain_sample(picture, spec)
        inner = (slice(None), slice(2, -2), slice(2, -2))
        found, _ = dataset[0, i]
        assert found.shape == (1, 64, 96)
        assert (found[inner] - expected[inner]).abs().max() < 0.02
    assert collate([dataset[0, 0], dataset[0, 1]])[0].shape == (2, 1, 64, 96)


@pytest.mark.parametrize("seed", range(6))
def test_warp_is_opencvs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    smooth = cv2.resize(rng.integers(0, 255, (6, 8, 3), np.uint8), (120, 80))
    matrix = warp_matrix(rng, EVERYTHING, (120, 80), (96, 64), keep_ratio=True)
    found = warp_picture(Image.fromarray(smooth), matrix, (96, 64))
    expected = cv2.warpPerspective(smooth, matrix, (96, 64))
    inside = cv2.warpPerspective(np.full((80, 120), 255, np.uint8), matrix, (96, 64))
    inside = cv2.erode(inside, np.ones((5, 5))) == 255
    assert inside.sum() > 100
    assert np.abs(found.astype(int) - expected)[inside].max() <= 4


def test_boxes_follow_the_picture() -> None:
    """A bright rectangle is still inside its box, and fills it when nothing turns."""
    upright = dataclasses.replace(EVERYTHING, rotation=0, shear=0, perspective=0)
    for seed in range(10):
        rng = np.random.default_rng(seed)
        picture = np.zeros((80, 120, 3), np.uint8)
        picture[30:50, 40:80] = 255
        matrix = warp_matrix(rng, upright, (120, 80), (96, 64), keep_ratio=True)
        canvas = warp_picture(Image.fromarray(picture), matrix, (96, 64))
        boxes = warp_boxes(np.array([[40.0, 30, 80, 50]]), matrix, (96, 64))
        ys, xs = np.nonzero(canvas[..., 0] > 127)
        if len(xs):
            seen = [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]
            # Upstream's pixel centres are whole numbers: half a pixel of play.
            np.testing.assert_allclose(boxes[0], seen, atol=1.6)
        else:
            assert (boxes[0, 2:] - boxes[0, :2]).min() < 1.6


BOXES = [
    ((10, 20, 50, 60), (10, 20, 50, 60), "inside"),
    ((-30, 70, 50, 200), (0, 70, 50, 100), "cut off at two sides"),
    ((130, 10, 180, 50), (120, 10, 120, 50), "beside the canvas: nothing is left, yet it stays"),
    ((20, 20, 20.5, 90), (20, 20, 20.5, 90), "half a pixel wide"),
]


def test_augmentation_drops_no_box() -> None:
    found = warp_boxes(np.array([box for box, _, _ in BOXES], float), np.eye(3), (120, 100))
    for box, (_, expected, reason) in zip(found.tolist(), BOXES, strict=True):
        assert box == list(expected), reason


@pytest.mark.parametrize(
    ("image", "canvas", "divisible", "expected", "reason"),
    [
        ((640, 480), (320, 320), 0, (320, 240), "wide: bars above and below go"),
        ((480, 640), (320, 320), 0, (240, 320), "tall"),
        ((640, 427), (416, 416), 0, (416, 277), "277.55 is cut"),
        ((640, 427), (416, 416), 32, (416, 288), "up to a multiple"),
        ((320, 256), (320, 256), 0, (320, 256), "as it is"),
        ((4000, 3), (320, 320), 0, (320, 1), "never nothing"),
    ],
)
def test_smallest_canvas(
    tiny: ModelSpec, image: Size, canvas: Size, divisible: int, expected: Size, reason: str
) -> None:
    width, height = canvas
    spec = dataclasses.replace(tiny.input, keep_ratio=True, width=width, height=height)
    assert smallest_canvas(image, spec, divisible) == expected, reason
    stretched = dataclasses.replace(spec, keep_ratio=False)
    assert smallest_canvas(image, stretched, divisible) == canvas, "nothing to be left out"


def test_a_batch_is_padded_after_normalising(scenes: Path, shapes: ModelSpec) -> None:
    """The ratio is kept, zeros stand at the right and bottom, in steps of 32."""
    spec = dataclasses.replace(shapes, input=dataclasses.replace(shapes.input, keep_ratio=True))
    pictures = read_pictures(scenes / "images", scenes / "annotations.json", CLASS_NAMES)
    Image.fromarray(np.full((50, 30, 3), 255, np.uint8)).save(scenes / "tall.png")
    tall = Picture(scenes / "tall.png", np.zeros((0, 4)), np.zeros(0, np.int64))
    data = TrainingSet([pictures[0], tall], spec, Augmentation(), seed=0)
    first, second = data[0, 0], data[0, 1]
    assert second[0].shape == (3, 64, 38), "64 of height, 38.4 of width"
    batch, objects = collate([second, second])
    assert batch.shape == (2, 3, 64, 64) and len(objects) == 2
    assert torch.equal(batch[0, :, :64, :38], second[0]) and not batch[..., 38:].any()
    assert second[0].abs().min() > 0.5, "white is not 0, so that the padding was not normalised"
    assert collate([first, second])[0].shape == (2, 3, 64, 96)


def drawn(setting: Augmentation, count: int = 4000) -> np.ndarray:
    """What `count` draws make of one pixel with the channels 40, 100 and 200: (count, 3)."""
    pixel, rng = np.array([[[40, 100, 200]]], np.uint8), np.random.default_rng(0)
    return np.array([vary_colour(rng, pixel, setting)[0, 0] for _ in range(count)])


@pytest.mark.parametrize(
    ("setting", "low", "high", "measure", "reason"),
    [
        ({"brightness": 0.2}, -51, 51, lambda p: p[:, 1] - 100, "51 are 0.2 of 255"),
        ({"contrast": (0.6, 1.4)}, 0.6, 1.4, lambda p: p[:, 1] / 100, "a factor"),
        (
            {"saturation": (0.5, 1.2)},
            0.5,
            1.2,
            lambda p: (p[:, 2] - p[:, 0]) / 160,
            "the range of the channels, of which the largest stays",
        ),
    ],
)
def test_distribution_of_colours(
    setting: dict[str, Any], low: float, high: float, measure: Any, reason: str
) -> None:
    """Half of the pictures stay; the rest is uniform within Kolmogorov and Smirnov's 95 %."""
    values = measure(drawn(Augmentation(**setting)))
    nothing = 0.0 if low < 0 else 1.0
    changed = np.sort(values[np.abs(values - nothing) > 1e-6])
    assert abs(len(changed) / len(values) - 0.5) < 1.96 * 0.5 / len(values) ** 0.5
    assert uniform_distance(changed, low, high) < 1.358 / len(changed) ** 0.5, reason


@pytest.mark.parametrize(
    ("bgr", "factor", "expected"),
    [
        ((30, 120, 200), 0.5, (115, 160, 200)),
        ((30, 120, 200), 0.0, (200, 200, 200)),
        ((30, 120, 200), 1.2, (-4, 104, 200)),
        ((100, 100, 100), 0.5, (100, 100, 100)),
        ((250, 0, 125), 0.5, (250, 125, 187.5)),
    ],
)
def test_saturation_is_hsvs(
    bgr: tuple[int, ...], factor: float, expected: tuple[float, ...]
) -> None:
    """Also OpenCV's, on the scale of 0 to 1 where upstream has it."""
    setting, pixel = Augmentation(saturation=(factor, factor)), np.array([[bgr]], np.uint8)
    rng = np.random.default_rng(0)
    found = {tuple(vary_colour(rng, pixel, setting)[0, 0].round(3)) for _ in range(20)}
    assert found == {tuple(map(float, bgr)), tuple(map(float, expected))}
    hsv: Any = cv2.cvtColor(pixel.astype(np.float32) / 255, cv2.COLOR_BGR2HSV)
    hsv[..., 1] *= factor
    opencv = cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)[0, 0] * 255
    np.testing.assert_allclose(opencv, expected, atol=0.01)


def test_distribution_of_warps() -> None:
    """Each parameter alone, read from the matrix, is uniform in its range; flips are half."""
    size = (200, 100)
    cases: list[tuple[dict[str, Any], float, float, Any]] = [
        ({"scale": (0.6, 1.4)}, 0.6, 1.4, lambda m: m[0, 0]),
        ({"stretch": ((0.8, 1.2), (0.7, 1.1))}, 0.7, 1.1, lambda m: m[1, 1]),
        ({"rotation": 20.0}, -20, 20, lambda m: np.degrees(np.arctan2(m[0, 1], m[0, 0]))),
        ({"shear": 10.0}, -10, 10, lambda m: np.degrees(np.arctan(m[1, 0]))),
        ({"translate": 0.2}, -0.2, 0.2, lambda m: m[1, 2] / 100),
        ({"perspective": 0.001}, -0.001, 0.001, lambda m: m[2, 0]),
    ]
    for ranges, low, high, measure in cases:
        rng, setting = np.random.default_rng(2), Augmentation(**ranges)
        values = [measure(warp_matrix(rng, setting, size, size, True)) for _ in range(3000)]
        assert uniform_distance(np.array(values), low, high) < 1.358 / 3000**0.5, ranges
    rng = np.random.default_rng(1)
    flips = [warp_matrix(rng, Augmentation(flip=0.5), size, size, True)[0, 0] for _ in range(3000)]
    assert abs(np.mean(flips)) < 1.96 / 3000**0.5


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
