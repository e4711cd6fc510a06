from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from runtime.errors import KitError
from runtime.image import as_rgb, load_rgb
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


def test_animations_are_refused(tmp_path: Path) -> None:
    frames = [Image.fromarray(photo(i, 20, 20)) for i in range(3)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    with pytest.raises(KitError, match=r"a\.gif: 3 frames"):
        load_rgb(tmp_path / "a.gif")
    frames[0].save(tmp_path / "still.gif")
    assert load_rgb(tmp_path / "still.gif").shape == (20, 20, 3)


def test_phones_pictures_with_a_second_one_behind(tmp_path: Path) -> None:
    frames = [Image.fromarray(photo(i, 20, 20)) for i in range(2)]
    frames[0].save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=frames[1:])
    assert load_rgb(tmp_path / "a.jpg").shape == (20, 20, 3)


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ((30_000, 4), "30000x4, sides may have 16384"),
        ((4, 30_000), "4x30000, sides may have 16384"),
        ((16_000, 16_000), "too many pixels"),
    ],
)
def test_huge_images(tmp_path: Path, size: tuple[int, int], message: str) -> None:
    Image.new("1", size).save(tmp_path / "huge.png")
    with pytest.raises(KitError, match=message):
        load_rgb(tmp_path / "huge.png")
    if min(size) == 4:
        with pytest.raises(KitError, match=message):
            as_rgb(np.zeros((size[1], size[0], 3), np.uint8))
