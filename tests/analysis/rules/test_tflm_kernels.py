from __future__ import annotations

from pathlib import Path

from analysis.rules.tflm_kernels import place
from tests.analysis.tflite import Maker, image, leaky, moved, subject, transposed


def places(maker: Maker, folder: Path, own: bool = False) -> dict[str, tuple[str, str]]:
    """Where each operator runs, and why."""
    graph = subject(maker.write(folder / "m.tflite"), "imxrt1170").graph
    found = [place(op, own) for op in graph.operators]
    return {p.operator: (p.where, p.reason) for p in found}


def test_each_kind(tmp_path: Path) -> None:
    maker = leaky(transposed(5), 1, 8, 8, 2, 2)
    maker.step("TOPK_V2", 1, 8, 8, 2, 2, constants=[[2]])
    assert places(maker, tmp_path) == {
        "RESHAPE": ("reference C", ""),
        "TRANSPOSE": ("CMSIS-NN", "more than 4 dimensions: wrong values"),
        "LEAKY_RELU": ("reference C", ""),
        "TOPK_V2": ("not in TFLite Micro", ""),
    }


def test_our_own_leaky_relu(tmp_path: Path) -> None:
    found = places(leaky(image()), tmp_path, own=True)
    assert found == {"LEAKY_RELU": ("reference C", "a table in nanodet firmware")}


def test_kernels_by_type(tmp_path: Path) -> None:
    """CMSIS-NN's PAD is for int8 alone, its ADD for int16, too, and none is for floats."""
    pads = [[0, 0, 1, 1, 1, 1, 0, 0]]
    for dtype, where in (("INT8", "CMSIS-NN"), ("INT16", "reference C")):
        maker = moved(image(dtype=dtype), "PAD", 1, 10, 10, 4, constants=pads, dtype=dtype)
        assert places(maker, tmp_path)["PAD"][0] == where
    for dtype, where in (("INT16", "CMSIS-NN"), ("FLOAT32", "reference C")):
        maker = moved(image(dtype=dtype), "ADD", 1, 8, 8, 4, dtype=dtype)
        assert places(maker, tmp_path)["ADD"][0] == where
