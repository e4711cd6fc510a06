"""Finds weights and images: given by option, in `NANODET_DATA`, in the cache, or downloaded."""

from assets.locate import (
    cache,
    calibration_images,
    data_folders,
    evaluation_set,
    model_spec,
    weights,
)

__all__ = ["cache", "calibration_images", "data_folders", "evaluation_set", "model_spec", "weights"]
