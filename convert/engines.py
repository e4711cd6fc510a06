"""Float engines for the stages before TFLite: PyTorch and ONNX Runtime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from runtime.errors import KitError
from runtime.preprocess import float_input, upright
from runtime.spec import METADATA_NAME, ModelSpec, select_class_channels


class TorchEngine:
    """The network as trained, answering for the strides of `spec.graph`."""

    name = "torch"

    def __init__(self, network: torch.nn.Module, spec: ModelSpec) -> None:
        self.spec = spec
        self._network = network

    def infer(self, canvas: np.ndarray) -> dict[str, np.ndarray]:
        """Canvas -> float32 logits (h, w, C) by name, upright."""
        pixels = torch.from_numpy(float_input(canvas, self.spec)).permute(0, 3, 1, 2)
        with torch.inference_mode():
            levels = self._network(pixels)
        classes = len(self.spec.class_names)
        outputs = {}
        for stride, level in zip(self.spec.architecture.strides, levels):
            grid = level[0].permute(1, 2, 0).numpy()
            outputs[f"cls_{stride}"], outputs[f"reg_{stride}"] = np.split(grid, [classes], axis=2)
        chosen = select_class_channels(outputs, self.spec)
        return {name: chosen[name] for name in self.spec.output_names}


class OnnxEngine:
    """An ONNX file of this kit in ONNX Runtime."""

    name = "onnx"

    def __init__(self, path: Path) -> None:
        import onnxruntime

        try:
            self._session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's own exceptions share no base class
            raise KitError(f"{path}: ONNX Runtime refuses it ({error})") from None
        text = self._session.get_modelmeta().custom_metadata_map.get(METADATA_NAME)
        if text is None:
            raise KitError(f"{path}: no NanoDet model spec inside; build it with recipe.sh")
        self.spec = ModelSpec.from_json(text, str(path))

    def infer(self, canvas: np.ndarray) -> dict[str, np.ndarray]:
        """Canvas -> float32 logits (h, w, C) by name, upright."""
        pixels = float_input(canvas, self.spec).transpose(0, 3, 1, 2)
        names = list(self.spec.output_names)
        arrays = self._session.run(names, {self._session.get_inputs()[0].name: pixels})
        return {n: upright(a[0].transpose(1, 2, 0), self.spec) for n, a in zip(names, arrays)}
