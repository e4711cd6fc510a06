from __future__ import annotations

import pytest

from pipeline.contract import QuantizationSettings
from pipeline.escalation import STEPS, escalate
from runtime.errors import GateFailed

APS = dict(zip((name for name, _, _ in STEPS), (14.1, 14.3, 14.7, 14.9, 15.15), strict=True))


def ap_of(settings: QuantizationSettings) -> float:
    (name,) = [n for n, m, q in STEPS if (m, q) == (settings.methods, settings.quantization)]
    return APS[name]


@pytest.mark.parametrize(
    ("max_drop", "chosen", "reason"),
    [
        (2.0, "min/max", "the first is good enough"),
        (0.5, "equalization", "AP 14.70 is exactly 0.5 below, within rounding"),
        (0.35, "reconstruction", "the last of int8"),
        (0.1, "int16 activations", "int8 does not do"),
    ],
)
def test_stops_where_the_drop_holds(
    max_drop: float, chosen: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    settings, tried = escalate(max_drop + 1e-9, 15.2, ("stem_strips",), ap_of)
    assert tried[-1]["step"] == chosen, reason
    assert settings.rewrites == ("stem_strips",)
    assert [t["step"] for t in tried] == list(APS)[: len(tried)], "one after the other"
    assert capsys.readouterr().out.count("\n") == len(tried)


def test_the_scheme_of_the_target() -> None:
    tried: list[str] = []

    def ap(settings: QuantizationSettings) -> float:
        tried.append(settings.quantization)
        return float(len(tried))

    escalate(15.2 - len(STEPS), 15.2, (), ap, "int8-per-tensor")
    assert tried == ["int8-per-tensor"] * 4 + ["int16x8"]


def test_nothing_holds() -> None:
    with pytest.raises(GateFailed, match=r"the least drop is 0\.05, by int16 activations"):
        escalate(0.01, 15.2, (), ap_of)
