"""A model as the C library's `nanodet_model` describes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from runtime import integer
from runtime.errors import KitError
from runtime.spec import ModelSpec
from runtime.tflite_file import TensorInfo

# As in nanodet/types.h.
MAX_LEVELS, MAX_BINS, MAX_CANVAS = 8, 32, 4095


@dataclass(frozen=True)
class LevelDescription:
    """`nanodet_level`. score, weight: uint16 (256,)."""

    stride: int
    rows: int
    columns: int
    lowest: int
    offset_q4: int
    score: np.ndarray
    weight: np.ndarray


@dataclass(frozen=True)
class Description:
    """`nanodet_model`."""

    width: int
    height: int
    classes: int
    bins: int
    keep_ratio: bool
    bgr: bool
    rotated_180: bool
    levels: tuple[LevelDescription, ...]


def describe(spec: ModelSpec, outputs: Sequence[TensorInfo], score_threshold: float) -> Description:
    """Raises `KitError` for a model that the library has no room for."""
    size, strides = spec.input, spec.graph.strides
    fits = integer.fits(spec, outputs) and spec.num_bins <= MAX_BINS and len(strides) <= MAX_LEVELS
    if not fits or max(size.width, size.height) > MAX_CANVAS or spec.graph.space_to_depth:
        raise KitError(
            f"{spec.name}: the firmware takes int8 files with pixels as input, sides up to "
            f"{MAX_CANVAS}, and distances of up to {MAX_BINS} bins; build it with --target mcu"
        )
    tables = integer.make_tables(spec, outputs, score_threshold)
    levels = []
    for level, score, weight in zip(tables.levels, tables.score, tables.weight, strict=True):
        rows, columns = spec.output_shape_nhwc(f"cls_{level.stride}")[1:3]
        offset = round(spec.architecture.prior_offset * (level.stride << integer.BOX_BITS))
        numbers = level.stride, rows, columns, level.lowest, offset
        levels.append(LevelDescription(*numbers, score, weight))
    return Description(
        size.width,
        size.height,
        len(spec.classes),
        spec.num_bins,
        size.keep_ratio,
        size.colour_order == "BGR",
        spec.graph.rotated_180,
        tuple(levels),
    )
