from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ai_edge_litert import schema_py_generated as schema

from analysis import cortex_m7, cost
from analysis.diagnosis import Subject
from analysis.doctor import diagnose, render
from analysis.memory import memory
from analysis.rules import common, imx8mp, microcontroller, neutron
from runtime.benchmark.board import load
from runtime.errors import KitError
from runtime.tflite_graph import Graph
from tests.analysis import foreign
from tests.analysis.test_vela import needs_vela
from tests.analysis.tflite import Maker, customs, image, leaky, padded, transposed
from tests.conftest import NANODET, Build, run_python

_VELA = pytest.param("imx93-npu", marks=needs_vela)
TARGETS = ("imxrt1170", "imxrt1050", "imx8mp-npu", _VELA, "imx95-npu", "imxrt700-npu")


def rules(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {finding["rule"]: finding for finding in found["findings"]}


@pytest.mark.parametrize("target", TARGETS)
def test_nothing_above_a_note_on_ours(build: Build, target: str) -> None:
    found = diagnose(build.tflite, target)
    warned = {f["rule"] for f in found["findings"] if f["severity"] != "note"}
    elsewhere = {"per-channel"} if target == "imx8mp-npu" else set()  # It has a target of its own.
    assert warned == elsewhere, found["findings"]
    assert len(found["placements"]) > 100
    assert not found["prediction"]["lower_bound"], "every operator of ours was counted"


@pytest.mark.parametrize(
    ("file", "target", "code", "reason"),
    [
        ("wide.tflite", "imxrt1170", 4, "a finding is an error"),
        ("pad.tflite", "rt1050", 0, "none is; the board by its short name"),
        ("wide.tflite", "imx8mp-npu", 0, "there it is a warning"),
    ],
)
def test_command(file: str, target: str, code: int, reason: str, tmp_path: Path) -> None:
    transposed(5).write(tmp_path / "wide.tflite")
    padded().write(tmp_path / "pad.tflite")
    command = [NANODET, "doctor", file, "--target", target]
    done = run_python(tmp_path, *command, "--json", "found.json", "--nodes")
    assert done.returncode == code, (reason, done.stderr)
    written = json.loads((tmp_path / "found.json").read_text())
    assert written == json.loads(json.dumps(diagnose(tmp_path / file, target)))
    for finding in written["findings"]:
        assert f"[{finding['rule']}]" in done.stdout
    assert ("wide-transpose" in rules(written)) == (file == "wide.tflite")
    assert max(map(len, done.stdout.splitlines())) <= 100


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.tflite", "--target", "imxrt1170"], "nowhere.tflite: cannot be read"),
        (["bad.tflite", "--target", "imxrt1170"], "bad.tflite: damaged"),
        (["text.tflite", "--target", "imx8mp-npu"], "text.tflite: not a TFLite file"),
        (
            ["good.tflite", "--target", "imx6"],
            "imxrt1170, mcxn947, imx8mp-npu, imx93-npu, imx95-npu, imxrt700-npu, mcxn947-npu",
        ),
        (["good.tflite"], "--target"),
        (
            ["good.tflite", "--target", "imx8mp-npu", "--engine", "c"],
            "--engine c: goes with a microcontroller",
        ),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], message: str, tmp_path: Path) -> None:
    good = padded().write(tmp_path / "good.tflite").read_bytes()
    (tmp_path / "bad.tflite").write_bytes(good[: len(good) // 2])
    (tmp_path / "text.tflite").write_text("no model, but some text")
    done = run_python(tmp_path, NANODET, "doctor", *arguments)
    assert done.returncode == 2
    assert message in done.stderr and done.stderr.count("\n") == 1


def test_a_board_of_ones_own(tmp_path: Path) -> None:
    """A microcontroller described in a folder is a target like any other."""
    (tmp_path / "mine.yaml").write_text(
        "title: mine\nkind: microcontroller\nsoc: ''\n"
        "cores: {count: 1, kind: Cortex-M7, mhz: 400}\n"
        "memories:\n  - {name: TCM, bytes: 100, speed: on chip}\n"
    )
    path = leaky(image()).write(tmp_path / "m.tflite")
    found = diagnose(path, "mine", tmp_path)
    assert rules(found)["arena"]["severity"] == "error"
    assert found["prediction"]["latency_ms"] is None
    with pytest.raises(KitError, match="known are"):
        diagnose(path, "mine")


def test_names_cannot_steer_the_terminal(tmp_path: Path) -> None:
    maker = image()
    maker.tensor("\x1b[31mred\n", (1, 8, 8, 4))
    path = maker.add("RESHAPE", ["input"], "\x1b[31mred\n").write(tmp_path / "m.tflite")
    shown = render(diagnose(path, "imx8mp-npu"), nodes=True)
    assert "red" in shown and "\x1b" not in shown


@pytest.mark.parametrize(
    ("maker", "basis", "reason"),
    [
        (image(dtype="FLOAT32").step("RELU", 1, 8, 8, 4, dtype="FLOAT32"), "1 RELU float32",
         "float"),
        (image(dtype="UINT8").step("ADD", 1, 8, 8, 4, dtype="UINT8"), "1 ADD uint8", "uint8"),
        (image(dtype="INT16").step("ADD", 1, 8, 8, 4, dtype="INT16"), "1 ADD int16", "int16"),
        (customs("ethos-u"), "1 CUSTOM ethos-u", "custom"),
        (image(dtype="FLOAT32").step("QUANTIZE", 1, 8, 8, 4), "1 QUANTIZE float32",
         "only int8 to int8 was counted"),
    ],
)  # fmt: skip
def test_nothing_counted_nothing_predicted(
    maker: Maker, basis: str, reason: str, tmp_path: Path
) -> None:
    path = maker.write(tmp_path / "m.tflite")
    for target in ("imxrt1170", "imxrt1050"):
        found = diagnose(path, target)
        assert found["prediction"]["latency_ms"] is None, reason
        assert found["prediction"]["error"] == "", "no claim of 5 %"
        assert found["prediction"]["basis"].startswith("not predicted: ")
        assert f"({basis})" in found["prediction"]["basis"]
        assert " ms" not in render(found).partition("latency")[2].partition("\n\n")[0]
    done = run_python(tmp_path, NANODET, "cost", "m.tflite", "--nodes")
    assert f"instructions not predicted: no operator was ever counted ({basis})" in done.stdout
    assert "0.00 M" not in done.stdout and done.returncode == 0


def test_a_lower_bound_where_some_were_counted(tmp_path: Path) -> None:
    whole = image().convolution(1, 8, 8, 16)
    alone = diagnose(whole.write(tmp_path / "whole.tflite"), "imxrt1170")["prediction"]
    path = whole.step("RELU", 1, 8, 8, 16).write(tmp_path / "m.tflite")
    found = diagnose(path, "imxrt1170")
    part = found["prediction"]
    assert not alone["lower_bound"] and part["lower_bound"]
    assert part["latency_ms"] == alone["latency_ms"] and "1 RELU, which nobody" in part["basis"]
    assert "latency     at least " in render(found)
    done = run_python(tmp_path, NANODET, "cost", "m.tflite")
    assert "predicted: at least, for nobody counted 1 RELU" in done.stdout


@needs_vela
@pytest.mark.parametrize(
    ("maker", "predicted", "lower_bound", "reason"),
    [
        (image(dtype="FLOAT32").step("RELU", 1, 8, 8, 4, dtype="FLOAT32"), False, False,
         "all on the CPU"),
        (image().convolution(1, 8, 8, 8), True, False, "all on the NPU"),
        (image().convolution(1, 8, 8, 8).step("DEQUANTIZE", 1, 8, 8, 8, dtype="FLOAT32"), True,
         True, "one on the CPU"),
    ],
)  # fmt: skip
def test_velas_estimate(
    maker: Maker, predicted: bool, lower_bound: bool, reason: str, tmp_path: Path
) -> None:
    found = diagnose(maker.write(tmp_path / "m.tflite"), "imx93-npu")["prediction"]
    assert (found["latency_ms"] is not None) == predicted, reason
    assert found["lower_bound"] == lower_bound, reason


def _no_inputs(model: Any) -> None:
    model.subgraphs[0].operators[0].inputs = []


def _no_outputs(model: Any) -> None:
    model.subgraphs[0].operators[0].outputs = []


def _left_out(model: Any) -> None:
    op = model.subgraphs[0].operators[0]
    op.inputs, op.outputs = [-1] * len(op.inputs), [-1]


def _size_0(model: Any) -> None:
    for tensor in model.subgraphs[0].tensors:
        tensor.shape = [1, 0, 0, 0]


def _scalars(model: Any) -> None:
    for tensor in model.subgraphs[0].tensors:
        tensor.shape = []


def _wide(model: Any) -> None:
    for tensor in model.subgraphs[0].tensors:
        tensor.shape = [1, 2, 3, 4, 5]


@pytest.mark.parametrize("change", [_no_inputs, _no_outputs, _left_out, _size_0, _scalars, _wide])
def test_operators_that_make_no_sense(
    change: Callable[[Any], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every operator of the schema without inputs, without outputs, of size 0: examined by every
    rule, and costed. TFLite Micro and Vela are not asked."""

    def refuse(_: Path) -> int:
        raise KitError("not asked")

    monkeypatch.setattr("analysis.arena.arena_bytes", refuse)
    path, families = tmp_path / "m.tflite", (microcontroller, imx8mp, neutron)
    boards = [load(name) for name in ("imxrt1170", "imx8mp", "imx95")]
    for name in (n for n, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)):
        for more in ([], ["one", "two"]):
            made = image()
            for tensor in (*more, "out"):
                made.tensor(tensor, (1, 8, 8, 4))
            made.add(name, ["input", *more], "out")
            change(made.model)
            graph = Graph.read(made.write(path))
            assert cortex_m7.total(graph).by_node, name
            for family, board in zip(families, boards, strict=True):
                told = Subject(path, graph, memory(graph), board, family is microcontroller)
                assert len(family.examine(told).placements) == 1, name
                assert [rule(told) for rule in common.RULES], name


@pytest.mark.parametrize("change", [_no_inputs, _no_outputs, _left_out, _size_0])
@pytest.mark.parametrize("name", ["CONV_2D", "AVERAGE_POOL_2D", "LEAKY_RELU", "SPLIT", "PADV2"])
def test_their_commands(
    name: str, change: Callable[[Any], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same by the commands, TFLite Micro's own answer included."""
    made = image().step(name, 1, 8, 8, 4)
    change(made.model)
    path = made.write(tmp_path / "m.tflite")
    found = diagnose(path, "imxrt1170")
    assert found["prediction"]["latency_ms"] is None and name in render(found, nodes=True)
    assert cost.main([str(path), "--nodes"]) == 0
    assert "instructions not predicted" in capsys.readouterr().out


@needs_vela
@pytest.mark.parametrize("change", [_no_inputs, _no_outputs, _left_out, _size_0, _scalars])
def test_what_vela_does_not_compile(change: Callable[[Any], None], tmp_path: Path) -> None:
    """An answer, whatever Vela says to it."""
    made = image().convolution(1, 8, 8, 8)
    change(made.model)
    found = diagnose(made.write(tmp_path / "m.tflite"), "imx93-npu")
    assert found["placements"] and render(found)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", foreign.FILES)
def test_every_file_that_litert_runs_gets_an_answer(name: str, target: str, tmp_path: Path) -> None:
    (tmp_path / "m.tflite").write_bytes(foreign.FILES[name]())
    found = diagnose(tmp_path / "m.tflite", target)
    assert "operators" in render(found)
    assert cost.main([str(tmp_path / "m.tflite"), "--nodes"]) == 0


@pytest.mark.real
@pytest.mark.parametrize("target", ["imxrt1170", "imxrt1050"])
def test_nxps_file_on_a_microcontroller(nxp: Path, target: str) -> None:
    """Its instructions and arena were counted in an emulator: 396.98 M and 1,296,712 bytes."""
    found = diagnose(nxp, target)
    named = rules(found)
    wide = named["wide-transpose"]
    assert wide["severity"] == "error" and len(wide["operators"]) == 16
    assert "rank 5" in wide["what"] and "never written" in wide["why"]
    assert named["pads"]["severity"] == "warning" and len(named["pads"]["operators"]) == 23
    assert named["leaky-relu"]["severity"] == "warning" and "91." in named["leaky-relu"]["what"]
    assert named["sigmoid"]["severity"] == "warning" and "1/256" in named["sigmoid"]["why"]
    assert named["input"]["severity"] == "warning"
    peak, then = found["peaks"]
    assert (peak["operator"], peak["bytes"]) == ("PAD 3", 629_856 + 614_400)
    assert (then["operator"], then["bytes"]) == ("LEAKY_RELU 2", 2 * 614_400)
    assert found["arena"]["goes_to"] == "SDRAM"
    assert named["arena"]["severity"] == "warning"
    for tensor in ("model/zero_padding2d_1/Pad", "model/leaky_re_lu/LeakyRelu"):
        assert tensor in named["arena"]["why"]
    assert 1_296_712 <= found["arena"]["bytes"] < 1.04 * 1_296_712
    published = {"imxrt1170": 615, "imxrt1050": 771}[target]
    assert found["prediction"]["latency_ms"] == pytest.approx(published, rel=0.05)
    assert not found["prediction"]["lower_bound"]
    assert "CMSIS-NN (more than 4 dimensions: wrong values): 16 TRANSPOSE" in render(found)


@pytest.mark.real
@pytest.mark.parametrize("target", ["imx8mp-npu", _VELA])
def test_nxps_file_on_an_npu(nxp: Path, target: str) -> None:
    named = rules(diagnose(nxp, target))
    assert len(named["wide-transpose"]["operators"]) == 16
    assert len(named["pads"]["operators"]) == 23
    assert {"sigmoid", "input"} <= set(named)
    assert ("cpu" in named) == (target == "imx93-npu")
