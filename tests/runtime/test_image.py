from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from calibration.dataset import canvases
from runtime.errors import KitError
from runtime.image import as_rgb, list_images, load_rgb
from runtime.preprocess import to_canvas
from runtime.spec import InputSpec
from tests.conftest import photo

RAMP = np.linspace(0, 65535, 31 * 17).astype(np.uint16).reshape(17, 31)
TWELVE_BITS = RAMP >> 4


def opencv(path: Path) -> np.ndarray:
    """OpenCV's default reading, as RGB."""
    bgr = cv2.imread(str(path))
    assert bgr is not None
    return bgr[..., ::-1]


def colour(mode: str) -> Image.Image:
    return Image.fromarray(photo(1, 31, 17)).convert(mode)


def write(path: Path, content: Any) -> None:
    """Arrays by OpenCV, Pillow's pictures by Pillow, bytes as they are."""
    if isinstance(content, np.ndarray):
        assert cv2.imwrite(str(path), content)
    elif isinstance(content, bytes):
        path.write_bytes(content)
    else:
        content.save(path)


def tiff(values: np.ndarray, bits: int, photometric: int, sample: int, data: bytes = b"") -> bytes:
    """Greyscale by the TIFF 6.0 specification, Intel's byte order, one strip."""
    height, width = values.shape
    data = data or values.tobytes()
    entries = [
        (256, width), (257, height), (258, bits), (259, 1), (262, photometric), (273, 8), (277, 1),
        (278, height), (279, len(data)), (339, sample),
    ]  # fmt: skip
    directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    start = b"II*\0" + struct.pack("<I", 8 + len(data))
    return start + data + struct.pack("<H", len(entries)) + directory + bytes(4)


def packed_12_bits(values: np.ndarray) -> bytes:
    """Each row starts at a whole byte."""
    rows = ("".join(f"{v:03x}" for v in row) for row in values)
    return b"".join(bytes.fromhex(row + "0" * (len(row) % 2)) for row in rows)


def jpeg_2000(values: np.ndarray) -> bytes:
    """Pillow's, for OpenCV refuses to write one that is so small."""
    content = io.BytesIO()
    Image.fromarray(values).save(content, "JPEG2000", num_resolutions=2)
    return content.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "most", "reason"),
    [
        ("a.png", colour("RGB"), 0, "colours"),
        ("a.png", colour("L"), 0, "greyscale"),
        ("a.png", colour("1"), 0, "black and white"),
        ("a.png", colour("P"), 0, "palette"),
        ("a.png", colour("RGBA"), 0, "transparency is dropped"),
        ("a.png", colour("LA"), 0, "transparent greyscale"),
        ("a.tif", colour("LA"), 0, "transparent greyscale"),
        ("a.tif", colour("CMYK"), 0, "inks"),
        ("a.jpg", colour("CMYK"), 1, "inks, inverted by convention; decoders round otherwise"),
        ("a.gif", colour("P"), 0, "a still GIF"),
        ("a.png", RAMP, 0, "16 bits, greyscale"),
        ("a.tif", RAMP, 0, "16 bits, greyscale"),
        ("a.pgm", RAMP, 0, "16 bits, which Pillow gives as 32"),
        ("a.jp2", jpeg_2000(RAMP), 0, "16 bits, greyscale"),
        ("a.png", TWELVE_BITS, 0, "12 of 16 bits stay dark"),
        ("a.png", np.dstack([RAMP, RAMP[::-1], RAMP.T.reshape(17, 31)]), 0, "16 bits, colours"),
        ("a.tif", np.dstack([RAMP, RAMP[::-1], RAMP.T.reshape(17, 31)]), 1, "libtiff rounds"),
        ("a.png", np.dstack([RAMP] * 3 + [RAMP[::-1]]), 0, "16 bits, transparency"),
        ("a.tif", tiff(RAMP, 16, 1, 1), 0, "16 bits, 0 is black"),
        ("a.tif", tiff(RAMP, 16, 0, 1), 0, "16 bits, 0 is white"),
    ],
)  # fmt: skip
def test_pixels_are_opencvs(
    tmp_path: Path, name: str, content: Any, most: int, reason: str
) -> None:
    """By every entrance: path, Pillow image, and the canvases of calibration."""
    path = tmp_path / name
    write(path, content)
    expected = opencv(path)
    rgb = load_rgb(path)
    assert rgb.shape == (17, 31, 3) and rgb.dtype == np.uint8
    assert np.abs(rgb.astype(int) - expected).max() <= most, reason
    with Image.open(path) as image:
        np.testing.assert_array_equal(as_rgb(image), rgb)
    spec = InputSpec(32, 32, False, "BGR", (0, 0, 0), (1, 1, 1))
    (canvas,) = canvases([path], spec)
    np.testing.assert_array_equal(canvas, to_canvas(rgb, spec)[0])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("transparency", [3, bytes(range(0, 250, 5))])
