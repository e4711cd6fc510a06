"""Which kernel of TensorFlow Lite Micro runs an operator on a Cortex-M."""

from __future__ import annotations

from analysis.diagnosis import Placement
from analysis.rules import custom
from runtime.operators import facts_of
from runtime.tflite_graph import Operator

LIBRARY = "tflite-micro of August 2026"
ABSENT = "not in TFLite Micro"
_CMSIS = {"INT8": ("cmsis", "cmsis-int8"), "INT16": ("cmsis",)}  # By type of the output.
_CMSIS_RANK = 4


def place(op: Operator, own: bool) -> Placement:
    """The kernel of an operator; `own` files get `nanodet firmware`'s, too."""
    kernel = facts_of(op.name).micro
    if op.custom is not None and not kernel:
        return custom.placed(op, custom.NOTHING, custom.meaning(op))
    if not kernel:
        return custom.placed(op, ABSENT)
    if kernel in _CMSIS.get(op.output.dtype if op.output else "", ()):
        return custom.placed(op, "CMSIS-NN", "more than 4 dimensions: wrong values" * is_wide(op))
    table = own and op.name == "LEAKY_RELU"
    return custom.placed(op, "reference C", "a table in nanodet firmware" * table)


def is_wide(op: Operator) -> bool:
    """Is it a transpose of more dimensions than CMSIS-NN's kernel takes?"""
    return op.name == "TRANSPOSE" and op.rank > _CMSIS_RANK
