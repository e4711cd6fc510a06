"""`./nanodet vela MODEL...`: what Arm's Vela makes of files for an i.MX 93.

Compiles for its NPU (Ethos-U65, 256 MACs, High End, 384 KB of SRAM of its own) and shows the time
that Vela estimates, layer by layer, and what it leaves to the CPU. Estimates are not measurements,
and the time of operators on the CPU is not in them.
"""

from __future__ import annotations

import argparse
import csv
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from runtime.cli import Parser
from runtime.errors import KitError
from runtime.files import writing
from runtime.tflite_schema import FILE_IDENTIFIER

_SYSTEM = "Ethos_U65_High_End"
_OPTIONS = (
    *("--accelerator-config", "ethos-u65-256", "--config", "Arm/vela.ini"),
    *("--system-config", _SYSTEM, "--memory-mode", "Dedicated_Sram_384KB"),
    *("--optimise", "Performance", "--show-cpu-operations", "--verbose-performance"),
)
_CPU = re.compile(r"^ +CPU: \S+ = (.*) \(outputs ", re.MULTILINE)
_REASON = re.compile(r"^Warning .*, ofm: '(.*)'\n(?:Reason: )?(.*)$", re.MULTILINE)
_SHOWN_SHARE = 0.01


class Refused(KitError):
    """Vela does not compile a file."""


@dataclass(frozen=True)
class Layer:
    """What one operator became. operator: of the file. kernel: Vela's name for what runs it.
    latency_ms: estimated. name: of an output."""

    operator: str
    kernel: str
    latency_ms: float
    macs: int
    name: str


@dataclass(frozen=True)
class Compiled:
    """version: of Vela. latency_ms: of everything on the NPU, estimated. sram, dram: bytes in use.
    cpu: operators that stay on the CPU, by the name of their output, with Vela's reason or "".
    layers: those on the NPU, in Vela's order."""

    version: str
    latency_ms: float
    sram_bytes: int
    dram_bytes: int
    cpu: dict[str, str]
    layers: tuple[Layer, ...]


def parse_arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = Parser(description=__doc__)
    add = parser.add_argument
    add("models", nargs="+", type=Path, metavar="MODEL.tflite")
    add("--compare", type=Path, metavar="MODEL", help="one more file, to set the others beside")
    add("--out", type=Path, metavar="DIR", help="keep compiled files, Vela's CSVs and plots here")
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None) -> int:
    """Print tables; with --out, also keep what Vela writes, and a plot a file."""
    options = parse_arguments(words)
    models = [*options.models, *([options.compare] if options.compare else [])]
    found = {model: compile_model(model, options.out) for model in models}
    for model in options.models:
        _print_layers(model, found[model])
        if options.out is not None:
            _plot(found[model], options.out / f"{model.stem}_layers.svg")
    other = found[options.compare].latency_ms if options.compare else 0.0
    for model, compiled in found.items():
        ratio = f" {compiled.latency_ms / other:.2f} of --compare's," if other else ""
        least = "at least " if compiled.cpu else ""
        shown = f"{least}{compiled.latency_ms:.2f} ms" if compiled.layers else "nothing"
        print(
            f"{shown:>10} estimated,{ratio} operators on the CPU: "
            f"{len(compiled.cpu)}, DRAM {compiled.dram_bytes // 1024:,} KiB  {model}"
        )
    return 0


