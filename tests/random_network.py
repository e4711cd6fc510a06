"""Networks that nobody trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from convert.network import NanoDet
from runtime.spec import ModelSpec


def random_network(spec: ModelSpec, seed: int = 0) -> NanoDet:
    """The network of `spec` with random weights.

    Batch-norm statistics are taken from smooth noise, so that signals are about as large as
    in a trained network; logits are smaller, to keep float rounding far below the gates.
    """
    generator = torch.Generator().manual_seed(seed)
    network = NanoDet(spec)
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            fan_in = module.weight[0].numel()
            torch.nn.init.normal_(module.weight, 0.0, fan_in**-0.5, generator=generator)
            if module.bias is not None:
                torch.nn.init.normal_(module.bias, 0.0, 0.1, generator=generator)
        elif isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5, generator=generator)
            torch.nn.init.normal_(module.bias, 0.0, 0.2, generator=generator)
            module.momentum = 1.0
    size = spec.input.height, spec.input.width
    coarse = torch.randn(4, spec.input.channels, size[0] // 16, size[1] // 16, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, size, mode="bilinear")
    with torch.no_grad():
        for parameter in network.head.gfl_cls.parameters():
            parameter.mul_(0.1)
        network.train()(smooth + 0.2 * torch.randn(smooth.shape, generator=generator))
    return network.eval()


def export_as_upstream(
    network: torch.nn.Module, path: Path, spec: ModelSpec, **options: Any
) -> None:
    """An ONNX file as upstream's `tools/export_onnx.py` makes it."""
    size = spec.input
    torch.onnx.export(
        network, (torch.zeros(1, 3, size.height, size.width),), path, dynamo=False,
        keep_initializers_as_inputs=True, opset_version=11, input_names=["data"],
        output_names=[f"output{s}" for s in spec.architecture.strides], **options,
    )  # fmt: skip
