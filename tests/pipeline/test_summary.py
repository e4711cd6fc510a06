from __future__ import annotations

import pytest

from pipeline.summary import command, cortex_m7, start_line, strides_detail


@pytest.mark.parametrize(
    ("arguments", "typed", "reason"),
    [
        ([], "bash recipe.sh", "nothing"),
        (["--fast", "--out", "/tmp/x", "--strides", "16,32"],
         "bash recipe.sh --fast --strides 16,32", "--out decides nothing of what is built"),
        (["--out=x"], "bash recipe.sh", "the other way to write it"),
        (["--weights", "my file.ckpt"], "bash recipe.sh --weights 'my file.ckpt'", "quoted"),
        (["--classes", "it's,$HOME"], """bash recipe.sh --classes 'it'"'"'s,$HOME'""", "as typed"),
    ],
)  # fmt: skip
def test_command(arguments: list[str], typed: str, reason: str) -> None:
    assert command(arguments) == typed, reason


@pytest.mark.parametrize(
    ("stage", "how", "line", "reason"),
    [
        ("quantize", None, "[4/7] quantize     begins; it usually takes 2 to 7 minutes",
         "the long one"),
        ("quantize", "fast", "[4/7] quantize     begins; it usually takes 10 to 60 s", "fast"),
        ("quantize", "tuned",
         "[4/7] quantize     begins; it usually takes an hour for 3,000 pictures", "fine-tuning"),
        ("quantize", "further",
         "[4/7] quantize     begins; it usually takes 6 to 25 minutes for 1,000 pictures", "more"),
        ("onnx-plain", None, "[4/7] onnx         begins; it usually takes 10 to 30 s",
         "a layout"),
        ("publish", None, None, "a moment"),
    ],
)  # fmt: skip
def test_what_is_said_before_a_stage(
    stage: str, how: str | None, line: str | None, reason: str
) -> None:
    assert start_line(4, 7, stage, how) == line, reason


def test_strides_that_were_left_out() -> None:
    result = {"images": 50, "ap": {"32": 10.0, "16,32": 20.04, "8,16,32": 30.06}}
    alone = "stride 32 alone, as --target mcu has by default"
    assert strides_detail((8, 16, 32), result) == (
        f"{alone}: AP 10.00 with 32, 20.04 with 16,32, 30.06 with 8,16,32 in float on 50 images "
        "(--strides)"
    )
    assert strides_detail((8, 16, 32), None).startswith(f"{alone}; small objects")


@pytest.mark.parametrize(
    ("instructions", "by_kind", "not_counted", "line", "reason"),
    [
        (3e8, {"ADD": 3e8}, [], "300.0 M instructions per inference, predicted", "all counted"),
        (3e8, {"ADD": 3e8}, ["GATHER", "RELU"],
         "at least 300.0 M instructions per inference, predicted; never counted: GATHER, RELU",
         "some counted"),
        (None, {}, ["ADD int16"],
         "not predicted: none of its operators was ever counted (ADD int16)", "none"),
    ],
)  # fmt: skip
def test_what_the_summary_says_of_a_cortex_m7(
    instructions: float | None,
    by_kind: dict[str, float],
    not_counted: list[str],
    line: str,
    reason: str,
) -> None:
    cost = {"instructions": instructions, "by_kind": by_kind, "not_counted": not_counted}
    assert cortex_m7(cost) == line, reason
