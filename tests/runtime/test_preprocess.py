from __future__ import annotations

import dataclasses
from fractions import Fraction

import cv2
import numpy as np
import pytest

from runtime.preprocess import float_input, int8_input, place, to_canvas, to_grey, upright
from runtime.spec import InputSpec, ModelSpec
from tests.conftest import in_grey, photo

SIZES = [
    (640, 480, "the usual landscape"),
    (480, 640, "portrait"),
    (641, 479, "odd sizes"),
    (96, 64, "exactly the canvas"),
    (33, 21, "smaller than the canvas"),
    (320, 2000, "extreme portrait"),
    (2000, 50, "extreme landscape"),
    (1, 1, "a single pixel"),
    (2, 300, "two pixels wide"),
]


def upstream_matrix(width: int, height: int, spec: InputSpec) -> np.ndarray:
    """The 3x3 matrix of upstream's `get_resize_matrix`, written out from its definition."""
    ratio_x, ratio_y = spec.width / width, spec.height / height
    if not spec.keep_ratio:
        return np.diag([ratio_x, ratio_y, 1.0])
    to_centre = np.array([[1, 0, -width / 2], [0, 1, -height / 2], [0, 0, 1]])
    scale = min(ratio_x, ratio_y)
    back = np.array([[1, 0, spec.width / 2], [0, 1, spec.height / 2], [0, 0, 1]])
    return back @ np.diag([scale, scale, 1.0]) @ to_centre


def midway(source: int, target: int, scale: Fraction, steps: int = 32) -> np.ndarray:
    """Where a position lies midway between two of `steps` a pixel; OpenCV goes either way."""
    positions = [(Fraction(2 * x - target, 2) * scale + Fraction(source, 2)) for x in range(target)]
    return np.array([(p * steps) % 1 == Fraction(1, 2) for p in positions])


@pytest.mark.parametrize(("width", "height", "reason"), SIZES)
def test_keep_ratio_is_opencvs_warp(tiny: ModelSpec, width: int, height: int, reason: str) -> None:
    rgb = photo(3, width, height)
    canvas, _ = to_canvas(rgb, tiny.input)
    matrix = upstream_matrix(width, height, tiny.input)
    expected = cv2.warpPerspective(rgb[..., ::-1], matrix, (96, 64))
    difference = np.abs(canvas.astype(int) - expected)
    scale = max(Fraction(width, 96), Fraction(height, 64))
    columns, rows = midway(width, 96, scale), midway(height, 64, scale)
    clear = difference[~rows][:, ~columns]
    assert clear.max() <= 1, reason
    assert (clear > 0).mean() < 0.05, reason
    assert difference.max() <= 255 // 32, "a step of 1/32 pixel"


@pytest.mark.parametrize(("width", "height", "reason"), SIZES)
def test_stretch_is_opencvs_resize(tiny: ModelSpec, width: int, height: int, reason: str) -> None:
    spec = dataclasses.replace(tiny.input, keep_ratio=False)
    rgb = photo(3, width, height)
    canvas, _ = to_canvas(rgb, spec)
    expected = cv2.resize(rgb[..., ::-1], (96, 64), interpolation=cv2.INTER_LINEAR)
    assert np.abs(canvas.astype(int) - expected).max() <= 1, reason


@pytest.mark.parametrize("keep_ratio", [True, False])
@pytest.mark.parametrize(("width", "height", "reason"), SIZES)
def test_boxes_go_back_by_upstreams_inverse(
    tiny: ModelSpec, width: int, height: int, reason: str, keep_ratio: bool
) -> None:
    spec = dataclasses.replace(tiny.input, keep_ratio=keep_ratio)
    corners = np.array([[3.0, 5.0, 1.0], [90.0, 60.0, 1.0]])
    inverse = np.linalg.inv(upstream_matrix(width, height, spec))
    (left, top), (right, bottom) = (corners @ inverse.T)[:, :2]
    expected = np.clip([left, top, right, bottom], 0, [width, height, width, height])
    boxes = place((width, height), spec).boxes_to_image(np.array([[3.0, 5.0, 90.0, 60.0]]))
    np.testing.assert_allclose(boxes[0], expected, rtol=1e-5, atol=1e-3, err_msg=reason)


def test_colour_order(tiny: ModelSpec) -> None:
    rgb = photo(4, 50, 40)
    bgr, _ = to_canvas(rgb, tiny.input)
    straight, _ = to_canvas(rgb, dataclasses.replace(tiny.input, colour_order="RGB"))
    np.testing.assert_array_equal(bgr[..., ::-1], straight)


@pytest.mark.parametrize("keep_ratio", [True, False])
def test_grey_is_opencvs_before_it_is_resized(tiny: ModelSpec, keep_ratio: bool) -> None:
    spec = dataclasses.replace(in_grey(tiny).input, keep_ratio=keep_ratio)
    rgb = photo(4, 150, 40)
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    np.testing.assert_array_equal(to_grey(rgb), grey)
    canvas, _ = to_canvas(rgb, spec)
    colour = dataclasses.replace(tiny.input, keep_ratio=keep_ratio)
    wide, _ = to_canvas(np.repeat(grey[..., None], 3, axis=2), colour)
    assert canvas.shape == (64, 96, 1)
    np.testing.assert_array_equal(canvas, wide[..., :1])


def test_grey_stays_as_it_is() -> None:
    levels = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    np.testing.assert_array_equal(to_grey(levels), np.arange(256))


def graph(spec: ModelSpec, raw_pixels: bool, rotated_180: bool) -> ModelSpec:
    changed = dataclasses.replace(spec.graph, raw_pixels=raw_pixels, rotated_180=rotated_180)
    return dataclasses.replace(spec, graph=changed)


def test_int8_input_is_pixel_minus_128(tiny: ModelSpec, canvas: np.ndarray) -> None:
    pixels = int8_input(canvas, tiny)
    assert pixels.dtype == np.int8
    np.testing.assert_array_equal(pixels[0], canvas.astype(int) - 128)


def test_rotated_input_and_output(tiny: ModelSpec, canvas: np.ndarray) -> None:
    rotated = graph(tiny, raw_pixels=True, rotated_180=True)
    np.testing.assert_array_equal(
        int8_input(canvas, rotated)[0], np.rot90(canvas, 2).astype(int) - 128
    )
    np.testing.assert_array_equal(upright(np.rot90(canvas, 2), rotated), canvas)


def test_float_input(tiny: ModelSpec, canvas: np.ndarray) -> None:
    normalised = float_input(canvas, graph(tiny, raw_pixels=False, rotated_180=False))
    expected = (canvas - np.array([103.53, 116.28, 123.675])) / [57.375, 57.12, 58.395]
    np.testing.assert_allclose(normalised[0], expected, atol=1e-5)
    raw = float_input(canvas, graph(tiny, raw_pixels=True, rotated_180=False))
    np.testing.assert_allclose(raw[0], (canvas - 115.0) / 57.5, atol=1e-6)
