"""What a TFLite file takes on the kit's own engine, or why it does not run there."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from analysis import engine_cost
from analysis.cortex_m7 import Cost
from firmware.engine.layers import read_layers
from firmware.engine.plan import Plan, make_plan
from runtime.errors import KitError
from runtime.tflite_file import TfliteFile
from runtime.tflite_graph import Graph


@dataclass(frozen=True)
class Deployed:
    """A file on the engine. flash_bytes: weights, tables, plan and code. read_bytes: of weights,
    from flash in an inference."""

    plan: Plan
    cost: Cost
    flash_bytes: int
    read_bytes: int

    @property
    def arena_bytes(self) -> int:
        """All that is written: activations, rows in flight, scratch memory."""
        return self.plan.storage.arena_bytes


def plan_of(file: TfliteFile) -> Plan:
    """Raises `KitError` for a file that the engine does not take, naming the operator."""
    if file.input.dtype != "INT8":
        raise KitError(f"{file.path}: the engine takes int8 files; use --engine tflm")
    graph = Graph.parse(file.content, file.path)
    tensors = {tensor.name: tensor.index for tensor in graph.outputs}
    strides = file.spec.graph.strides
    pairs = [(tensors[f"cls_{stride}"], tensors[f"reg_{stride}"]) for stride in strides]
    return make_plan(read_layers(graph, pairs, file.path))


@lru_cache(maxsize=1)
def deploy(content: bytes, path: str) -> Deployed | str:
    """A file on the engine, or why it does not run there; `path` names the file in errors."""
    try:
        plan = plan_of(TfliteFile.parse(content, path))
    except KitError as refusal:
        reason = str(refusal).removeprefix(f"{path}: ").removesuffix("; use --engine tflm")
        return f"not on this engine: {reason}"
    cost, flash_bytes = engine_cost.instructions(plan), engine_cost.flash_bytes(plan)
    return Deployed(plan, cost, flash_bytes, engine_cost.read_bytes(plan))
