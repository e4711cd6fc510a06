"""Tables in Markdown, and their places in documents."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from runtime.files import write_text


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
