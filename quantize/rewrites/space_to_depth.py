"""The first convolution on 2x2 blocks of pixels, bit for bit the same result.

Three input channels starve an NPU's multipliers. A 3x3 convolution with stride 2 over (H, W, 3) is
a 2x2 one with stride 1 over (H/2, W/2, 16), where each cell holds a block of pixels row by row, 4
bytes each; the fourth row and column of its window weigh nothing, and so does each fourth byte. By
Vela, an Ethos-U65 reads 16 channels from DRAM in whole bursts, and 12 only 12 bytes at a time.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from quantize import flatbuffer
from runtime.spec import PIXEL_BYTES
from runtime.tflite_graph import Graph


def gather_blocks(model: Any) -> bool:
    """Rewrite an int8 `ModelT` in place; False, and nothing done, if its stem is another."""
    graph = Graph.of(model)
    first, pixels = graph.operators[0], graph.inputs[0]
    readers = [op for op in graph.operators if pixels in op.inputs]
    if readers != [first] or first.name != "CONV_2D" or not first.halves:
        return False
    weight = first.constant(1)
    if weight.shape[1:3] != (3, 3) or weight.shape[3] > PIXEL_BYTES:
        return False
    tensors = model.subgraphs[0].tensors
    _, height, width, _ = pixels.shape
    tensors[pixels.index].shape = [1, height // 2, width // 2, 4 * PIXEL_BYTES]
    quantization = tensors[weight.index].quantization
    blocks = _blocks(weight.values)
    tensor = flatbuffer.add_tensor(model, weight.name, blocks, weight.dtype, quantization)
    first.packed.inputs = [pixels.index, tensor, first.constant(2).index]
    first.options.strideH = first.options.strideW = 1
    flatbuffer.drop_unused(model)
    return True


def _blocks(weight: np.ndarray) -> np.ndarray:
    """(out, 3, 3, in) -> (out, 2, 2, 16)."""
    out, _, _, channels = weight.shape
    wide = np.zeros((out, 4, 4, PIXEL_BYTES), np.int8)
    wide[:, :3, :3, :channels] = weight
    blocks = wide.reshape(out, 2, 2, 2, 2, PIXEL_BYTES).transpose(0, 1, 3, 2, 4, 5)
    return np.ascontiguousarray(blocks.reshape(out, 2, 2, 4 * PIXEL_BYTES))
