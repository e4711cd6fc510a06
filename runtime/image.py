"""Image files -> pixels."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from runtime.errors import KitError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
MAX_SIDE = 16384  # Pixels. What is longer is no photograph, and takes gigabytes.


def load_rgb(path: str | Path) -> NDArray[np.uint8]:
    """Decode an image file of any mode, upright by its EXIF tag: uint8 (H, W, 3), RGB.

    Raises `KitError` when the file is missing, damaged, no image, animated or huge.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                _check_single(image, path)
                _check_size(image.size, f"{path}: ")
                return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    except FileNotFoundError:
        raise KitError(f"{path}: no such image") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise KitError(f"{path}: too many pixels; scale it down first") from None
    except (OSError, SyntaxError, ValueError) as error:
        raise KitError(f"{path}: damaged or not an image ({error})") from None


def _check_single(image: Image.Image, path: str | Path) -> None:
    # Phones write MPO, a JPEG with a second picture behind it for the depth.
    if getattr(image, "is_animated", False) and image.format != "MPO":
        frames = getattr(image, "n_frames", 2)
        raise KitError(f"{path}: {frames} frames; save the one you want as PNG or JPEG")


def _check_size(size: tuple[int, int], where: str = "") -> None:
    if max(size) > MAX_SIDE:
        raise KitError(
            f"{where}image is {size[0]}x{size[1]}, sides may have {MAX_SIDE} pixels; "
            "scale it down first"
        )


def as_rgb(
    image: str | Path | NDArray[np.uint8] | Image.Image, colour_order: str = "RGB"
) -> NDArray[np.uint8]:
    """Pixels of a path, a Pillow image or an array: uint8 (H, W, 3), RGB.

    colour_order: of an array, `RGB` or `BGR`. Raises `KitError` for any other array.
    """
    if isinstance(image, (str, Path)):
        return load_rgb(image)
    if isinstance(image, Image.Image):
        _check_size(image.size)
        return np.asarray(image.convert("RGB"))
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        raise KitError(f"image is {image.dtype} {image.shape}, expected uint8 (height, width, 3)")
    if colour_order not in ("RGB", "BGR"):
        raise KitError(f"colour order `{colour_order}` unknown; known: RGB, BGR")
    _check_size((image.shape[1], image.shape[0]))
    return image[..., ::-1] if colour_order == "BGR" else image


def list_images(folder: Path) -> list[Path]:
    """Image files of `folder`, sorted by name. Raises `KitError` when there is no such folder."""
    if not folder.is_dir():
        raise KitError(f"{folder}: no such folder of images")
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES)
