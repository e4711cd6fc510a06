from __future__ import annotations

from pathlib import Path

import pytest

from analysis.rules import common
from tests.analysis.tflite import Maker, image, leaky, padded, subject

PLAIN = leaky(image())
SCALED = {"scale": 0.0186584, "zero": -14}


@pytest.mark.parametrize(
    ("rule", "maker", "severity", "reason"),
    [
        (common.pads, padded(), "warning", "a copy for the border"),
        (common.pads, padded("MIRROR_PAD"), None, "another operator"),
        (common.pads, PLAIN, None, "no border"),
        (common.sigmoid, image().step("LOGISTIC", 1, 8, 8, 4, scale=1 / 256), "warning", "scores"),
        (common.sigmoid, PLAIN, None, "no sigmoid"),
        (common.pads_with_values, padded("PADV2"), "warning", "a scale like any other"),
        (
            common.pads_with_values,
            image().step("PADV2", 1, 9, 9, 4, scale=1e36),
            "error",
            "lowest float",
        ),
        (common.pads_with_values, padded(), None, "pads with zeros"),
        (common.requantized, image().step("QUANTIZE", 1, 8, 8, 4), "warning", "a second rounding"),
        (
            common.requantized,
            image(dtype="FLOAT32").step("QUANTIZE", 1, 8, 8, 4),
            None,
            "the input's own quantization",
        ),
        (
            common.floats,
            leaky(image(dtype="FLOAT32"), dtype="FLOAT32"),
            "warning",
            "float throughout",
        ),
        (common.floats, PLAIN, None, "int8"),
        (common.wide_activations, leaky(image(dtype="INT16"), dtype="INT16"), "warning", "int16"),
        (common.wide_activations, PLAIN, None, "int8"),
        (common.unknown_input, leaky(image(**SCALED)), "warning", "NXP's"),
        (common.unknown_input, PLAIN, None, "the pixel less 128"),
        (common.unknown_input, leaky(image(scale=1 / 255)), None, "0 to 1"),
        (common.unknown_input, leaky(image(scale=1 / 127.5, zero=0)), None, "-1 to 1"),
        (common.unknown_input, leaky(image(dtype="FLOAT32")), None, "nothing is quantized"),
        (common.subgraphs, PLAIN, None, "one"),
    ],
)
def test_rules(
    rule: common.Rule, maker: Maker, severity: str | None, reason: str, tmp_path: Path
) -> None:
    found = rule(subject(maker.write(tmp_path / "m.tflite"), "imxrt1170"))
    assert (found and found.severity) == severity, reason
    if found is not None:
        assert all((found.what, found.why, found.cure, found.source))


def test_our_own_input_needs_no_word(tmp_path: Path) -> None:
    """Its spec says how a pixel becomes it."""
    path = leaky(image(**SCALED)).write(tmp_path / "m.tflite")
    assert common.unknown_input(subject(path, "imxrt1170", own=True)) is None


def test_an_npu_may_merge_pads(tmp_path: Path) -> None:
    found = common.pads(subject(padded().write(tmp_path / "m.tflite"), "imx93"))
    assert found is not None and found.severity == "note" and found.operators == (0,)


def test_subgraphs_that_are_not_seen(tmp_path: Path) -> None:
    maker = leaky(image())
    maker.add_subgraph()
    found = common.subgraphs(subject(maker.write(tmp_path / "m.tflite"), "imxrt1170"))
    assert found is not None and found.what.startswith("2 subgraphs")


def test_every_rule_is_in_the_table() -> None:
    written = {
        value
        for name, value in vars(common).items()
        if callable(value)
        and getattr(value, "__module__", "") == common.__name__
        and not name.startswith("_")
    }
    assert written == set(common.RULES)
