"""C preprocessing against `runtime.preprocess` and `firmware.frames`, bit for bit."""

from __future__ import annotations

import dataclasses
from fractions import Fraction

import cv2
import numpy as np
import pytest
from PIL import Image

from firmware.describe import Description, describe
from firmware.frames import PIXEL_FORMATS, nearest_canvas, to_rgb
from runtime.preprocess import int8_input, to_canvas
from runtime.spec import ModelSpec
from tests.conftest import in_grey, photo, small
from tests.firmware import cases
from tests.firmware.cases import Runner, Writer
from tests.runtime.test_integer import tensors
from tests.runtime.test_preprocess import midway, upstream_matrix

BYTES = {"RGB565": 2, "RGB888": 3, "BGR888": 3, "YUYV": 2, "GREY8": 1}
SIZES = [
    (640, 480, "the usual landscape"),
    (480, 640, "portrait"),
    (96, 64, "exactly the canvas"),
    (642, 479, "sizes that divide badly"),
    (34, 21, "smaller than the canvas"),
    (8192, 2, "as long as it goes"),
    (2, 8192, "as high as it goes"),
    (2, 1, "hardly a frame"),
]


def variants(official: ModelSpec) -> list[ModelSpec]:
    """Both fits, channel orders and orientations, and one channel."""
    base = small(official, 96, 64)
    size = base.input
    return [
        base,
        dataclasses.replace(base, input=dataclasses.replace(size, keep_ratio=False)),
        dataclasses.replace(
            base,
            input=dataclasses.replace(size, colour_order="RGB"),
            graph=dataclasses.replace(base.graph, rotated_180=True),
        ),
        in_grey(base),
        dataclasses.replace(in_grey(base), graph=dataclasses.replace(base.graph, rotated_180=True)),
    ]


def description(spec: ModelSpec) -> Description:
    return describe(spec, tensors(spec, np.random.default_rng(0)), 0.5)


def expected(frame: np.ndarray, form: str, bilinear: bool, spec: ModelSpec) -> np.ndarray:
    rgb = to_rgb(frame, form)
    canvas = to_canvas(rgb, spec.input)[0] if bilinear else nearest_canvas(rgb, spec.input)
    return int8_input(canvas, spec)[0]


def check(runner: Runner, official: ModelSpec, sizes: list[tuple[int, int, str]]) -> None:
    rng = np.random.default_rng(1)
    for spec in variants(official):
        writer, wanted = Writer(), []
        for width, height, reason in sizes:
            for form in PIXEL_FORMATS:
                padding = int(rng.integers(0, 9))  # Rows may be longer than their pixels.
                row = BYTES[form] * width
                frame = rng.integers(0, 256, (height, row + padding)).astype(np.uint8)
                for bilinear in (False, True):
                    writer.preprocess(description(spec), frame, form, width, bilinear)
                    found = expected(np.ascontiguousarray(frame[:, :row]), form, bilinear, spec)
                    wanted.append((found, f"{reason}, {form}, bilinear {bilinear}"))
        for answer, (found, reason) in zip(runner.run(writer), wanted, strict=True):
            assert answer.status == cases.OK, reason
            pixels = np.frombuffer(answer.payload, np.int8).reshape(found.shape)
            np.testing.assert_array_equal(pixels, found, reason)


def test_host_answers_as_python(host: Runner, official: ModelSpec) -> None:
    check(host, official, SIZES)


def test_m7_answers_as_python(m7: Runner, official: ModelSpec) -> None:
    check(m7, official, SIZES[:1] + SIZES[3:5])


def test_rgb565_keeps_the_ends() -> None:
    """Black stays black and white white; every channel rises."""
    words = np.array([[0x0000, 0xFFFF, 0xF800, 0x07E0, 0x001F]], "<u2").view(np.uint8)
    assert to_rgb(words, "RGB565")[0].tolist() == [
        [0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255],
    ]  # fmt: skip


def test_yuyv_as_opencv() -> None:
    rng = np.random.default_rng(2)
    frame = rng.integers(0, 256, (50, 80)).astype(np.uint8)
    frame[:, ::2] = np.clip(frame[:, ::2], 16, 235)  # OpenCV takes what is below for 16.
    found = to_rgb(frame, "YUYV").astype(int)
    wanted = cv2.cvtColor(frame.reshape(50, 40, 2), cv2.COLOR_YUV2RGB_YUYV)
    assert np.abs(found - wanted).max() <= 2


@pytest.mark.parametrize("size", [(640, 480), (77, 55), (10, 300), (96, 64)])
def test_nearest_stretched_as_pillow(tiny: ModelSpec, size: tuple[int, int]) -> None:
    """But where a position lies on the edge of two pixels."""
    spec = dataclasses.replace(tiny.input, keep_ratio=False, colour_order="RGB")
    rgb = photo(4, *size)
    wanted = np.asarray(Image.fromarray(rgb).resize((96, 64), Image.Resampling.NEAREST))
    rows, columns = (
        (2 * np.arange(target) + 1) * source % (2 * target) != 0
        for source, target in zip(size[::-1], (64, 96), strict=True)
    )
    found = nearest_canvas(rgb, spec)
    np.testing.assert_array_equal(found[rows][:, columns], wanted[rows][:, columns])


@pytest.mark.parametrize("size", [(640, 480), (77, 55), (10, 300), (96, 64)])
def test_nearest_with_its_ratio_as_opencv(tiny: ModelSpec, size: tuple[int, int]) -> None:
    """But where a position lies midway between two pixels."""
    rgb = photo(5, *size)
    matrix = upstream_matrix(*size, tiny.input)
    wanted = cv2.warpPerspective(rgb[..., ::-1], matrix, (96, 64), flags=cv2.INTER_NEAREST)
    scale = max(Fraction(size[0], 96), Fraction(size[1], 64))
    columns, rows = (midway(s, t, scale, steps=1) for s, t in zip(size, (96, 64), strict=True))
    found = nearest_canvas(rgb, tiny.input)
    np.testing.assert_array_equal(found[~rows][:, ~columns], wanted[~rows][:, ~columns])


@pytest.mark.parametrize(
    ("other", "status", "reason"),
    [
        ({"width": 0}, cases.BAD_FRAME, "no pixels"),
        ({"height": 8193}, cases.BAD_FRAME, "too high"),
        ({"width": 33}, cases.BAD_FRAME, "YUYV comes in pairs"),
        ({"width": 36}, cases.BAD_FRAME, "rows shorter than their pixels"),
        ({"height": 22}, cases.BAD_BUFFER, "a row more than there is"),
        ({"format": 5}, cases.BAD_FRAME, "no such format"),
        ({"resize": 2}, cases.BAD_OPTION, "no such resize"),
        ({"scratch_bytes": 95 * 8}, cases.BAD_SCRATCH, "a tap short"),
        ({"input_bytes": 96 * 64 * 3 - 1}, cases.BAD_BUFFER, "a byte short"),
    ],
)
def test_frames_that_will_not_do(
    host: Runner, tiny: ModelSpec, other: dict[str, int], status: int, reason: str
) -> None:
    writer = Writer()
    writer.preprocess(description(tiny), np.zeros((21, 68), np.uint8), "YUYV", 34, True, other)
    (answer,) = host.run(writer)
    assert answer.status == status, reason
