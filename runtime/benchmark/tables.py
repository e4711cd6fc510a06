"""A measurement as Markdown in the form of NXP's model cards, as JSON, and beside what was
published."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable

from .board import Published
from .types import Measurement, OperatorTime, Phase, Result

_HEAD = ("Model", "Average latency", "Platform", "Accelerator", "Command")
_SLOWEST = 15


def as_json(result: Result) -> str:
    """All of it."""
    values = dataclasses.asdict(result.measurement)
    values["published"] = [dataclasses.asdict(entry) for entry in nearest(result)]
    return json.dumps(values, indent=2) + "\n"


def as_markdown(result: Result) -> str:
    """Tables: the card's with published latencies below, phases, and the slowest operators."""
    measured = result.measurement
    parts = [
        f"# {measured.settings.model} on {measured.device.title}",
        card(result),
        *(f"**Note:** {note}." for note in measured.notes),
        _phases(measured),
        _memory(measured),
        _operators(measured.operators),
        _circumstances(measured),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def card(result: Result) -> str:
    """The measured latency in the columns of NXP's cards, above what others published."""
    measured, settings = result.measurement, result.measurement.settings
    rows = [
        (
            settings.model,
            f"{measured.steady.mean_ms:.2f} ms",
            measured.device.title,
            _ran_on(measured),
            f"`{settings.command}`",
        )
    ]
    rows += [
        (
            entry.model,
            f"{entry.latency_ms:g} ms",
            result.profile.title,
            accelerator_name(entry.accelerator, entry.threads),
            f"published: {entry.source}",
        )
        for entry in nearest(result)
    ]
    return table(_HEAD, rows)


def _ran_on(measured: Measurement) -> str:
    """The accelerator, and whether the CPU had to help."""
    settings = measured.settings
    name = accelerator_name(settings.accelerator, settings.threads)
    if settings.accelerator == "cpu" or measured.delegation is None:
        return name
    if measured.delegation.kind == "none":
        return f"CPU, for the {name}'s delegate took nothing"
    helped = measured.delegation.kind == "partial" or measured.cpu_operators
    return f"{name}, in part the CPU" if helped else name


def nearest(result: Result) -> list[Published]:
    """Published latencies, those of the same accelerator and threads first."""
    settings = result.measurement.settings
    return sorted(
        result.profile.published,
        key=lambda p: (p.accelerator != settings.accelerator, p.threads != settings.threads),
    )


def accelerator_name(accelerator: str, threads: int) -> str:
    """As in NXP's cards: `CPU (4 threads)`, `NPU`."""
    if accelerator != "cpu" or not threads:
        return accelerator.upper()
    return f"CPU ({threads} thread{'s' if threads > 1 else ''})"


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    head = list(head)
    lines = [head, ["---"] * len(head), *rows]
    cells = [[" ".join(cell.split()).replace("|", "\\|") for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def _phases(measured: Measurement) -> str:
    rows = [("initialization", f"{measured.init_ms:.2f}", "")]
    rows += [("first inference", f"{measured.first_ms:.2f}", "")]
    if measured.cached_init_ms is not None and measured.cached_first_ms is not None:
        rows += [
            ("initialization, graph kept", f"{measured.cached_init_ms:.2f}", ""),
            ("first inference, graph kept", f"{measured.cached_first_ms:.2f}", ""),
        ]
    if measured.warmup is not None:
        rows += [("warm-up", f"{measured.warmup.mean_ms:.2f}", _spread(measured.warmup))]
    elif measured.warmup_mean_ms is not None:
        rows += [("warm-up", f"{measured.warmup_mean_ms:.2f}", "")]
    rows += [("steady state", f"{measured.steady.mean_ms:.2f}", _spread(measured.steady))]
    return table(("Phase", "ms", "Spread"), rows)


def _spread(phase: Phase) -> str:
    text = f"{phase.count} runs, {phase.min_ms:.2f} to {phase.max_ms:.2f}, std {phase.std_ms:.2f}"
    if phase.median_ms is not None and phase.p95_ms is not None:
        text += f", median {phase.median_ms:.2f}, p95 {phase.p95_ms:.2f}"
    return text


def _memory(measured: Measurement) -> str:
    names = {"init_mb": "initialization", "overall_mb": "overall", "peak_mb": "peak"}
    found = dataclasses.asdict(measured.footprint)
    said = [f"{names[key]} {value:.1f} MB" for key, value in found.items() if value is not None]
    return f"Memory as the tool sees it: {', '.join(said)}." if said else ""


def _operators(operators: tuple[OperatorTime, ...]) -> str:
    if not operators:
        return "The tool gives no times of single operators."
    total = sum(operator.mean_ms for operator in operators) or 1.0
    slowest = sorted(operators, key=lambda operator: -operator.mean_ms)[:_SLOWEST]
    rows = [(o.kind, o.name, f"{o.mean_ms:.3f}", f"{o.mean_ms / total:.1%}") for o in slowest]
    return table(("Operator", "Name", "ms", "Share"), rows)


def _circumstances(measured: Measurement) -> str:
    device, settings = measured.device, measured.settings
    version = f" ({device.tool_version})" if device.tool_version else ""
    where = ", ".join(part for part in (device.system, device.kernel) if part)
    return (
        f"Measured with {device.tool}{version} on {where}. "
        f"Model: {settings.bytes} bytes, SHA-256 {settings.sha256}."
    )
