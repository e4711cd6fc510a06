"""Which layers the C library's kernels take, and what they read from flash."""

from __future__ import annotations

from firmware.engine.layers import Layer, Network, Value
from firmware.engine.pack import depthwise_words
from firmware.engine.plan import Plan
from firmware.engine.rows import INPUT
from runtime.errors import KitError

_MOST_VIEWS, _MOST_INPUTS = 64, 65532  # Of a convolution: as `nanodet/network.h` has them.
_MOST_ROWS = 255  # Of a mean.


def check_forms(network: Network, path: str) -> None:
    """Raises `KitError` for the first layer that no kernel takes, naming it."""
    for layer in network.layers:
        source = network.values[layer.sources[0][0][0]]
        if not _has_kernel(layer, source, network.values[layer.value]):
            raise KitError(
                f"{path}: {layer.name}: the engine has no kernel for its window of "
                f"{layer.kernel}x{layer.kernel}, stride {layer.stride}; use --engine tflm"
            )


def _has_kernel(layer: Layer, source: Value, target: Value) -> bool:
    window = layer.kernel, layer.stride, layer.above, layer.left
    if layer.kind == "stem":
        return window == (3, 2, 0, 0)
    if layer.kind == "conv":
        views = layer.kernel * len({value for value, _ in layer.sources[0]})
        return views <= _MOST_VIEWS and layer.weight[0].size <= _MOST_INPUTS  # type: ignore[index]
    if layer.kind == "depthwise":
        return layer.kernel in (3, 4, 5) and layer.stride in (1, 2)
    if layer.kind == "max":
        return window == (3, 2, 0, 0) and 2 * (target.height - 1) < source.height
    if layer.kind == "average":
        inside = target.height * layer.kernel <= source.height
        return layer.kernel in (2, 4) and window == (layer.kernel, layer.kernel, 0, 0) and inside
    if layer.kind == "mean":
        return source.height <= _MOST_ROWS
    if layer.kind == "resize":
        return (target.height, target.width) == (2 * source.height, 2 * source.width)
    return window == (1, 1, 0, 0)


def weight_bytes_read(plan: Plan) -> int:
    """Bytes of packed weights that a frame reads from flash, where the D-cache keeps none from one
    row to the next."""
    layers = plan.network.layers
    return sum(_step_bytes(plan, layers[n]) for n, _ in plan.schedule.steps if n != INPUT)


def _step_bytes(plan: Plan, layer: Layer) -> int:
    if layer.weight is None:
        return 0
    if layer.kind == "depthwise":
        return 4 * layer.weight.shape[2] * depthwise_words(layer.kernel, layer.stride)
    form, width = plan.convolution(layer), plan.network.values[layer.value].width
    once = form.how.block >= form.outputs and not form.narrow
    return 4 * (1 if once else form.how.parts(width)) * form.words
