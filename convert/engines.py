"""Float engines for the stages before TFLite: PyTorch and ONNX Runtime."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from runtime.errors import KitError
from runtime.preprocess import float_input, upright
from runtime.spec import METADATA_NAME, ModelSpec


def input_tensor(
    canvas: np.ndarray, spec: ModelSpec, dtype: type[np.floating[Any]] = np.float32
) -> torch.Tensor:
    """Canvas -> (1, C, H, W) as the graph of `spec` takes it before quantization."""
    return torch.from_numpy(float_input(canvas, spec, dtype)).permute(0, 3, 1, 2)


class TorchEngine:
    """The network as trained, answering for the strides of `spec.graph`."""

    name = "torch"

    def __init__(self, network: torch.nn.Module, spec: ModelSpec) -> None:
        self.spec = spec
        self._network = network

    def infer(self, canvas: np.ndarray) -> dict[str, np.ndarray]:
        """Canvas -> float32 logits (h, w, C) by name, upright."""
        with torch.inference_mode():
            levels = self._network(input_tensor(canvas, self.spec))
        outputs = by_name(levels, self.spec)
        return {n: outputs[n][0].permute(1, 2, 0).numpy() for n in self.spec.output_names}


def by_name(levels: Sequence[torch.Tensor], spec: ModelSpec) -> dict[str, torch.Tensor]:
    """A network's levels (N, C, h, w) as a graph with all its strides and the classes of
    `spec.graph` would name them."""
    ids = list(spec.graph.class_ids) or slice(None)
    count = len(spec.class_names)
    outputs = {}
    for stride, level in zip(spec.architecture.strides, levels, strict=True):
        outputs[f"cls_{stride}"] = level[:, :count][:, ids]
        outputs[f"reg_{stride}"] = level[:, count:]
    return outputs


def onnx_session(model: Path | bytes) -> Any:
    """A model in ONNX Runtime on the CPU. Raises `KitError` for one that it refuses."""
    import onnxruntime

    try:
        return onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own exceptions share no base class
        name = model if isinstance(model, Path) else "the graph"
        raise KitError(f"{name}: ONNX Runtime refuses it ({error})") from None


class OnnxEngine:
    """An ONNX file of this kit in ONNX Runtime."""

    name = "onnx"

    def __init__(self, path: Path) -> None:
        self._session = onnx_session(path)
        text = self._session.get_modelmeta().custom_metadata_map.get(METADATA_NAME)
        if text is None:
            raise KitError(f"{path}: no NanoDet model spec inside; build it with recipe.sh")
        self.spec = ModelSpec.from_json(text, str(path))

    def infer(self, canvas: np.ndarray) -> dict[str, np.ndarray]:
        """Canvas -> float32 logits (h, w, C) by name, upright."""
        pixels = input_tensor(canvas, self.spec).numpy()
        names = list(self.spec.output_names)
        arrays = self._session.run(names, {self._session.get_inputs()[0].name: pixels})
        return {n: upright(a[0].transpose(1, 2, 0), self.spec) for n, a in zip(names, arrays)}
