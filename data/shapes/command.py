"""`./nanodet shapes --out DIR`: write scenes with annotations in COCO's format."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from data.shapes.dataset import write_set
from runtime.cli import Parser, positive


def main(words: Sequence[str] | None = None) -> int:
    """Parse the command line and write."""
    parser = Parser(description=__doc__)
    add = parser.add_argument
    add("--out", type=Path, required=True, metavar="DIR", help="folder to write")
    add("--images", type=positive, default=500, help="how many, default %(default)s")
    add("--width", type=positive, default=320, help="pixels, default %(default)s")
    add("--height", type=positive, default=320, help="pixels, default %(default)s")
    add("--seed", type=int, default=0, help="number of the first scene, default %(default)s")
    options = parser.parse_args(words)
    write_set(options.out, options.images, options.width, options.height, options.seed)
    return 0
