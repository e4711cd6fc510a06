"""Reads what `benchmark_model` prints, from TensorFlow Lite 2.10 to LiteRT.

Newer builds begin their lines with `INFO: ` and add percentiles, all print averages from a
million microseconds on as `1.23457e+06`, and where all runs took as long, only the last is given.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from ..errors import KitError
from .types import Delegation, Footprint, OperatorTime, Phase, ToolOutput

_NUMBER = r"([-+]?[\d.]+(?:e[-+]?\d+)?)"
_PREFIX = re.compile(r"^(?:INFO|WARN|WARNING|ERROR|VERBOSE): ")
_STATISTICS = re.compile(r"count=\d+ (?:first|curr)=")
_PAIR = re.compile(rf"(\w+)={_NUMBER}")
_TIMINGS = re.compile(
    rf"Inference timings in us: Init: {_NUMBER}, First inference: {_NUMBER}, "
    rf"Warmup \(avg\): {_NUMBER}, Inference \(avg\): {_NUMBER}"
)
_MEMORY = re.compile(rf"Memory footprint delta .*\(MB\): init={_NUMBER} overall={_NUMBER}")
_PEAK = re.compile(rf"Overall peak memory footprint \(MB\) .*: {_NUMBER}")
_KERNELS = re.compile(r"partially executed by the delegate w/ (\d+) delegate kernels")
_PROFILE = "Operator-wise Profiling Info for Regular Benchmark Runs"
_EXTERNAL = ("EXTERNAL delegate", "external delegate")
# An operator of TensorFlow Lite's own that is named here runs on the CPU; so do XNNPACK's.
_BUILTIN = re.compile(r"[A-Z][A-Z0-9_]+$")


def parse(text: str, source: str) -> ToolOutput:
    """One run's output. Raises `KitError` that names `source` where the output is cut short."""
    lines = [_PREFIX.sub("", line.rstrip()) for line in text.splitlines()]
    timings = _first(_TIMINGS, lines)
    # The profile prints statistics of the same form further on.
    phases = [_phase(line) for line in lines if _STATISTICS.match(line)][:2]
    if timings is None or not phases:
        last = next((line for line in reversed(lines) if line), "nothing at all")
        raise KitError(
            f"{source}: ended half-way, before the line `Inference timings`; its last line: {last}"
        )
    init_us, first_us, warmup_us, _ = timings
    return ToolOutput(
        init_us / 1000,
        first_us / 1000,
        phases[-1],
        phases[0] if len(phases) == 2 else None,
        warmup_us / 1000 if len(phases) == 2 else None,
        _delegation(lines),
        tuple(operators(lines)),
        _footprint(lines),
    )


def _first(pattern: re.Pattern[str], lines: Iterable[str]) -> list[float] | None:
    for line in lines:
        match = pattern.search(line)
        if match:
            return [float(group) for group in match.groups()]
    return None


def _phase(line: str) -> Phase:
    """`count=N first=A curr=B ... std=F`, or `count=N curr=B` where all N are the same."""
    values = {key: float(number) / 1000 for key, number in _PAIR.findall(line)}
    same = values.get("curr", 0.0)
    first, least, most, mean = (values.get(key, same) for key in ("first", "min", "max", "avg"))
    percentiles = [values.get(key) for key in ("p5", "median", "p95")]
    count = round(values["count"] * 1000)
    return Phase(count, first, least, most, mean, values.get("std", 0.0), *percentiles)


def _delegation(lines: list[str]) -> Delegation | None:
    """Of the external delegate where there is one, for XNNPACK may report beside it."""
    said = [line for line in lines if "executed by the delegate" in line]
    external = [line for line in said if any(word in line for word in _EXTERNAL)]
    for line in external or said:
        match = _KERNELS.search(line)
        if match:
            return Delegation("partial", int(match.group(1)))
        if "will not be executed" in line:
            return Delegation("none", 0)
        if "completely executed" in line:
            return Delegation("full", 1)
    return None


def _footprint(lines: list[str]) -> Footprint:
    init, overall = _first(_MEMORY, lines) or (None, None)
    (peak,) = _first(_PEAK, lines) or (None,)
    return Footprint(init, overall, peak)


def operators(lines: Iterable[str]) -> Iterator[OperatorTime]:
    """Nodes in the order they run, from the profile as a table or as CSV, with or without a
    column of start times."""
    columns: list[str] = []
    seen_profile = in_order = False
    for line in lines:
        if _PROFILE in line:
            seen_profile = True
        elif line.startswith("===="):
            in_order, columns = seen_profile and "Run Order" in line, []
        elif not line.strip():
            in_order = False
        elif in_order and not columns:
            columns = [name.strip("[]").replace("_", " ").lower() for name in _cells(line, 99)]
        elif in_order:
            values = dict(zip(columns, _cells(line, len(columns))))
            try:
                mean_ms = float(values["avg ms"])
            except (KeyError, ValueError):
                continue  # Something else wrote into the table.
            yield OperatorTime(values["node type"], values.get("name", ""), mean_ms)


def _cells(line: str, count: int) -> list[str]:
    """Cells of a row; the last, a name, may hold commas."""
    separator = "\t" if "\t" in line else ","
    cells = line.strip().split(separator)
    if len(cells) > count:
        # Kinds of XNNPACK's kernels hold commas too: `Convolution (NHWC, QS8, QC8W) IGEMM`.
        cells = _outside_brackets(line.strip())
        cells = [*cells[: count - 1], ",".join(cells[count - 1 :])]
    return [cell.strip() for cell in cells]


def _outside_brackets(line: str) -> list[str]:
    cells, depth = [""], 0
    for character in line:
        depth += (character in "([") - (character in ")]")
        if character == "," and depth <= 0:
            cells.append("")
        else:
            cells[-1] += character
    return cells


def on_cpu(operator: OperatorTime) -> bool:
    """Did the CPU run it? Delegates name their kernels in words of their own."""
    return bool(_BUILTIN.match(operator.kind)) or "xnnpack" in operator.kind.lower()
