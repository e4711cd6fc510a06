"""`python -m benchmarks.linux_choices --nxp FILE`: which networks, sizes and strides pay on an
i.MX 93 and an i.MX 8M Plus.

What a file takes does not depend on how well it is quantized, so every candidate is built with
`--fast`, for CPUs. Its instructions are counted on an emulated Cortex-A53. Then it is rewritten as
with `--target ethos-u65`, and Vela compiles it. AP is that of models/mcu_choices.csv, in int8 where
it was measured. FILE is NXP's int8 NanoDet-m-0.5x.

Writes results/linux_choices.json, models/linux_choices.csv, from which budgets choose, and the
tables in docs/start/. A row that is there is not measured again.
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from analysis.vela import compile_model
from benchmarks import pareto
from benchmarks.builds import python, read_rows, write_rows
from benchmarks.markdown import replace_block, table
from data.names import ROOT, tflite_path
from pipeline.linux_budget import CHOICES, LinuxChoice, cheapest_first, read_linux_choices
from quantize import flatbuffer
from quantize.rewrites import separate, space_to_depth
from runtime.benchmark import arm_root, emulator
from runtime.benchmark.board import load
from runtime.benchmark.instructions import PUBLISHED_KERNELS, count, published_ms
from runtime.files import write_text
from runtime.spec import ModelSpec
from runtime.tflite_graph import unpack

RESULTS = ROOT / "benchmarks" / "results" / "linux_choices.json"
_OUT = ROOT / "build" / "linux"
DOCUMENTS = {board: ROOT / "docs" / "start" / f"{board}.md" for board in ("imx93", "imx8mp")}
NXP, _NXP_AP = "NXP's file", 7.33  # docs/results.md
_SMALLEST = 128
_TIMEOUT_S = 3600
_NAMED = ("network", "size", "strides", "AP")
_FIELDS = ("model", "input_size", "strides", "vela_ms", "sram_bytes", "dram_bytes",
           "a53_instructions")  # fmt: skip


def candidates(ranked: Iterable[str]) -> dict[str, ModelSpec]:
    """Those of `benchmarks.pareto` whose AP is known, and that are no toys."""
    known = set(ranked)
    return {
        key: spec
        for key, spec in pareto.candidates().items()
        if key in known and spec.input.width >= _SMALLEST
    }


def measure(key: str, spec: ModelSpec) -> dict[str, Any]:
    """A row: what a candidate takes on both boards. A file that is there is taken as it is."""
    path = tflite_path(spec, _OUT)
    if not path.is_file():
        python("-m", "pipeline", *pareto.options(key), "--fast", "--target", "linux",
               "--no-report", "--out", str(_OUT))  # fmt: skip
    model, size, strides = key.split("/")
    named = {"model": model, "input_size": int(size), "strides": strides}
    with tempfile.TemporaryDirectory() as folder:
        return {**named, **on_npu(for_npu(path, Path(folder))), **on_cpu(path)}


def for_npu(path: Path, folder: Path) -> Path:
    """What `--target ethos-u65` makes of a network that a file for CPUs has, but for the spec."""
    model = unpack(path.read_bytes())
    done = separate.convolve_by_slice(model), space_to_depth.gather_blocks(model)
    if not all(done):
        raise ValueError(f"{path}: no file of --target linux, or its stem is another")
    target = folder / path.name
    target.write_bytes(flatbuffer.serialize(model))
    return target


def on_npu(path: Path) -> dict[str, Any]:
    """What Vela makes of a file."""
    found = compile_model(path)
    return {
        "vela_ms": round(found.latency_ms, 2),
        "sram_bytes": found.sram_bytes,
        "dram_bytes": found.dram_bytes,
        "on_cpu": len(found.cpu),
    }


def on_cpu(path: Path) -> dict[str, int]:
    """Instructions of a file's inference on one thread, by the kernels that NXP's latencies fit."""
    board = emulator.of_board(load("imx8mp"), arm_root.standard())
    return {"a53_instructions": count(board, path, PUBLISHED_KERNELS, _TIMEOUT_S)}


def write_choices(rows: dict[str, dict[str, Any]], order: Iterable[str]) -> None:
    """models/linux_choices.csv."""
    text = io.StringIO()
    writer = csv.DictWriter(text, _FIELDS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows[key] for key in order if key in rows)
    write_text(CHOICES, text.getvalue())


def frontier(
    choices: Sequence[LinuxChoice], board: str, costs: Callable[[LinuxChoice], tuple[float, ...]]
) -> list[LinuxChoice]:
    """Those that find more than every other that costs no more in each way, the fastest first."""

    def beaten(choice: LinuxChoice) -> bool:
        return any(
            other.ap >= choice.ap
            and (other.ap, costs(other)) != (choice.ap, costs(choice))
            and all(one <= own for one, own in zip(costs(other), costs(choice)))
            for other in choices
        )

    return [choice for choice in cheapest_first(choices, board) if not beaten(choice)]


def npu_table(choices: Sequence[LinuxChoice], nxp: dict[str, Any]) -> str:
    """The frontier of AP over Vela's milliseconds and SRAM, beside NXP's file."""
    best = frontier(
        choices, "imx93", lambda choice: (choice.latency_ms["imx93"], choice.sram_bytes)
    )
    head = (*_NAMED, "ms by Vela", "of NXP's", "SRAM, KiB")
    cells = [(choice.latency_ms["imx93"], choice.sram_bytes) for choice in best]
    rows = [(_nxp(), (nxp["vela_ms"], nxp["sram_bytes"])), *zip(map(_named, best), cells)]
    body = [
        (*named, f"{ms:.2f}", f"{ms / nxp['vela_ms']:.2f}", f"{sram // 1024:,}")
        for named, (ms, sram) in rows
    ]
    return table(head, body)


def cpu_table(choices: Sequence[LinuxChoice], nxp: dict[str, Any]) -> str:
    """The frontier of AP over foretold milliseconds on the CPU, beside NXP's file."""
    best = frontier(choices, "imx8mp", lambda choice: (choice.latency_ms["imx8mp"],))
    published = published_ms(load("imx8mp"))
    head = (*_NAMED, *(f"ms on {n} thread{'s' * (n > 1)}" for n in published), "of NXP's")
    rows = [(_nxp(), published[1]), *((_named(c), c.latency_ms["imx8mp"]) for c in best)]
    shares = [(named, ms / published[1]) for named, ms in rows]
    body = [
        (*named, *(f"{ms * share:.1f}" for ms in published.values()), f"{share:.2f}")
        for named, share in shares
    ]
    return table(head, body)


