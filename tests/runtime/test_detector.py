from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from runtime import Detections, Detector, ModelSpec
from runtime.draw import annotate, save_image
from runtime.errors import KitError
from runtime.preprocess import to_grey
from tests.conftest import Build, Converted, in_grey, photo


class OneObject:
    """An engine that sees one object at a known place."""

    name = "one"

    def __init__(self, spec: ModelSpec) -> None:
        self.spec = spec.with_strides((32,))

    def infer(self, canvas: np.ndarray) -> dict[str, np.ndarray]:
        cls = np.full((2, 3, 80), -10, np.float32)
        reg = np.full((2, 3, 32), -30, np.float32)
        cls[1, 2, 7] = 4.0
        reg[1, 2, [1, 8, 16, 24]] = 30.0  # left 1, top 0, right 0, bottom 0 strides
        return {"cls_32": cls, "reg_32": reg}


def test_box_in_image_pixels(tiny: ModelSpec) -> None:
    # The cell's centre is (80, 48) on the 96x64 canvas; the image is twice as large.
    found = Detector(OneObject(tiny)).detect(photo(1, 192, 128))
    assert found.class_id.tolist() == [7]
    assert found.confidence[0] == pytest.approx(1 / (1 + np.exp(-4)))
    np.testing.assert_allclose(found.xyxy[0], [96, 96, 160, 96], atol=1e-3)


def test_path_and_array_give_the_same(build: Build, tmp_path: Path) -> None:
    rgb = photo(2, 77, 55)
    Image.fromarray(rgb).save(tmp_path / "image.png")
    detector = Detector(build.tflite, score_threshold=0.01)
    by_path, by_array = detector.detect(tmp_path / "image.png"), detector.detect(rgb)
    assert len(by_path) > 0
    np.testing.assert_array_equal(by_path.xyxy, by_array.xyxy)


def test_grey(tiny: ModelSpec, converted: Converted, build: Build) -> None:
    """A grey network sees the luma of colours; each network takes grey pixels as they come."""
    rgb = photo(2, 77, 55)
    for file in (converted(in_grey(tiny)).tflite, build.tflite):
        detector = Detector(file, score_threshold=0.01)
        grey = to_grey(rgb)
        found, wide = detector.detect(grey), detector.detect(np.repeat(grey[..., None], 3, axis=2))
        np.testing.assert_array_equal(found.xyxy, wide.xyxy)
        assert len(found) > 0
        if detector.spec.input.channels == 1:
            np.testing.assert_array_equal(found.xyxy, detector.detect(rgb).xyxy)
            detector.warm_up()


def test_images_of_every_kind_give_the_same(build: Build) -> None:
    rgb = photo(2, 77, 55)
    detector = Detector(build.tflite, score_threshold=0.01)
    expected = detector.detect(rgb)
    bgr = np.ascontiguousarray(rgb[..., ::-1])
    for found in (
        detector.detect(Image.fromarray(rgb)),
        detector.detect(bgr, colour_order="BGR"),
        *detector.detect_batch([rgb, Image.fromarray(rgb)]),
    ):
        np.testing.assert_array_equal(found.xyxy, expected.xyxy)
        np.testing.assert_array_equal(found.confidence, expected.confidence)


@pytest.mark.parametrize(
    ("image", "order", "message"),
    [
        (np.zeros(4, np.uint8), "RGB", r"uint8 \(4,\)"),
        (np.zeros((4, 4, 4), np.uint8), "RGB", r"\(4, 4, 4\)"),
        (np.zeros((4, 4, 3), np.float32), "RGB", "float32"),
        (np.zeros((0, 4, 3), np.uint8), "RGB", r"\(0, 4, 3\)"),
        (np.zeros((4, 4, 3), np.uint8), "GBR", "`GBR` unknown"),
        (None, None, r"image is NoneType, as cv2\.imread gives .*; give a path"),
        ([[1]], None, "image is list; give a path"),
    ],
)
def test_arrays_that_are_no_image(
    tiny: ModelSpec, image: Any, order: str | None, message: str
) -> None:
    with pytest.raises(KitError, match=message):
        Detector(OneObject(tiny)).detect(image, order)


