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

__all__ = ["IMAGES", "Canvases", "ManifestEntry", "canvases", "manifest", "own_images", "verified"]
