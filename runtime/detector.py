"""`Detector`: image in, detections out."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from runtime.decode import decode
from runtime.detections import Detections
from runtime.engines import Engine, open_engine
from runtime.image import load_rgb
from runtime.nms import nms_per_class
from runtime.preprocess import to_canvas
from runtime.spec import ModelSpec
from runtime.tflite_file import TfliteFile

# COCO evaluation's usual settings, upstream's too.
SCORE_THRESHOLD = 0.05
IOU_THRESHOLD = 0.6
MAX_DETECTIONS = 100


class Detector:
    """Finds objects with a model file, or with any `Engine`.

    >>> Detector("nanodet_m_0.5x.tflite", score_threshold=0.35).detect("street.jpg")
    """

    def __init__(
        self,
        model: str | Path | Engine,
        engine: str = "litert",
        score_threshold: float = SCORE_THRESHOLD,
        iou_threshold: float = IOU_THRESHOLD,
        max_detections: int = MAX_DETECTIONS,
    ) -> None:
        if isinstance(model, (str, Path)):
            model = open_engine(engine, TfliteFile.read(model))
        self._engine = model
        self.spec: ModelSpec = model.spec
        self.score_threshold = score_threshold
        self.iou_threshold = iou_threshold
        self.max_detections = max_detections

    def detect(self, image: str | Path | np.ndarray) -> Detections:
        """Detections in pixels of `image`: a path, or uint8 (H, W, 3) in RGB."""
        rgb = image if isinstance(image, np.ndarray) else load_rgb(image)
        canvas, placement = to_canvas(rgb, self.spec.input)
        outputs = self._engine.infer(canvas)
        candidates = decode(outputs, self.spec, self.score_threshold)
        found = nms_per_class(candidates, self.iou_threshold, self.max_detections)
        return Detections(placement.boxes_to_image(found.xyxy), found.confidence, found.class_id)
