"""`./nanodet compare BASE.json OTHER.json`: is one AP really lower than the other?

Both files are what `evaluate.py --detections` wrote, or any COCO results of the same photographs.
AP is that of evaluate.py: of all images and classes that were looked for, found or not.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from data.annotations import Results, plain, read_annotations, read_results
from data.fallback import default_model
from data.names import ROOT, variant
from evaluation.bootstrap import FIGURES, figures, resampled, standard_error
from evaluation.coco import CocoSet
from runtime.cli import Parser, plural, positive
from runtime.errors import KitError
from runtime.files import write_text


@dataclass(frozen=True)
class Difference:
    """A figure of two results in percent, and the standard error of what lies between."""

    name: str
    base: float
    other: float
    standard_error: float

    @property
    def value(self) -> float:
        """Other minus base, in percent."""
        return self.other - self.base


def compare(
    images: CocoSet, base: Results, other: Results, progress: bool = True
) -> tuple[Difference, ...]:
    """`FIGURES` of two results of the same images."""
    before, after = (figures(images, results) for results in (base, other))
    errors = standard_error(*(resampled(images, results, progress) for results in (base, other)))
    return tuple(map(Difference, FIGURES, before, after, errors))


def parse_arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = Parser(description=__doc__)
    add = parser.add_argument
    add("base", type=Path, metavar="BASE.json")
    add("other", type=Path, metavar="OTHER.json")
    add("--annotations", type=Path, metavar="JSON", help="of the photographs")
    add("--limit", type=positive, help="only the first N images by id, as for evaluate.py")
    add("--json", type=Path, metavar="OUT", help="write the figures here")
    return parser.parse_args(words)


def load(
    annotations: Path, base: Path, other: Path, limit: int | None = None
) -> tuple[CocoSet, Results, Results]:
    """The images, of the classes that both were asked for, and both results.

    Raises `KitError` where they were not asked for the same.
    """
    content = read_annotations(annotations)
    ids = {image["id"] for image in content["images"]}
    names = {category["id"]: category["name"] for category in content["categories"]}
    before, after = (read_results(path, ids, names) for path in (base, other))
    if not (before.detections or after.detections):
        raise KitError(f"{base}, {other}: no detections; there is nothing to compare")
    found = (before, after), (after, before)
    numbers = [set(one.images or two.images or ids) for one, two in found]
    classes = [set(map(plain, one.classes or two.classes or names.values())) for one, two in found]
    for what, (one, two) in (("images", numbers), ("classes", classes)):
        if one != two:
            count = f"{len(two)} other" if len(one) == len(two) else len(two)
            raise KitError(f"{base} is of {len(one)} {what}, {other} of {count}; evaluate alike")
    images = CocoSet.load(annotations.parent, annotations, sorted(classes[0]))
    chosen = tuple(sorted(numbers[0])[:limit])
    return dataclasses.replace(images, image_ids=chosen), before.detections, after.detections


def _annotations(given: Path | None) -> Path:
    if given is not None:
        return given
    from data import locate

    found = locate.evaluation_set(variant(default_model(ROOT), None), None, None, None, False)
    if found is None:
        raise KitError("no annotated photographs found; give --annotations")
    return found[1]


def print_table(differences: Sequence[Difference], images: int) -> None:
    """A line for each figure."""
    print(f"{plural(images, 'image')}, in percent")
    print("        base  other  difference  standard error")
    for d in differences:
        print(f"{d.name:5} {d.base:6.2f} {d.other:6.2f} {d.value:+11.2f} {d.standard_error:15.2f}")


def main(words: Sequence[str] | None = None) -> int:
    """Compare, print, write."""
    options = parse_arguments(words)
    annotations = _annotations(options.annotations)
    images, base, other = load(annotations, options.base, options.other, options.limit)
    found = compare(images, base, other)
    print_table(found, len(images.image_ids))
    if options.json is not None:
        columns = ("base", "other", "standard_error")
        content = {d.name: {name: round(getattr(d, name), 4) for name in columns} for d in found}
        write_text(options.json, json.dumps(content, indent=1) + "\n")
    return 0
