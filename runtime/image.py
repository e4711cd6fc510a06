"""Image files -> pixels."""

from __future__ import annotations

import functools
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps

from .errors import KitError

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_SIDE = 16384  # Pixels. What is longer is no photograph, and takes gigabytes.

# Formats that Pillow names, but leaves to other programs to decode; EPS to Ghostscript.
_NOT_DECODED = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}
# Formats whose greyscale has 16 bits where Pillow gives it as 32 (mode `I`).
_AT_MOST_16_BITS = {"PNG", "PPM"}
_BITS_PER_SAMPLE, _PHOTOMETRIC, _WHITE_IS_ZERO = 258, 262, 0  # TIFF 6.0


def load_rgb(path: str | Path) -> NDArray[np.uint8]:
    """Decode an image file, upright by its EXIF tag: uint8 (H, W, 3), RGB.

    Of 16 bits per channel the upper 8 are taken, and transparency is dropped, as `cv2.imread` does
    by default. Raises `KitError` when the file is missing, damaged, no image, animated or huge, or
    holds floats or 32-bit integers, which do not say what is white.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            # By its name, Pillow maps a greyscale TIFF into memory, and garbles one on its side.
            with Path(path).open("rb") as file, Image.open(file, formats=_formats()) as image:
                _check_single(image, path)
                return _decode(image, str(path))
    except FileNotFoundError:
        raise KitError(f"{path}: no such image") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise KitError(f"{path}: too many pixels; scale it down first") from None
    except KitError:
        raise
    except Exception as error:  # Pillow's decoders raise what they like, IndexError for one.
        raise KitError(f"{path}: damaged or not an image ({error})") from None


@functools.lru_cache(maxsize=1)
def _formats() -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in Image.ID if name not in _NOT_DECODED)


def _decode(image: Image.Image, name: str) -> NDArray[np.uint8]:
    """Pixels as `load_rgb` gives them. name: what errors call the image."""
    _check_size(image.size, name)
    bits, inverted = _grey_depth(image, name)
    upright = ImageOps.exif_transpose(image)
    if bits:
        grey = (np.asarray(upright) >> (bits - 8)).astype(np.uint8)
        return np.repeat((255 - grey if inverted else grey)[..., None], 3, axis=2)
    if upright.mode == "P":
        upright = upright.convert("RGBA")  # Pillow warns where a palette loses its transparency.
    return np.asarray(upright.convert("RGB"))


def _grey_depth(image: Image.Image, name: str) -> tuple[int, bool]:
    """Bits of greyscale that Pillow would clip to 8, else 0; is 0 white?"""
    if image.mode.startswith("I;16"):
        tags = getattr(image, "tag_v2", {})
        return tags.get(_BITS_PER_SAMPLE, (16,))[0], tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO
    if image.mode == "I" and image.format in _AT_MOST_16_BITS:
        return 16, False
    if image.mode in ("I", "F"):
        kind = "floats" if image.mode == "F" else "32-bit integers"
        raise KitError(
            f"{name}: its pixels are {kind}, which do not say what is white; save it with 8 or "
            "16 bits per channel"
        )
    return 0, False


def _check_single(image: Image.Image, path: str | Path) -> None:
    # Phones write MPO, a JPEG with a second picture behind it for the depth.
    if getattr(image, "is_animated", False) and image.format != "MPO":
        frames = getattr(image, "n_frames", 2)
        raise KitError(f"{path}: {frames} frames; save the one you want as PNG or JPEG")


def _check_size(size: tuple[int, int], name: str) -> None:
    if max(size) > MAX_SIDE:
        raise KitError(
            f"{name} is {size[0]}x{size[1]}, sides may have {MAX_SIDE} pixels; scale it down first"
        )


def as_rgb(
    image: str | Path | NDArray[np.uint8] | Image.Image, colour_order: str = "RGB"
) -> NDArray[np.uint8]:
    """Pixels of a path, a Pillow image or an array: uint8 (H, W, 3), RGB.

    Paths and Pillow images are read alike, see `load_rgb`. An array (H, W) is grey.
    colour_order: of an array, `RGB` or `BGR`. Raises `KitError` for any other array.
    """
    if isinstance(image, (str, Path)):
        return load_rgb(image)
    if isinstance(image, Image.Image):
        try:
            return _decode(image, "image")
        except KitError:
            raise
        except Exception as error:  # See `load_rgb`.
            raise KitError(f"image is damaged ({error})") from None
    if not isinstance(image, np.ndarray):
        hint = ", as cv2.imread gives for a file that it cannot read" if image is None else ""
        raise KitError(
            f"image is {type(image).__name__}{hint}; give a path, a Pillow image or an array"
        )
    if image.ndim == 2:
        image = np.repeat(image[..., None], 3, axis=2)
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        raise KitError(f"image is {image.dtype} {image.shape}, expected uint8 (height, width, 3)")
    if colour_order not in ("RGB", "BGR"):
        raise KitError(f"colour order `{colour_order}` unknown; known: RGB, BGR")
    _check_size((image.shape[1], image.shape[0]), "image")
    return image[..., ::-1] if colour_order == "BGR" else image


def list_images(folder: Path) -> list[Path]:
    """Files of `folder` with the suffix of a format that `load_rgb` reads, sorted by name.

    Raises `KitError` when there is no such folder.
    """
    if not folder.is_dir():
        raise KitError(f"{folder}: no such folder of images")
    read = {s for s, name in Image.registered_extensions().items() if name in _formats()}
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in read and not p.is_dir())
