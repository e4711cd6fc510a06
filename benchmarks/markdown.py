"""Tables in Markdown, their places in documents, and the results that they show."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from data.names import ROOT
from runtime.files import write_text

RESULTS = ROOT / "benchmarks" / "results"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def replace_block(path: Path, name: str, text: str) -> None:
    """Put `text` between the comments `<!-- name -->` and `<!-- /name -->` of a document."""
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    document = path.read_text(encoding="utf-8")
    if document.count(begin) != 1 or document.count(end) != 1:
        raise ValueError(f"{path}: expected one {begin} and one {end}")
    before, rest = document.split(begin)
    after = rest.split(end)[1]
    write_text(path, f"{before}{begin}\n{text}\n{end}{after}")


def publish(
    document: Path, name: str, header: Sequence[str], rows: Sequence[Sequence[str]]
) -> None:
    """Write what a table shows to results/NAME.csv, and the table to its place in a document."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    write_text(RESULTS / f"{name}.csv", text.getvalue())
    replace_block(document, name, render_csv(RESULTS / f"{name}.csv"))


def render_csv(path: Path) -> str:
    """The table of a CSV file in Markdown."""
    with path.open(newline="", encoding="utf-8") as file:
        header, *rows = list(csv.reader(file))
    return table(header, rows)
