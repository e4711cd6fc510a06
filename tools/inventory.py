"""`.venv/bin/python -m tools.inventory [--sbom OUT]`: what the locks install, and its licences.

Writes `docs/licences.md` anew, every package of every lock. `--sbom` writes a bill of materials of
the recipe's environment, too (CycloneDX 1.6). Licences are SPDX expressions in
`tools/licences.csv`, from each package's metadata or, where that is vague, its licence file; its
column `bundled` names libraries under other terms inside the published wheel.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import environment
from benchmarks.markdown import table
from runtime.cli import Parser, run
from runtime.errors import KitError
from runtime.files import write_text

ROOT = Path(__file__).parent.parent
LICENCES = ROOT / "tools" / "licences.csv"
DOCUMENT = ROOT / "docs" / "licences.md"
# Lock, by what needs it; of a package in several, the first counts.
LOCKS = {
    "recipe": "locks/recipe.lock",
    "recipe, PyTorch": "locks/torch-cpu.lock",
    "PyTorch with CUDA": "locks/torch-cuda.lock",
    "benchmarks": "locks/benchmark.lock",
    "tests": "locks/test.lock",
}
BUILDING = ("recipe", "recipe, PyTorch", "PyTorch with CUDA")
_BOARD = ("ai-edge-litert", "flatbuffers", "numpy", "pillow")
_CONDITIONS = re.compile(r"GPL|MPL|LicenseRef")
_ENTRY = re.compile(r"^([a-z0-9.-]+)==(\S+)((?:.*\\\n)(?:    --hash=sha256:.*\n)+)", re.MULTILINE)

_INTRODUCTION = """# Licences of dependencies

Written by `tools/inventory.py` from the lock files; do not edit. Licences are SPDX expressions.
None of these packages is part of this repository or of the wheel of `runtime`: pip fetches them.

On a board, `runtime` needs {board}.

## More than naming the authors

These licences ask for more when you pass the package on (the MPL: the source of its own files, if
changed; the LGPL: that the library can be replaced; NVIDIA's: its own terms). The GPL with GCC's
exception asks nothing of programs that use the library. What the kit builds, a `.tflite` file and C
sources, contains none of them.

{conditions}

## Every locked package

{packages}
"""


@dataclass(frozen=True)
class Package:
    """One locked release. hashes: SHA-256 of its files, sorted. needed_by: a key of `LOCKS`."""

    name: str
    version: str
    hashes: tuple[str, ...]
    needed_by: str


def locked(needed_by: Iterable[str] = LOCKS, root: Path = ROOT) -> list[Package]:
    """The packages of these locks, sorted, each release once."""
    found: dict[tuple[str, str], Package] = {}
    for need in needed_by:
        for name, version, rest in _ENTRY.findall((root / LOCKS[need]).read_text()):
            hashes = tuple(sorted(re.findall(r"sha256:(\w+)", rest)))
            found.setdefault((name, version), Package(name, version, hashes, need))
    return [found[key] for key in sorted(found)]


def licences(path: Path = LICENCES) -> dict[str, tuple[str, str]]:
    """Licence and what is bundled, by package."""
    with path.open(newline="", encoding="utf-8") as file:
        return {r["package"]: (r["licence"], r["bundled"]) for r in csv.DictReader(file)}


def document(packages: Iterable[Package], known: dict[str, tuple[str, str]]) -> str:
    """The list for people, in Markdown. Raises `KitError` where a package has no licence."""
    rows = [(p.name, p.version, *_licence(p.name, known), p.needed_by) for p in packages]
    header = ("package", "version", "licence", "in its wheel, too", "for")
    conditions = [row for row in rows if _CONDITIONS.search(f"{row[2]} {row[3]}")]
    board = [f"{name} ({_licence(name, known)[0]})" for name in _BOARD]
    return _INTRODUCTION.format(
        board=", ".join(board[1:]) + f" and an interpreter such as {board[0]}",
        conditions=table(header, conditions),
        packages=table(header, rows),
    )


def bill_of_materials(packages: Iterable[Package], known: dict[str, tuple[str, str]]) -> str:
    """CycloneDX JSON, without date or serial number, so that equal locks give equal bytes."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    name, licence = (
        re.findall(rf'^{key} = "(.*)"', text, re.MULTILINE)[0] for key in ("name", "license")
    )
    kit = {"type": "application", **_component(name, environment.version(), licence)}
    content = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": kit},
        "components": [
            {
                "type": "library",
                "scope": "optional" if p.needed_by == "PyTorch with CUDA" else "required",
                **_component(p.name, p.version, _licence(p.name, known)[0]),
                "hashes": [{"alg": "SHA-256", "content": digest} for digest in p.hashes],
            }
            for p in packages
        ],
    }
    return json.dumps(content, indent=1) + "\n"


def _component(name: str, version: str, licence: str) -> dict[str, Any]:
    purl = f"pkg:pypi/{name}@{version.replace('+', '%2B')}"
    return {
        "bom-ref": purl,
        "name": name,
        "version": version,
        "purl": purl,
        "licenses": [{"expression": licence}],
    }


def _licence(name: str, known: dict[str, tuple[str, str]]) -> tuple[str, str]:
    if name not in known:
        raise KitError(f"{name}: no licence in tools/licences.csv; look it up and add it")
    return known[name]


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = Parser(prog="python -m tools.inventory", description=__doc__)
    parser.add_argument("--sbom", type=Path, metavar="OUT", help="e.g. sbom.cdx.json")
    return parser.parse_args()


def main() -> int:
    """Write what is asked for."""
    options, known = parse_arguments(), licences()
    write_text(DOCUMENT, document(locked(), known))
    if options.sbom is not None:
        write_text(options.sbom, bill_of_materials(locked(BUILDING), known))
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
