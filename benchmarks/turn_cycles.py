"""`python -m benchmarks.turn_cycles`: firmware/engine/turn_cycles.csv, modelled cycles of a
convolution's turns of two and of three pixels, between which the planner chooses by them.

LLVM's model of the Cortex-M7 goes through the inner loops of `nanodet_conv_pixels.S` one part after
the other. Every load hits, and branches take nothing. It takes arm-none-eabi-gcc and llvm-mca.
"""

from __future__ import annotations

import re
import subprocess
import sys

from data.names import ROOT
from firmware.engine.turns import CYCLES, FORMS
from runtime.cli import Parser, run
from runtime.errors import KitError
from runtime.files import write_text

_ENGINE = ROOT / "firmware" / "engine"
_SOURCE = _ENGINE / "src" / "nanodet_conv_pixels.S"
_PREPROCESSOR = "arm-none-eabi-gcc -mcpu=cortex-m7 -mthumb -E -P".split()
_ITERATIONS = 1000
_MODEL = f"llvm-mca -mtriple=thumbv7em -mcpu=cortex-m7 -iterations={_ITERATIONS}".split()
_MACHINE_CODE = "llvm-mc -triple=thumbv7em -mcpu=cortex-m7".split()  # Resolves macros.
_STEP_INPUTS = {2: 4, 3: 2}  # Of the macros STEP2 and STEP3.
_HEADER = "pixels,entry,pair,step,widen,step_inputs"


def table() -> str:
    """The whole file."""
    flat = _tool(
        [*_MACHINE_CODE, "-"], _tool([*_PREPROCESSOR, f"-I{_ENGINE / 'include'}", str(_SOURCE)])
    )
    version = re.findall(r"LLVM version (\S+)", _tool(["llvm-mca", "--version"]))[0]
    rows = []
    for n in FORMS:
        entry, first, steps, rest = _parts(flat, f"nanodet_conv_{n}")
        _, widen = _parts(flat, f"nanodet_widen_{n}")
        inputs = _STEP_INPUTS[n]
        count = len([line for line in steps if "smlad" in line]) // (n * inputs)
        cycles = _cycles(entry), _cycles(first + rest), _cycles(steps) / count, _cycles(widen)
        rows.append(",".join(f"{value:g}" for value in (n, *cycles, inputs)))
    command = f"# python -m benchmarks.turn_cycles: {' '.join(_MODEL)}, LLVM {version}"
    return "\n".join((command, _HEADER, *rows)) + "\n"


def _parts(flat: str, name: str) -> list[list[str]]:
    """A function's instructions up to each label; the last part ends with the loop."""
    body = flat.partition(f"\n{name}:\n")[2].partition("\tpop.w")[0]
    parts = re.split(r"^\.L\w+:$", body, flags=re.MULTILINE)
    return [re.findall(r"^\t(?!\.|b|ldr\tpc).*", part, re.MULTILINE) for part in parts]


def _cycles(lines: list[str]) -> float:
    """Of instructions that are repeated again and again."""
    told = _tool(_MODEL, "\n".join([".syntax unified", ".thumb", *lines, ""]))
    found = re.search(r"Total Cycles: +(\d+)", told)
    assert found is not None
    return round(int(found[1]) / _ITERATIONS, 2)


def _tool(command: list[str], given: str = "") -> str:
    try:
        done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise KitError(f"{command[0]}: is not installed") from None
    if done.returncode:
        raise KitError(f"{command[0]}: exit code {done.returncode} {done.stderr[-300:]}")
    return done.stdout


def main() -> int:
    """Measure and write."""
    Parser(prog="python -m benchmarks.turn_cycles", description=__doc__).parse_args()
    write_text(CYCLES, table())
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
