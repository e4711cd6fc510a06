"""What every command line shares: options' types, and errors as exit codes."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from runtime.cli import Parser, amount, fraction, plural, positive, printable, run, whole
from runtime.errors import DataUnavailable, GateFailed, KitError
from tests.conftest import ROOT


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [(positive, "1", 1), (positive, "640", 640), (fraction, "0", 0), (fraction, "1", 1),
     (fraction, "0.35", 0.35), (amount, "1e3", 1000), (amount, "0.5", 0.5), (whole, "0", 0),
     (whole, "12", 12)],
)  # fmt: skip
def test_values(kind: Callable[[str], float], text: str, value: float) -> None:
    assert kind(text) == value


@pytest.mark.parametrize(
    ("kind", "text", "reason"),
    [
        (positive, "0", "counts nothing"),
        (positive, "-3", "negative"),
        (positive, "1.5", "not whole"),
        (positive, "many", "no number"),
        (fraction, "1.01", "above 1"),
        (fraction, "-0.1", "below 0"),
        (fraction, "nan", "compares with nothing"),
        (fraction, "half", "no number"),
        (amount, "0", "nothing"),
        (amount, "-1", "below 0"),
        (amount, "nan", "compares with nothing"),
        (amount, "1e400", "without end"),
        (whole, "-1", "below 0"),
        (whole, "0.5", "not whole"),
    ],
)
def test_values_that_are_none(kind: Callable[[str], float], text: str, reason: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=f"^{text}: must be"):
        kind(text)


@pytest.mark.parametrize(
    ("count", "noun", "text"),
    [(0, "image", "0 images"), (1, "image", "1 image"), (1200, "box", "1,200 boxes"),
     (1, "class", "1 class"), (2, "class", "2 classes")],
)  # fmt: skip
def test_plural(count: int, noun: str, text: str) -> None:
    assert plural(count, noun) == text


def test_the_help_says_what_values_are() -> None:
    parser = Parser("a")
    parser.add_argument("--runs", type=positive)
    parser.add_argument("--share", type=fraction)
    parser.add_argument("--file", type=Path, metavar="YAML")
    parser.add_argument("--kind", choices=("b", "c"))
    text = parser.format_help()
    assert all(part in text for part in ("--runs N", "--share 0..1", "--file YAML", "--kind {b,c}"))


def test_a_wrong_option_is_an_error_of_the_kit() -> None:
    with pytest.raises(KitError, match=r"--bogus; --help lists"):
        Parser().parse_args(["--bogus"])


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (KitError("a.png: no\nsuch image"), 2, "error: a.png: no such image\n"),
        (DataUnavailable("no weights"), 3, "error: no weights\n"),
        (GateFailed("too far apart"), 4, "error: too far apart\n"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
    ],
)
def test_errors_become_exit_codes(
    capsys: pytest.CaptureFixture[str], error: BaseException, code: int, said: str
) -> None:
    def main() -> int:
        raise error

    assert run(main) == code
    assert capsys.readouterr().err == said


def test_other_errors_are_bugs_and_stay_visible() -> None:
    with pytest.raises(ZeroDivisionError):
        run(lambda: 1 // 0)


def test_a_reader_that_goes_away_is_no_error() -> None:
    """As with `| head -1`: silent, and exit code 0."""
    code = (
        "import sys; from runtime.cli import run\n"
        "def main():\n"
        "    for i in range(10**5): print(i)\n"
        "    return 0\n"
        "sys.exit(run(main))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stderr is not None
    assert process.stdout.readline() == "0\n"
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait(30) == 0
    process.stderr.close()


def test_what_steers_a_terminal_is_not_printed() -> None:
    assert printable("a\x1b[31mb\u202e\r\ud800 é") == "a?[31mb??? é"
