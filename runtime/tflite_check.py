"""Does what a `.tflite` file says hold together? Asked before an interpreter gets it.

Interpreters check little of what they are given: a tensor larger than its buffer, a stride of 0, or
an operator of another type kills the process, or worse. A sound file of this kit has known
operators on known types, and every shape follows from the shapes before it.
"""

from __future__ import annotations

from collections.abc import Sequence

from .operators import BY_NUMBER
from .tflite_operand import Call, Operand
from .tflite_rules import SHAPES
from .tflite_schema import Table

_CUSTOM = 32


def check_indices(model: Table) -> None:
    """Do the numbers of tensors, buffers and operator codes lead to some?

    Raises `ValueError`.
    """
    if len(model["subgraphs"]) != 1:
        raise ValueError(f"{len(model['subgraphs'])} graphs instead of one")
    (graph,) = model["subgraphs"]
    tensors, buffers = len(graph["tensors"]), len(model["buffers"])
    wanted = [*graph["inputs"], *graph["outputs"]]
    for op in graph["operators"]:
        wanted += [*(i for i in op["inputs"] if i != -1), *op["outputs"]]
        _index(op["opcode_index"], len(model["operator_codes"]), "operator code")
    for signature in model["signature_defs"]:
        wanted += [m["tensor_index"] for m in (*signature["inputs"], *signature["outputs"])]
        _index(signature["subgraph_index"], 1, "graph")
    for i in wanted:
        _index(i, tensors, "tensor")
    for holder in (*graph["tensors"], *model["metadata"]):
        _index(holder["buffer"], buffers, "buffer")


def _index(value: int, count: int, what: str) -> None:
    if not 0 <= value < count:
        raise ValueError(f"there is no {what} {value}")


def check_graph(model: Table) -> None:
    """Is every tensor and operator of the file sound? Raises `ValueError` naming one that is not.

    Custom operators, such as a compiler for an NPU leaves, are taken at their word.
    """
    check_indices(model)
    (graph,) = model["subgraphs"]
    tensors = [Operand(table, model["buffers"]) for table in graph["tensors"]]
    known = {i for i, tensor in enumerate(tensors) if tensor.constant is not None}
    if known & {*graph["inputs"]}:
        raise ValueError("an input has a value already")
    known |= {*graph["inputs"]}
    for position, op in enumerate(graph["operators"]):
        code = model["operator_codes"][op["opcode_index"]]
        number = max(code["builtin_code"], code["deprecated_builtin_code"])
        name = BY_NUMBER[number].name if number in BY_NUMBER else f"number {number}"
        try:
            if number != _CUSTOM:
                _check_inputs(op, known)
                _check_operator(op, number, tensors)
            _add_outputs(op, known)
        except ValueError as error:
            raise ValueError(f"operator {position}, {name}: {error}") from None
    if not known >= {*graph["outputs"]}:
        raise ValueError("nothing computes an output")


def _check_inputs(op: Table, known: set[int]) -> None:
    if not known >= {i for i in op["inputs"] if i >= 0}:
        raise ValueError("nothing computed its input")


def _add_outputs(op: Table, known: set[int]) -> None:
    for output in op["outputs"]:
        if output in known:
            raise ValueError("its output is taken")
        known.add(output)


def _check_operator(op: Table, number: int, tensors: Sequence[Operand]) -> None:
    if number not in BY_NUMBER:
        raise ValueError("no file of this kit holds it")
    facts, call = BY_NUMBER[number], Call(op, tensors)
    options = int(facts.options)
    if options and (op["builtin_options_type"] != options or not call.options):
        raise ValueError("its options are another operator's")
    if not call.outputs:
        raise ValueError("it has no outputs")
    if not facts.takes_inputs(len(call.inputs)):
        raise ValueError(f"{len(call.inputs)} inputs")
    if call.options.get("fused", 0) not in (0, 1, 3):  # None, RELU, RELU6.
        raise ValueError("an activation that this kit does not know")
    expected = SHAPES[facts.name](call)
    found = [tensor.shape for tensor in call.outputs]
    if found != expected:
        raise ValueError(f"its outputs are {found}, its inputs say {expected}")
