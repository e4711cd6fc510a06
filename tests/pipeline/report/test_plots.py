from __future__ import annotations

import dataclasses
import html
import re
import xml.etree.ElementTree

import pytest

from pipeline.report import plots
from pipeline.report.contract import Accuracy, ArenaMap, ClassScore, Findings, Missing
from tests.pipeline.report.conftest import HOSTILE


@pytest.fixture(scope="module")
def drawn(found: Findings) -> dict[str, str]:
    return _draw(found)


def _draw(found: Findings) -> dict[str, str]:
    assert isinstance(found.accuracy, Accuracy) and isinstance(found.arena, ArenaMap)
    assert not isinstance(found.noise, Missing)
    scores = (ClassScore(HOSTILE[:14], 30, 20, 10), ClassScore("$x$", 10, 20, 10))
    accuracy = dataclasses.replace(found.accuracy, classes=scores)
    first, *others = found.arena.peak_tensors
    named = dataclasses.replace(first, name="$t$ <i>")
    arena = dataclasses.replace(found.arena, peak_tensors=(named, *others))
    return {
        "waterfall": plots.waterfall(found.accuracy),
        "classes": plots.classes(accuracy),
        "curves": plots.precision_recall(found.accuracy),
        "noise": plots.noise(found.noise),
        "operators": plots.operators({"CONV_2D": 3}, {}),
        "instructions": plots.operators({}, {"CONV_2D 1x1": 123_400_000}),
        "arena": plots.memory_map(arena),
    }


def test_bytes_repeat(found: Findings, drawn: dict[str, str]) -> None:
    assert _draw(found) == drawn


def test_operators_in_any_order_give_the_same_bytes() -> None:
    """A stage that is skipped has its results read back sorted by name."""
    instructions = {"CONV_2D": 300, "ADD": 100, "SLICE": 100}
    by_name = dict(sorted(instructions.items()))
    assert plots.operators({}, instructions) == plots.operators({}, by_name)
    assert plots.operators(instructions, {}) == plots.operators(by_name, {})


def test_well_formed_and_scaled_by_the_page(drawn: dict[str, str]) -> None:
    for name, svg in drawn.items():
        root = xml.etree.ElementTree.fromstring(svg)
        assert "width" not in root.attrib and "viewBox" in root.attrib, name
        assert root.attrib["role"] == "img" and root.attrib["aria-label"], name
        assert "metadata" not in svg and "<!DOCTYPE" not in svg, name


def test_text_is_at_least_11_pixels_on_a_phone(drawn: dict[str, str]) -> None:
    """360 pixels wide, 16 of margin on either side."""
    for name, svg in drawn.items():
        width = float(re.findall(r'viewBox="0 0 ([\d.]+)', svg)[0])
        sizes = [float(size) for size in re.findall(r"font(?:-size)?: ([\d.]+)px", svg)]
        assert sizes and min(sizes) * 328 / width >= 11, name


def test_ids_do_not_meet_in_one_page(drawn: dict[str, str]) -> None:
    del drawn["instructions"]  # In the place of `operators`.
    ids = [i for svg in drawn.values() for i in set(re.findall(r'\bid="([^"]+)"', svg))]
    assert len(ids) == len(set(ids))
    for name, svg in drawn.items():
        for wanted in re.findall(r'(?:url\(|href=")#([^")]+)', svg):
            assert f'id="{wanted}"' in svg, name


def test_names_stand_for_themselves(drawn: dict[str, str]) -> None:
    assert "<script" not in drawn["classes"] and html.escape(HOSTILE[:14]) in drawn["classes"]
    assert "$x$ (10)" in drawn["classes"], "no mathematics"
    assert "$t$ &lt;i&gt;" in drawn["arena"]


def test_waterfall_says_what_each_step_takes(found: Findings) -> None:
    assert isinstance(found.accuracy, Accuracy)
    scores = found.accuracy.exact.scores
    steps = [
        dataclasses.replace(
            found.accuracy.exact,
            name=name,
            scores=dataclasses.replace(scores, figures={"AP": ap}),
        )
        for name, ap in (("float", 24.0), ("cut", 12.5), ("int8", 12.75))
    ]
    svg = plots.waterfall(dataclasses.replace(found.accuracy, steps=tuple(steps)))
    for text in ("24.00", "12.50  (\N{MINUS SIGN}11.50)", "12.75  (+0.25)"):
        assert f">{text}<" in svg
