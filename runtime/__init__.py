"""What runs on a device: model spec, preprocessing, engines, decoding and detections."""

from runtime.detections import Detections
from runtime.detector import Detector
from runtime.errors import KitError
from runtime.spec import ModelSpec

__all__ = ["Detections", "Detector", "KitError", "ModelSpec"]