def test_transparent_palettes(tmp_path: Path, transparency: int | bytes) -> None:
    colour("P").save(tmp_path / "a.png", transparency=transparency)
    expected = opencv(tmp_path / "a.png")
    np.testing.assert_array_equal(load_rgb(tmp_path / "a.png"), expected)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.tif", tiff(TWELVE_BITS, 12, 1, 1, packed_12_bits(TWELVE_BITS)), "12 bits of a TIFF"),
        ("a.pgm", b"P5 31 17 4095\n" + TWELVE_BITS.astype(">u2").tobytes(), "4095 is white"),
    ],
)
def test_the_file_says_what_is_white(
    tmp_path: Path, name: str, content: bytes, reason: str
) -> None:
    """Where OpenCV reads nothing, or does not heed the file's own limit."""
    write(tmp_path / name, content)
    found = load_rgb(tmp_path / name).astype(int)
    assert np.abs(found - (TWELVE_BITS >> 4)[..., None]).max() <= (name == "a.pgm"), reason
    assert found.min() == 0 and found.max() == 255


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a.tif", Image.fromarray(RAMP.astype(np.float32)), "floats"),
        ("a.tif", Image.fromarray(RAMP / np.float32(65535)), "floats"),
        ("a.pfm", RAMP.astype(np.float32), "floats"),
        ("a.tif", Image.fromarray(RAMP.astype(np.int32)), "32-bit integers"),
        ("a.tif", tiff(RAMP.astype(np.uint32) << 16, 32, 1, 1), "32-bit integers"),
        ("a.tif", tiff((RAMP.astype(int) - 32768).astype("<i2"), 16, 1, 2), "32-bit integers"),
    ],
)
def test_pixels_without_a_white(tmp_path: Path, name: str, content: Any, kind: str) -> None:
    """OpenCV reads none of them, or, of the signed ones, nonsense."""
    path = tmp_path / name
    write(path, content)
    with pytest.raises(KitError, match=rf"{name}: its pixels are {kind}.*save it with 8 or 16"):
        load_rgb(path)
    with Image.open(path) as image, pytest.raises(KitError, match=f"image: .*{kind}"):
        as_rgb(image)


@pytest.mark.parametrize("dtype", ["<u2", ">u2"])
def test_pictures_of_16_bits_in_memory(dtype: str) -> None:
    image = Image.frombytes("I;16B" if dtype == ">u2" else "I;16", (31, 17), RAMP.astype(dtype))
    np.testing.assert_array_equal(as_rgb(image), np.dstack([RAMP >> 8] * 3))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("depth", [8, 16, "grey"])
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_exif_orientation_is_applied(
    tmp_path: Path, orientation: int, depth: int | str, suffix: str
) -> None:
    """To paths and to Pillow's images, opened or in memory, as OpenCV does (to PNGs: it fails on
    TIFFs that lie on a side)."""
    path = tmp_path / f"a.{suffix}"
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = {8: photo(2, 31, 17), 16: RAMP, "grey": (RAMP >> 8).astype(np.uint8)}[depth]
    for written in (path, tmp_path / "opencv.png"):
        Image.fromarray(pixels).save(written, exif=exif)
    rgb = load_rgb(path)
    np.testing.assert_array_equal(rgb, opencv(tmp_path / "opencv.png"))
    upper = pixels if depth == 8 else np.dstack([RAMP >> 8] * 3)
    assert np.array_equal(rgb, upper) == (orientation == 1)
    # Not by its name, see `load_rgb`.
    with path.open("rb") as file, Image.open(file) as image:
        np.testing.assert_array_equal(as_rgb(image), rgb)
        np.testing.assert_array_equal(as_rgb(image.copy()), rgb)


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


@pytest.mark.parametrize(
    "name",
    ["a.jpg", "a.png", "a.webp", "a.tif", "a.gif", "a.bmp", "a.jp2", "a.qoi", "a.avif", "a.tga"],
)
def test_truncated_images(tmp_path: Path, name: str) -> None:
    """Each decoder has errors of its own."""
    path = tmp_path / name
    if path.suffix not in Image.registered_extensions():
        pytest.skip(f"this Pillow knows no {path.suffix}")
    Image.fromarray(photo(1, 200, 200)).save(path)
    whole = path.read_bytes()
    for share in (0.02, 0.3, 0.7):
        path.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(KitError, match=rf"{name}: damaged"):
            load_rgb(path)
        try:
            image = Image.open(path)
        except OSError:
            continue  # Pillow notices before the kit sees it.
        with image, pytest.raises(KitError, match="image is damaged"):
            as_rgb(image)


def test_a_folder_holds_what_a_single_file_may_be(tmp_path: Path) -> None:
    pictures = ["a.tif", "b.gif", "c.jfif", "d.PGM", "e.jp2", "f.tga", "g.JPG", "h.psd", "i.webp"]
    for name in [*pictures, "notes.txt", "clip.mpg", "figure.eps", "table.h5", "page.pdf"]:
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    assert [path.name for path in list_images(tmp_path)] == pictures


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
