from __future__ import annotations

import dataclasses
import re
import shlex
from html.parser import HTMLParser
from typing import Any

import pytest

from environment import version
from pipeline.report import render
from pipeline.report.build import make
from pipeline.report.contract import Accuracy, ClassScore, Findings, Job, Missing
from pipeline.report.latency import latencies
from runtime.spec import ModelSpec
from runtime.tflite_file import TfliteFile
from tests.pipeline.report.conftest import HOSTILE, HOSTILE_FILE

_VOID = ("meta", "link", "img", "br")


class Reader(HTMLParser):
    """Elements, text and attributes of a page; fails on elements that are not closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.values: list[tuple[str, str, str]] = []
        self.text: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        assert not self._open

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.values += [(tag, name, value or "") for name, value in attributes]
        if tag not in _VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.values += [(tag, name, value or "") for name, value in attributes]

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.fixture(scope="session")
def spec(job: Job) -> ModelSpec:
    return TfliteFile.read(job.tflite).spec


def hostile(found: Findings) -> Findings:
    """What a user's own class names and files may bring."""
    assert isinstance(found.accuracy, Accuracy)
    classes = (ClassScore(HOSTILE, 20, 20.0, 10.0), *found.accuracy.classes)
    return dataclasses.replace(found, accuracy=dataclasses.replace(found.accuracy, classes=classes))


def test_same_inputs_same_bytes(job: Job, found: Findings, spec: ModelSpec) -> None:
    assert render.page(job, spec, found) == render.page(job, spec, found)
    assert render.card(job, spec, found) == render.card(job, spec, found)


def test_order_of_the_page(job: Job, found: Findings, spec: ModelSpec) -> None:
    page = render.page(job, spec, found)
    headings = [" ".join(h.split()) for h in re.findall(r"<h[12]>(.*?)</h", page, re.DOTALL)]
    assert headings == [
        "nanodet-m-0.5x, strides 8, 16, 32, int8, from weights.ckpt", "What it finds",
        "Where AP goes", "By class", "Noise of rounding", "Operators", "The arena over time",
        "On the kit's own engine", "Latency", "Commands and versions", "Files",
    ]  # fmt: skip
    assert "on the first 3 annotated images" in page
    assert "the kit has no" not in page and "bash recipe.sh --fast" in page


def test_it_opens_with_what_to_expect(job: Job, found: Findings, spec: ModelSpec) -> None:
    """Boards, the contract, version and command, before anything else."""
    page = render.page(job, spec, found)
    opening = page[: page.index('id="pictures"')]
    wanted = ["i.MX RT1170", "<dt>input", "pixel &minus; 128", "rotated by 180 degrees", "cls_8"]
    wanted += [f"kit {version()}", "bash recipe.sh --fast", "121 KB", "123,456 bytes"]
    places = [opening.find(text) for text in wanted]
    assert places == sorted(places) and places[0] > 0


@pytest.mark.parametrize(
    ("command", "trained_by", "wanted"),
    [
        ("bash recipe.sh", "authors", "./nanodet waterfall model.tflite --limit 3"),
        (
            "bash recipe.sh --config a.yml --weights 'my own.ckpt' --annotations=b.json "
            "--evaluation-images c",
            "user",
            "./nanodet waterfall model.tflite --limit 3 --annotations=b.json --images c "
            "--weights 'my own.ckpt'",
        ),
        ("bash recipe.sh --annotations b.json", "authors",
         "./nanodet evaluate model.tflite --limit 3 --annotations b.json"),
    ],
)  # fmt: skip
def test_commands_give_the_printed_figures(
    job: Job, found: Findings, spec: ModelSpec, command: str, trained_by: Any, wanted: str
) -> None:
    card = render.card(
        dataclasses.replace(job, command=command, trained_by=trained_by), spec, found
    )
    lines = [line.strip() for line in card.splitlines() if line.startswith("      ")]
    assert wanted in lines and command in lines
    assert not [line for line in lines if "IMAGE" in line or "..." in line], "nothing to fill in"
    from tests.docs.options import unknown_options

    ours = "\n".join(f"    {line}" for line in lines)
    assert unknown_options(ours, frozenset()) == []


def test_user_data_is_text(job: Job, found: Findings, spec: ModelSpec) -> None:
    assert any(picture.name == HOSTILE_FILE for picture in found.pictures)
    page = Reader(render.page(job, spec, hostile(found)))
    assert "script" not in page.tags
    assert not [v for v in page.values if v[1].startswith("on")]
    text = "".join(page.text)
    assert HOSTILE in text and HOSTILE_FILE in text


def test_nothing_is_loaded_from_elsewhere(job: Job, found: Findings, spec: ModelSpec) -> None:
    page = render.page(job, spec, found)
    loaded = [v for t, n, v in Reader(page).values if n in ("src", "xlink:href", "data", "srcset")]
    loaded += [v for t, n, v in Reader(page).values if t == "link" and n == "href"]
    assert loaded and all(v.startswith(("data:", "#")) for v in loaded)
    assert not re.findall(r"url\((?!#)|@import", page)
    links = [v for t, n, v in Reader(page).values if t == "a"]
    assert links and not [v for v in links if "//" in v or v.startswith("/")]


def test_what_is_missing_says_why(job: Job, found: Findings, spec: ModelSpec) -> None:
    bare = dataclasses.replace(
        found, accuracy=Missing("No <images>."), noise=Missing("Floats."), arena=Missing("None.")
    )
    content = {**job.content, "cortex_m7": None, "arena_bytes": None}
    other = dataclasses.replace(job, content=content)
    page, card = render.page(other, spec, bare), render.card(other, spec, bare)
    assert page.count("Not measured. No &lt;images&gt;.") == 2
    assert "Not measured. Floats." in page and "Instructions are not predicted" in page
    assert "AP was not measured. No \\<images\\>." in card


