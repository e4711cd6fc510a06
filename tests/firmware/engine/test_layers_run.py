"""Layers of every kind in small networks, on every core, against plain loops in Python."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from firmware.engine import WEIGHTS, proof
from firmware.engine.emit import emit
from firmware.engine.plan import make_plan
from tests.firmware.engine.cores import CORES, HOST, program
from tests.firmware.engine.small import answer, small_network
from tests.firmware.engine.test_network import assert_same

_NETWORKS = [
    ((16, 16, 4), True, "the smallest maps"),
    ((20, 12, 5), False, "odd maps, and channels that are no whole word"),
    ((40, 44, 24), True, "whole words"),
    ((12, 20, 7), True, "maps of 3 and 5"),
    ((32, 24, 52), False, "turns of two pixels"),
    ((16, 88, 96), True, "weights in blocks"),
]
_CASES = [
    pytest.param(*network, core, id=f"{core} {network[2]}")
    for core in (HOST, *CORES)
    for network in (_NETWORKS if core in (HOST, "cortex-m7") else _NETWORKS[1::4])
]


@pytest.mark.parametrize("narrow", [False, True], ids=WEIGHTS)
@pytest.mark.parametrize(("size", "active", "reason", "core"), _CASES)
def test_answers(
    size: tuple[int, int, int], active: bool, reason: str, core: str, narrow: bool, tmp_path: Path
) -> None:
    network = small_network(*size, active)
    plan = make_plan(network, narrow)
    proof.check(plan)
    (tmp_path / "network.c").write_text(emit(plan))
    image = np.random.default_rng(1).integers(-128, 128, (*size[:2], 3)).astype(np.int8)
    (tmp_path / "image").write_bytes(image.tobytes())
    found = answer(network, image)
    wanted = [found[source[0][0]] for source in network.layers[-1].sources]
    words = [str(tmp_path / "image"), str(tmp_path / "out")]
    words += [str(values.shape[2]) for values in wanted]
    command = program(core, tmp_path / "network.c").start(words)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{reason}: {done.stdout} {done.stderr[-2000:]}"
    assert_same((tmp_path / "out").read_bytes(), [wanted])
