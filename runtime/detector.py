"""`Detector`: image in, detections out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL.Image import Image as PillowImage

from .detections import Detections
from .engines import Engine, open_engine
from .errors import KitError
from .image import as_rgb
from .postprocess import Selection, make_postprocess
from .preprocess import to_canvas
from .spec import ModelSpec
from .tflite_file import TfliteFile

if TYPE_CHECKING:
    from numpy.typing import NDArray

# COCO evaluation's usual settings, upstream's too.
SCORE_THRESHOLD = 0.05
IOU_THRESHOLD = 0.6
MAX_DETECTIONS = 100
# From here on a detection is shown to a user: the default of all but evaluation.
DISPLAY_THRESHOLD = 0.35


class Detector:
    """Finds objects with a model file, or with any `Engine`.

    classes: names of those to look for, all by default. arithmetic: `integer` or `float` of the
    post-processing; by default integers where the file allows it. colour_order: of arrays, `RGB` or
    `BGR`. engine_options: see `LiteRtEngine`.

    >>> Detector("nanodet_m_0.5x.tflite").detect("street.jpg")
    """

    def __init__(
        self,
        model: str | Path | Engine,
        engine: str = "litert",
        score_threshold: float = DISPLAY_THRESHOLD,
        iou_threshold: float = IOU_THRESHOLD,
        max_detections: int = MAX_DETECTIONS,
        classes: Sequence[str] | None = None,
        arithmetic: str | None = None,
        colour_order: str = "RGB",
        **engine_options: Any,
    ) -> None:
        self._colour_order = colour_order
        if isinstance(model, (str, Path)):
            model = open_engine(engine, TfliteFile.read(model), **engine_options)
        self._engine = model
        self.spec: ModelSpec = model.spec
        class_ids = None if classes is None else _class_ids(classes, self.spec)
        selection = Selection(score_threshold, iou_threshold, max_detections, class_ids)
        self._postprocess = make_postprocess(model, selection, arithmetic)

    @property
    def arithmetic(self) -> str:
        """`integer` or `float`: how the model's outputs are turned into boxes."""
        return self._postprocess.arithmetic

    def detect(
        self,
        image: str | Path | NDArray[np.uint8] | PillowImage,
        colour_order: str | None = None,
    ) -> Detections:
        """Detections in pixels of `image`: a path, a Pillow image, or uint8 (H, W, 3);
        (H, W) of grey.

        Paths and Pillow images are turned upright first, as their EXIF tag says. colour_order: of
        an array, by default the detector's. Raises `KitError` for what is no image.
        """
        canvas, placement = to_canvas(
            as_rgb(image, colour_order or self._colour_order), self.spec.input
        )
        found = self._postprocess(canvas)
        xyxy = placement.boxes_to_image(found.xyxy)
        return Detections(xyxy, found.confidence, found.class_id, self.spec.classes)

    def detect_batch(
        self,
        images: Iterable[str | Path | NDArray[np.uint8] | PillowImage],
        colour_order: str | None = None,
    ) -> list[Detections]:
        """Detections of each image, one after the other."""
        return [self.detect(image, colour_order) for image in images]

    def warm_up(self) -> None:
        """Run once on a black image: the first inference of an NPU compiles the model."""
        self._engine.infer(np.zeros(self.spec.input.canvas_shape, np.uint8))


def _class_ids(names: Sequence[str], spec: ModelSpec) -> tuple[int, ...]:
    unknown = [name for name in names if name not in spec.classes]
    if unknown:
        raise KitError(f"class `{unknown[0]}` unknown; known: {', '.join(spec.classes)}")
    return tuple(spec.classes.index(name) for name in names)
