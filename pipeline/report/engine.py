"""A frame on the kit's own engine: memory in use, step by step."""

from __future__ import annotations

from collections import Counter

import numpy as np

from analysis.engine import deploy
from firmware.engine.rows import INPUT
from firmware.engine.show import bytes_in_use
from pipeline.report.contract import EngineRun, Missing


def engine_run(content: bytes, path: str) -> EngineRun | Missing:
    """Of a file; path names it in errors."""
    found = deploy(content, path)
    if isinstance(found, str):
        return Missing(f"{found[0].upper()}{found[1:]}.")
    steps = Counter(layer for layer, _ in found.plan.schedule.steps)
    spent = [
        0.0 if layer == INPUT else (found.cost.by_node[layer] or 0.0) / steps[layer]
        for layer, _ in found.plan.schedule.steps
    ]
    used = bytes_in_use(found.plan)
    return EngineRun(tuple(np.cumsum(spent).tolist()), tuple(used.tolist()), found.arena_bytes)
