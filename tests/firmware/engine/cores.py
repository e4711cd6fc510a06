"""Programs of an emitted network and the engine's library, for this machine and emulated cores."""

from __future__ import annotations

import tempfile
from functools import lru_cache
from pathlib import Path

from tests.firmware.cases import Runner
from tests.firmware.conftest import HERE, SANITIZERS, compiled, sources, tool

_MAIN = str(HERE / "engine" / "network.c")
HOST = "host"
# Core, the emulator's machine, and where it has code and data.
CORES = {
    "cortex-m7": ("mps2-an500", 0, 0x20000000),
    "cortex-m4": ("mps2-an386", 0, 0x20000000),
    "cortex-m33": ("mps2-an505", 0x10000000, 0x38000000),
    "cortex-m3": ("mps2-an385", 0, 0x20000000),
}


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


def program(core: str, network: Path) -> Runner:
    """The program of tests/firmware/engine/network.c, beside the emitted `network`."""
    compiler, flags, kernels = library(core)
    files = str(network), _MAIN, *kernels
    made = compiled(compiler, network.with_name("program"), *flags, *files)
    return Runner(made, False) if core == HOST else Runner(made, True, CORES[core][0])
