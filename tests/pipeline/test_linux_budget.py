"""Budgets of Linux boards."""

from __future__ import annotations

import csv

import pytest

from data.names import chosen_spec
from pipeline.__main__ import parse_arguments
from pipeline.budget import apply_budget
from pipeline.linux_budget import CHOICES, LinuxChoice, best, cheapest_first, read_linux_choices
from runtime.errors import KitError

_NXP_MS = {"imx93": 4.99, "imx8mp": 92.4}  # docs/doctor.md, and NXP's model card.


def choice(size: int, ap: float, npu_ms: float, cpu_ms: float) -> LinuxChoice:
    return LinuxChoice("m", size, "32", ap, True, {"imx93": npu_ms, "imx8mp": cpu_ms}, 1000)


MADE = [choice(320, 11.0, 3.0, 90.0), choice(256, 9.0, 2.5, 95.0), choice(192, 5.0, 1.0, 40.0)]


@pytest.mark.parametrize(
    ("limit_ms", "board", "chosen", "reason"),
    [
        (100, "imx8mp", 0, "all fit: the most accurate"),
        (3.0, "imx93", 0, "just the limit"),
        (2.99, "imx93", 1, "a hundredth less"),
        (92, "imx8mp", 0, "the CPU has another order than the NPU"),
        (89, "imx8mp", 2, "the second takes longer there"),
    ],
)
def test_best(limit_ms: float, board: str, chosen: int, reason: str) -> None:
    assert best(MADE, limit_ms, board) == MADE[chosen], reason


def test_nothing_fits() -> None:
    with pytest.raises(KitError, match=r"--budget-ms 0.5: .* takes 1.00 ms on imx93"):
        best(MADE, 0.5, "imx93")


@pytest.mark.parametrize(
    ("words", "message", "reason"),
    [
        (
            ["--budget-arena", "512K"],
            "--budget-arena: for microcontrollers; an i.MX 93",
            "no arena",
        ),
        (["--budget-flash", "1M", "--budget-ms", "9"], "--budget-flash: ", "no flash"),
        (["--preset", "fast"], "--preset: ", "presets count a Cortex-M7's instructions"),
        (["--budget-ms", "9", "--model", "nanodet-m"], "leave out --model", "both would choose"),
        (["--budget-ms", "9", "--target", "linux"], "imx93 with --target ethos-u65", "measured so"),
        (["--budget-ms", "0.001"], "fastest network that was measured", "nothing is so fast"),
    ],
)
def test_what_is_refused(words: list[str], message: str, reason: str) -> None:
    options = parse_arguments(["--board", "imx93", *words])
    with pytest.raises(KitError, match=message):
        apply_budget(options)


@pytest.mark.parametrize(
    ("words", "target", "reason"),
    [
        (["--board", "imx93"], "ethos-u65", "its NPU"),
        (["--board", "imx8mp"], "linux", "its CPU"),
        (["--board", "imx8mp", "--target", "imx8mp-npu"], "imx8mp-npu", "what was asked for"),
        (["--board", "rt1050"], "mcu", "a microcontroller"),
        ([], "mcu", "the default"),
    ],
)
def test_a_board_chooses_the_target(words: list[str], target: str, reason: str) -> None:
    assert parse_arguments(words).target == target, reason


@pytest.mark.parametrize("board", ["imx93", "imx8mp"])
def test_what_a_budget_tells(board: str) -> None:
    """The choice is built, and beside it stand the next ones on either side."""
    limit_ms = _NXP_MS[board]
    options = parse_arguments(["--board", board, "--budget-ms", str(limit_ms)])
    lines = apply_budget(options)
    assert [line.split()[0] for line in lines[:3]] == ["chosen", "better", "cheaper"]
    aps = [float(line.split(": AP ")[1].split(",")[0].split()[0]) for line in lines[:3]]
    assert aps[2] < aps[0] < aps[1]
    spec = chosen_spec(options, options.target)
    size, strides = spec.input.width, ",".join(map(str, spec.graph.strides))
    assert f"{options.variant}, {size}x{size}, strides {strides}:" in lines[0]
    better = cheapest_first(read_linux_choices(), board)
    assert all(c.ap <= aps[0] for c in better if c.latency_ms[board] <= limit_ms)


@pytest.mark.parametrize(
    ("share", "board", "ap"),
    [
        (0.5, "imx93", 16.9),
        (0.7, "imx93", 19.2),
        (1.0, "imx93", 22.0),
        (0.7, "imx8mp", 16.9),
        (1.0, "imx8mp", 19.2),
    ],
)
def test_what_the_shipped_choices_reach(share: float, board: str, ap: float) -> None:
    """In so many of the milliseconds of NXP's file, whose AP is 7.33."""
    found = best(read_linux_choices(), share * _NXP_MS[board], board)
    assert found.ap >= ap


def test_foretold_milliseconds_are_those_of_the_emulated_board() -> None:
    """NXP's file: 177.3 M instructions and 92.4 ms on one thread."""
    with CHOICES.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row, found in zip(rows, read_linux_choices(), strict=True):
        expected = 92.4 * int(row["a53_instructions"]) / 177_310_695
        assert found.latency_ms["imx8mp"] == pytest.approx(expected)
        assert found.latency_ms["imx93"] == float(row["vela_ms"])
