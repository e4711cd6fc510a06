"""A frame on the kit's own engine: memory in use, step by step."""

from __future__ import annotations

from collections import Counter

import numpy as np

from analysis.engine import Deployed, deploy
from firmware.engine.rows import INPUT
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
    return EngineRun(
        tuple(np.cumsum(spent).tolist()), tuple(used_bytes(found).tolist()), found.arena_bytes
    )


def used_bytes(found: Deployed) -> np.ndarray:
    """Bytes that are needed while each step runs: rows in the arena that are read later, and what
    kernels need for themselves."""
    schedule, storage = found.plan.schedule, found.plan.storage
    change = np.zeros(2 * len(schedule.steps) + 2, np.int64)
    for value, about in enumerate(found.plan.network.values):
        birth, death = schedule.birth[value][:, None], schedule.death[value]
        np.add.at(change, np.broadcast_to(birth, death.shape), about.width)
        np.add.at(change, np.maximum(death, birth) + 1, -about.width)
    scratch = storage.buffers[-1].bytes
    return np.maximum.reduceat(change.cumsum(), np.arange(0, len(change) - 2, 2)) + scratch
