from __future__ import annotations

import argparse
import sys

import pytest

from pipeline.__main__ import parse_arguments
from pipeline.budget import BOARDS, Choice, Takes, best, parse_bytes, read_choices
from runtime.errors import KitError


def choice(size: int, strides: str, ap: float, arena_bytes: int, instructions: int) -> Choice:
    return Choice("m", size, strides, ap, {"tflm": Takes(arena_bytes, 0, instructions)})


CHOICES = [
    choice(320, "16,32", 11.0, 635_248, 350_000_000),
    choice(320, "32", 7.4, 612_000, 300_000_000),
    choice(256, "32", 6.0, 408_000, 190_000_000),
    choice(192, "32", 4.0, 255_008, 110_000_000),
]
ON_BOTH = [
    Choice("m", 320, "8,16,32", 9.0, {"tflm": Takes(700_000, 0, 420_000_000),
                                      "c": Takes(220_000, 600_000, 150_000_000)}),
    Choice("m", 256, "8,16,32", 8.0, {"tflm": Takes(480_000, 0, 300_000_000),
                                      "c": Takes(140_000, 900_000, 100_000_000)}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("arena_bytes", "latency_ms", "board", "chosen", "reason"),
    [
        (None, None, "rt1170", 0, "no limit: the most accurate"),
        (
            620_000,
            None,
            "rt1170",
            1,
            "memory alone: the first reserves 635,248",
        ),
        (None, 300, "rt1170", 2, "time alone: 294 ms"),
        (None, 300, "rt1050", 3, "the slower board: 369 ms is too much"),
        (612_000, 1000, "rt1170", 1, "just the limit: 600,000 and 2 %"),
        (611_999, 1000, "rt1170", 2, "a byte less"),
    ],
)
def test_best(
    arena_bytes: int | None, latency_ms: float | None, board: str, chosen: int, reason: str
) -> None:
    assert best(CHOICES, arena_bytes, latency_ms, board) == CHOICES[chosen], reason


def test_a_choice_must_fit_the_board() -> None:
    huge = choice(4096, "32", 90.0, 1 << 30, 1)
    assert best([huge, *CHOICES], None, None, "rt1170") == CHOICES[0], "no memory holds a gigabyte"
    with pytest.raises(KitError, match="no model fits"):
        best([huge], None, None, "rt1170")


def test_nothing_fits() -> None:
    with pytest.raises(KitError, match="the smallest take 255,008 bytes and about 170 ms"):
        best(CHOICES, 100_000, None, "rt1170")


def test_latency_against_published_figures() -> None:
    """NXP's own file: 396.98 M instructions, 615 ms on an i.MX RT1170, 771 ms on an RT1050."""
    nxp = Takes(1_296_712, 0, 396_980_000)
    published = {
        **dict.fromkeys(("imxrt1170", "rt1170", "evkbmimxrt1170"), 615),
        **dict.fromkeys(("imxrt1050", "rt1050", "evkbimxrt1050"), 771),
    }
    assert {board: round(nxp.latency_ms(board)) for board in published} == published
    for board in set(BOARDS) - set(published):
        with pytest.raises(KitError, match=f"{board}: nobody published a latency"):
            nxp.latency_ms(board)


@pytest.mark.parametrize(
    ("engine", "arena_bytes", "board", "chosen", "reason"),
    [
        ("c", 230_000, "rt1170", 0, "a third of the arena"),
        ("c", 200_000, "rt1170", 1, "less than the first takes"),
        ("c", None, "mcxn", 0, "no published latency is needed for a budget of memory"),
        ("tflm", 500_000, "rt1170", 1, "the same choices on the other engine"),
    ],
)
def test_a_budget_on_an_engine(
    engine: str, arena_bytes: int | None, board: str, chosen: int, reason: str
) -> None:
    picked = best([*CHOICES, *ON_BOTH], arena_bytes, None, board, engine)
    assert picked == ON_BOTH[chosen], reason


def test_weights_that_the_flash_does_not_hold() -> None:
    with pytest.raises(KitError, match="no model fits"):
        best(ON_BOTH[1:], None, None, "mcxn", "c")


def test_nothing_was_measured_on_the_engine() -> None:
    with pytest.raises(KitError, match="--engine c: nothing was measured"):
        best(CHOICES, None, None, "rt1170", "c")


def test_the_shipped_choices() -> None:
    choices = read_choices()
    assert len(choices) == 15
    for choice in choices:
        assert 0 < choice.ap < 20 and choice.input_size % 32 == 0
        image = 3 * choice.input_size**2
        assert choice.takes["tflm"].arena_bytes > image, "holds the input, at least"


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
        *(("--budget-ms", text) for text in ("1e400", "inf", "nan", "-1", "0", "soon")),
    ],
)
def test_budgets_that_are_none_name_the_option(
    option: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["recipe.sh", f"{option}={text}"])
    with pytest.raises(KitError, match=f"{option}: {text}: "):
        parse_arguments()
