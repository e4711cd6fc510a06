"""The first convolution on 2x2 blocks of pixels, bit for bit the same result.

Three input channels starve an NPU's multipliers. A 3x3 convolution with stride 2 over (H, W, 3) is
a 2x2 one with stride 1 over (H/2, W/2, 12), where each cell holds a block of pixels row by row; the
fourth row and column of its window weigh nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from quantize import flatbuffer
from runtime import graph_file

_SAME_PADDING = 0


def gather_blocks(model: Any) -> bool:
    """Rewrite an int8 `ModelT` in place; False, and nothing done, if its stem is another."""
    graph = model.subgraphs[0]
    first = graph.operators[0]
    readers = [op for op in graph.operators if graph.inputs[0] in op.inputs]
    if readers != [first] or graph_file.operator_name(model, first) != "CONV_2D":
        return False
    weight = graph.tensors[first.inputs[1]]
    options = first.builtinOptions
    if list(weight.shape[1:]) != [3, 3, 3] or (options.strideH, options.padding) != (
        2,
        _SAME_PADDING,
    ):
        return False
    pixels = graph.tensors[graph.inputs[0]]
    _, height, width, _ = (int(n) for n in pixels.shape)
    pixels.shape = [1, height // 2, width // 2, 12]
    values = np.frombuffer(bytes(model.buffers[weight.buffer].data), np.int8)
    blocks = _blocks(values.reshape(weight.shape))
    name = graph_file.text(weight.name)
    tensor = flatbuffer.add_tensor(model, name, blocks, schema.TensorType.INT8, weight.quantization)
    first.inputs = [first.inputs[0], tensor, first.inputs[2]]
    options.strideH = options.strideW = 1
    flatbuffer.drop_unused(model)
    return True


def _blocks(weight: np.ndarray) -> np.ndarray:
    """(out, 3, 3, in) -> (out, 2, 2, 4 * in)."""
    out, _, _, channels = weight.shape
    wide = np.zeros((out, 4, 4, channels), np.int8)
    wide[:, :3, :3] = weight
    blocks = wide.reshape(out, 2, 2, 2, 2, channels).transpose(0, 1, 3, 2, 4, 5)
    return np.ascontiguousarray(blocks.reshape(out, 2, 2, 4 * channels))