def compile_model(model: Path, out: Path | None = None) -> Compiled:
    """Compile a file; `out` keeps what Vela writes. Raises `KitError` where Vela is missing,
    `Refused` where it refuses the file."""
    program = _program()
    try:
        if model.read_bytes()[4:8] != FILE_IDENTIFIER:  # Vela answers those with a traceback.
            raise KitError(f"{model}: not a TFLite file")
    except OSError as error:
        raise KitError(f"{model}: cannot be read ({error.strerror})") from None
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command = [program, str(model.resolve()), *_OPTIONS, "--output-dir", str(folder)]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            said = (done.stderr.strip() or done.stdout.strip()).splitlines()
            raise Refused(f"{model}: Vela refuses it ({said[-1] if said else 'without a word'})")
        version = _version(program)
        try:
            compiled = _read(folder, model.stem, done.stdout, version)
        except (OSError, KeyError, ValueError):
            raise KitError(f"{model}: Vela {version} writes other tables than are known") from None
        if out is not None:
            _keep(folder, out)
    return compiled


def _program() -> str:
    """Vela beside this Python, or on the path."""
    beside = Path(sys.executable).with_name("vela")
    found = str(beside) if beside.is_file() else shutil.which("vela")
    if found is None:
        raise KitError("vela is not installed: pip install -r locks/benchmark.lock")
    return found


def _version(program: str) -> str:
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _read(folder: Path, stem: str, said: str, version: str) -> Compiled:
    (summary,) = _rows(folder / f"{stem}_summary_{_SYSTEM}.csv")
    rows = _rows(folder / f"{stem}_per-layer.csv")
    ms_a_cycle = 1000 / float(summary["core_clock"])
    reasons = {name: reason.strip() for name, reason in _REASON.findall(said)}
    return Compiled(
        version,
        1000 * float(summary["inference_time"]),
        round(1024 * float(summary["sram_memory_used"])),
        round(1024 * float(summary["dram_memory_used"])),
        {name: reasons.get(name, "") for name in _CPU.findall(said)},
        tuple(
            Layer(
                row["Original Operator"],
                row["NNG Operator"],
                ms_a_cycle * float(row["Op Cycles"]),
                int(float(row["MAC Count"])),
                row["Name"],
            )
            for row in rows
            if row["Target"] == "NPU"
        ),
    )


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _keep(folder: Path, out: Path) -> None:
    for path in sorted(folder.iterdir()):
        with writing(out / path.name) as temporary:
            shutil.copyfile(path, temporary)


def _print_layers(model: Path, compiled: Compiled) -> None:
    print(f"{model}: Vela {compiled.version}, Ethos-U65-256, estimates")
    least = _SHOWN_SHARE * compiled.latency_ms
    for layer in compiled.layers:
        if compiled.latency_ms and layer.latency_ms >= least:
            share = layer.latency_ms / compiled.latency_ms
            print(
                f"{layer.latency_ms:8.3f} ms {share:6.1%}  {layer.operator:<16} "
                f"{layer.macs / 1e6:6.2f} M MACs  {layer.name}"
            )
    others = [layer.latency_ms for layer in compiled.layers if layer.latency_ms < least]
    print(f"{sum(others):8.3f} ms         {len(others)} layers of less than {_SHOWN_SHARE:.0%}")
    for name, reason in compiled.cpu.items():
        print(f"     CPU             {name}: {reason or 'Vela gives no reason'}")


def _plot(compiled: Compiled, path: Path) -> None:
    """One bar per layer, in Vela's order; the same file gives the same bytes."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4), layout="constrained")
    axes = figure.subplots()
    axes.set_prop_cycle(color=[mpl.colormaps["tab20"](i) for i in range(20)])
    for kind in sorted({layer.operator for layer in compiled.layers}):
        layers = [(i, x.latency_ms) for i, x in enumerate(compiled.layers) if x.operator == kind]
        axes.bar([i for i, _ in layers], [ms for _, ms in layers], width=1, label=kind)
    axes.set_xlabel("layer")
    axes.set_ylabel("ms, estimated by Vela")
    axes.set_title(f"{compiled.latency_ms:.2f} ms on an Ethos-U65-256")
    axes.legend(fontsize="small", ncols=2)
    with mpl.rc_context({"svg.hashsalt": path.stem}), writing(path) as temporary:
        figure.savefig(temporary, format="svg", metadata={"Date": None})
