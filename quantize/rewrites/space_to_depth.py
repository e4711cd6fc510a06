"""The first convolution on 2x2 blocks of pixels, bit for bit the same result.

Three input channels starve an NPU's multipliers. A 3x3 convolution with stride 2 over (H, W, 3) is
a 2x2 one with stride 1 over (H/2, W/2, 12), where each cell holds a block of pixels row by row; the
fourth row and column of its window weigh nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from quantize import flatbuffer
from runtime.tflite_graph import Graph


def gather_blocks(model: Any) -> bool:
    """Rewrite an int8 `ModelT` in place; False, and nothing done, if its stem is another."""
    graph = Graph.of(model)
    first, pixels = graph.operators[0], graph.inputs[0]
    readers = [op for op in graph.operators if pixels in op.inputs]
    if readers != [first] or first.name != "CONV_2D" or not first.halves:
        return False
    weight = first.constant(1)
    colours = weight.shape[3]
    if weight.shape[1:3] != (3, 3) or colours > 3:
        return False
    tensors = model.subgraphs[0].tensors
    _, height, width, _ = pixels.shape
    tensors[pixels.index].shape = [1, height // 2, width // 2, 4 * colours]
    quantization = tensors[weight.index].quantization
    blocks = _blocks(weight.values)
    tensor = flatbuffer.add_tensor(model, weight.name, blocks, weight.dtype, quantization)
    first.packed.inputs = [pixels.index, tensor, first.constant(2).index]
    first.options.strideH = first.options.strideW = 1
    flatbuffer.drop_unused(model)
    return True


def _blocks(weight: np.ndarray) -> np.ndarray:
    """(out, 3, 3, in) -> (out, 2, 2, 4 * in)."""
    out, _, _, channels = weight.shape
    wide = np.zeros((out, 4, 4, channels), np.int8)
    wide[:, :3, :3] = weight
    blocks = wide.reshape(out, 2, 2, 2, 2, channels).transpose(0, 1, 3, 2, 4, 5)
    return np.ascontiguousarray(blocks.reshape(out, 2, 2, 4 * channels))
