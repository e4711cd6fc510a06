"""`python -m benchmarks.engine_cost MODEL.tflite ...`: counts the engine's instructions, fits
analysis/engine_cost.csv to them.

MODELs are int8 files of this kit, with all kernels among them. Each layer of each, with both forms
of weights, is run by itself on QEMU's Cortex-M7 (mps2-an500, one instruction a tick, 40 of them to
a timer's step). Prints how well the other files' layers predict each file. It takes
arm-none-eabi-gcc and qemu-system-arm.
"""

from __future__ import annotations

import csv
import io
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from analysis.engine_cost import CODE, COEFFICIENTS, Work, predict, work
from data.names import ROOT
from firmware import files
from firmware.engine import WEIGHTS
from firmware.engine.emit import emit
from firmware.engine.file import plan_of
from firmware.engine.plan import Plan
from runtime.cli import Parser, run
from runtime.errors import KitError
from runtime.files import write_text
from runtime.tflite_file import TfliteFile

_LIBRARIES = ROOT / "firmware" / "nanodet", ROOT / "firmware" / "engine"
_M7 = ROOT / "tests" / "firmware" / "m7"
_INCLUDES = [f"-I{library / part}" for library in _LIBRARIES for part in ("include", "src")]
_COMPILER = "arm-none-eabi-gcc -std=gnu99 -O2 -ffunction-sections -fdata-sections".split()
_LINK = ["-nostartfiles", "--specs=rdimon.specs", "-Wl,--gc-sections", f"-T{_M7 / 'memory.ld'}"]
_EMULATOR = (
    "qemu-system-arm -nographic -monitor none -serial none -icount shift=0,sleep=off "
    "-semihosting-config enable=on,target=native"
).split()
_DIGITS = 6
_WORTH = 0.95  # What a further unit must reduce the errors to.


@dataclass(frozen=True)
class Core:
    """A core that QEMU has. machine: of QEMU's. flags: of the compiler, with those that tell
    memory.ld and startup.c where the machine has memory and a timer."""

    title: str
    machine: str
    flags: str


M7 = Core("Cortex-M7", "mps2-an500", "-mcpu=cortex-m7 -mthumb -mfpu=fpv5-d16 -mfloat-abi=hard")
M33 = Core(
    "Cortex-M33",
    "mps2-an505",
    "-mcpu=cortex-m33 -mthumb -mfpu=fpv5-sp-d16 -mfloat-abi=hard -DTIMER_AT=0x50000000 "
    "-DINSTRUCTIONS_A_TICK=50 -Wl,--defsym=code_at=0x10000000,--defsym=data_at=0x38000000",
)


@dataclass(frozen=True)
class Counted:
    """A network. work, instructions: of each layer. all: instructions of the whole network."""

    name: str
    work: Sequence[Work]
    instructions: Sequence[int]
    all: int


class Machine:
    """The C library as a generated folder has it, compiled for an emulated core into a folder."""

    def __init__(self, folder: Path, core: Core = M7) -> None:
        self.folder, self.core = folder, core
        self._compiler = [*_COMPILER, *core.flags.split(), *_INCLUDES]
        copies = files.copied("c")
        paths = [copies[name] for name in files.sources("c")]
        paths += [_M7 / "startup.c", Path(__file__).with_name("engine_counts.c")]
        self.objects = [self._compiled(path) for path in paths]

    def _compiled(self, source: Path) -> str:
        target = self.folder / f"{source.name}.o"
        _tool([*self._compiler, "-c", str(source), "-o", str(target)])
        return str(target)

    def _run(self, text: str, objects: Sequence[str]) -> list[int]:
        """Numbers that a program prints. text: of a C file beside the objects."""
        source, program = self.folder / "network.c", self.folder / "network.elf"
        source.write_text(text)
        _tool([*self._compiler, *objects, str(source), *_LINK, "-o", str(program)])
        command = [*_EMULATOR, "-M", self.core.machine, "-kernel", str(program)]
        return [int(line) for line in _tool(command).split()]

    def count(self, name: str, plan: Plan) -> Counted:
        """Every layer by itself, then all."""
        *layers, _, whole = self._run(emit(plan), self.objects)
        return Counted(name, [work(plan, x) for x in plan.network.layers], layers, whole)

    def data_bytes(self, plan: Plan) -> int:
        """Constant data of a network, compiled."""
        source = self.folder / "data.c"
        source.write_text(emit(plan))
        sections = _tool(["arm-none-eabi-size", "-A", self._compiled(source)]).splitlines()
        return sum(int(line.split()[1]) for line in sections if line.startswith(".rodata"))

    def code_bytes(self) -> int:
        """Of all functions of the library."""
        listed = _tool(["arm-none-eabi-size", *self.objects[:-2]]).splitlines()[1:]
        return sum(int(line.split()[0]) for line in listed)


