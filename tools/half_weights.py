"""`python tools/half_weights.py IN.ckpt OUT.ckpt`: what a network deploys, as float16."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from convert.checkpoint import read_weights
from runtime.files import writing


def main(source: Path, target: Path) -> None:
    """Keep the averaged weights alone, half as large."""
    weights = read_weights(source).weights
    half = {name: weights[name].half().contiguous() for name in sorted(weights)}
    with writing(target) as temporary:
        torch.save({"state_dict": half}, temporary)
    print(f"{target}, {target.stat().st_size:,} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
