"""TensorFlow Lite Micro's names for the operators that a file of this kit may hold."""

from __future__ import annotations

from collections.abc import Iterable

from runtime.errors import KitError

# Operator: registration, parser.
_KNOWN = {
    "ADD": ("tflite::Register_ADD", "ParseAdd"),
    "AVERAGE_POOL_2D": ("tflite::Register_AVERAGE_POOL_2D", "ParsePool"),
    "CONCATENATION": ("tflite::Register_CONCATENATION", "ParseConcatenation"),
    "CONV_2D": ("tflite::Register_CONV_2D", "ParseConv2D"),
    "DEPTHWISE_CONV_2D": ("tflite::Register_DEPTHWISE_CONV_2D", "ParseDepthwiseConv2D"),
    "LEAKY_RELU": ("nanodet::RegisterLeakyRelu", "ParseLeakyRelu"),
    "MAX_POOL_2D": ("tflite::Register_MAX_POOL_2D", "ParsePool"),
    "PAD": ("tflite::Register_PAD", "ParsePad"),
    "RELU": ("tflite::Register_RELU", "ParseRelu"),
    "RELU6": ("tflite::Register_RELU6", "ParseRelu6"),
    "RESHAPE": ("tflite::Register_RESHAPE", "ParseReshape"),
    "RESIZE_BILINEAR": ("tflite::Register_RESIZE_BILINEAR", "ParseResizeBilinear"),
    "SLICE": ("tflite::Register_SLICE", "ParseSlice"),
    "SPLIT": ("tflite::Register_SPLIT", "ParseSplit"),
    "TRANSPOSE": ("tflite::Register_TRANSPOSE", "ParseTranspose"),
}


def registrations(names: Iterable[str], path: str) -> list[tuple[str, str, str]]:
    """(operator, registration, parser) of each, sorted. Raises `KitError` for a foreign one."""
    wanted = sorted(set(names))
    unknown = [name for name in wanted if name not in _KNOWN]
    if unknown:
        raise KitError(f"{path}: operator {unknown[0]} is not known to the firmware")
    return [(name, *_KNOWN[name]) for name in wanted]
