"""What each target's files are built with, and which rewrites can be switched off."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

# Rewrites of `convert.lowering` and `quantize.deploy` that a file can do without. The others give
# it its form: one output per stride, logits, raw pixels.
SWITCHABLE = (
    "shuffle_by_slices",
    "narrow_neck",
    "pool_first",
    "halve_by_mean",
    "rotate_180",
    "stem_strips",
    "space_to_depth",
    "shuffle_by_convolutions",
    "convolution_by_slice",
)


@dataclass(frozen=True)
class Target:
    """all_strides: by default, rather than the coarsest alone. without: rewrites that do not pay
    there. quantization: by default, of `quantize.scheme`."""

    all_strides: bool
    without: frozenset[str]
    quantization: str = "int8"


_FOR_NPUS = {"space_to_depth", "shuffle_by_convolutions", "convolution_by_slice"}
TARGETS = {
    "mcu": Target(all_strides=False, without=frozenset(_FOR_NPUS)),
    "linux": Target(all_strides=True, without=frozenset({*_FOR_NPUS, "stem_strips"})),
    "ethos-u65": Target(
        all_strides=True, without=frozenset({"shuffle_by_convolutions", "stem_strips"})
    ),
    # What stays a shuffle becomes convolutions there: no copy, where slices make one each.
    "imx8mp-npu": Target(
        all_strides=True,
        without=frozenset(
            {"shuffle_by_slices", "space_to_depth", "stem_strips", "convolution_by_slice"}
        ),
        quantization="int8-per-tensor",
    ),
}


def left_out(target: str, disabled: Collection[str]) -> frozenset[str]:
    """The rewrites that a build for `target` does without."""
    return TARGETS[target].without | frozenset(disabled)
