"""Reads Pascal VOC's XML, a file for each picture, and believes nothing in it.

A folder of XML, or a list of VOC's `ImageSets`, whose `Annotations` lie beside it. Corners are
taken as they are written, as upstream takes them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from data.pictures import picture_of

_MOST_BYTES = 16 << 20
_CORNERS = ("xmin", "ymin", "xmax", "ymax")


def files(path: Path) -> list[Path]:
    """The XML files of a folder or of a list of names, by name."""
    if path.is_dir():
        return sorted(path.glob("*.xml"))
    folder = path.parent.parent.parent / "Annotations"
    rows = (line.split() for line in path.read_text(encoding="utf-8").splitlines())
    return sorted(folder / f"{Path(row[0]).name}.xml" for row in rows if row)


def read(path: Path, images: Path | None) -> dict[str, Any]:
    """`images`, `categories` and `annotations` as COCO has them, numbered from 1 by name.

    images: where the pictures lie. Raises `ValueError` naming the file that is none.
    """
    roots = [(file, _root(file)) for file in files(path)]
    boxes = [
        {"image_id": i, "name": _text(entry, "name"), **_box(entry, file.name)}
        for i, (file, root) in enumerate(roots, 1)
        for entry in root.findall("object")
    ]
    numbers = {name: i for i, name in enumerate(sorted({box["name"] for box in boxes}), 1)}
    return {
        "images": [
            {"id": i, "file_name": picture_of(file.stem, _text(root, "filename"), images)}
            for i, (file, root) in enumerate(roots, 1)
        ],
        "categories": [{"id": i, "name": name} for name, i in numbers.items()],
        "annotations": [{**box, "category_id": numbers[box["name"]]} for box in boxes],
    }


def _text(element: Element, name: str) -> str:
    return (element.findtext(name) or "").strip()


def _box(entry: Element, where: str) -> dict[str, Any]:
    """x, y, width and height, or the fault that it has."""
    corners = [_text(entry, f"bndbox/{name}") for name in _CORNERS]
    try:
        left, top, right, bottom = map(float, corners)
    except ValueError:
        return {"fault": f"{where}: a box of {corners!s:.80}"}
    if not (left <= right and top <= bottom):
        return {"fault": f"{where}: the corners {corners!s:.80} of a box are the wrong way round"}
    return {"bbox": [left, top, right - left, bottom - top]}


def _root(path: Path) -> Element:
    """The tree of a file. Documents that declare a type are refused: entities come with it, and
    one may grow without end or fetch what is none of its business."""
    builder, parser = TreeBuilder(), expat.ParserCreate()
    parser.StartDoctypeDeclHandler = _refuse
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    if path.stat().st_size > _MOST_BYTES:
        raise ValueError(f"{path.name} is too large")
    try:
        parser.Parse(path.read_bytes(), True)
        root: Element = builder.close()
    except (expat.ExpatError, LookupError, ValueError) as error:
        raise ValueError(f"{path.name}: {error}") from None
    if root.tag != "annotation":
        raise ValueError(f"{path.name} is a <{root.tag}>, no <annotation>")
    return root


def _refuse(*_: object) -> None:
    raise ValueError("declares a document type, which annotations do not need")
