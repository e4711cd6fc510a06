"""`Detections`: what a model found in one image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Detections:
    """N detections, best first.

    xyxy: float32 (N, 4), left, top, right, bottom in pixels.
    confidence: float32 (N,), 0..1.
    class_id: int64 (N,), index into the model's class names.
    """

    xyxy: np.ndarray
    confidence: np.ndarray
    class_id: np.ndarray

    def __post_init__(self) -> None:
        n = len(self.confidence)
        shapes = self.xyxy.shape, self.confidence.shape, self.class_id.shape
        if shapes != ((n, 4), (n,), (n,)):
            raise ValueError(f"expected shapes ({n}, 4), ({n},), ({n},), got {shapes}")

    def __len__(self) -> int:
        return len(self.confidence)

    @classmethod
    def empty(cls) -> Detections:
        """No detections."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))

    def take(self, indices: np.ndarray) -> Detections:
        """The detections at `indices`, in that order."""
        return Detections(self.xyxy[indices], self.confidence[indices], self.class_id[indices])
