"""What `--target` chooses where no other option does."""

from __future__ import annotations

from pathlib import Path

import pytest

from data import names
from pipeline.__main__ import parse_arguments
from pipeline.recipe import Recipe

_SHUFFLES = "shuffle_by_slices", "shuffle_by_convolutions"


@pytest.mark.parametrize(
    ("words", "quantization", "shuffles", "name"),
    [
        ([], "int8", [True, False], "nanodet_m_0.5x"),
        (["--target", "linux"], "int8", [True, False], "nanodet_m_0.5x_s8"),
        (["--target", "ethos-u65"], "int8", [True, False], "nanodet_m_0.5x_s8_s2d"),
        (["--target", "imx8mp-npu"], "int8-per-tensor", [False, True],
         "nanodet_m_0.5x_s8_int8_per_tensor"),
        (["--target", "imx8mp-npu", "--quantization", "int8"], "int8", [False, True],
         "nanodet_m_0.5x_s8"),
        (["--target", "imx8mp-npu", "--max-drop", "1"], "int8-per-tensor", [False, True],
         "nanodet_m_0.5x_s8_int8_per_tensor"),
    ],
)  # fmt: skip
def test_defaults(
    words: list[str], quantization: str, shuffles: list[bool], name: str, tmp_path: Path
) -> None:
    recipe = Recipe(parse_arguments(["--model", "nanodet-m-0.5x", "--out", str(tmp_path), *words]))
    assert recipe.quantization == quantization
    assert [rewrite not in recipe.left_out for rewrite in _SHUFFLES] == shuffles
    assert ("shuffle_by_convolutions" in recipe.rewrites) == shuffles[1]
    assert names.tflite_path(recipe._final_spec(), tmp_path, quantization).stem == name