@pytest.mark.parametrize(
    ("cost", "page_says", "card_says"),
    [
        ({"instructions": 3e8, "by_kind": {"ADD": 3e8}, "not_counted": ["GATHER"]},
         "At least 300.0 million", "| at least 465 |"),
        ({"instructions": None, "by_kind": {}, "not_counted": ["ADD int16"]},
         "Instructions are not predicted", "Not predicted: none of its operators was ever counted"),
    ],
)  # fmt: skip
def test_what_was_never_counted_is_said(
    job: Job, found: Findings, spec: ModelSpec, cost: dict[str, Any], page_says: str, card_says: str
) -> None:
    other = dataclasses.replace(job, content={**job.content, "cortex_m7": cost})
    part = dataclasses.replace(found, latencies=latencies(cost, None, 0))
    page, card = render.page(other, spec, part), render.card(other, spec, part)
    (left_out,) = cost["not_counted"]
    assert page_says in page and page.count(left_out) >= 2
    assert card_says in card and card.count(left_out) >= 2
    assert ("at least 465" in page) == ("at least 465" in card)


def test_a_file_that_the_engine_does_not_run(job: Job, found: Findings, spec: ModelSpec) -> None:
    refused = "not on this engine: ADD 1: it is of int16"
    other = dataclasses.replace(job, content={**job.content, "engine": {"refused": refused}})
    part = dataclasses.replace(found, engine=Missing(f"{refused}."))
    page, card = render.page(other, spec, part), render.card(other, spec, part)
    assert f"Not shown. {refused}" in page and "Arena, the kit" not in page
    assert refused in card


def test_nothing_found_by_either_network(job: Job, found: Findings, spec: ModelSpec) -> None:
    assert isinstance(found.accuracy, Accuracy)
    for none in (ClassScore("person", 20, 0.0, 0.0), ClassScore("person", 9, 50.0, 50.0)):
        accuracy = dataclasses.replace(found.accuracy, classes=(none,))
        page = render.page(job, spec, dataclasses.replace(found, accuracy=accuracy))
        assert "Neither network finds an object of any class with 10 boxes" in page


def test_demo_says_so_and_why(job: Job, found: Findings, spec: ModelSpec) -> None:
    content = {**job.content, "fallback": "nanodet_m_0.5x.ckpt could not be had"}
    other = dataclasses.replace(job, content=content)
    for text in (render.page(other, spec, found), render.card(other, spec, found)):
        plain = text.replace("\\", "")
        assert "trained on generated shapes: nanodet_m_0.5x.ckpt could not be had" in plain
        assert "demo" in plain.split("What it finds")[0].split("Model Information")[0]


def test_order_of_the_card(job: Job, found: Findings, spec: ModelSpec) -> None:
    card = render.card(job, spec, found)
    assert re.findall(r"^## (.*)$", card, re.MULTILINE) == [
        "Introduction", "Model Information", "Training and evaluation", "Conversion/Quantization",
        "Use case and limitations", "Performance", "Download and run", "Origin",
    ]  # fmt: skip
    assert f"{found.structure.parameters:,}" in card and f"{len(job.tflite.read_bytes()):,}" in card
    assert "13.5 %" not in card, "the published AP is of other weights"
    assert "training is not known" in card
    assert "NXP eIQ model zoo" in card and "771" in card


def test_published_figures_go_with_official_weights(
    job: Job, found: Findings, spec: ModelSpec
) -> None:
    official = dataclasses.replace(job, trained_by="authors")
    card = render.card(official, spec, found)
    assert "AP of 13.5 % on COCO val2017" in card and "trained by NanoDet's authors" in card


def test_another_activation_has_no_published_figures(
    job: Job, found: Findings, spec: ModelSpec
) -> None:
    """`--activation relu6 --qat` begins with the authors' weights, and the spec names none."""
    swapped = dataclasses.replace(spec, weights=None, published_map=None)
    official = dataclasses.replace(job, trained_by="authors")
    card, page = (make(official, swapped, found) for make in (render.card, render.page))
    assert "They publish an AP" not in card and "trained by NanoDet's authors" in card
    assert "Official weights" in page


def test_card_keeps_user_data_as_text(job: Job, found: Findings, spec: ModelSpec) -> None:
    names = (HOSTILE, *spec.class_names[1:])
    renamed = dataclasses.replace(spec, class_names=names)
    command = shlex.join(["bash", "recipe.sh", "--classes", HOSTILE + "\n# heading"])
    card = render.card(dataclasses.replace(job, command=command), renamed, found)
    assert "\n# heading" not in card
    in_tables = [line for line in card.splitlines() if line.startswith("|")]
    assert not [line for line in in_tables if re.search(r"(?<!\\)<", line)]
    (classes,) = (line for line in in_tables if line.startswith("| classes"))
    assert len(re.findall(r"(?<!\\)\|", classes)) == 3


@pytest.mark.parametrize(
    ("text", "span"),
    [("a", "`a`"), ("a`b", "``a`b``"), ("`", "`` ` ``"), ("a|b", r"`a\|b`"), ("a\nb", "`a?b`")],
)
def test_code_spans(text: str, span: str) -> None:
    assert render.code(text) == span


def test_files_are_written(job: Job, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("written")
    result = make(job, folder / "report.html", folder / "MODEL_CARD.md")
    assert result["page_bytes"] == (folder / "report.html").stat().st_size < 5_000_000
    assert result["waterfall"][0]["step"] == "float, strides 8,16,32"
    assert sorted(p.name for p in folder.iterdir()) == ["MODEL_CARD.md", "report.html"]
