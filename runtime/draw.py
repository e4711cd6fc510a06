"""Draws detections into a picture."""

from __future__ import annotations

import colorsys
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import PIL
from PIL import Image, ImageDraw, ImageFont

from .detections import Detections
from .errors import KitError
from .files import overwritten, writing

if TYPE_CHECKING:
    from numpy.typing import NDArray

_IN_NO_FONT = "\uffff"
_GOLDEN_RATIO = 0.618034  # Steps of it spread hues so that neighbouring classes differ.


def annotate(
    rgb: NDArray[np.uint8],
    detections: Detections,
    class_names: Sequence[str],
    text_px: int = 0,
) -> Image.Image:
    """A copy of the RGB image, uint8 (H, W, 3), with boxes, class names and scores.

    A class whose name the font cannot show, which knows little but ASCII, goes by its number.
    text_px: height of the text; by default as the image's size has it. Raises `KitError` where
    Pillow is too old to scale its font.
    """
    image = Image.fromarray(rgb)
    draw = ImageDraw.Draw(image)
    line = max(2, round(max(image.size) / 320))
    font = _font(text_px or max(12, round(max(image.size) / 45)))
    for xyxy, confidence, class_id in zip(
        detections.xyxy[::-1], detections.confidence[::-1], detections.class_id[::-1]
    ):
        colour = class_colour(int(class_id))
        left, top, right, bottom = (float(v) for v in xyxy)
        around = (left - 1, top - 1, right + 1, bottom + 1)
        draw.rectangle(around, outline="black", width=line + 2)
        draw.rectangle((left, top, right, bottom), outline=colour, width=line)
        name = class_names[class_id]
        label = f"{name if _has_glyphs(font, name) else class_id} {confidence:.2f}"
        x0, y0, x1, y1 = draw.textbbox((left, top), label, font=font)
        x = max(0.0, min(left, image.width - (x1 - x0) - line))
        y = max(0.0, top - (y1 - y0) - 2 * line)
        box = draw.textbbox((x, y), label, font=font)
        draw.rectangle((box[0] - line, box[1] - line, box[2] + line, box[3] + line), fill=colour)
        draw.text((x, y), label, fill="black", font=font)
    return image


def _font(text_px: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    try:
        return ImageFont.load_default(size=text_px)
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
        raise KitError(f"--output {path}: is the input; choose another name")


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
