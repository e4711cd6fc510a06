from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.report.pictures import PICTURES, pictures
from runtime.detections import Detections
from tests.conftest import photo


class Finds:
    """Stands for a `Detector`: finds a box in the images whose width is even."""

    def detect(self, rgb: np.ndarray) -> Detections:
        if rgb.shape[1] % 2:
            return Detections.empty()
        box = np.array([[10, 10, 60, 50]], np.float32)
        return Detections(box, np.ones(1, np.float32), np.zeros(1, np.int64), ("a<b",))


def _images(folder: Path, widths: list[int]) -> list[Path]:
    paths = [folder / f"{i}.png" for i in range(len(widths))]
    for i, path in enumerate(paths):
        Image.fromarray(photo(i, widths[i], 600)).save(path)
    return paths


@pytest.mark.parametrize(
    ("widths", "chosen", "reason"),
    [
        ([701, 700, 702, 703, 704], ["1.png", "2.png", "4.png"], "those that show something"),
        ([700] * 6, ["0.png", "1.png", "2.png", "3.png"], "no more than four"),
        ([701] * 6, ["0.png", "1.png", "2.png", "3.png"], "nothing found: the first"),
    ],
)
def test_choice(tmp_path: Path, widths: list[int], chosen: list[str], reason: str) -> None:
    detector: object = Finds()
    found = pictures(detector, detector, _images(tmp_path, widths))  # type: ignore[arg-type]
    assert [p.name for p in found] == chosen, reason
    assert len(found) <= PICTURES


def test_jpeg_is_small_and_says_what_was_found(tmp_path: Path) -> None:
    detector: object = Finds()
    (found,) = pictures(detector, detector, _images(tmp_path, [700]))  # type: ignore[arg-type]
    head, _, content = found.exact_uri.partition(",")
    image = Image.open(io.BytesIO(base64.b64decode(content)))
    assert head == "data:image/jpeg;base64" and max(image.size) == 480
    assert found.exact_found == found.quantized_found == "a<b 1.00"
    assert found.exact_uri == found.quantized_uri
