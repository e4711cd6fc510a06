"""A model as the C library's `nanodet_model` describes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from quantize.fixed_point import leaky_relu_table
from quantize.split import Stem
from runtime import integer
from runtime.errors import KitError
from runtime.spec import ModelSpec
from runtime.tflite_file import TensorInfo

# As in nanodet/types.h.
MAX_LEVELS, MAX_BINS, MAX_CANVAS, MAX_STEM_CHANNELS = 8, 32, 4095, 64


@dataclass(frozen=True)
class LevelDescription:
    """`nanodet_level`. score, weight: uint16 (256,)."""

    stride: int
    rows: int
    columns: int
    min_logit: int
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
    grey: bool
    rotated_180: bool
    levels: tuple[LevelDescription, ...]


@dataclass(frozen=True)
class StemDescription:
    """`nanodet_stem`. weight: int32 (channels / 4, words, 4), two int16 each."""

    width: int
    height: int
    channels: int
    input_zero_point: int
    output_zero_point: int
    weight: np.ndarray
    bias: np.ndarray
    multiplier: np.ndarray
    shift: np.ndarray
    activation: np.ndarray

    @property
    def scratch_bytes(self) -> int:
        """As nanodet_stem_s8_get_scratch_bytes: three lines of int16, two rows of int32 sums."""
        line = (self.width + 3) * 3 + 1
        return 3 * line * 2 + 2 * (self.width // 4) * self.channels * 4


def describe_stem(stem: Stem, path: str) -> StemDescription:
    """Raises `KitError` for a stem that the library has no room for."""
    channels = len(stem.bias)
    if channels % 4 or channels > MAX_STEM_CHANNELS:
        raise KitError(
            f"{path}: {channels} channels in the first layer; a split stem takes multiples of 4 up "
            f"to {MAX_STEM_CHANNELS}"
        )
    return StemDescription(
        stem.width,
        stem.height,
        channels,
        stem.input_zero_point,
        stem.output_zero_point,
        _packed(stem.weight),
        stem.bias,
        stem.multiplier,
        stem.shift,
        leaky_relu_table(stem.leaky),
    )


def _packed(weight: np.ndarray) -> np.ndarray:
    """int8 (channels, 3, 3, 3) -> the pairs that the C code multiplies at once."""
    rows = np.zeros((len(weight), 3, 10), np.int16)  # Nine weights per row, made even.
    rows[..., :9] = weight.reshape(len(weight), 3, 9)
    words = rows.reshape(len(weight), -1).astype("<i2").view("<i4")
    return np.ascontiguousarray(words.reshape(-1, 4, words.shape[1]).transpose(0, 2, 1))


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
        numbers = level.stride, rows, columns, level.min_logit, offset
        levels.append(LevelDescription(*numbers, score, weight))
    return Description(
        size.width,
        size.height,
        len(spec.classes),
        spec.num_bins,
        size.keep_ratio,
        size.colour_order == "BGR",
        size.colour_order == "GREY",
        spec.graph.rotated_180,
        tuple(levels),
    )
