"""Agreement of detections, against values worked out by hand."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evaluation import ap_detector
from evaluation.agreement import agreement, average_precision, standard_error
from runtime import Detections, Detector
from runtime.detector import DISPLAY_THRESHOLD, SCORE_THRESHOLD
from tests.conftest import Build, photo

_NAMES = ("a", "b")
_BOX, _OTHER = (10.0, 10.0, 50.0, 50.0), (100.0, 10.0, 180.0, 90.0)


def found(*entries: tuple[tuple[float, ...], float, int]) -> Detections:
    """Of (xyxy, confidence, class)."""
    boxes, scores, classes = zip(*entries, strict=True) if entries else ((), (), ())
    return Detections(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(scores, np.float32),
        np.array(classes, np.int64),
        _NAMES,
    )


# IoU 0.9 with _OTHER: as wide, 72 of 80 pixels high.
_NEARLY = (100.0, 10.0, 180.0, 82.0)


@pytest.mark.parametrize(
    ("truth", "detected", "expected", "reason"),
    [
        ([found((_BOX, 0.9, 0))], [found((_BOX, 0.5, 0))], 100, "found, whatever its score"),
        ([found((_BOX, 0.9, 0))], [found((_BOX, 0.9, 1))], 0, "with another class it is not found"),
        ([found((_BOX, 0.9, 0))], [found()], 0, "nothing found"),
        (
            [found((_BOX, 0.9, 0), (_OTHER, 0.8, 1))],
            [found((_BOX, 0.9, 0))],
            100 * 51 / 101,
            "one of two: precision 1 at recalls 0 to 0.5, which are 51 of 101",
        ),
        (
            [found((_OTHER, 0.9, 0))],
            [found((_NEARLY, 0.9, 0))],
            90,
            "an IoU of 0.9 matches at nine of COCO's ten",
        ),
        (
            [found((_BOX, 0.9, 0))],
            [found((_OTHER, 0.9, 0), (_BOX, 0.8, 0))],
            50,
            "a better-scored false one first halves the precision",
        ),
        (
            [found((_BOX, 0.9, 0)), found()],
            [found(), found((_BOX, 0.9, 0))],
            0,
            "pictures do not mix",
        ),
        (
            [found((_BOX, 0.9, 0), (_OTHER, DISPLAY_THRESHOLD - 0.01, 0))],
            [found((_BOX, 0.9, 0))],
            100,
            "what the reference hardly sees is not asked for",
        ),
    ],
)
def test_average_precision(
    truth: list[Detections], detected: list[Detections], expected: float, reason: str
) -> None:
    assert average_precision(truth, detected) == pytest.approx(expected), reason


def test_nothing_to_find() -> None:
    assert math.isnan(average_precision([found((_BOX, 0.1, 0))], [found((_BOX, 0.9, 0))]))


def test_detectors(build: Build, tmp_path: Path) -> None:
    """A file agrees with itself wholly, and less with what sees another picture."""
    paths = [tmp_path / f"{i}.png" for i in range(4)]
    for i, path in enumerate(paths):
        Image.fromarray(photo(i, 96, 64)).save(path)
    detector = ap_detector(build.tflite)

    class Mirrored(Detector):
        def detect(self, image, colour_order="RGB"):  # type: ignore[no-untyped-def]
            return super().detect(np.asarray(Image.open(image))[:, ::-1].copy())

    result = agreement(
        detector,
        ap_detector(build.tflite),
        Mirrored(build.tflite, score_threshold=SCORE_THRESHOLD),
        paths,
    )
    confident = sum(
        int((detector.detect(path).confidence >= DISPLAY_THRESHOLD).sum()) for path in paths
    )
    assert result.boxes == confident > 0
    same, other = result.percent
    assert same == pytest.approx(100) and other < 60 and result.standard_error > 0


def test_standard_error() -> None:
    """Of a share that is found by chance, as statistics has it; none between equals."""
    picture, nothing = found((_BOX, 0.9, 0)), found()
    truth = [picture] * 400
    half = [picture if i % 2 else nothing for i in range(400)]
    # AP of a share p that is found without a false one: precision 1 up to a recall of p.
    assert standard_error(truth, half) == pytest.approx(100 * (0.25 / 400) ** 0.5, rel=0.15)
    assert standard_error(truth, half, half) == 0
    assert standard_error(truth, truth) == 0
