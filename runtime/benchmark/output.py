"""What a measurement leaves behind: files, and the card on the console."""

from __future__ import annotations

import sys
from pathlib import Path

from ..files import write_text
from . import plot, tables
from .types import Result


def finish(result: Result, folder: Path) -> int:
    """Write JSON, Markdown, plot and the tool's output; print the card and the notes."""
    settings = result.measurement.settings
    stem = f"{Path(settings.model).stem}-{result.profile.name}-{settings.accelerator}"
    if settings.accelerator == "cpu":
        stem += f"-{settings.threads}t"
    write_text(folder / f"{stem}.json", tables.as_json(result))
    write_text(folder / f"{stem}.md", tables.as_markdown(result))
    write_text(folder / f"{stem}.log", result.log)
    plot.save(result, folder / f"{stem}.svg")
    for note in result.measurement.notes:
        print(f"note: {note}", file=sys.stderr)
    print(tables.card(result))
    print(f"written: {folder / stem}.json, .md, .svg, .log")
    return 0
