"""`./nanodet data DIR`: what is in a data set, and what is wrong with it.

Says for each part how many pictures, boxes and classes there are, which boxes and pictures are of
no use, and what training and validation share, and draws 16 pictures with their boxes.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from data.annotations import AnnotatedImages, read_annotations
from data.pictures import size_of
from data.sets import find_sets
from runtime.cli import Parser, plural
from runtime.detections import Detections
from runtime.draw import annotate
from runtime.errors import KitError
from runtime.files import writing
from runtime.image import load_rgb

_SHEET_SIDE, _CELL_PX = 4, 320
_SHOWN = 5  # Of a list of faults.
_SMALL_PX, _LARGE_PX = 32.0, 96.0  # COCO's bounds, roots of areas.
_LEAST_PX = 1.0  # Of a box that is trained on.


@dataclass(frozen=True)
class Overview:
    """One part of a data set.

    boxes: (N, 4) x, y, width, height in pixels. class_id, image: (N,), numbers in `names` and
    `paths`. sizes: of the pictures, upright; None where a picture is missing or damaged. faults: of
    boxes that are none. digests: SHA-256 of a picture -> its file.
    """

    paths: tuple[Path, ...]
    names: tuple[str, ...]
    boxes: np.ndarray
    class_id: np.ndarray
    image: np.ndarray
    sizes: tuple[tuple[int, int] | None, ...]
    faults: tuple[str, ...]
    digests: dict[str, Path]

    @classmethod
    def of(cls, images: AnnotatedImages) -> Overview:
        """Reads the annotations, and all pictures' heads and bytes."""
        faults: list[str] = []
        content = read_annotations(images.path, images.folder, faults)
        names = {c["id"]: c["name"] for c in content["categories"]}
        places = {image["id"]: i for i, image in enumerate(content["images"])}
        paths = tuple(images.folder / image["file_name"] for image in content["images"])
        kept = []
        for box in content["annotations"]:
            if box["category_id"] in names:
                kept.append(box)
            else:
                faults.append(f"category {box['category_id']} of a box is not listed")
        order = list(names)
        return cls(
            paths,
            tuple(names.values()),
            np.array([box["bbox"] for box in kept], float).reshape(-1, 4),
            np.array([order.index(box["category_id"]) for box in kept], int),
            np.array([places[box["image_id"]] for box in kept], int),
            tuple(_size(path) for path in paths),
            tuple(faults),
            {hashlib.sha256(p.read_bytes()).hexdigest(): p for p in paths if p.is_file()},
        )

    def lines(self) -> list[str]:
        """What there is, then what is wrong."""
        known = [size for size in self.sizes if size is not None]
        held = (len(self.paths), "picture"), (len(self.boxes), "box"), (len(self.names), "class")
        lines = [", ".join(plural(*one) for one in held)]
        if known:
            low, high = np.min(known, 0), np.max(known, 0)
            lines.append(f"pictures of {low[0]}x{low[1]} to {high[0]}x{high[1]} pixels")
        if len(self.boxes):
            sides = np.sqrt(self.boxes[:, 2:].clip(0).prod(1))
            few, many = (sides < _SMALL_PX).mean(), (sides >= _LARGE_PX).mean()
            middle = np.median(sides)
            lines.append(
                f"boxes: {few:.0%} below 32 pixels, {many:.0%} above 96, median {middle:.0f}"
            )
        counts = Counter(self.class_id.tolist())
        width = max(map(len, self.names), default=0)
        lines += [f"  {name:{width}} {counts[i]:7}" for i, name in enumerate(self.names)]
        return lines + self._wrong(counts)

    def _wrong(self, counts: Counter[int]) -> list[str]:
        sizes = np.array([size or (np.inf, np.inf) for size in self.sizes]).reshape(-1, 2)
        width, height = sizes[self.image].T
        x, y, w, h = self.boxes.T
        outside = (x < -_LEAST_PX) | (y < -_LEAST_PX)
        outside |= (x + w > width + _LEAST_PX) | (y + h > height + _LEAST_PX)
        empty = len(self.paths) - len(set(self.image.tolist()))
        unreadable = [p for p, size in zip(self.paths, self.sizes, strict=True) if size is None]
        repeated = len([p for p in self.paths if p.is_file()]) - len(self.digests)
        found = [
            (len(self.faults), f"broken boxes: {_some(self.faults)}"),
            (int(((w < _LEAST_PX) | (h < _LEAST_PX)).sum()), "boxes below one pixel, left out"),
            (int(outside.sum()), "boxes that leave their picture"),
            (len(unreadable), f"pictures missing or damaged: {_some(unreadable)}"),
            (repeated, "pictures with the same bytes as another one"),
            (empty, "pictures without boxes"),
            (sum(not counts[i] for i in range(len(self.names))), "classes without boxes"),
        ]
        return [f"{count} {what}" for count, what in found if count]


def shared(one: Overview, other: Overview) -> list[Path]:
    """Pictures of the first that the other has, too, byte for byte."""
    return sorted(one.digests[digest] for digest in one.digests.keys() & other.digests.keys())


def sheet(overview: Overview) -> Image.Image:
    """16 pictures, spread over the set, with boxes first."""
    boxed = sorted(set(overview.image.tolist()))
    rest = [i for i in range(len(overview.paths)) if i not in set(boxed)]
    usable = [i for i in (*boxed, *rest) if overview.sizes[i] is not None]
    count = _SHEET_SIDE**2
    chosen = usable[:: max(len(usable) // count, 1)][:count]
    whole = Image.new("RGB", (_SHEET_SIDE * _CELL_PX,) * 2)
    for place, i in enumerate(chosen):
        row, column = divmod(place, _SHEET_SIDE)
        whole.paste(_drawn(overview, i), (column * _CELL_PX, row * _CELL_PX))
    return whole


def _drawn(overview: Overview, number: int) -> Image.Image:
    image = Image.fromarray(load_rgb(overview.paths[number]))
    scale = _CELL_PX / max(image.size)
    small = image.resize([max(round(side * scale), 1) for side in image.size])
    own = overview.image == number
    xywh = overview.boxes[own] * scale
    xyxy = np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], 1).astype(np.float32)
    ids = overview.class_id[own].astype(np.int64)
    found = Detections(xyxy, np.ones(len(ids), np.float32), ids, overview.names)
    return annotate(np.asarray(small), found, overview.names, text_px=12)


def _size(path: Path) -> tuple[int, int] | None:
    try:
        return size_of(path)
    except KitError:
        return None


def _some(found: Sequence[object]) -> str:
    more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return "; ".join(map(str, found[:_SHOWN])) + more


def main(words: Sequence[str] | None = None) -> int:
    """Read, print, draw."""
    parser = Parser(description=__doc__)
    add = parser.add_argument
    add("set", type=Path, metavar="DIR", help="a folder, an annotation file or a data.yaml")
    add(
        "--sheet",
        type=Path,
        default=Path("runs/data.png"),
        metavar="OUT",
        help="where 16 pictures are drawn, default %(default)s",
    )
    options = parser.parse_args(words)
    parts = {name: Overview.of(images) for name, images in find_sets(options.set).items()}
    for name, overview in parts.items():
        print(f"{name}:", *overview.lines(), sep="\n  ")
    names = list(parts)
    for i, one in enumerate(names):
        for other in names[i + 1 :]:
            both = shared(parts[one], parts[other])
            print(f"{one} and {other} share {len(both)} pictures{': ' * bool(both)}{_some(both)}")
    with writing(options.sheet) as temporary:
        sheet(next(iter(parts.values()))).save(temporary, "PNG")
    print(f"drawn: {options.sheet}")
    return 0
