"""The 100 photographs that set the int8 ranges, checked before they are used."""

from calibration.dataset import IMAGES, ManifestEntry, canvases, manifest, own_images, verified
from calibration.frames import frames_of

__all__ = ["IMAGES", "ManifestEntry", "canvases", "frames_of", "manifest", "own_images", "verified"]
