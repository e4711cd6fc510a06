"""What numbers a quantized file holds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Scheme:
    """wide: activations are int16 with zero point 0 (and biases int64) rather than int8.
    per_channel: a scale for each output channel of a layer's weights rather than one for all.
    """

    name: str
    wide: bool = False
    per_channel: bool = True


INT8 = Scheme("int8")
SCHEMES = {
    scheme.name: scheme
    for scheme in (
        INT8,
        Scheme("int8-per-tensor", per_channel=False),
        Scheme("int16x8", wide=True),
    )
}
# By TensorFlow's converter, with float inputs and outputs.
FLOAT_FORMATS = ("float16", "dynamic")
QUANTIZATIONS = (*SCHEMES, *FLOAT_FORMATS)
