"""What runs on a device: model spec, preprocessing, engines, decoding and detections."""

from .detections import Detections
from .detector import Detector
from .errors import KitError
from .spec import ModelSpec

__all__ = ["Detections", "Detector", "KitError", "ModelSpec"]
