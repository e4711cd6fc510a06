"""Raw outputs of an engine -> detections on the canvas, in integers where the file allows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from . import integer
from .decode import decode
from .detections import Detections
from .engines import Engine, TfliteEngine
from .errors import KitError
from .nms import nms_per_class
from .spec import ModelSpec

if TYPE_CHECKING:
    from numpy.typing import NDArray

ARITHMETIC = ("integer", "float")


@dataclass(frozen=True)
class Selection:
    """Which boxes are kept. class_ids: of which classes; None for all.

    Raises `KitError` where `max_detections` is no whole number of 1 or more.
    """

    score_threshold: float
    iou_threshold: float
    max_detections: int
    class_ids: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        most = self.max_detections
        if not isinstance(most, (int, np.integer)) or isinstance(most, bool) or most < 1:
            raise KitError(f"max_detections is {most}; it must be a whole number of 1 or more")


class Postprocess(Protocol):
    """Runs an engine on a canvas and reads its answer."""

    arithmetic: str

    def __call__(self, canvas: NDArray[np.uint8]) -> Detections:
        """Detections in canvas pixels, best first."""
        ...


def make_postprocess(
    engine: Engine, selection: Selection, arithmetic: str | None = None
) -> Postprocess:
    """In `integer` arithmetic for int8 files whose distributions are not too wide for it, else in
    `float`, unless one of them is asked for. Raises `KitError` where it will not do."""
    if arithmetic not in (None, *ARITHMETIC):
        raise KitError(f"arithmetic `{arithmetic}` unknown; known: {', '.join(ARITHMETIC)}")
    whole = isinstance(engine, TfliteEngine) and integer.fits(engine.spec, engine.outputs)
    if arithmetic == "integer" and not whole:
        raise KitError(f"{engine.spec.name}: its outputs cannot be read in integers")
    if isinstance(engine, TfliteEngine) and whole and arithmetic != "float":
        return IntegerPostprocess(engine, selection)
    return FloatPostprocess(engine, selection)


class IntegerPostprocess:
    """See `runtime.integer`."""

    arithmetic = "integer"

    def __init__(self, engine: TfliteEngine, selection: Selection) -> None:
        self._engine, self._spec, self._selection = engine, engine.spec, selection
        self._tables = integer.make_tables(self._spec, engine.outputs, selection.score_threshold)
        self._wanted = _mask(self._spec, selection)

    def __call__(self, canvas: NDArray[np.uint8]) -> Detections:
        return self.find(self._engine.infer_raw(canvas))

    def find(self, raw: Mapping[str, NDArray[np.int8]]) -> Detections:
        """raw: int8 (h, w, C) by output name, upright."""
        selection = self._selection
        found = integer.decode(raw, self._tables, self._spec, self._wanted)
        kept = integer.suppress(found, selection.iou_threshold, selection.max_detections)
        return kept.in_pixels()


class FloatPostprocess:
    """See `runtime.decode` and `runtime.nms`; also the integers' reference."""

    arithmetic = "float"

    def __init__(self, engine: Engine, selection: Selection) -> None:
        self._engine, self._spec, self._selection = engine, engine.spec, selection

    def __call__(self, canvas: NDArray[np.uint8]) -> Detections:
        return self.find(self._engine.infer(canvas))

    def find(self, outputs: Mapping[str, NDArray[np.float32]]) -> Detections:
        """outputs: float32 logits (h, w, C) by output name, upright."""
        selection = self._selection
        candidates = decode(outputs, self._spec, selection.score_threshold)
        if (wanted := _mask(self._spec, selection)) is not None:
            candidates = candidates.take(wanted[candidates.class_id])
        return nms_per_class(candidates, selection.iou_threshold, selection.max_detections)


def _mask(spec: ModelSpec, selection: Selection) -> NDArray[np.bool_] | None:
    if selection.class_ids is None:
        return None
    mask: NDArray[np.bool_] = np.isin(np.arange(len(spec.classes)), selection.class_ids)
    return mask
