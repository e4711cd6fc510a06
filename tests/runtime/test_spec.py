from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import pytest
import yaml

from runtime.errors import KitError
from runtime.spec import ModelSpec
from tests.conftest import ROOT

MODELS = sorted((ROOT / "models").glob("*.yaml"))


@pytest.mark.parametrize("path", MODELS, ids=lambda p: p.stem)
def test_every_variant_reads_and_survives_json(path: Path) -> None:
    spec = ModelSpec.from_yaml(path)
    assert spec.name == path.stem
    assert len(spec.class_names) == {"coco": 80, "shapes": 12}[spec.dataset]
    assert ModelSpec.from_json(spec.to_json(), "x") == spec


def test_json_is_stable(official: ModelSpec) -> None:
    again = ModelSpec.from_json(official.to_json(), "x")
    assert again.to_json() == official.to_json()


def test_classes(official: ModelSpec) -> None:
    two = official.with_classes(("car", "person"))
    assert two.classes == ("person", "car")
    assert two.output_shape_nhwc("cls_32") == (1, 10, 10, 2)
    assert ModelSpec.from_json(two.to_json(), "x") == two
    assert official.with_classes(official.class_names) == official
    with pytest.raises(KitError, match="`unicorn` unknown; known: person"):
        official.with_classes(("person", "unicorn"))


@pytest.mark.parametrize(
    ("strides", "reason"),
    [
        ((64,), "the network has no such stride"),
        ((8, 16), "a gap below the coarsest"),
        ((8, 32), "a hole"),
        ((), "none at all"),
        ((32, 16), "not rising"),
    ],
)
def test_impossible_strides(official: ModelSpec, strides: tuple[int, ...], reason: str) -> None:
    with pytest.raises(KitError, match="strides"):
        official.with_strides(strides)


def test_outputs(official: ModelSpec) -> None:
    spec = official.with_strides((16, 32))
    assert spec.output_names == ("cls_16", "reg_16", "cls_32", "reg_32")
    assert spec.output_shape_nhwc("cls_16") == (1, 20, 20, 80)
    assert spec.output_shape_nhwc("reg_32") == (1, 10, 10, 32)


@pytest.mark.parametrize(
    ("change", "message", "reason"),
    [
        ({"input.width": 300}, "multiple of 32", "strides would not divide it"),
        ({"input.std": [1.0, 0.0, 1.0]}, "std", "division by zero"),
        ({"input.mean": [1.0]}, "3 values", "one mean for three channels"),
        ({"input.colour_order": "GREY"}, "1 values for GREY", "three means for one channel"),
        ({"input.mean": [1.0, math.inf, 1.0]}, "mean: inf is not finite", "YAML knows .inf"),
        ({"input.std": [1.0, math.nan, 1.0]}, "std: nan is not finite", "YAML knows .nan"),
        ({"input.mean": [1.0, 10**400, 1.0]}, "too large", "no float holds it"),
        ({"input.colour_order": "GBR"}, "colour_order", "unknown order"),
        ({"architecture.backbone": "resnet50"}, "resnet50.*known", "unknown backbone"),
        ({"architecture.strides": [8, 8, 32]}, "do not fit", "twice the same stride"),
        ({"architecture.prior_offset": 2.0}, "prior_offset", "outside the cell"),
        ({"architecture.head_kernel": 4}, "odd", "even kernels have no centre"),
        ({"architecture.reg_max": "7"}, "expected int", "text for a number"),
        ({"architecture.neck_channels": True}, "expected int", "a truth value for a number"),
        ({"input.colour": "BGR"}, "unknown key `colour`", "misspelt key"),
        ({"name": None}, "missing key `name`", "key left out"),
        ({"classes": "nowhere.txt"}, "nowhere.txt", "no such class file"),
        ({"weights.file": "../x.ckpt"}, "plain file name", "leaves the folder"),
        ({"weights": {"file": "x.ckpt"}}, "no place to download", "neither committed nor anywhere"),
        ({"input": 320}, "expected a mapping, got int", "a number for a table"),
        ({"input.mean": 103.5}, "expected a list", "a number for three"),
        ({"classes": None}, "expected a mapping with `classes`", "no class file named"),
        ({"dataset": "mars"}, "`mars` is not supported", "unknown images"),
    ],
)
def test_wrong_yaml(tmp_path: Path, change: dict[str, object], message: str, reason: str) -> None:
    values = yaml.safe_load((ROOT / "models" / "nanodet-m.yaml").read_text())
    for dotted, value in change.items():
        *path, last = dotted.split(".")
        part = values
        for key in path:
            part = part[key]
        part[last] = value
        if value is None:
            del part[last]
    (tmp_path / "coco.names").write_text("person\n")
    (tmp_path / "m.yaml").write_text(yaml.safe_dump(values))
    with pytest.raises(KitError, match=message) as error:
        ModelSpec.from_yaml(tmp_path / "m.yaml")
    assert str(tmp_path) in str(error.value), "the file is named"


@pytest.mark.parametrize("content", [b"a: [", b"\xff\xfe\x00", b"- a\n"], ids=repr)
def test_no_yaml_of_a_variant(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m.yaml").write_bytes(content)
    with pytest.raises(KitError, match=r"m\.yaml: (cannot be read as YAML|expected a mapping)"):
        ModelSpec.from_yaml(tmp_path / "m.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[]", "version None"),
        ('{"spec_version": 99}', "version 99"),
        ('{"spec_version": 1}', "missing key"),
    ],
)
def test_wrong_json(text: str, message: str) -> None:
    with pytest.raises(KitError, match=f"m.tflite.*{message}"):
        ModelSpec.from_json(text, "m.tflite")


def test_json_holds_everything(official: ModelSpec) -> None:
    values = json.loads(official.to_json())
    assert set(values) == {f.name for f in dataclasses.fields(official)} | {"spec_version"}


@pytest.mark.parametrize("text", ["{", "[" * 100_000, "1"])
def test_embedded_text_that_is_no_spec(text: str) -> None:
    with pytest.raises(KitError, match=r"m\.tflite: (the embedded model spec|model spec version)"):
        ModelSpec.from_json(text, "m.tflite")


def test_classes_have_names(official: ModelSpec) -> None:
    with pytest.raises(KitError, match="classes: must not have empty names"):
        dataclasses.replace(official, class_names=("person", ""))
