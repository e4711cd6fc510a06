from __future__ import annotations

import argparse
import sys

import pytest

from pipeline.__main__ import parse_arguments
from pipeline.budget import BOARDS, Choice, best, parse_bytes, read_choices
from runtime.errors import KitError

CHOICES = [
    Choice("m", 320, "16,32", 11.0, 610_000, 47, 350_000_000),
    Choice("m", 320, "32", 7.4, 600_000, 0, 300_000_000),
    Choice("m", 256, "32", 6.0, 400_000, 0, 190_000_000),
    Choice("m", 192, "32", 4.0, 250_000, 0, 110_000_000),
]


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
    huge = Choice("m", 4096, "32", 90.0, 1 << 30, 0, 1)
    assert best([huge, *CHOICES], None, None, "rt1170") == CHOICES[0], "no memory holds a gigabyte"
    with pytest.raises(KitError, match="no model fits"):
        best([huge], None, None, "rt1170")


def test_nothing_fits() -> None:
    with pytest.raises(KitError, match="the smallest take 255,008 bytes and 170 ms"):
        best(CHOICES, 100_000, None, "rt1170")


def test_latency_against_published_figures() -> None:
    """NXP's own file: 396.98 M instructions, 615 ms on an i.MX RT1170, 771 ms on an RT1050."""
    nxp = Choice("nxp", 320, "32", 7.33, 1_296_712, 0, 396_980_000)
    assert {board: round(nxp.latency_ms(board)) for board in BOARDS} == {
        **dict.fromkeys(("imxrt1170", "rt1170", "evkbmimxrt1170"), 615),
        **dict.fromkeys(("imxrt1050", "rt1050", "evkbimxrt1050"), 771),
    }


def test_the_shipped_choices() -> None:
    choices = read_choices()
    assert len(choices) == 15
    for choice in choices:
        assert 0 < choice.ap < 20 and choice.input_size % 32 == 0
        assert choice.arena_bytes > 3 * choice.input_size**2, "holds the input, at least"


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
