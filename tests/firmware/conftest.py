"""The C library, built for this machine with sanitizers, and for the emulated Cortex-M7."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from PIL import Image

from firmware.engine.file import plan_of
from firmware.engine.plan import Plan
from runtime.tflite_file import TfliteFile
from tests.conftest import ROOT, Build, photo
from tests.firmware.cases import Runner

LIBRARIES = ROOT / "firmware" / "nanodet", ROOT / "firmware" / "engine"
HERE = ROOT / "tests" / "firmware"
INCLUDES = [f"-I{library / part}" for library in LIBRARIES for part in ("include", "src")]
STRICT = ["-Wall", "-Wextra", "-Werror"]
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
M7 = "-mcpu=cortex-m7 -mthumb -mfpu=fpv5-d16 -mfloat-abi=hard".split()


def sources() -> list[str]:
    """The libraries' files in C and assembly."""
    return sorted(str(p) for library in LIBRARIES for p in (library / "src").glob("*.[cS]"))


def tool(name: str, package: str) -> str:
    """Path of a program; skips the test where it is missing."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed (apt install {package})")
    return found


def compiled(compiler: str, program: Path, *options: str) -> Path:
    """Build with all warnings as errors."""
    command = [compiler, *STRICT, *INCLUDES, *options, "-o", str(program)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return program


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A photograph's file."""
    path = tmp_path_factory.mktemp("image") / "photo.png"
    Image.fromarray(photo(3, 200, 150)).save(path)
    return path


@pytest.fixture(scope="module")
def plan(build: Build) -> Plan:
    """Of the default build."""
    return plan_of(TfliteFile.read(build.tflite))


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory) -> Runner:
    """On this machine; undefined behaviour and reads beyond a buffer end the run."""
    program = tmp_path_factory.mktemp("host") / "runner"
    files = [*sources(), str(HERE / "runner" / "runner.c"), str(HERE / "runner" / "host.c")]
    flags = ["-std=c99", "-pedantic", "-O1", "-g", *SANITIZERS]
    return Runner(compiled(tool("gcc", "gcc"), program, *flags, *files), emulated=False)


@pytest.fixture(scope="session")
def m7(tmp_path_factory: pytest.TempPathFactory) -> Runner:
    """On QEMU's Cortex-M7."""
    tool("qemu-system-arm", "qemu-system-arm")
    compiler = tool("arm-none-eabi-gcc", "gcc-arm-none-eabi libnewlib-arm-none-eabi")
    program = tmp_path_factory.mktemp("m7") / "runner.elf"
    startup = HERE / "m7" / "startup.c"
    files = [*sources(), str(HERE / "runner" / "runner.c"), str(startup)]
    flags = [*M7, "-std=gnu99", "-O2", "-ffunction-sections", "-fdata-sections"]
    link = ["-nostartfiles", "--specs=rdimon.specs", "-Wl,--gc-sections"]
    script = ["-T", str(startup.with_name("memory.ld"))]
    return Runner(compiled(compiler, program, *flags, *files, *link, *script), emulated=True)
