"""Finds weights and images: given by option, in `NANODET_DATA`, in the cache, or downloaded."""

from assets.locate import calibration_images, data_folders, evaluation_set, model_spec, weights

__all__ = ["calibration_images", "data_folders", "evaluation_set", "model_spec", "weights"]
