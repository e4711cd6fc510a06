"""Running the kit's own commands, as a user does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

from data.names import ROOT, work_folder
from runtime.files import write_text
from runtime.spec import ModelSpec

FIGURES = ("AP", "AP50", "AP75")


def python(*arguments: str, threads: int = 0, codes: Collection[int] = (0,)) -> None:
    """Run a command of the kit. threads: limit of PyTorch's and NumPy's. codes: exits that are no
    failure."""
    print("$ python", *arguments, file=sys.stderr, flush=True)
    limit = {"OMP_NUM_THREADS": str(threads)} if threads else {}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, **limit},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode not in codes:
        raise RuntimeError(f"{' '.join(arguments)} failed:\n{done.stderr}")


def evaluate(scores: Path, *arguments: str, threads: int = 0) -> dict[str, float]:
    """AP, AP50 and AP75 in percent, by evaluate.py; `scores` is where it writes them."""
    python("evaluate.py", *arguments, "--json", str(scores), threads=threads)
    figures = json.loads(scores.read_text(encoding="utf-8"))
    return {name: figures[name] for name in FIGURES}


def choice(spec: ModelSpec) -> list[str]:
    """The options that choose a variant of `models/` and its strides."""
    return ["--model", spec.name, "--strides", listed(spec)]


def listed(spec: ModelSpec) -> str:
    """Its strides, such as `16,32`."""
    return ",".join(map(str, spec.graph.strides))


def build(
    spec: ModelSpec,
    *options: str,
    out: Path = ROOT,
    quantization: str = "int8",
    codes: Collection[int] = (0,),
) -> dict[str, Any]:
    """Build a variant in `out` by recipe.sh, and give the report; see `python`."""
    words = ["--quantization", quantization, "--out", str(out)]
    python("-m", "pipeline", *choice(spec), *options, *words, codes=codes)
    return read_report(spec, out, quantization)


def read_report(spec: ModelSpec, out: Path, quantization: str = "int8") -> dict[str, Any]:
    """The report of a build in `out`."""
    return read_rows(work_folder(spec, out, quantization) / "report.json")


def read_rows(path: Path) -> dict[str, Any]:
    """A JSON object; an empty one where there is no file yet."""
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return found


def write_rows(path: Path, rows: Any, sort_keys: bool = False) -> None:
    """Write JSON for people to read."""
    write_text(path, json.dumps(rows, indent=1, sort_keys=sort_keys) + "\n")
