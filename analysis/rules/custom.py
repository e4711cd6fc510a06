"""Custom operators: what they are, and which of a target's interpreters know them.

Whatever none knows is an error: the interpreter stops before the first inference.
"""

from __future__ import annotations

from collections.abc import Iterable

from analysis.diagnosis import Finding, Placement, Subject, positions
from runtime.operators import facts_of
from runtime.tflite_graph import Operator

NOTHING = "nothing on this target"
_FLEX = "Flex"  # Begins the names of TensorFlow's own operators.


def placed_on_cpu(op: Operator, reason: str, kind: str = "linux") -> Placement:
    """Of an operator that the NPU of a board of this kind does not take, for that reason. Its
    interpreter may not have every custom one."""
    facts = facts_of(op.name)
    if op.custom is None or (facts.linux if kind == "linux" else facts.micro):
        return placed(op, "CPU", reason)
    return placed(op, NOTHING, meaning(op))


def placed(op: Operator, where: str, reason: str = "") -> Placement:
    """An operator's placement."""
    return Placement(op.position, op.name, op.output.name if op.output else "", where, reason)


def finding(subject: Subject, placements: Iterable[Placement]) -> Finding | None:
    """The error for custom operators that nothing runs."""
    left = {placement.position for placement in placements if placement.where == NOTHING}
    found = [op for op in subject.graph.operators if op.position in left]
    if not found:
        return None
    kinds = "; ".join(sorted({f"{op.name}: {meaning(op)}" for op in found}))
    compiled = any(facts_of(op.name).compiled_for for op in found)
    why = "No interpreter there has a kernel for them: it stops when it loads the file."
    cure = "convert it without custom operators, or build it with recipe.sh"
    if compiled:
        why += " A compiler put its own commands in the place of the network's operators."
        cure = "give the file that it was before the compiler, or build it with recipe.sh"
    return Finding(
        "compiled" if compiled else "custom",
        "error",
        f"custom operators that nothing on this target runs: {len(found)}, {kinds}",
        why,
        cure,
        "the interpreters' lists of custom operators",
        positions(found),
    )


def meaning(op: Operator) -> str:
    """What a custom operator is that no interpreter knows."""
    compiler = facts_of(op.name).compiled_for
    if compiler:
        return f"compiled for another board: {compiler}"
    if (op.custom or "").startswith(_FLEX):
        return "TensorFlow's own, for its Flex delegate, which no board has"
    return "a kernel that the file's maker must bring"