def _nxp() -> tuple[str, ...]:
    return NXP, "320", "32", f"{_NXP_AP:.2f}"


def _named(choice: LinuxChoice) -> tuple[str, ...]:
    ap = f"{choice.ap:.2f}{'' if choice.quantized else ' (float)'}"
    return choice.model, str(choice.size), choice.strides, ap


def main() -> None:
    """Measure what is not there, and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nxp", type=Path, metavar="FILE", help="needed once")
    parser.add_argument("--render", action="store_true", help="only write anew")
    options = parser.parse_args()
    rows = read_rows(RESULTS)
    if options.nxp is not None:
        rows[NXP] = {**on_npu(options.nxp), **on_cpu(options.nxp)}
    specs = candidates(read_rows(pareto.RESULTS)["rows"])
    left = [] if options.render else [key for key in specs if key not in rows]
    for done, key in enumerate(left):
        print(f"{len(left) - done} left, now {key}", file=sys.stderr, flush=True)
        rows[key] = measure(key, specs[key])
        write_rows(RESULTS, rows)
    write_rows(RESULTS, rows)
    write_choices(rows, specs)
    choices = read_linux_choices()
    replace_block(DOCUMENTS["imx93"], "npu-choices", npu_table(choices, rows[NXP]))
    replace_block(DOCUMENTS["imx8mp"], "cpu-choices", cpu_table(choices, rows[NXP]))


if __name__ == "__main__":
    main()
