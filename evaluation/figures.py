"""Saving plots: the same figures give the same bytes, and no half-written file."""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from runtime.files import writing

_FORMATS = (".svg", ".png")


def save(figure: Figure, path: Path) -> None:
    """Write a figure as SVG, PNG or JPEG, by the name's suffix; makes the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = {"Date": None} if path.suffix == ".svg" else None
    with mpl.rc_context({"svg.hashsalt": path.stem}), writing(path) as temporary:
        figure.savefig(temporary, format=path.suffix[1:], dpi=150, metadata=metadata)


def plot_path(text: str) -> Path:
    """Command-line type: a name that ends in .svg or .png."""
    path = Path(text)
    if path.suffix not in _FORMATS:
        raise argparse.ArgumentTypeError(f"{text}: choose a name in {' or '.join(_FORMATS)}")
    return path
