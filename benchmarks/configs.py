"""`python -m benchmarks.configs DIR`: which of a folder's training configurations the kit builds.

Prints a row for each configuration as it is done, and writes the table of docs/networks.md. Each is
converted through all gates with random weights, quantized to int8 for a smaller picture, and
generated for both engines.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from benchmarks.markdown import publish, table
from convert.training_config import read_training_config
from data.names import ROOT, parse_size, with_input_size
from firmware import generate
from firmware.engine import ENGINES
from runtime.cli import Parser, run
from runtime.errors import KitError
from tests.conftest import make_build, photo

DOCUMENT = ROOT / "docs" / "networks.md"
_HEADER = ("configuration", "backbone", "int8, bytes", *(f"engine `{name}`" for name in ENGINES))


def row(path: Path, root: Path, size: tuple[int, int], folder: Path) -> Sequence[str]:
    """A row of the table. folder: takes the files, and is empty."""
    name = str(path.relative_to(root))
    try:
        spec = with_input_size(read_training_config(path), *size)
        backbone, model = spec.architecture.backbone, make_build(spec, folder).tflite
    except KitError as error:
        refused = str(error).removeprefix(f"--config {path}: ")
        return name, refused, *["" for _ in _HEADER[2:]]
    found = (_generated(model, engine, folder) for engine in ENGINES)
    return name, backbone, f"{model.stat().st_size:,}", *found


def _generated(model: Path, engine: str, folder: Path) -> str:
    picture, out = folder / "picture.png", folder / engine
    Image.fromarray(photo(0, 128, 96)).save(picture)
    words = [str(model), "--engine", engine, "--out", str(out), "--image", str(picture)]
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            generate.main(words)
    except KitError as error:
        return str(error).removeprefix(f"{model}: ").removesuffix("; use --engine tflm")
    return "yes"


def main(words: Sequence[str] | None = None) -> int:
    """Build, print, write."""
    parser = Parser(description=__doc__)
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--input-size", type=parse_size, default=(96, 64), metavar="N|WxH")
    options = parser.parse_args(words)
    paths = sorted(p for end in ("yml", "yaml") for p in options.folder.rglob(f"*.{end}"))
    if not paths:
        raise KitError(f"{options.folder}: holds no .yml; name the folder of configurations")
    print(table(_HEADER, []))
    rows = []
    for path in paths:
        with tempfile.TemporaryDirectory() as scratch:
            rows.append(row(path, options.folder, options.input_size, Path(scratch)))
            print(table(_HEADER, rows[-1:]).splitlines()[-1], flush=True)
    publish(DOCUMENT, "configs", _HEADER, rows)
    return 0


if __name__ == "__main__":
    run(main)
