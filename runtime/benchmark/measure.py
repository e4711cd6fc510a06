"""Runs `benchmark_model` on a board: cold, with the cached graph, and with the profiler."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import KitError
from ..tflite_schema import FILE_IDENTIFIER
from . import identify, stdout
from .board import Accelerator
from .remote import CommandTimeout, Connection
from .types import (
    Device,
    Measurement,
    Result,
    Settings,
    ToolOutput,
    count_kinds,
)

_PROFILED_RUNS = 10


@dataclass(frozen=True)
class Request:
    """What the user asks for. profile: name of the board's, "" to find it. timeout_s: of a run."""

    model: Path
    accelerator: str
    threads: int
    runs: int
    profile: str = ""
    boards: Path | None = None
    timeout_s: float = 600


def read_model(path: Path) -> bytes:
    """Any TFLite file. Raises `KitError` for anything else."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise KitError(f"{path}: cannot be read ({error.strerror})") from None
    if content[4:8] != FILE_IDENTIFIER:
        raise KitError(f"{path}: not a TFLite file")
    return content


@dataclass(frozen=True)
class _Runs:
    """What the runs said. cold: None where the driver keeps no compiled graph, so that `timed` is
    cold itself. notes: on the runs."""

    timed: ToolOutput
    profiled: ToolOutput
    cold: ToolOutput | None
    notes: tuple[str, ...]


def measure(connection: Connection, request: Request, report: Callable[[str], None]) -> Result:
    """The whole measurement. report: is told each step before it begins. Raises `KitError`."""
    content = read_model(request.model)
    report("looking at the board")
    board, kernel = identify.identify(connection, request.profile, request.boards)
    accelerator = identify.choose_accelerator(connection, board, request.accelerator)
    path = identify.find_tool(connection, board)
    system = identify.system_name(connection)
    device = Device(board.title, kernel, system, path, identify.version(path))
    with connection.temporary_folder() as folder:
        report("copying the model")
        tool = _Tool(connection, request, accelerator, path, folder)
        connection.send(content, tool.model)
        runs = _run_all(tool, report)
    settings = Settings(
        request.model.name,
        hashlib.sha256(content).hexdigest(),
        len(content),
        request.accelerator,
        request.threads,
        request.runs,
        tool.command_as_typed(),
    )
    measured = _measurement(settings, device, runs)
    if accelerator.delegate:
        measured = with_fallback(measured)
    return Result(measured, board, tool.log)


def _run_all(tool: _Tool, report: Callable[[str], None]) -> _Runs:
    cold, notes = None, []
    if tool.keeps:
        report("running cold")
        cold = tool.run(["--num_runs=1", "--min_secs=0"])  # It only has to fill the cache.
        if not tool.kept():
            notes.append("the driver kept no compiled graph; the cached figures are cold, too")
    report("running")
    timed = tool.run(tool.runs)
    report("profiling the operators")
    return _Runs(timed, tool.profile(), cold, tuple(notes))


def _measurement(settings: Settings, device: Device, runs: _Runs) -> Measurement:
    timed, cold = runs.timed, runs.cold or runs.timed
    return Measurement(
        settings,
        device,
        cold.init_ms,
        cold.first_ms,
        timed.steady,
        timed.init_ms if runs.cold else None,
        timed.first_ms if runs.cold else None,
        timed.warmup,
        timed.warmup_mean_ms,
        timed.delegation,
        runs.profiled.operators,
        footprint=replace(timed.footprint, peak_mb=runs.profiled.footprint.peak_mb),
        notes=runs.notes,
    )


def with_fallback(measured: Measurement) -> Measurement:
    """Adds which operators the CPU ran although an accelerator was asked for."""
    on_cpu = count_kinds(o for o in measured.operators if stdout.on_cpu(o))
    named = ", ".join(f"{count} {kind}" for kind, count in on_cpu.items())
    named = named or "operators that the profile does not name"
    kind = measured.delegation.kind if measured.delegation else "unknown"
    note = ""
    if kind == "none":
        note = f"the delegate took nothing; the CPU ran all: {named}"
    elif kind == "partial" or on_cpu:
        note = f"the delegate took a part only; the CPU ran {named}"
    elif kind == "unknown":
        note = "the tool does not say how much the delegate took"
    notes = (*measured.notes, note) if note else measured.notes
    return replace(measured, cpu_operators=on_cpu, notes=notes)


class _Tool:
    """`benchmark_model` on one board, with its files in one folder there. keeps: can the driver
    keep the compiled graph? log: all that was typed and printed."""

    def __init__(
        self,
        connection: Connection,
        request: Request,
        accelerator: Accelerator,
        path: str,
        folder: str,
    ) -> None:
        self._connection, self._request, self._accelerator = connection, request, accelerator
        self._path, self._folder = path, folder
        self.model, self._cache = f"{folder}/model.tflite", f"{folder}/cache"
        self.keeps = bool(accelerator.cache_environment or accelerator.cache_options)
        self.runs = [f"--num_runs={request.runs}"]
        self.log = ""
        if self.keeps:
            connection.run(["mkdir", self._cache])

    def kept(self) -> bool:
        """Is there a compiled graph by now?"""
        return bool(self._connection.run(["ls", "-A", self._cache]).text.strip())

    def run(
        self, options: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> ToolOutput:
        """Raises `KitError` where the tool does not come to its end."""
        words = [self._path, f"--graph={self.model}", *self._options(), *options]
        assigned = {**self._cache_environment(), **(environment or {})}
        self.log += f"$ {shlex.join([*(f'{k}={v}' for k, v in assigned.items()), *words])}\n"
        try:
            done = self._connection.run(words, assigned, self._folder, self._request.timeout_s)
        except CommandTimeout:
            raise KitError(
                f"{self._connection.host}: benchmark_model did not end in "
                f"{self._request.timeout_s:g} s and was stopped; --timeout gives it longer"
            ) from None
        text = done.text + done.stderr
        self.log += text + "\n"
        if done.returncode:
            raise KitError(
                f"{self._connection.host}: benchmark_model ended half-way {done.failure}"
            )
        return stdout.parse(text, f"{self._connection.host}: benchmark_model")

    def profile(self) -> ToolOutput:
        """Operators and peak memory. XNNPACK is off beside a delegate, for it would hide the names
        of what stays on the CPU."""
        table = f"{self._folder}/profile.csv"
        options = [
            f"--num_runs={min(self._request.runs, _PROFILED_RUNS)}",
            "--enable_op_profiling=true",
            f"--profiling_output_csv_file={table}",
            "--report_peak_memory_footprint=true",
            *(["--use_xnnpack=false"] if self._accelerator.delegate else []),
        ]
        output = self.run(options, self._accelerator.profile_environment)
        if output.operators:
            return output  # A tool that does not know the file.
        there = self._connection.run(["cat", table])
        self.log += there.text
        return replace(output, operators=tuple(stdout.operators(there.text.splitlines())))

    def command_as_typed(self) -> str:
        """The timed run with the model's own name, as in NXP's cards."""
        options = [*self._options(cached=False), *self.runs]
        return shlex.join([self._path, f"--graph={self._request.model.name}", *options])

    def _options(self, cached: bool = True) -> list[str]:
        words, chosen = [f"--num_threads={self._request.threads}"], self._accelerator
        if not chosen.delegate:
            return words
        options = dict(chosen.options)
        if cached and not chosen.cache_environment:
            for key, value in chosen.cache_options.items():
                options[key] = value.replace("{file}", f"{self._cache}/graph")
        words.append(f"--external_delegate_path={chosen.delegate}")
        joined = ";".join(f"{key}:{value}" for key, value in options.items())
        return [*words, f"--external_delegate_options={joined}"] if joined else words

    def _cache_environment(self) -> dict[str, str]:
        variables = self._accelerator.cache_environment
        return {key: value.replace("{folder}", self._cache) for key, value in variables.items()}