def test_colour_order_of_all_arrays(build: Build) -> None:
    """As of one; a path has its own."""
    rgb = photo(2, 77, 55)
    of_opencv = Detector(build.tflite, score_threshold=0.01, colour_order="BGR")
    expected = Detector(build.tflite, score_threshold=0.01).detect(rgb)
    assert of_opencv.detect(rgb[..., ::-1]) == of_opencv.detect(rgb, "RGB") == expected
    assert of_opencv.detect_batch([rgb]) != [expected]


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_exif_counts_alike_for_paths_and_pictures(
    build: Build, tmp_path: Path, orientation: int
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "image.png"
    Image.fromarray(photo(2, 77, 55)).save(path, exif=exif)
    detector = Detector(build.tflite, score_threshold=0.01)
    found = detector.detect(path)
    assert len(found) > 0
    with Image.open(path) as image:
        assert detector.detect(image) == found
        assert detector.detect(np.asarray(image)) != found, "of an array as it lies"


@pytest.mark.parametrize("most", [0, -1, 2.5, True, None, float("nan"), "10"])
def test_no_such_number_of_detections(tiny: ModelSpec, most: Any) -> None:
    with pytest.raises(KitError, match=f"max_detections is {most}; it must be a whole number"):
        Detector(OneObject(tiny), max_detections=most)


@pytest.mark.parametrize("most", [1, np.int64(1)])
def test_the_fewest_detections(build: Build, most: int) -> None:
    detector = Detector(build.tflite, score_threshold=0.01, max_detections=most)
    assert len(detector.detect(photo(2, 77, 55))) == 1


def test_only_some_classes(tiny: ModelSpec) -> None:
    truck = tiny.classes[7]
    assert Detector(OneObject(tiny), classes=[truck]).detect(photo(1, 96, 64)).class_name == [truck]
    assert len(Detector(OneObject(tiny), classes=["person"]).detect(photo(1, 96, 64))) == 0
    with pytest.raises(KitError, match="`unicorn` unknown"):
        Detector(OneObject(tiny), classes=["unicorn"])


def test_integers_where_the_file_allows_it(build: Build, tiny: ModelSpec) -> None:
    rgb = photo(2, 77, 55)
    integers = Detector(build.tflite, score_threshold=0.9)
    floats = Detector(build.tflite, score_threshold=0.9, arithmetic="float")
    assert (integers.arithmetic, floats.arithmetic) == ("integer", "float")
    assert Detector(OneObject(tiny)).arithmetic == "float"
    one, other = integers.detect(rgb), floats.detect(rgb)
    assert 0 < len(one) == len(other) < 100, "all that reach the threshold"
    np.testing.assert_array_equal(np.sort(one.class_id), np.sort(other.class_id))
    # Scores that are all but equal may change places.
    for found in zip(one.class_id, one.xyxy, one.confidence):
        alike = [a == found[0] and np.allclose(b, found[1], atol=0.25) and abs(c - found[2]) < 1e-4
                 for a, b, c in zip(other.class_id, other.xyxy, other.confidence)]  # fmt: skip
        assert any(alike), found
    with pytest.raises(KitError, match="cannot be read in integers"):
        Detector(OneObject(tiny), arithmetic="integer")
    with pytest.raises(KitError, match="known: integer, float"):
        Detector(build.tflite, arithmetic="decimal")


def test_engine_options(build: Build) -> None:
    detector = Detector(build.tflite, threads=2)
    detector.warm_up()
    with pytest.raises(KitError, match=r"nowhere\.so: cannot be loaded"):
        Detector(build.tflite, delegate="nowhere.so")
    with pytest.raises(KitError, match="tflm has no option `threads`"):
        Detector(build.tflite, "tflm", threads=2)


def test_drawing_changes_the_box_alone(tmp_path: Path) -> None:
    rgb = np.zeros((100, 100, 3), np.uint8)
    box = Detections(np.array([[40.0, 50, 90, 90]]), np.array([0.9]), np.array([0]))
    image = np.asarray(annotate(rgb, box, ["thing"]))
    assert image[50:91, 40].any() and image[90, 40:91].any()
    assert not image[92:, :].any() and not image[:, :30].any()
    assert not rgb.any(), "the source is left alone"
    save_image(annotate(rgb, box, ["thing"]), tmp_path / "out.png")
    assert Image.open(tmp_path / "out.png").size == (100, 100)


@pytest.mark.parametrize(
    ("name", "size", "message"),
    [
        ("out.xyz", 4, "cannot be written in this format; end the name in .jpg"),
        ("out", 4, "cannot be written in this format"),
        ("out.psd", 4, "cannot be written in this format"),  # Pillow reads it alone.
        ("out.xbm", 4, "cannot be written in this format"),  # It has no colours.
        ("out.blp", 4, "cannot be written in this format"),
        ("out.mpg", 4, "cannot be written in this format"),
        ("out.webp", 16384, "cannot be written .*16383"),
    ],
)
def test_pictures_that_cannot_be_written(
    tmp_path: Path, name: str, size: int, message: str
) -> None:
    with pytest.raises(KitError, match=rf"{name}: .*{message}"):
        save_image(Image.new("RGB", (size, 4)), tmp_path / name)
    assert list(tmp_path.iterdir()) == []
