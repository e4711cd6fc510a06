"""Draws detections into a picture."""

from __future__ import annotations

import colorsys
import functools
import io
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL
from PIL import Image, ImageDraw, ImageFont

from .detections import Detections
from .errors import KitError
from .files import overwritten, writing
from .labels import Area, place

if TYPE_CHECKING:
    from numpy.typing import NDArray

_IN_NO_FONT = "\uffff"
_GOLDEN_RATIO = 0.618034  # Steps of it spread hues so that neighbouring classes differ.
_TEXT_SHARE, _LEAST_TEXT_PX = 45, 8  # Of the longer side; what is smaller nobody reads.
_PAD = 1
_SMALLER = (1.0, 0.85, 0.7, 0.55)  # Text where labels would not find room.


def annotate(
    rgb: NDArray[np.uint8],
    detections: Detections,
    class_names: Sequence[str],
    text_px: int = 0,
) -> Image.Image:
    """A copy of the RGB image, uint8 (H, W, 3), with boxes, class names and scores.

    Labels lie beside or in their boxes, within the picture, and never on one another; where there
    is no room, the text is smaller, and then the labels of the lowest scores are left out. A class
    whose name the font cannot show, which knows little but ASCII, goes by its number. text_px:
    height of the text; by default as the image's size has it. Raises `KitError`
    where Pillow is too old to scale its font.
    """
    image = Image.fromarray(rgb)
    draw = ImageDraw.Draw(image)
    line = max(1, round(max(image.size) / 320))
    boxes = [Area(*map(float, xyxy)) for xyxy in detections.xyxy]
    colours = [class_colour(int(class_id)) for class_id in detections.class_id]
    for box, colour in reversed(list(zip(boxes, colours))):
        around = (box.left - 1, box.top - 1, box.right + 1, box.bottom + 1)
        draw.rectangle(around, outline="black", width=line + 2)
        draw.rectangle(box, outline=colour, width=line)
    font, texts, areas = _labels(image.size, boxes, detections, class_names, text_px)
    for text, area, colour in zip(texts, areas, colours):
        if area is not None:
            draw.rectangle((area.left, area.top, area.right - 1, area.bottom - 1), fill=colour)
            draw.text((area.left + _PAD, area.top + _PAD), text, fill=_ink(colour), font=font)
    return image


def _labels(
    size: tuple[int, int],
    boxes: Sequence[Area],
    detections: Detections,
    class_names: Sequence[str],
    text_px: int,
) -> tuple[Any, list[str], list[Area | None]]:
    """The largest font with which all labels have a place, the texts, and the places."""
    usual = text_px or max(size) / _TEXT_SHARE
    for share in _SMALLER:
        font = _font(max(_LEAST_TEXT_PX, round(usual * share)))
        texts = [
            f"{name if _has_glyphs(font, name) else i} {score:.2f}"
            for i, score in zip(detections.class_id, detections.confidence)
            for name in (class_names[i],)
        ]
        height = font.getbbox("Ag")[3] + 2 * _PAD
        sizes = [(math.ceil(font.getlength(text)) + 2 * _PAD, height) for text in texts]
        areas = place(boxes, sizes, size)
        if None not in areas:
            break
    return font, texts, areas


@functools.lru_cache(maxsize=8)
def _font(size_px: int) -> Any:
    try:
        return ImageFont.load_default(size=size_px)
    except TypeError:
        raise KitError(f"drawing needs Pillow 10.1 or newer; here is {PIL.__version__}") from None


def _has_glyphs(font: ImageFont.FreeTypeFont | ImageFont.ImageFont, text: str) -> bool:
    """Does the font know every character? All that it does not know, it draws as one box."""
    try:
        unknown = bytes(font.getmask(_IN_NO_FONT))
        return text.isprintable() and all(
            c == " " or bytes(font.getmask(c)) != unknown for c in text
        )
    except UnicodeEncodeError:  # By a font of bits, without FreeType.
        return False


def class_colour(class_id: int) -> tuple[int, int, int]:
    """A light colour (R, G, B) of its own for each class."""
    red, green, blue = colorsys.hsv_to_rgb(class_id * _GOLDEN_RATIO % 1, 0.7, 1.0)
    return round(255 * red), round(255 * green), round(255 * blue)


def _ink(colour: tuple[int, int, int]) -> str:
    """What is legible on it."""
    red, green, blue = colour
    return "black" if 299 * red + 587 * green + 114 * blue > 110_000 else "white"


def check_picture_path(path: Path, inputs: Iterable[Path] = ()) -> None:
    """Refuse, before there is a picture, a path where it cannot be written.

    Raises `KitError` where the suffix names no format for RGB, or the file is one of `inputs`.
    """
    known = Image.registered_extensions().get(path.suffix.lower(), "")
    try:
        Image.new("RGB", (16, 16)).save(io.BytesIO(), known)
    except Exception:  # Each format has errors of its own for what it cannot write.
        raise KitError(
            f"{path}: pictures cannot be written in this format; end the name in .jpg or .png"
        ) from None
    if overwritten([path], inputs):
        raise KitError(f"--out {path}: is the input; choose another name")


def save_image(image: Image.Image, path: Path) -> None:
    """Write the picture; the suffix says the format. Raises `KitError` when it cannot."""
    check_picture_path(path)
    with writing(path) as temporary:
        try:
            image.save(temporary)
        except OSError:
            raise
        except Exception as error:  # WebP, for one, has a ValueError for long sides.
            raise KitError(f"{path}: cannot be written ({error})") from None
