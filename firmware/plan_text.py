"""A plan for people."""

from __future__ import annotations

from firmware.engine.plan import Plan


def describe_plan(plan: Plan) -> str:
    """Groups of layers in their order, buffers, and the arena."""
    lines = []
    for number, group in enumerate(plan.groups):
        names = ", ".join(plan.network.layers[n].name for n in group)
        lines.append(f"group {number}, row by row: {names}")
    lines += [
        f"buffer {b.name}: {b.bytes:,} bytes at {b.offset:,}, {b.rows} rows of {b.row_bytes:,}"
        for b in plan.storage.buffers
    ]
    return "\n".join([*lines, f"arena: {plan.storage.arena_bytes:,} bytes"])
