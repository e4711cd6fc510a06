"""What each board takes: predicted for this file, published for NXP's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from analysis.cortex_m7 import PUBLISHED_INSTRUCTIONS, ns_per_instruction
from firmware.engine import WEIGHTS
from firmware.engine.weights import fit
from pipeline.report.contract import Latency, PublishedLatency
from pipeline.summary import engine_sizes
from runtime.benchmark.board import Board, Fit, load_all


def latencies(
    cost: Mapping[str, Any] | None,
    reserved_bytes: int | None,
    file_bytes: int,
    engine: Mapping[str, Any] | None = None,
) -> tuple[Latency, ...]:
    """One per board. cost, engine: `cortex_m7` and `engine` of `report.json`; None for a float
    file. reserved_bytes: of the arena; None for a file that microcontrollers do not run."""
    found = []
    for board in load_all():
        if not board.published and board.kind != "microcontroller":
            continue
        fitting = None if reserved_bytes is None else board.fits(reserved_bytes, file_bytes)
        latency = _latency(board, cost, _told(fitting) if fitting else "")
        latency = replace(latency, on_tflm=_verdict(board, fitting, latency))
        found.append(replace(latency, **_on_the_engine(board, engine or {})))
    return tuple(found)


def _verdict(board: Board, fitting: Fit | None, latency: Latency) -> str:
    if board.kind != "microcontroller":
        return "LiteRT runs it; ./nanodet bench --board USER@HOST measures how fast"
    if fitting is None:
        return "not for microcontrollers"
    return _in_words(fitting, latency.predicted_ms, latency.lower_bound)


def _in_words(fitting: Fit, latency_ms: float | None, lower_bound: bool, option: str = "") -> str:
    """option: of `./nanodet firmware`, without which it does not fit."""
    if not fitting.in_flash:
        return "does not fit: the flash is too small"
    if fitting.memory is None:
        return "does not fit: no memory holds the arena"
    about = "at least" if lower_bound else "about"
    time = "fits" if latency_ms is None else f"{about} {latency_ms:,.0f} ms"
    slow = " *" if fitting.memory.external and latency_ms else ""
    return f"{time}, arena in {fitting.where}{slow}{f'; needs {option}' if option else ''}"


def _on_the_engine(board: Board, engine: Mapping[str, Any]) -> dict[str, Any]:
    """Latency and memory on the kit's own engine, where it runs the file."""
    if board.kind != "microcontroller" or not engine:
        return {}
    if "refused" in engine:
        return {"on_engine": "does not run it"}
    weights, fitting = fit(board, engine_sizes(engine))
    instructions = engine["weights"][weights]["instructions"]
    nanoseconds = ns_per_instruction(board)
    known = nanoseconds is not None and instructions is not None
    form = f", {weights} weights" if weights != WEIGHTS[0] and fitting.memory else ""
    latency_ms = instructions * nanoseconds / 1e6 if known else None
    return {
        "engine_ms": latency_ms,
        "engine_memory": _told(fitting) + form,
        "on_engine": _in_words(
            fitting,
            latency_ms,
            bool(engine.get("not_counted")),
            f"--weights {weights}" if form else "",
        ),
    }


def published() -> tuple[PublishedLatency, ...]:
    """What the board profiles have."""
    return tuple(
        PublishedLatency(
            board.title,
            p.accelerator.upper()
            + (f", {p.threads} thread{'s' * (p.threads > 1)}" if p.threads else ""),
            p.latency_ms,
            f"{p.model} ({p.source})",
        )
        for board in load_all()
        for p in board.published
    )


def _latency(board: Board, cost: Mapping[str, Any] | None, memory: str) -> Latency:
    cores = f"{board.cores.count} x {board.cores.kind}, {board.cores.mhz} MHz"
    if board.kind != "microcontroller":
        why = "Not predicted: the kit knows costs of the Cortex-M7 alone; measure on the board."
        return Latency(board.title, cores, None, why, "")
    nanoseconds = ns_per_instruction(board)
    if nanoseconds is None:
        why = "Not predicted: nobody published what an instruction takes there."
        return Latency(board.title, cores, None, why, memory)
    if cost is None:
        return Latency(board.title, cores, None, "Not predicted: a float file.", memory)
    left_out = ", ".join(cost["not_counted"])
    if not cost["by_kind"]:
        why = f"Not predicted: none of its operators was ever counted ({left_out})."
        return Latency(board.title, cores, None, why, memory)
    instructions = cost["instructions"]
    basis = (
        f"{instructions / 1e6:.1f} M instructions, predicted, at {nanoseconds:.3f} ns each: NXP's "
        f"published latency of its own file over the {PUBLISHED_INSTRUCTIONS / 1e6:.1f} M it takes."
    )
    if left_out:
        basis += f" A lower bound, for these were never counted: {left_out}."
    milliseconds = instructions * nanoseconds / 1e6
    return Latency(board.title, cores, milliseconds, basis, memory, bool(left_out))


def _told(found: Fit) -> str:
    """Where the arena goes, and how fast that is."""
    return f"{found.where} (speed: {found.memory.speed})" if found.memory else found.where
