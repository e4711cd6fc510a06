"""How fast a model is on this machine, by LiteRT's own tool."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from ..errors import KitError
from . import board, identify
from .measure import read_model
from .types import Device, Measurement, Phase, Result, Settings

_TOOL = "litert-benchmark"


def measure(model: Path, threads: int, runs: int, timeout_s: float) -> Result:
    """Measure with XNNPACK, as the tool does. It rounds to 0.01 ms, and gives neither memory nor
    single operators. Raises `KitError`."""
    content = read_model(model)
    tool = _find_tool()
    flags = [f"--num_threads={threads}", f"--num_runs={runs}"]
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results.json"
        command = [tool, f"--model={model}", *flags]
        log = _call([*command, f"--result_json={results}"], model, timeout_s)
        try:
            latency = json.loads(results.read_text(encoding="utf-8"))["latency"]
        except (OSError, ValueError, KeyError):
            raise KitError(f"{model}: {_TOOL} wrote no results; {_last(log)}") from None
    settings = Settings(
        model.name,
        hashlib.sha256(content).hexdigest(),
        len(content),
        "cpu",
        threads,
        runs,
        shlex.join([_TOOL, f"--model={model.name}", *flags]),
    )
    measured = Measurement(
        settings,
        _device(),
        latency["init_ms"],
        latency["warmup_first_ms"],
        _steady(latency),
        warmup_mean_ms=latency["warmup_avg_ms"],
        notes=(f"{_TOOL} rounds to 0.01 ms and gives neither memory nor single operators",),
    )
    return Result(measured, board.load("host"), log)


def _find_tool() -> str:
    beside = Path(sys.executable).parent / _TOOL
    tool = str(beside) if beside.is_file() else shutil.which(_TOOL)
    if tool is None:
        raise KitError(f"{_TOOL} is not installed; pip install ai-edge-litert")
    return tool


def _call(command: list[str], model: Path, timeout_s: float) -> str:
    """What the tool prints. Raises `KitError` with its last words where it fails."""
    try:
        done = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise KitError(f"{_TOOL} did not end in {timeout_s:g} s; --timeout gives longer") from None
    log = done.stdout.decode("utf-8", "replace")
    if done.returncode:
        raise KitError(f"{model}: {_TOOL} fails (exit code {done.returncode}); {_last(log)}")
    return f"$ {shlex.join(command)}\n{log}"


def _last(log: str) -> str:
    """The tool's own last words, without those of the accelerators it lets go."""
    lines = [line for line in log.splitlines() if line.strip() and not line.startswith("INFO: [")]
    return f"its last line: {lines[-1].strip()}" if lines else "it prints nothing"


def _steady(latency: dict[str, float]) -> Phase:
    keys = ("min", "max", "avg", "std", "p5", "median", "p95")
    least, most, mean, std, p5, median, p95 = (latency[f"{key}_ms"] for key in keys)
    # The tool does not give the first of the runs.
    return Phase(int(latency["num_runs"]), None, least, most, mean, std, p5, median, p95)


def _device() -> Device:
    return Device(
        _processor() or "this machine",
        " ".join(platform.uname()[i] for i in (0, 2, 4)),
        identify.pretty_name(_text("/etc/os-release")),
        _TOOL,
        _version(),
    )


def _version() -> str:
    """ "" where the tool is another Python's."""
    try:
        return importlib.metadata.version("ai-edge-litert")
    except importlib.metadata.PackageNotFoundError:
        return ""


def _processor() -> str:
    """Name of the processor, where Linux tells it."""
    lines = _text("/proc/cpuinfo").splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else ""


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError:
        return ""
