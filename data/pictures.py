"""Pictures that annotations speak of: where they lie and how large they are."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from runtime.errors import KitError

_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
_ORIENTATION, _ON_ITS_SIDE = 274, (5, 6, 7, 8)  # EXIF


def picture_of(stem: str, named: str, folder: Path | None) -> str:
    """File name of a picture in `folder`: the one that is `named`, else one with that stem.

    Some tools write a name that the file no longer has.
    """
    name = Path(named.replace("\\", "/")).name or f"{stem}{_SUFFIXES[0]}"
    if folder is None or (folder / name).is_file():
        return name
    cases = [suffix for s in _SUFFIXES for suffix in (s, s.upper())]
    return next((stem + s for s in cases if (folder / (stem + s)).is_file()), name)


def is_picture(path: Path) -> bool:
    """By its suffix."""
    return path.suffix.lower() in _SUFFIXES


def size_of(path: Path) -> tuple[int, int]:
    """Width and height in pixels, upright, from the head of the file. Raises `KitError`."""
    try:
        with Image.open(path) as image:
            width, height = image.size
            turned = image.getexif().get(_ORIENTATION) in _ON_ITS_SIDE
    except FileNotFoundError:
        raise KitError(f"{path}: no such image") from None
    except Image.DecompressionBombError:
        raise KitError(f"{path}: too many pixels; scale it down first") from None
    except (OSError, SyntaxError, ValueError) as error:
        raise KitError(f"{path}: damaged or not an image ({error})") from None
    return (height, width) if turned else (width, height)
