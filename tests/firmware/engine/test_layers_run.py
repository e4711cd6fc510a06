"""Layers of every kind in small networks, on every core, against plain loops in Python."""

from __future__ import annotations

import subprocess
import tempfile
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

from firmware.engine import WEIGHTS, proof
from firmware.engine.emit import emit
from firmware.engine.plan import make_plan
from tests.firmware.cases import Runner
from tests.firmware.conftest import HERE, SANITIZERS, compiled, sources, tool
from tests.firmware.engine.small import answer, small_network
from tests.firmware.engine.test_network import assert_same

_MAIN = str(HERE / "engine" / "network.c")
HOST = "host"
# Core, the emulator's machine, and where it has code and data.
CORES = {
    "cortex-m7": ("mps2-an500", 0, 0x20000000),
    "cortex-m4": ("mps2-an386", 0, 0x20000000),
    "cortex-m33": ("mps2-an505", 0x10000000, 0x38000000),
    "cortex-m3": ("mps2-an385", 0, 0x20000000),
}
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


@lru_cache
def library(core: str) -> tuple[str, list[str], list[str]]:
    """Compiler, its options for compiling and for linking, and the compiled library."""
    folder = Path(tempfile.mkdtemp())
    compiler = tool("gcc", "gcc")
    flags, link = ["-std=c99", "-pedantic", "-O1", "-g", *SANITIZERS], []
    if core != HOST:
        tool("qemu-system-arm", "qemu-system-arm")
        compiler = tool("arm-none-eabi-gcc", "gcc-arm-none-eabi libnewlib-arm-none-eabi")
        flags = [f"-mcpu={core}", "-mthumb", "-mfloat-abi=soft", "-std=gnu99", "-O2"]
        places = zip(("code_at", "data_at"), CORES[core][1:], strict=True)
        link = [f"-Wl,--defsym={name}=0x{at:X}" for name, at in places]
        link += ["-nostartfiles", "--specs=rdimon.specs", "-T", str(HERE / "m7" / "memory.ld")]
        link.append(str(HERE / "m7" / "startup.c"))
    library = compiled(compiler, folder / "library.o", *flags, *sources(), "-r", "-nostdlib")
    return compiler, flags, [str(library), *link]


@pytest.mark.parametrize("narrow", [False, True], ids=WEIGHTS)
@pytest.mark.parametrize(("size", "active", "reason", "core"), _CASES)
def test_answers(
    size: tuple[int, int, int], active: bool, reason: str, core: str, narrow: bool, tmp_path: Path
) -> None:
    network = small_network(*size, active)
    plan = make_plan(network, narrow)
    proof.check(plan)
    (tmp_path / "network.c").write_text(emit(plan))
    compiler, flags, kernels = library(core)
    program = tmp_path / "program"
    compiled(compiler, program, *flags, str(tmp_path / "network.c"), _MAIN, *kernels)
    image = np.random.default_rng(1).integers(-128, 128, (*size[:2], 3)).astype(np.int8)
    (tmp_path / "image").write_bytes(image.tobytes())
    found = answer(network, image)
    wanted = [found[source[0][0]] for source in network.layers[-1].sources]
    words = [str(tmp_path / "image"), str(tmp_path / "out")]
    words += [str(values.shape[2]) for values in wanted]
    runner = Runner(program, False) if core == HOST else Runner(program, True, CORES[core][0])
    command = runner.start(words)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{reason}: {done.stdout} {done.stderr[-2000:]}"
    assert_same((tmp_path / "out").read_bytes(), [wanted])
