"""The weights in an ONNX file that upstream's `tools/export_onnx.py` made.

The exporter folds each batch norm into the convolution before it, whose weights lose their names.
Since PyTorch 1.13 the convolution's own name tells its place in the network; before, nothing does.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch

from runtime.errors import KitError

_MOST_BYTES = 1 << 30
_WEIGHT = ".weight"
# Name of a convolution -> that of the batch norm behind it; of a number, the next one.
_NORMS = {"conv": "bn", "depthwise": "dwnorm", "pointwise": "pwnorm"}
_VARIANCE = 1 - 1e-5  # With which a batch norm divides by 1.
_SOURCE = "give the checkpoint that it was made from"


def read_state(path: Path) -> dict[str, torch.Tensor]:
    """Weights by upstream's names; batch norms that were folded only add their bias.

    Raises `KitError` for a file that is damaged, no network of convolutions, or without names.
    """
    graph = _graph(path)
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    state: dict[str, torch.Tensor] = {}
    for node in graph.node:
        if node.op_type not in ("Conv", "BatchNormalization"):
            continue
        names = list(node.input)[1:]
        weight, *others = (_values(tensors.get(name), node, path) for name in names or [""])
        if names[0].endswith(_WEIGHT):
            state |= dict(zip(names, (weight, *others), strict=True))
            continue
        place = _place(node.name)
        if not place or len(others) != 1:
            raise KitError(
                f"{path}: this ONNX file does not name the weights of `{node.name:.40}`; {_SOURCE}"
            )
        state |= {place + _WEIGHT: weight, **_norm(place, others[0])}
    if not state:
        raise KitError(f"{path}: this is an ONNX file without convolutions; {_SOURCE}")
    return state


def _place(name: str) -> str:
    """`/backbone/conv1/conv1.0/Conv` -> `backbone.conv1.0`; "" for any other name."""
    found: list[str] = []
    before = ""
    *parts, kind = name.removeprefix("/").split("/")
    for part in parts:
        found.append(part.removeprefix(f"{before}.") if before else part)
        before = part
    return ".".join(found) if re.fullmatch(r"Conv(_\d+)?", kind) else ""


def _norm(place: str, bias: torch.Tensor) -> dict[str, torch.Tensor]:
    """The batch norm behind a convolution, as it is where an exporter folded it."""
    parent, _, last = place.rpartition(".")
    number = last.isascii() and last.isdigit() and len(last) < 4
    name = str(int(last) + 1) if number else _NORMS.get(last, f"{last}_bn")
    ones, zeros = torch.ones_like(bias), torch.zeros_like(bias)
    values = {
        "weight": ones, "bias": bias, "running_mean": zeros, "running_var": _VARIANCE * ones
    }  # fmt: skip
    return {f"{parent}.{name}.{key}": value for key, value in values.items()}


def _graph(path: Path) -> Any:
    import onnx

    if path.stat().st_size > _MOST_BYTES:
        raise KitError(f"{path}: larger than any NanoDet; check the name")
    try:
        # What lies in other files is not fetched.
        return onnx.load(path, load_external_data=False).graph
    except Exception:  # Damaged bytes lead protobuf anywhere.
        raise KitError(f"{path}: no ONNX file, or a damaged one; export it again") from None


def _values(tensor: Any, node: Any, path: Path) -> torch.Tensor:
    """An initializer's, as float32."""
    from onnx import TensorProto, numpy_helper

    if tensor is None or tensor.data_type != TensorProto.FLOAT:
        raise KitError(f"{path}: the ONNX file holds no float32 weights of `{node.name:.40}`; "
                       f"{_SOURCE}")  # fmt: skip
    if tensor.data_location == TensorProto.EXTERNAL:
        raise KitError(f"{path}: the ONNX file keeps its weights in others; export it into one")
    try:
        return torch.from_numpy(numpy_helper.to_array(tensor).copy())
    except Exception as error:  # Sizes that contradict the content.
        raise KitError(f"{path}: damaged, `{tensor.name:.40}` ({error})") from None
