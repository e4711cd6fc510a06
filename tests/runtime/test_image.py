from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from runtime.errors import KitError
from runtime.image import load_rgb
from tests.conftest import photo


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P", "1", "CMYK", "LA", "I;16"])
def test_any_mode_becomes_rgb(tmp_path: Path, mode: str) -> None:
    suffix = "tif" if mode in ("CMYK", "I;16") else "png"
    path = tmp_path / f"image.{suffix}"
    source = Image.fromarray(photo(1, 31, 17))
    if mode == "I;16":
        source = source.convert("L").convert("I").point(lambda v: v * 256).convert("I;16")
    source.convert(mode).save(path) if mode != "I;16" else source.save(path)
    rgb = load_rgb(path)
    assert rgb.shape == (17, 31, 3)
    assert rgb.dtype == np.uint8


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    pixels = photo(2, 40, 20)
    exif = Image.Exif()
    exif[0x0112] = 6  # "rotate by 90 degrees clockwise to view"
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(load_rgb(tmp_path / "a.png"), np.rot90(pixels, -1))


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "empty"), (b"not an image", "text"), (None, "no file"), ("cut", "broken off")],
)
def test_damaged_images(tmp_path: Path, content: bytes | str | None, reason: str) -> None:
    path = tmp_path / "image.jpg"
    if content == "cut":
        Image.fromarray(photo(1, 200, 200)).save(path)
        path.write_bytes(path.read_bytes()[:3000])
    elif isinstance(content, bytes):
        path.write_bytes(content)
    with pytest.raises(KitError, match=r"image\.jpg"):
        load_rgb(path)
