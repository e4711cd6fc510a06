"""`python -m tests.robustness`: all fault and abuse tests with their full counts, and
docs/robustness.md with what they found."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from runtime.cli import Parser, positive, run
from runtime.errors import KitError
from runtime.files import write_text
from tests.conftest import ROOT

DOCUMENT = ROOT / "docs" / "robustness.md"
_SERVERS = (
    "one line within the time allowed and leaves no file; a sound server then finishes the download"
)

_TEXT = """# Robustness

This page shows what the kit does with damaged input and under bad conditions.

The tests in `tests/robustness` write this page. This run took {minutes:.1f} minutes on {cores}
cores. `tests/run.sh --full` runs the same tests. Without that option they take 20 mutants of each
kind, kill nothing and fill no disk.

## Damaged input

Each mutant is one sound input, damaged in a way that its number decides: bits, runs of bytes,
truncation, splices, integers at their extremes. In JSON and YAML, types, keys, lists and nesting
are damaged, too. In `.tflite` files, so are the offsets alone, and single fields with the rest of
the file rebuilt around them.

Each mutant goes through the commands named, in a process that is watched. A trial is *broken* by
a traceback, an error of more than one line, a wrong answer, a file left behind, more than 30 s,
more than 4 GiB, or the end of the process.

| input | mutants | trials | clear error | right answer | broken | worst, s | memory at most, MiB |
| --- | --- | --- | --- | --- | --- | --- | --- |
{mutants}

The commands are: {through}.

What a right answer is depends on the input:

- For a checkpoint, it is its weights bit for bit. PyTorch before 1.6 wrote no checksums: there
  any finite weights of the right shapes are right.
- For a model specification or configuration, it is what the file says.
- For pictures, annotations and models, it is figures within their bounds. A `.tflite` file has no
  checksum, and other weights in it make another model.

A `.tflite` file is checked as a whole before an interpreter gets it: every offset, every index,
the size of every constant, and for every operator its types and the shape that follows from its
inputs. Custom operators, which compilers for NPUs write, are not checked further: their delegates
read them.

## Bad conditions

| what | cases | what holds |
| --- | --- | --- |
{faults}

## Servers that break their word

These are cases of a real HTTP server on loopback. In each case the command prints {servers}.

| the server | cases |
| --- | --- |
{server}

## Files made to do harm

| file | cases | what holds |
| --- | --- | --- |
{archives}

The kit unpacks no tar. It downloads one ZIP archive, whose checksum it knows, and reads one
member of it by name, up to 64 MiB.
"""


def main() -> int:
    """Run, then write."""
    parser = Parser(prog="python -m tests.robustness", description=__doc__)
    parser.add_argument("--mutants", type=positive, default=500, help="default %(default)s")
    options = parser.parse_args()
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            **{k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"},
            "NANODET_ROBUSTNESS_MUTANTS": str(options.mutants),
            "NANODET_ROBUSTNESS_RECORDS": folder,
            "OMP_NUM_THREADS": "1",
        }
        command = [sys.executable, "-m", "pytest", "-p", "no:xdist", "-ra", "--full"]
        done = subprocess.run(
            [*command, "tests/robustness"], cwd=ROOT, env=environment, check=False
        )
        if done.returncode:
            raise KitError("some tests failed, see above; the page is left as it was")
        lines = Path(folder, "records.jsonl").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    write_text(DOCUMENT, page(records, (time.monotonic() - start) / 60))
    print(f"{DOCUMENT.relative_to(ROOT)} written")
    return 0


def page(records: list[dict[str, Any]], minutes: float) -> str:
    """The document, from what the tests recorded."""
    kinds: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        kinds.setdefault(record["kind"], []).append(record)
    mutants = kinds["mutants"]
    return _TEXT.format(
        minutes=minutes,
        cores=os.cpu_count(),
        mutants=_rows(
            (r["name"], r["mutants"], r["trials"], r["errors"], r["answers"],
             r["trials"] - r["errors"] - r["answers"], f"{r['worst_s']:.1f}",
             f"{r['worst_bytes'] / 2**20:.0f}")
            for r in mutants
        ),
        through="; ".join(f"{r['name']}: {', '.join(r['through'])}" for r in mutants),
        faults=_rows((r["name"], r["cases"], r["held"]) for r in kinds["fault"]),
        servers=_SERVERS,
        server=_rows((r["name"], r["cases"]) for r in kinds["server"]),
        archives=_rows((r["name"], r["cases"], r["held"]) for r in kinds["archive"]),
    )  # fmt: skip


def _rows(rows: Iterable[tuple[object, ...]]) -> str:
    lines = ("| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |"
             for row in rows)  # fmt: skip
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(run(main))
