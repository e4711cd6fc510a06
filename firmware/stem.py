"""The split stem in NumPy: what `nanodet_stem_s8` computes."""

from __future__ import annotations

import numpy as np

from quantize.fixed_point import leaky_relu_table, multiply
from quantize.split import Stem


def run_stem(stem: Stem, image: np.ndarray) -> np.ndarray:
    """image: int8 (H, W, 3) as the network takes it -> int8 (H/4, W/4, channels)."""
    pixels = np.zeros((stem.height + 1, stem.width + 1, 3), np.int32)
    pixels[:-1, :-1] = image.astype(np.int32) - stem.input_zero_point
    sums = np.tile(stem.bias.astype(np.int64), (stem.height // 2, stem.width // 2, 1))
    for row, column in np.ndindex(3, 3):
        seen = pixels[row : row + stem.height - 1 : 2, column : column + stem.width - 1 : 2]
        sums += seen @ stem.weight[:, row, column].astype(np.int64).T
    pooled = _pool(_pool(sums, 0), 1)
    table = leaky_relu_table(stem.leaky)
    found = np.empty(pooled.shape, np.int8)
    for channel in range(len(stem.bias)):
        fixed = int(stem.multiplier[channel]), int(stem.shift[channel])
        values, inverse = np.unique(pooled[..., channel], return_inverse=True)
        made = multiply(values, *fixed) + stem.output_zero_point
        steps = np.clip(made, -128, 127) + 128
        found[..., channel] = table[steps][inverse].reshape(pooled.shape[:2])
    return found


def _pool(sums: np.ndarray, axis: int) -> np.ndarray:
    """Largest of three with stride 2; beyond the edge there is nothing."""
    moved = np.moveaxis(sums, axis, 0)
    best = np.maximum(moved[::2], moved[1::2])
    best[:-1] = np.maximum(best[:-1], moved[2::2])
    return np.moveaxis(best, 0, axis)
