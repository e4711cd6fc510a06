from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from runtime.benchmark.doctor import diagnose, render
from runtime.errors import KitError
from tests.conftest import Build, run_python
from tests.runtime.benchmark.test_vela import needs_vela
from tests.runtime.benchmark.tflite import image, leaky, padded, transposed

TARGETS = ("imxrt1170", "imxrt1050", "imx8mp-npu", pytest.param("imx93-npu", marks=needs_vela))


def severities(found: dict[str, Any]) -> set[str]:
    return {finding["severity"] for finding in found["findings"]}


def rules(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {finding["rule"]: finding for finding in found["findings"]}


@pytest.mark.parametrize("target", TARGETS)
def test_nothing_above_a_note_on_ours(build: Build, target: str) -> None:
    found = diagnose(build.tflite, target)
    assert severities(found) <= {"note"}, found["findings"]
    assert len(found["placements"]) > 100


@pytest.mark.parametrize(
    ("file", "target", "code", "reason"),
    [
        ("wide.tflite", "imxrt1170", 4, "a finding is an error"),
        ("pad.tflite", "imxrt1050", 0, "none is"),
        ("wide.tflite", "imx8mp-npu", 0, "there it is a warning"),
    ],
)
def test_command(file: str, target: str, code: int, reason: str, tmp_path: Path) -> None:
    transposed(5).write(tmp_path / "wide.tflite")
    padded().write(tmp_path / "pad.tflite")
    command = ["-m", "runtime.benchmark", "doctor", file, "--target", target]
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
        (["good.tflite", "--target", "imx6"], "imxrt1050, imxrt1170, imx8mp-npu, imx93-npu"),
        (["good.tflite"], "--target"),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], message: str, tmp_path: Path) -> None:
    good = padded().write(tmp_path / "good.tflite").read_bytes()
    (tmp_path / "bad.tflite").write_bytes(good[: len(good) // 2])
    (tmp_path / "text.tflite").write_text("no model, but some text")
    done = run_python(tmp_path, "-m", "runtime.benchmark", "doctor", *arguments)
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


@pytest.fixture(scope="module")
def nxp(data: Path) -> Path:
    paths = sorted((data / "peers").glob("nxp_*.tflite"))
    if not paths:
        pytest.skip("NXP's own file is not here")
    return paths[0]


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
    for tensor in ("model/zero_padding2d_1/Pad", "model/leaky_re_lu/LeakyRelu"):
        assert tensor in named["arena"]["why"]
    assert 1_296_712 <= found["arena"]["bytes"] < 1.04 * 1_296_712
    published = {"imxrt1170": 615, "imxrt1050": 771}[target]
    assert found["prediction"]["latency_ms"] == pytest.approx(published, rel=0.05)
    assert "CMSIS-NN (more than 4 dimensions: wrong values): 16 TRANSPOSE" in render(found)


@pytest.mark.real
@pytest.mark.parametrize("target", TARGETS[2:])
def test_nxps_file_on_an_npu(nxp: Path, target: str) -> None:
    named = rules(diagnose(nxp, target))
    assert len(named["wide-transpose"]["operators"]) == 16
    assert len(named["pads"]["operators"]) == 23
    assert {"sigmoid", "input"} <= set(named)
    assert ("cpu" in named) == (target == "imx93-npu")
