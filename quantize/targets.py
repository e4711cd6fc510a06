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
)


@dataclass(frozen=True)
class Target:
    """all_strides: by default, rather than the coarsest alone. without: rewrites that do not pay
    there."""

    all_strides: bool
    without: frozenset[str]


TARGETS = {
    "mcu": Target(all_strides=False, without=frozenset({"space_to_depth"})),
    "linux": Target(all_strides=True, without=frozenset({"space_to_depth", "stem_strips"})),
    "ethos-u65": Target(all_strides=True, without=frozenset({"stem_strips"})),
}


def left_out(target: str, disabled: Collection[str]) -> frozenset[str]:
    """The rewrites that a build for `target` does without."""
    return TARGETS[target].without | frozenset(disabled)
