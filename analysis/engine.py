"""What a TFLite file takes on the kit's own engine, or why it does not run there."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from analysis import engine_cost
from analysis.cortex_m7 import Cost
from firmware.engine import WEIGHTS
from firmware.engine.file import plan_of
from firmware.engine.forms import weight_bytes_read
from firmware.engine.plan import Plan
from runtime.errors import KitError
from runtime.tflite_file import TfliteFile


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

    @property
    def sizes(self) -> tuple[int, int]:
        """Bytes of arena and flash."""
        return self.arena_bytes, self.flash_bytes


@lru_cache(maxsize=len(WEIGHTS))
def deploy(content: bytes, path: str, weights: str = WEIGHTS[0]) -> Deployed | str:
    """A file on the engine, or why it does not run there; `path` names the file in errors."""
    try:
        plan = plan_of(TfliteFile.parse(content, path), weights)
    except KitError as refusal:
        reason = str(refusal).removeprefix(f"{path}: ").removesuffix("; use --engine tflm")
        return f"not on this engine: {reason}"
    cost, flash_bytes = engine_cost.instructions(plan), engine_cost.flash_bytes(plan)
    return Deployed(plan, cost, flash_bytes, weight_bytes_read(plan))


def brief(found: Deployed) -> str:
    """A line of what a form of weights takes."""
    counted = found.cost.instructions
    text = "" if counted is None else f"{counted / 1e6:.2f} M instructions, "
    return f"{text}{found.arena_bytes:,} bytes of arena, {found.flash_bytes:,} of flash"


def every(content: bytes, path: str) -> dict[str, Deployed] | str:
    """By form of weights; else as `deploy`."""
    found = {weights: deploy(content, path, weights) for weights in WEIGHTS}
    refused = next((one for one in found.values() if isinstance(one, str)), None)
    return refused or {k: one for k, one in found.items() if isinstance(one, Deployed)}