def _tool(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise KitError(f"{command[0]}: is not installed") from None
    if done.returncode:
        raise KitError(f"{command[0]}: exit code {done.returncode} {done.stderr[-300:]}")
    return done.stdout


def fit(networks: Iterable[Counted]) -> dict[str, dict[str, float]]:
    """Instructions of each unit, by kind."""
    rows: dict[str, list[tuple[Work, int]]] = defaultdict(list)
    for network in networks:
        for one, instructions in zip(network.work, network.instructions, strict=True):
            rows[one.kind].append((one, instructions))
    return {kind: _fit_kind(rows[kind]) for kind in sorted(rows)}


def _fit_kind(rows: Sequence[tuple[Work, int]]) -> dict[str, float]:
    """Least squares of relative errors; a further unit where it lowers them, no cost negative."""
    units = list(dict.fromkeys(unit for one, _ in rows for unit in one.units))
    y = np.array([float(instructions) for _, instructions in rows])
    x = np.array([[one.units.get(unit, 0.0) for unit in units] for one, _ in rows]) / y[:, None]
    chosen: list[int] = []
    costs, least = np.zeros(0), np.inf
    while True:
        tried = []
        for unit in (n for n in range(len(units)) if n not in chosen and x[:, n].any()):
            found, *_ = np.linalg.lstsq(x[:, [*chosen, unit]], np.ones(len(y)), rcond=None)
            if (found > 0).all():
                wrong = x[:, [*chosen, unit]] @ found - 1
                tried.append((float(np.sqrt(np.mean(wrong**2))), unit, found))
        wrong, unit, found = min(tried, key=lambda one: one[0], default=(np.inf, -1, costs))
        if not wrong < _WORTH * least:
            return {units[n]: float(f"{c:.{_DIGITS}g}") for n, c in zip(chosen, costs, strict=True)}
        chosen, costs, least = [*chosen, unit], found, wrong


def error(network: Counted, known: dict[str, dict[str, float]]) -> float:
    """Of the whole network, relative; layers of unknown kinds take nothing."""
    return sum(predict(one, known) or 0.0 for one in network.work) / network.all - 1


def main() -> int:
    """Count, fit, report, write."""
    parser = Parser(prog="python -m benchmarks.engine_cost", description=__doc__)
    parser.add_argument("models", nargs="+", type=Path, metavar="MODEL.tflite")
    options = parser.parse_args()
    networks = []
    with tempfile.TemporaryDirectory() as folder:
        machine = Machine(Path(folder))
        for path in options.models:
            file = TfliteFile.read(path)
            for weights in WEIGHTS:
                try:
                    plan = plan_of(file, weights)
                except KitError as refusal:
                    print(f"left out: {refusal}")
                    break
                networks.append(machine.count(f"{path.name}, {weights} weights", plan))
        if not networks:
            raise KitError("the engine takes none of the files; nothing is written")
        code = {"bytes": float(machine.code_bytes())}
    known = fit(networks)
    for network in networks:
        model = network.name.partition(",")[0]
        others = fit(other for other in networks if not other.name.startswith(f"{model},"))
        errors = f"{error(network, known):+.2%} fitted, {error(network, others):+.2%} by others"
        print(f"{network.name}: {network.all / 1e6:.2f} M instructions counted, {errors}")
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(("kind", "unit", "instructions"))
    for kind, units in {**known, CODE: code}.items():
        writer.writerows((kind, unit, f"{value:g}") for unit, value in units.items())
    write_text(COEFFICIENTS, table.getvalue())
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
