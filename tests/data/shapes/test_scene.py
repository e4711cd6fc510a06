"""Scenes repeat, their boxes are tight, and the set reads as COCO's."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from pycocotools.coco import COCO

from data.shapes.dataset import write_set
from data.shapes.scene import make_scene
from data.shapes.shapes import CLASS_NAMES, SHAPES


def test_a_seed_is_a_scene() -> None:
    one, again, other = make_scene(5, 96, 64), make_scene(5, 96, 64), make_scene(6, 96, 64)
    np.testing.assert_array_equal(one.rgb, again.rgb)
    np.testing.assert_array_equal(one.xyxy, again.xyxy)
    assert not np.array_equal(one.rgb, other.rgb)


@pytest.mark.parametrize(("width", "height"), [(320, 320), (160, 320), (97, 61)])
def test_boxes_lie_in_the_picture(width: int, height: int) -> None:
    for seed in range(10):
        scene = make_scene(seed, width, height)
        assert scene.rgb.shape == (height, width, 3) and scene.rgb.dtype == np.uint8
        assert len(scene.xyxy) == len(scene.class_id)
        assert (scene.xyxy[:, :2] >= 0).all() and (scene.xyxy[:, :2] < scene.xyxy[:, 2:]).all()
        assert (scene.xyxy[:, 2:] <= (width, height)).all()


def test_every_class_and_every_scale_occurs() -> None:
    scenes = [make_scene(seed, 320, 320) for seed in range(80)]
    classes = np.concatenate([s.class_id for s in scenes])
    assert set(classes.tolist()) == set(range(len(CLASS_NAMES)))
    boxes = np.concatenate([s.xyxy for s in scenes])
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    shares = [np.mean(areas < 32**2), np.mean(areas > 96**2)]
    assert min(shares) > 0.15, "small, medium and large as COCO counts them"


@pytest.mark.parametrize("name", CLASS_NAMES)
def test_shapes_fill_their_square(name: str) -> None:
    points = np.concatenate([p.points for p in SHAPES[name](np.random.default_rng(0))])
    assert points.min() >= -0.01 and points.max() <= 1.02
    assert (points.max(0) - points.min(0)).max() > 0.95


def test_the_set_is_cocos(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        write_set(tmp_path / folder, 4, 96, 64, seed=7)
    files = sorted(p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*.*"))
    assert len(files) == 5
    for file in files:
        sums = {hashlib.sha256((tmp_path / f / file).read_bytes()).digest() for f in ("a", "b")}
        assert len(sums) == 1, file
    coco = COCO(str(tmp_path / "a" / "annotations.json"))
    assert [c["name"] for c in coco.loadCats(coco.getCatIds())] == list(CLASS_NAMES)
    assert len(coco.getImgIds()) == 4
