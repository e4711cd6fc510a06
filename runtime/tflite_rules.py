"""What an operator of a `.tflite` file may be, and the shapes of what it gives.

Each rule raises `ValueError` where the interpreter would read or write what is not there.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from .tflite_operand import Call, Operand, Shape

_MAX_ADD_SHIFT = 20  # Bits by which ADD widens int8 before it rounds.
_FLOATS = ("FLOAT32", "FLOAT16")
# Input, weight, bias, output of convolutions.
_CONVOLUTIONS = {
    ("INT8", "INT8", "INT32", "INT8"),
    ("INT16", "INT8", "INT64", "INT16"),
    ("INT16", "INT8", "INT32", "INT16"),
    ("FLOAT32", "FLOAT32", "FLOAT32", "FLOAT32"),
    ("FLOAT32", "INT8", "FLOAT32", "FLOAT32"),  # Weights alone are quantized.
}


def _same_type(call: Call, *more: Operand) -> None:
    types = {tensor.type for tensor in (call.input(0), *more, *call.outputs)}
    if len(types) != 1 or types & {"INT32", "INT64", "UINT8", "FLOAT16"}:
        raise ValueError(f"it mixes types or takes foreign ones: {', '.join(sorted(types))}")
    if types & {"INT8", "INT16"}:
        for tensor in (call.input(0), *more, *call.outputs):
            _one_scale(tensor)


def _one_scale(tensor: Operand) -> None:
    if len(tensor.scales) != 1:
        raise ValueError(f"tensor `{tensor.name}` has {len(tensor.scales)} scales")


def _convolved(call: Call, filter_hw: tuple[int, int]) -> Shape:
    """Images, rows and columns that a window gives."""
    images, *sides = call.input(0).shape[:3]
    padding = call.option("padding", 0, 1)
    result = [images]
    for side, taps, axis in zip(sides, filter_hw, "hw"):
        stride = call.option(f"stride_{axis}", 1, side)
        dilation = call.option(f"dilation_{axis}", 1, side) if "dilation_h" in call.options else 1
        reach = (taps - 1) * dilation + 1
        result.append(-(-side // stride) if padding == 0 else (side - reach) // stride + 1)
    return tuple(result)


def _convolution(call: Call, depthwise: bool) -> list[Shape]:
    source, weight = call.input(0), call.input(1)
    bias = call.inputs[2] if len(call.inputs) > 2 else None
    types = source.type, weight.type, bias.type if bias else None, call.outputs[0].type
    if not any(types[:2] == t[:2] and types[2] in (t[2], None) and types[3] == t[3]
               for t in _CONVOLUTIONS):  # fmt: skip
        raise ValueError(f"it cannot take {types}")
    if len(source.shape) != 4 or len(weight.shape) != 4:
        raise ValueError("its input or weight is no image")
    axis = 3 if depthwise else 0
    channels = weight.shape[axis]
    _check_channels(call, source.shape[3], weight, depthwise)
    if bias is not None and bias.shape != (channels,):
        raise ValueError(f"its bias has shape {bias.shape}")
    _check_scales(source, weight, bias, call.outputs[0], axis)
    return [(*_convolved(call, weight.shape[1:3]), channels)]


def _check_channels(call: Call, read: int, weight: Operand, depthwise: bool) -> None:
    if depthwise:
        multiplier = call.option("depth_multiplier", 1, weight.shape[3])
        sound = weight.shape[0] == 1 and weight.shape[3] == read * multiplier
    else:
        groups = read // weight.shape[3]
        sound = read % weight.shape[3] == 0 and weight.shape[0] % max(1, groups) == 0
    if not sound:
        raise ValueError(f"its weight {weight.shape} does not fit {read} channels")


def _check_scales(
    source: Operand, weight: Operand, bias: Operand | None, made: Operand, axis: int
) -> None:
    if weight.type != "INT8":
        return
    channels = weight.shape[axis]
    if len(weight.scales) not in (1, channels):
        raise ValueError(f"{len(weight.scales)} scales for {channels} channels")
    if len(weight.scales) > 1 and weight.axis != axis:
        raise ValueError(f"its scales run along axis {weight.axis}")
    if source.type != "FLOAT32":
        _one_scale(source)
        _one_scale(made)


def _pool(call: Call) -> list[Shape]:
    _same_type(call)
    source = call.input(0)
    if len(source.shape) != 4:
        raise ValueError("its input is no image")
    height, width, channels = source.shape[1:]
    window = call.option("filter_h", 1, height + 2), call.option("filter_w", 1, width + 2)
    return [(*_convolved(call, window), channels)]


def _same(call: Call) -> list[Shape]:
    _same_type(call)
    return [call.input(0).shape]


def _leaky_relu(call: Call) -> list[Shape]:
    if not abs(call.options["alpha"]) <= 1:
        raise ValueError(f"alpha is {call.options['alpha']}")
    return _same(call)


def _add(call: Call) -> list[Shape]:
    other = call.input(1)
    _same_type(call, other)
    if len(other.scales):
        larger = max(float(call.input(0).scales[0]), float(other.scales[0]))
        if 2 * larger >= float(call.outputs[0].scales[0]) * (1 << _MAX_ADD_SHIFT):
            raise ValueError("its output's scale is too small")
    if call.input(0).shape != other.shape:
        raise ValueError(f"{call.input(0).shape} and {other.shape} cannot be added")
    return [other.shape]


def _mul(call: Call) -> list[Shape]:
    one, other = call.input(0), call.input(1)
    _same_type(call, other)
    larger, smaller = sorted((one.shape, other.shape), key=math.prod, reverse=True)
    if smaller not in (larger, (*(1 for _ in larger[:-1]), *larger[-1:])):
        raise ValueError(f"{one.shape} and {other.shape} cannot be multiplied")
    return [larger]


def _dequantize(call: Call) -> list[Shape]:
    if call.input(0).type not in _FLOATS or call.outputs[0].type != "FLOAT32":
        raise ValueError("only FLOAT16 becomes FLOAT32")
    return [call.input(0).shape]


def _axis(call: Call, axis: int, rank: int) -> int:
    if not -rank <= axis < rank:
        raise ValueError(f"no axis {axis}")
    return axis % rank


def _concatenation(call: Call) -> list[Shape]:
    parts = [call.input(i) for i in range(len(call.inputs))]
    _same_type(call, *parts)
    first = parts[0].shape
    axis = _axis(call, int(call.options["axis"]), len(first))
    if any(p.shape[:axis] != first[:axis] or p.shape[axis + 1 :] != first[axis + 1 :]
           or len(p.shape) != len(first) for p in parts):  # fmt: skip
        raise ValueError("its inputs do not fit each other")
    return [(*first[:axis], sum(p.shape[axis] for p in parts), *first[axis + 1 :])]


def _resize(call: Call) -> list[Shape]:
    _same_type(call)
    images, _, _, channels = _of_length(list(call.input(0).shape), 4)
    height, width = _of_length(call.input(1).indices, 2)
    if call.options["align_corners"] and call.options["half_pixel_centers"]:
        raise ValueError("it aligns corners and centres")
    if call.input(1).type != "INT32":
        raise ValueError("its size is not INT32")
    return [(images, height, width, channels)]


def _pad(call: Call) -> list[Shape]:
    _same_type(call)
    shape = call.input(0).shape
    pads = np.array(_of_length(call.input(1).indices, 2 * len(shape))).reshape(-1, 2)
    if call.input(1).shape != pads.shape or pads.min() < 0 or len(shape) > 4:
        raise ValueError(f"it pads by {pads.tolist()}")
    return [tuple(n + int(p.sum()) for n, p in zip(shape, pads))]


def _slice(call: Call) -> list[Shape]:
    _same_type(call)
    shape = call.input(0).shape
    begin = _of_length(call.input(1).indices, len(shape))
    size = _of_length(call.input(2).indices, len(shape))
    taken = [n - b if s == -1 else s for n, b, s in zip(shape, begin, size)]
    inside = all(b >= 0 and s > 0 and b + s <= n for n, b, s in zip(shape, begin, taken))
    if not inside or call.input(1).type != call.input(2).type:
        raise ValueError(f"it takes {size} from {begin} on of {shape}")
    return [tuple(taken)]


def _strided_slice(call: Call) -> list[Shape]:
    _same_type(call)
    shape, options = call.input(0).shape, call.options
    begin, end, strides = (_of_length(call.input(i).indices, len(shape)) for i in (1, 2, 3))
    plain = not any(options[f"{n}_mask"] for n in ("ellipsis", "new_axis", "shrink_axis"))
    if not plain or options["offset"] or min(strides) < 1 or len(shape) > 5:
        raise ValueError("this kit writes plain slices alone")
    if {call.input(i).type for i in (1, 2, 3)} != {"INT32"}:
        raise ValueError("its positions are not INT32")
    taken = []
    for i, (n, b, e, s) in enumerate(zip(shape, begin, end, strides)):
        first = None if options["begin_mask"] >> i & 1 else b
        last = None if options["end_mask"] >> i & 1 else e
        taken.append(len(range(*slice(first, last, s).indices(n))))
    return [tuple(taken)]


def _split(call: Call) -> list[Shape]:
    source = call.input(1)
    if {source.type} != {t.type for t in call.outputs} or call.input(0).type != "INT32":
        raise ValueError("it mixes types")
    (number,) = _of_length(call.input(0).indices, 1)
    axis, shape = _axis(call, number, len(source.shape)), source.shape
    count = call.option("num_splits", 1, shape[axis])
    if shape[axis] % count:
        raise ValueError(f"{shape[axis]} cannot be split in {count}")
    return [(*shape[:axis], shape[axis] // count, *shape[axis + 1 :])] * count


def _reshape(call: Call) -> list[Shape]:
    _same_type(call)
    wanted = list(call.options.get("new_shape", ()))
    if len(call.inputs) > 1:
        wanted = call.input(1).indices
        if call.input(1).type != "INT32" or len(call.input(1).shape) != 1:
            raise ValueError("its shape is no list of INT32")
    count = math.prod(call.input(0).shape)
    rest = math.prod(n for n in wanted if n != -1)
    if wanted.count(-1) > 1 or rest < 1 or min(wanted, default=-1) < -1 or count % rest:
        raise ValueError(f"{call.input(0).shape} cannot become {wanted}")
    shape = tuple(count // rest if n == -1 else int(n) for n in wanted)
    if math.prod(shape) != count:
        raise ValueError(f"{call.input(0).shape} cannot become {wanted}")
    return [shape]


def _transpose(call: Call) -> list[Shape]:
    _same_type(call)
    shape, order = call.input(0).shape, call.input(1).indices
    if sorted(order) != list(range(len(shape))) or call.input(1).type != "INT32" or len(shape) > 5:
        raise ValueError(f"{order} is no order of {len(shape)} axes")
    return [tuple(shape[i] for i in order)]


def _gather(call: Call) -> list[Shape]:
    _same_type(call)
    shape, indices = call.input(0).shape, call.input(1)
    axis = _axis(call, int(call.options["axis"]), len(shape))
    if call.options["batch_dims"] or not all(0 <= i < shape[axis] for i in indices.indices):
        raise ValueError("it gathers from outside")
    return [(*shape[:axis], *indices.shape, *shape[axis + 1 :])]


def _of_length(values: list[int], length: int) -> list[int]:
    if len(values) != length:
        raise ValueError(f"{len(values)} numbers where {length} are needed")
    return values


# The rule of each operator that a file of this kit may hold.
SHAPES: dict[str, Callable[[Call], list[Shape]]] = {
    "ADD": _add,
    "AVERAGE_POOL_2D": _pool,
    "CONCATENATION": _concatenation,
    "CONV_2D": lambda call: _convolution(call, depthwise=False),
    "DEPTHWISE_CONV_2D": lambda call: _convolution(call, depthwise=True),
    "DEQUANTIZE": _dequantize,
    "GATHER": _gather,
    "HARD_SWISH": _same,
    "LEAKY_RELU": _leaky_relu,
    "MAX_POOL_2D": _pool,
    "MUL": _mul,
    "PAD": _pad,
    "RELU": _same,
    "RELU6": _same,
    "RESHAPE": _reshape,
    "RESIZE_BILINEAR": _resize,
    "SLICE": _slice,
    "SPLIT": _split,
    "STRIDED_SLICE": _strided_slice,
    "TRANSPOSE": _transpose,
}
