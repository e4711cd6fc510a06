"""`python -m benchmarks.emulated MODEL.tflite ...`: files on emulated Linux boards, the tables of
docs/boards.md.

Counts the instructions of each MODEL, and evaluates those of this kit on photographs of val500,
here and there. That takes minutes for each: results/emulated.json keeps what was measured, and the
tables show all of it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.builds import read_rows, write_rows
from benchmarks.markdown import replace_block, table
from data import locate
from data.annotations import Results
from data.names import ROOT
from evaluation.coco import CocoSet, detect_all, score
from runtime.benchmark import arm_root, emulator
from runtime.benchmark.counted import KERNELS
from runtime.benchmark.emulator import Emulator
from runtime.benchmark.foretell import Foretold, foretell
from runtime.benchmark.instructions import count
from runtime.detector import Detector
from runtime.errors import KitError
from runtime.tflite_file import TfliteFile

DOCUMENT = ROOT / "docs" / "boards.md"
RESULTS = ROOT / "benchmarks" / "results" / "emulated.json"
_IMAGES = 100
_TIMEOUT_S = 3600
# Results in COCO's format, of `python3 -c` with a model, categories and images by number.
_DETECT = """
import json, sys
from runtime.detector import Detector
model, categories, images = sys.argv[1], json.loads(sys.argv[2]), json.loads(sys.argv[3])
detector, results = Detector(model), []
for image_id, path in images:
    results += detector.detect(path).to_coco(image_id, categories)
print(json.dumps(results))
"""


def detect_there(board: Emulator, model: Path, images: CocoSet) -> Results:
    """As `evaluation.coco.detect_all`, by the `runtime` and the kernels of an emulated board."""
    files = [(image_id, str(path.resolve())) for image_id, path in images.paths()]
    words = [_DETECT, str(model.resolve()), json.dumps(images.category_ids), json.dumps(files)]
    done = board.run(["python3", "-c", *words], timeout_s=_TIMEOUT_S)
    if done.returncode:
        raise KitError(f"{model}: does not run on the {board.host} {done.failure}")
    results: Results = json.loads(done.text)
    return results


def measure(model: Path) -> dict[str, Any]:
    """A row: instructions by CPU and kernels; AP here and there, None for a file of others."""
    root = arm_root.standard()
    emulators = [emulator.of_board(board, root) for board in emulator.known().values()]
    instructions = {
        board.cpu: {kernels: count(board, model, kernels, _TIMEOUT_S) for kernels in KERNELS}
        for board in emulators
    }
    try:
        spec = TfliteFile.read(model).spec
    except KitError:
        return {"instructions": instructions, "ap": None}
    found = locate.evaluation_set(spec, None, None, _IMAGES)
    assert found is not None
    images = CocoSet.load(*found, spec.classes, _IMAGES)
    results = {"here": detect_all(Detector(model), images)}
    results |= {board.cpu: detect_there(board, model, images) for board in emulators}
    rows = {
        place: {
            "ap": round(score(images, answers, spec.classes).figures["AP"], 2),
            "detections": len(answers),
            "equal": answers == results["here"],
        }
        for place, answers in results.items()
    }
    return {"instructions": instructions, "ap": rows}


def counts(rows: dict[str, dict[str, Any]]) -> str:
    """Instructions, and what they foretell."""
    boards = emulator.known()
    found = [
        foretell(name, boards[cpu], kernels, number)
        for name, row in rows.items()
        for cpu, by_kernels in row["instructions"].items()
        for kernels, number in by_kernels.items()
    ]
    head = ("file", "CPU", "kernels", "M instructions", "of NXP's file", "ms, foretold")
    return table(head, [tuple(_cells(entry)) for entry in found])


def _cells(entry: Foretold) -> Iterator[str]:
    yield from (f"`{entry.model}`", entry.cpu, entry.kernels, f"{entry.instructions / 1e6:.1f}")
    yield f"{entry.share:.2f}"
    yield ", ".join(f"{ms:.1f} ({n})" for n, ms in entry.latency_ms.items()) or "-"


def precisions(rows: dict[str, dict[str, Any]]) -> str:
    """AP on this machine and by Arm's kernels."""
    cpus = list(emulator.known())
    body = [
        (f"`{name}`", *(_precision(row["ap"].get(place)) for place in ("here", *cpus)))
        for name, row in rows.items()
        if row["ap"]
    ]
    return table(("file", "x86-64", *cpus), body)


def _precision(found: dict[str, Any] | None) -> str:
    if found is None:
        return "not measured"
    same = "the same" if found["equal"] else "others"
    return f"{found['ap']:.2f}, {found['detections']} detections, {same}"


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", type=Path, metavar="MODEL.tflite")
    rows = read_rows(RESULTS)
    for model in parser.parse_args().models:
        rows[model.name] = measure(model)
        write_rows(RESULTS, rows)
    replace_block(DOCUMENT, "emulated", counts(rows))
    replace_block(DOCUMENT, "emulated-ap", precisions(rows))


if __name__ == "__main__":
    main()
