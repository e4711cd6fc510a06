"""The 100 photographs that set the int8 ranges, checked before they are used."""

from calibration.dataset import (
    IMAGES,
    Canvases,
    ManifestEntry,
    canvases,
    manifest,
    own_images,
    verified,
)
from calibration.frames import frames_of

__all__ = [
    "IMAGES",
    "Canvases",
    "ManifestEntry",
    "canvases",
    "frames_of",
    "manifest",
    "own_images",
    "verified",
]
