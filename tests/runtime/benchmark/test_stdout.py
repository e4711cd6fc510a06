"""Every form in which `benchmark_model` prints."""

from __future__ import annotations

import re

import pytest

from runtime.benchmark import stdout
from runtime.benchmark.types import Delegation, Footprint, Phase
from runtime.errors import KitError
from tests.runtime.benchmark.conftest import OUTPUTS


def read(name: str) -> str:
    return (OUTPUTS / name).read_text()


def even(count: int, ms: float) -> Phase:
    """All runs take as long."""
    return Phase(count, ms, ms, ms, ms, 0.0)


@pytest.mark.parametrize(
    ("name", "init_ms", "first_ms", "warmup", "steady"),
    [
        ("old_cpu", 31.842, 97.411, Phase(6, 97.411, 92.104, 97.411, 93.1875, 1.899),
         Phase(50, 92.301, 92.011, 93.640, 92.3884, 0.263)),
        ("new_cpu", 22.115, 74.902,
         Phase(8, 74.902, 68.310, 74.902, 69.3221, 2.114, 68.310, 68.560, 74.902),
         Phase(50, 68.544, 68.211, 70.145, 68.6027, 0.310, 68.262, 68.540, 69.233)),
        ("npu_cold", 14.210, 4181.22, even(1, 4181.22),
         Phase(82, 12.240, 12.030, 12.500, 12.090, 0.051)),
        ("all_same", 2.5, 1.1, even(500, 1.1), even(50, 1.1)),
        ("one_run", 17.187, 3512.391, even(1, 3512.391),
         even(1, 2990.275)),
        ("exponents", 1204.55, 1357.602,
         Phase(3, 1357.602, 1238.588, 1357.602, 1278.78, 55.731, 1238.588, 1240.143, 1357.602),
         Phase(50, 1249.964, 1238.588, 1252.566, 1234.57, 2.5, 1238.753, 1239.807, 1247.415)),
    ],
)  # fmt: skip
def test_phases(name: str, init_ms: float, first_ms: float, warmup: Phase, steady: Phase) -> None:
    output = stdout.parse(read(name), "board")
    assert (output.init_ms, output.first_ms) == pytest.approx((init_ms, first_ms))
    assert output.warmup is not None
    for found, wanted in ((output.warmup, warmup), (output.steady, steady)):
        for key, value in vars(wanted).items():
            same = getattr(found, key)
            assert same is None if value is None else same == pytest.approx(value), key


@pytest.mark.parametrize(
    ("name", "delegation"),
    [
        ("npu_cold", Delegation("full", 1)),
        ("npu_partial", Delegation("partial", 3)),
        ("npu_none", Delegation("none", 0)),
        ("old_cpu", None),
    ],
)
def test_delegation(name: str, delegation: Delegation | None) -> None:
    assert stdout.parse(read(name), "board").delegation == delegation


def test_the_external_delegate_counts_beside_xnnpack() -> None:
    xnnpack = (
        "INFO: Explicitly applied XNNPACK delegate, and the model graph will be partially "
        "executed by the delegate w/ 9 delegate kernels.\n"
    )
    text = read("npu_partial")
    for both in (xnnpack + text, text + xnnpack):
        assert stdout.parse(both, "board").delegation == Delegation("partial", 3)
    alone = stdout.parse(xnnpack + read("old_cpu"), "board").delegation
    assert alone == Delegation("partial", 9)


@pytest.mark.parametrize(
    ("name", "footprint"),
    [
        ("old_cpu", Footprint(5.12109, 8.67188)),
        ("new_cpu", Footprint(6.25, 9.75, 15.4375)),
        ("exponents", Footprint(0.015, 120.0)),
        ("all_same", Footprint()),
    ],
)
def test_memory(name: str, footprint: Footprint) -> None:
    assert stdout.parse(read(name), "board").footprint == footprint


def test_operators_of_a_table() -> None:
    found = stdout.parse(read("npu_partial_profile"), "board").operators
    assert [o.kind for o in found] == [
        "Vx Delegate", "TRANSPOSE", "Vx Delegate", "TRANSPOSE", "Vx Delegate", "LOGISTIC",
    ]  # fmt: skip
    assert found[1].name == "[shuffle_1]:31" and found[4].name == "[cls_32, reg_32]:217"
    assert [o.mean_ms for o in found] == [6.101, 4.512, 5.333, 3.901, 3.02, 1.204]
    assert [o.kind for o in found if stdout.on_cpu(o)] == ["TRANSPOSE", "TRANSPOSE", "LOGISTIC"]


def test_operators_of_csv() -> None:
    found = list(stdout.operators(read("profile_with_start.csv").splitlines()))
    assert [(o.kind, o.mean_ms) for o in found] == [
        ("CONV_2D", 30.5), ("MAX_POOL_2D", 4.25), ("LEAKY_RELU", 11.125), ("CONV_2D", 40.0),
        ("QUANTIZE", 0.5),
    ]  # fmt: skip
    assert found[-1].name == "[reg, cls]:4"


def test_operators_of_xnnpack_have_commas_in_their_names() -> None:
    found = list(stdout.operators(read("profile_without_start.csv").splitlines()))
    assert [(o.kind, o.mean_ms) for o in found] == [
        ("Convolution (NHWC, QS8, QC8W) IGEMM", 30.5), ("Max Pooling (NHWC, S8)", 4.25),
        ("LEAKY_RELU", 11.125), ("TfLiteXNNPackDelegate", 0.625),
    ]  # fmt: skip
    assert found[0].name == "Delegate/Convolution (NHWC, QS8, QC8W) IGEMM:0"
    assert [stdout.on_cpu(o) for o in found] == [False, False, True, True]


@pytest.mark.parametrize(
    ("text", "last"),
    [
        ("", "nothing at all"),
        ("\n\n", "nothing at all"),
        (read("cut_short"), "count=1 curr=4181220"),
        (read("refused"), "Benchmarking failed."),
        ("Inference timings in us: Init: 5, First", "Inference timings in us: Init: 5, First"),
    ],
    ids=["empty", "blank", "crash", "refusal", "within the last line"],
)
def test_output_that_is_cut_short(text: str, last: str) -> None:
    with pytest.raises(KitError, match=f"root@b: ended half-way.*{re.escape(last)}$"):
        stdout.parse(text, "root@b")


@pytest.mark.parametrize("name", ["new_cpu", "npu_partial_profile"])
def test_no_cut_is_taken_for_the_whole(name: str) -> None:
    text = read(name)
    end = text.index("Inference (avg): ")
    for length in range(0, end, 7):
        with pytest.raises(KitError):
            stdout.parse(text[:length], "board")
