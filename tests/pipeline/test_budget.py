from __future__ import annotations

import argparse
import sys

import pytest

from data.names import camera_canvas, chosen_spec
from pipeline.__main__ import parse_arguments
from pipeline.budget import (
    BOARDS,
    PRESETS,
    Budget,
    Choice,
    Takes,
    apply_budget,
    best,
    camera_note,
    instead,
    neighbours,
    parse_bytes,
    read_choices,
    seen_by,
)
from quantize.targets import TARGETS
from runtime.errors import KitError


def choice(size: int, strides: str, ap: float, arena_bytes: int, instructions: int) -> Choice:
    return Choice("m", (size, size), strides, ap, {"tflm": Takes(arena_bytes, 0, instructions)})


CHOICES = [
    choice(320, "16,32", 11.0, 635_248, 350_000_000),
    choice(320, "32", 7.4, 612_000, 300_000_000),
    choice(256, "32", 6.0, 408_000, 190_000_000),
    choice(192, "32", 4.0, 255_008, 110_000_000),
]
ON_BOTH = [
    Choice("m", (320, 320), "8,16,32", 9.0, {"tflm": Takes(700_000, 300_000, 420_000_000),
                                             "c": Takes(220_000, 600_000, 150_000_000)}),
    Choice("m", (256, 256), "8,16,32", 8.0, {"tflm": Takes(480_000, 300_000, 300_000_000),
                                             "c": Takes(140_000, 2_900_000, 100_000_000)}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("budget", "board", "chosen", "reason"),
    [
        (Budget(), "rt1170", 0, "no limit: the most accurate"),
        (Budget(arena_bytes=620_000), "rt1170", 1, "memory alone: the first reserves 635,248"),
        (Budget(latency_ms=300), "rt1170", 2, "time alone: 294 ms"),
        (Budget(latency_ms=300), "rt1050", 3, "the slower board: 369 ms is too much"),
        (Budget(612_000, latency_ms=1000), "rt1170", 1, "just the limit: 600,000 and 2 %"),
        (Budget(611_999, latency_ms=1000), "rt1170", 2, "a byte less"),
        (Budget(instructions=190_000_000), "mcxn", 3, "a board without latencies; 408,000 bytes "
                                                      "are more than it has"),
    ],
)  # fmt: skip
def test_best(budget: Budget, board: str, chosen: int, reason: str) -> None:
    assert best(CHOICES, budget, board, "tflm") == CHOICES[chosen], reason


def test_a_choice_must_fit_the_board() -> None:
    huge = choice(4096, "32", 90.0, 1 << 30, 1)
    assert best([huge, *CHOICES], Budget(), "rt1170", "tflm") == CHOICES[0], (
        "no memory holds a gigabyte"
    )
    with pytest.raises(KitError, match="no model fits"):
        best([huge], Budget(), "rt1170", "tflm")


def test_nothing_fits() -> None:
    with pytest.raises(KitError, match=r"the smallest take 255,008 .* and about 170 ms"):
        best(CHOICES, Budget(arena_bytes=100_000), "rt1170", "tflm")


def test_latency_against_published_figures() -> None:
    """NXP's own file: 396.98 M instructions, 615 ms on an i.MX RT1170, 771 ms on an RT1050."""
    nxp = Takes(1_296_712, 0, 396_980_000)
    published = {
        **dict.fromkeys(("imxrt1170", "rt1170", "evkbmimxrt1170"), 615),
        **dict.fromkeys(("imxrt1050", "rt1050", "evkbimxrt1050"), 771),
    }
    assert {board: round(nxp.latency_ms(board)) for board in published} == published
    for board in {name for b in BOARDS for name in b.names} - set(published):
        with pytest.raises(KitError, match=f"{board}: nobody published a latency"):
            nxp.latency_ms(board)


@pytest.mark.parametrize(
    ("engine", "budget", "board", "chosen", "reason"),
    [
        ("c", Budget(230_000), "rt1170", 0, "a third of the arena"),
        ("c", Budget(200_000), "rt1170", 1, "less than the first takes"),
        ("c", Budget(), "mcxn", 0, "no published latency is needed for a budget of memory"),
        ("c", Budget(flash_bytes=600_000), "rt1170", 0, "just the flash"),
        ("tflm", Budget(500_000), "rt1170", 1, "the same choices on the other engine"),
    ],
)
def test_a_budget_on_an_engine(
    engine: str, budget: Budget, board: str, chosen: int, reason: str
) -> None:
    assert best([*CHOICES, *ON_BOTH], budget, board, engine) == ON_BOTH[chosen], reason


@pytest.mark.parametrize(
    ("budget", "board", "reason"),
    [
        (Budget(), "mcxn", "its flash holds 2 MB"),
        (Budget(flash_bytes=2_899_999), "rt1170", "a byte less than the weights"),
    ],
)
def test_weights_that_the_flash_does_not_hold(budget: Budget, board: str, reason: str) -> None:
    with pytest.raises(KitError, match="no model fits"):
        best(ON_BOTH[1:], budget, board, "c")


@pytest.mark.parametrize(
    ("board", "budget", "weights", "reason"),
    [
        ("rt1170", Budget(), "int16", "16 MB of flash hold the faster form"),
        ("mcxn", Budget(), "int8", "2 MB do not, all of them count"),
        ("rt1170", Budget(flash_bytes=1_900_000), "int8", "a budget alike"),
    ],
)
def test_form_of_weights(board: str, budget: Budget, weights: str, reason: str) -> None:
    found = best(read_choices(), budget, board, "c")
    assert found.model.startswith("nanodet-plus-m") and found.weights == weights, reason
    assert ("with --weights int8, " in found.on(board, "c")) == (weights == "int8")


def test_nothing_was_measured_on_the_engine() -> None:
    with pytest.raises(KitError, match="--engine c: nothing was measured"):
        best(CHOICES, Budget(), "rt1170", "c")


@pytest.mark.parametrize(
    ("chosen", "better", "cheaper", "reason"),
    [
        (0, None, 1, "the best has no better one"),
        (1, 0, 2, "one of each"),
        (3, 2, None, "the cheapest has no cheaper one"),
    ],
)
def test_neighbours(chosen: int, better: int | None, cheaper: int | None, reason: str) -> None:
    expected = tuple(None if i is None else CHOICES[i] for i in (better, cheaper))
    assert neighbours(CHOICES, CHOICES[chosen], "rt1170", "tflm") == expected, reason


def test_what_finds_more_in_less_time_is_no_cheaper_choice() -> None:
    """A budget of memory left it out: it is the better one."""
    large = choice(192, "8,16,32", 20.0, 640_000, 100_000_000)
    chosen, cheaper = choice(320, "32", 7.4, 612_000, 300_000_000), CHOICES[2]
    assert neighbours([large, chosen, cheaper], chosen, "rt1170", "tflm") == (large, cheaper)


@pytest.mark.parametrize(
    ("engine", "words"),
    [
        ("c", ["--preset", "balanced"]),
        ("c", ["--budget-ms", "250"]),
        ("tflm", ["--preset", "balanced"]),
    ],
)
def test_what_a_budget_tells(engine: str, words: list[str]) -> None:
    """The choice is built, and beside it stand the next ones on either side."""
    options = parse_arguments([*words, "--engine", engine, "--board", "rt1170"])
    lines = apply_budget(options)
    assert [line.split()[0] for line in lines[:3]] == ["chosen", "better", "cheaper"]
    assert f"{options.variant}, {options.input_size[0]}x" in lines[0]
    assert f"engine {engine}" in lines[0]
    aps = [float(line.split(": AP ")[1].split(",")[0]) for line in lines[:3]]
    assert aps[2] < aps[0] < aps[1]
    assert [line.strip()[:16] for line in lines[3:]] == ["milliseconds are"] * (engine == "c")


def test_presets_rise() -> None:
    for engine in ("c", "tflm"):
        found = []
        for preset in PRESETS:
            options = parse_arguments(["--preset", preset, "--engine", engine])
            found.append(float(apply_budget(options)[0].split(": AP ")[1].split(",")[0]))
        assert found == sorted(set(found)) and found[1] >= 19.2, engine


@pytest.mark.parametrize(
    ("words", "told", "reason"),
    [
        ([], True, "the card's default"),
        (["--camera", "640x480", "--strides", "8,16,32"], True, "on the camera's canvas, too"),
        (["--classes", "person"], False, "another AP"),
        (["--model", "nanodet-plus-m-320", "--input-size", "192"], False, "the same network"),
        (["--model", "nanodet-plus-m-416"], False, "never measured here"),
        (["--target", "linux"], False, "no microcontroller"),
    ],
)
def test_what_the_board_could_run_instead(words: list[str], told: bool, reason: str) -> None:
    options = parse_arguments(words)
    lines = instead(chosen_spec(options, options.target), options)
    assert ["--preset balanced" in line for line in lines] == [True] * told, reason


@pytest.mark.parametrize(
    ("camera", "longest", "canvas", "reason"),
    [
        ((640, 480), 320, (320, 256), "240 rows take 256"),
        ((640, 480), 256, (256, 192), "no waste"),
        ((1920, 1080), 320, (320, 192), "180 rows take 192"),
        ((480, 640), 320, (256, 320), "upright"),
        ((320, 320), 96, (96, 96), "square"),
        ((1000, 1), 320, (320, 32), "at least one cell"),
    ],
)
def test_camera_canvas(
    camera: tuple[int, int], longest: int, canvas: tuple[int, int], reason: str
) -> None:
    assert camera_canvas(camera, longest) == canvas, reason


@pytest.mark.parametrize(
    ("model", "camera", "canvas", "instructions", "reason"),
    [
        ("nanodet-m", (640, 480), (320, 256), 80, "letterboxed: 20 % fewer pixels"),
        ("nanodet-m", (480, 640), (256, 320), 80, "upright"),
        ("nanodet-m", (500, 500), (320, 320), 100, "as it was"),
        ("nanodet-plus-m-320", (640, 480), (320, 320), 100, "stretched: shape brings nothing"),
    ],
)
def test_seen_by_a_camera(
    model: str, camera: tuple[int, int], canvas: tuple[int, int], instructions: int, reason: str
) -> None:
    square = Choice(model, (320, 320), "8,16,32", 10.0, {"c": Takes(1000, 2000, 100)})
    expected = Choice(model, canvas, "8,16,32", 10.0, {"c": Takes(1000, 2000, instructions)})
    assert seen_by(camera, square) == expected, reason


@pytest.mark.parametrize(
    ("words", "size", "note"),
    [
        (["--camera", "640x480"], (320, 256), "640x480 fill 94% of its canvas of 320x256"),
        (["--camera", "640x480", "--input-size", "256"], (256, 192), "fill 100% of"),
        (["--camera", "640x480", "--model", "nanodet-plus-m-320"], (320, 320), "changes nothing"),
    ],
)
def test_a_build_for_a_camera(words: list[str], size: tuple[int, int], note: str) -> None:
    options = parse_arguments(words)
    spec = chosen_spec(options)
    assert (spec.input.width, spec.input.height) == size
    assert note in camera_note(options.camera, spec)


@pytest.mark.parametrize("target", TARGETS)
def test_plus_keeps_all_its_strides(target: str) -> None:
    options = parse_arguments(["--model", "nanodet-plus-m-320", "--target", target])
    assert chosen_spec(options, target).graph.strides == (8, 16, 32, 64)


def test_the_shipped_choices() -> None:
    choices = read_choices()
    assert {c.model for c in choices} >= {"nanodet-m-0.5x", "nanodet-plus-m-320"}
    for choice in choices:
        size = choice.canvas[0]
        assert 0 < choice.ap < 40 and size % 32 == 0
        assert ("tflm" in choice.takes) == (choice.weights == "int16"), "its one form of weights"
        if choice.weights == "int16":
            assert choice.takes["tflm"].arena_bytes > 3 * size**2, "holds the input, at least"
        if len(choice.takes) == 2:
            assert choice.takes["c"].instructions < choice.takes["tflm"].instructions


@pytest.mark.parametrize(
    ("engine", "budget", "ap"),
    [
        ("c", Budget(instructions=120_000_000), 16.9),
        ("c", Budget(instructions=170_000_000), 19.2),
        ("c", Budget(instructions=230_000_000), 22.0),
        ("c", Budget(latency_ms=250), 19.2),
        ("tflm", Budget(arena_bytes=400_000, instructions=397_000_000), 16.9),
    ],
)
def test_what_the_shipped_choices_reach(engine: str, budget: Budget, ap: float) -> None:
    assert best(read_choices(), budget, "rt1170", engine).ap >= ap


@pytest.mark.parametrize(
    ("text", "value"), [("384K", 393_216), ("1.5M", 1_572_864), ("600000", 600_000)]
)
def test_bytes(text: str, value: int) -> None:
    assert parse_bytes(text) == value


@pytest.mark.parametrize(
    "text",
    ["", "K", "12G", "a few", "1e400", "1e400K", "1e308M", "inf", "-inf", "nan", "NaNK", "-1",
     "-1K", "0", "0.5"],
)  # fmt: skip
def test_no_bytes(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="512K"):
        parse_bytes(text)


@pytest.mark.parametrize(
    ("option", "text"),
    [
        *(("--budget-arena", text) for text in ("1e400", "nan", "-1", "1e400K")),
        ("--budget-flash", "0"),
        *(("--budget-ms", text) for text in ("1e400", "inf", "nan", "-1", "0", "soon")),
    ],
)
def test_budgets_that_are_none_name_the_option(
    option: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["recipe.sh", f"{option}={text}"])
    with pytest.raises(KitError, match=f"{option}: {text}: "):
        parse_arguments()
