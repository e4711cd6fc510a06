"""`python -m benchmarks.vela MODEL.tflite ...`: what Vela makes of files for an Ethos-U65.

Compiles for the i.MX 93's NPU (256 MACs, High End, 384 KB of SRAM) and prints how many operators
are left to the CPU and the time that Vela estimates. Packages: requirements-benchmark.lock.
"""

from __future__ import annotations

import argparse
import csv
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

_VELA = Path(sys.executable).with_name("vela")
_SYSTEM = "Ethos_U65_High_End"
_OPTIONS = (
    "--accelerator-config=ethos-u65-256",
    f"--system-config={_SYSTEM}",
    "--memory-mode=Dedicated_Sram_384KB",
)


class Estimate(NamedTuple):
    """By Vela."""

    cpu_operators: int
    latency_ms: float


def estimate(model: Path) -> Estimate:
    """Compile a file. Raises `CalledProcessError` where Vela refuses it."""
    with tempfile.TemporaryDirectory() as folder:
        command = [str(_VELA), str(model), *_OPTIONS]
        done = subprocess.run(
            [*command, f"--output-dir={folder}"], check=True, capture_output=True, text=True
        )
        summary = Path(folder) / f"{model.stem}_summary_{_SYSTEM}.csv"
        with summary.open(newline="", encoding="utf-8") as file:
            (row,) = csv.DictReader(file)
    found = re.search(r"CPU operators = (\d+)", done.stdout)
    if found is None:
        raise ValueError(f"Vela says nothing of CPU operators:\n{done.stdout}")
    return Estimate(int(found[1]), 1000 * float(row["inference_time"]))


def main() -> None:
    """Print a line a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="+", type=Path, metavar="MODEL.tflite")
    for model in parser.parse_args().models:
        found = estimate(model)
        print(f"{found.latency_ms:.2f} ms, {found.cpu_operators} operators on the CPU  {model}")


if __name__ == "__main__":
    main()
