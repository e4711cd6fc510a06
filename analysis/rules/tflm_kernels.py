"""Which kernel of TensorFlow Lite Micro runs an operator on a Cortex-M.

As in tflite-micro of August 2026, `micro_mutable_op_resolver.h` and `kernels/cmsis_nn/`. NXP's
libraries may be older.
"""

from __future__ import annotations

from analysis.diagnosis import Placement
from analysis.graph import Operator
from analysis.rules import custom

LIBRARY = "tflite-micro of August 2026"
ABSENT = "not in TFLite Micro"
_CMSIS_INT8 = frozenset(
    "ADD AVERAGE_POOL_2D BATCH_MATMUL CONV_2D DEPTHWISE_CONV_2D FULLY_CONNECTED MAXIMUM "
    "MAX_POOL_2D MINIMUM MUL PAD PADV2 SOFTMAX SVDF TRANSPOSE TRANSPOSE_CONV "
    "UNIDIRECTIONAL_SEQUENCE_LSTM".split()
)
_CMSIS_INT16 = _CMSIS_INT8 - {"MAXIMUM", "MINIMUM", "PAD", "PADV2", "SVDF", "TRANSPOSE"}
_REFERENCE = frozenset(
    "ABS ADD_N ARG_MAX ARG_MIN ASSIGN_VARIABLE BATCH_TO_SPACE_ND BROADCAST_ARGS BROADCAST_TO "
    "CALL_ONCE CAST CEIL CONCATENATION COS CUMSUM DEPTH_TO_SPACE DEQUANTIZE DIV "
    "DYNAMIC_UPDATE_SLICE ELU EMBEDDING_LOOKUP EQUAL EXP EXPAND_DIMS FILL FLOOR FLOOR_DIV "
    "FLOOR_MOD GATHER GATHER_ND GREATER GREATER_EQUAL HARD_SWISH IF L2_NORMALIZATION L2_POOL_2D "
    "LEAKY_RELU LESS LESS_EQUAL LOG LOGICAL_AND LOGICAL_NOT LOGICAL_OR LOGISTIC LOG_SOFTMAX MEAN "
    "MIRROR_PAD NEG NOT_EQUAL PACK PRELU QUANTIZE READ_VARIABLE REDUCE_ALL REDUCE_MAX REDUCE_MIN "
    "RELU RELU6 RESHAPE RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR REVERSE_V2 ROUND RSQRT SELECT_V2 "
    "SHAPE SIN SLICE SPACE_TO_BATCH_ND SPACE_TO_DEPTH SPLIT SPLIT_V SQRT SQUARE "
    "SQUARED_DIFFERENCE SQUEEZE STRIDED_SLICE SUB SUM TANH UNPACK VAR_HANDLE WHILE "
    "ZEROS_LIKE".split()
)
_CMSIS_RANK = 4


def place(op: Operator, own: bool) -> Placement:
    """The kernel of an operator; `own` files get `nanodet firmware`'s, too."""
    if op.custom is not None:
        return custom.placement_on_micro(op)
    output = op.output
    dtype = output.dtype if output else ""
    kernels = {"INT8": _CMSIS_INT8, "INT16": _CMSIS_INT16}.get(dtype, frozenset())
    where, reason = ABSENT, ""
    if op.name in kernels:
        where = "CMSIS-NN"
        reason = "more than 4 dimensions: wrong values" if is_wide(op) else ""
    elif op.name in _REFERENCE | _CMSIS_INT8:
        where = "reference C"
        reason = "a table in nanodet firmware" if own and op.name == "LEAKY_RELU" else ""
    return Placement(op.position, op.name, output.name if output else "", where, reason)


def is_wide(op: Operator) -> bool:
    """Is it a transpose of more dimensions than CMSIS-NN's kernel takes?"""
    return op.name == "TRANSPOSE" and op.rank > _CMSIS_RANK
