"""`Detections`: what a model found in one image."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Detections:
    """N detections, best first. Two are equal where every array and the names are.

    xyxy: float32 (N, 4), left, top, right, bottom in pixels.
    confidence: float32 (N,), 0..1.
    class_id: int64 (N,), index into `class_names`, the model's classes.
    """

    xyxy: NDArray[np.float32]
    confidence: NDArray[np.float32]
    class_id: NDArray[np.int64]
    class_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        n = len(self.confidence)
        shapes = self.xyxy.shape, self.confidence.shape, self.class_id.shape
        if shapes != ((n, 4), (n,), (n,)):
            raise ValueError(f"expected shapes ({n}, 4), ({n},), ({n},), got {shapes}")

    def __len__(self) -> int:
        return len(self.confidence)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Detections):
            return NotImplemented
        return self.class_names == other.class_names and all(
            np.array_equal(getattr(self, name), getattr(other, name))
            for name in ("xyxy", "confidence", "class_id")
        )

    __hash__ = None  # type: ignore[assignment]  # As of numpy's arrays, which may be changed.

    @classmethod
    def empty(cls) -> Detections:
        """No detections."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))

    def take(self, indices: NDArray[Any]) -> Detections:
        """The detections at `indices`, in that order."""
        return Detections(
            self.xyxy[indices], self.confidence[indices], self.class_id[indices], self.class_names
        )

    @property
    def class_name(self) -> list[str]:
        """The class of each, in words."""
        return [self.class_names[i] for i in self.class_id]

    def to_coco(
        self, image_id: int, category_ids: Sequence[int | None] | None = None
    ) -> list[dict[str, Any]]:
        """COCO's result format: boxes as left, top, width, height.

        category_ids: COCO category of each class, classes with None are dropped; without, the
        class's index.
        """
        corners = self.xyxy.astype(np.float64)
        xywh = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)
        return [
            {"image_id": image_id, "category_id": category, "bbox": box, "score": confidence}
            for box, confidence, class_id in zip(
                xywh.tolist(), self.confidence.tolist(), self.class_id.tolist()
            )
            if (category := class_id if category_ids is None else category_ids[class_id])
            is not None
        ]

    def to_json(self) -> str:
        """A list of objects with `xyxy`, `confidence`, `class_id` and `class_name`."""
        names = self.class_name if self.class_names else [""] * len(self)
        return json.dumps(
            [
                {
                    "xyxy": [round(v, 2) for v in box],
                    "confidence": round(confidence, 4),
                    "class_id": class_id,
                    "class_name": name,
                }
                for box, confidence, class_id, name in zip(
                    self.xyxy.tolist(), self.confidence.tolist(), self.class_id.tolist(), names
                )
            ]
        )
