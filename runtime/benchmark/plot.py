"""The measured latency beside the published ones, and the time of each kind of operator."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

from ..files import writing
from . import tables
from .types import Result

_MEASURED, _PUBLISHED = "#1b6ca8", "#b0b0b0"
_KINDS = 12


def save(result: Result, path: Path) -> None:
    """Write the plot as SVG; the same result gives the same bytes."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    times = kinds(result)
    figure = Figure(figsize=(11, 1.5 + 0.35 * max(6, len(times))), layout="constrained")
    panels = figure.subplots(1, 2 if times else 1, squeeze=False)[0]
    _latencies(panels[0], result)
    if times:
        _bars(panels[1], times, [_MEASURED] * len(times))
        panels[1].set_title("Operators, profiled run")
    with mpl.rc_context({"svg.hashsalt": path.stem}), writing(path) as temporary:
        figure.savefig(temporary, format="svg", metadata={"Date": None})


def kinds(result: Result) -> dict[str, float]:
    """Milliseconds of each kind of operator, the slowest first; many small ones are one."""
    total: dict[str, float] = defaultdict(float)
    for operator in result.measurement.operators:
        total[operator.kind] += operator.mean_ms
    ordered = sorted(total.items(), key=lambda item: (-item[1], item[0]))
    rest = sum(ms for _, ms in ordered[_KINDS:])
    return dict(ordered[:_KINDS]) | ({"others": rest} if rest else {})


def _latencies(panel: Any, result: Result) -> None:
    settings = result.measurement.settings
    name = tables.accelerator_name(settings.accelerator, settings.threads)
    times = {f"{settings.model}\n{name}, measured": result.measurement.steady.mean_ms}
    for entry in tables.nearest(result):
        name = tables.accelerator_name(entry.accelerator, entry.threads)
        times[f"{entry.model}\n{name}; {entry.source}"] = entry.latency_ms
    _bars(panel, times, [_MEASURED, *[_PUBLISHED] * (len(times) - 1)])
    panel.set_title(f"Latency on {result.profile.title}")


def _bars(panel: Any, times: dict[str, float], colours: list[str]) -> None:
    bars = panel.barh(range(len(times)), list(times.values()), color=colours)
    panel.bar_label(bars, fmt="%.3g", padding=3)
    panel.set_yticks(range(len(times)), list(times), fontsize=8, parse_math=False)
    panel.invert_yaxis()
    panel.margins(x=0.15)
    panel.set_xlabel("milliseconds")
