from __future__ import annotations

import argparse

import pytest

from data.names import chosen_spec, file_stem, parse_size
from quantize.targets import TARGETS, left_out
from runtime.errors import KitError
from runtime.spec import ModelSpec

NOTHING = {
    "variant": None, "config": None, "strides": None, "classes": None, "activation": None,
    "input_size": None,
}  # fmt: skip


@pytest.mark.parametrize(
    ("target", "strides"),
    [("mcu", (32,)), *((name, (8, 16, 32)) for name in ("linux", "ethos-u65", "imx8mp-npu"))],
)
def test_strides_by_target(target: str, strides: tuple[int, ...]) -> None:
    assert chosen_spec(argparse.Namespace(**NOTHING), target).graph.strides == strides


@pytest.mark.parametrize(
    ("size", "stem", "reason"),
    [
        ((320, 320), "nanodet_m_0.5x", "the model's own size"),
        ((256, 256), "nanodet_m_0.5x_256", "square"),
        ((320, 192), "nanodet_m_0.5x_320x192", "width first"),
    ],
)
def test_input_size(size: tuple[int, int], stem: str, reason: str) -> None:
    spec = chosen_spec(argparse.Namespace(**{**NOTHING, "input_size": size}))
    assert (spec.input.width, spec.input.height) == size
    assert file_stem(spec) == stem, reason
    assert spec.weights is not None, "the weights stand for every size"


@pytest.mark.parametrize(
    ("activation", "name", "reason"),
    [
        ("relu6", "nanodet-m-0.5x-relu6", "another network, which nobody has published"),
        ("leaky_relu", "nanodet-m-0.5x", "its own"),
    ],
)
def test_activation(activation: str, name: str, reason: str) -> None:
    spec = chosen_spec(argparse.Namespace(**{**NOTHING, "activation": activation}))
    assert spec.name == name, reason
    known = name == "nanodet-m-0.5x"
    assert (spec.weights is not None, spec.published_map is not None) == (known, known)


def test_input_size_that_is_none() -> None:
    with pytest.raises(KitError, match="multiple of 32"):
        chosen_spec(argparse.Namespace(**{**NOTHING, "input_size": (250, 250)}))


@pytest.mark.parametrize(("text", "size"), [("256", (256, 256)), ("320x192", (320, 192))])
def test_parse_size(text: str, size: tuple[int, int]) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "x", "wide", "3x"])
def test_parse_no_size(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        parse_size(text)


def test_left_out() -> None:
    assert left_out("mcu", ()) == TARGETS["mcu"].without
    assert left_out("mcu", ("pool_first",)) == TARGETS["mcu"].without | {"pool_first"}


@pytest.mark.parametrize(
    ("strides", "stem"),
    [
        ((32,), "nanodet_m_0.5x"),
        ((16, 32), "nanodet_m_0.5x_s16"),
        ((8, 16, 32), "nanodet_m_0.5x_s8"),
        ((16,), "nanodet_m_0.5x_only16"),
    ],
)
def test_file_stem(official: ModelSpec, strides: tuple[int, ...], stem: str) -> None:
    assert file_stem(official.with_strides(strides)) == stem


@pytest.mark.parametrize(
    ("names", "stem"),
    [
        (("person",), "nanodet_m_0.5x_person"),
        (("traffic light", "car"), "nanodet_m_0.5x_car-traffic-light"),
        (("cat", "dog", "cow", "bird"), "nanodet_m_0.5x_4classes"),
    ],
)
def test_file_stem_names_the_classes(
    official: ModelSpec, names: tuple[str, ...], stem: str
) -> None:
    assert file_stem(official.with_strides((32,)).with_classes(names)) == stem
