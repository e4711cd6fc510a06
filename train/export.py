"""`python -m train.export IN.ckpt OUT.ckpt`: the deployed weights, alone and as float16."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import torch

from convert.checkpoint import read_weights
from runtime.cli import Parser, run
from runtime.files import writing


def main() -> int:
    """Write the averaged weights where there are some; the same weights give the same bytes."""
    parser = Parser(prog="python -m train.export", description=__doc__)
    parser.add_argument("source", type=Path, metavar="IN.ckpt")
    parser.add_argument("target", type=Path, metavar="OUT.ckpt")
    options = parser.parse_args()
    weights = read_weights(options.source).weights
    half = {name: weights[name].half().contiguous() for name in sorted(weights)}
    content = io.BytesIO()  # Into a file, torch.save would write its name, too.
    torch.save({"state_dict": half}, content)
    with writing(options.target) as temporary:
        temporary.write_bytes(content.getvalue())
    print(f"{options.target}, {len(content.getvalue()):,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
