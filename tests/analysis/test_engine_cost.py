"""The engine's costs, against the emulated Cortex-M7 and the compiler."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis import engine_cost
from analysis.cost import main as cost_main
from analysis.doctor import diagnose
from analysis.engine import Deployed, deploy
from benchmarks.engine_cost import Machine, error
from firmware.engine import WEIGHTS
from firmware.engine.show import bytes_in_use
from tests.analysis.tflite import padded
from tests.conftest import Build
from tests.firmware.conftest import tool


@pytest.fixture(scope="module", params=WEIGHTS)
def deployed(build: Build, request: pytest.FixtureRequest) -> Deployed:
    found = deploy(build.tflite.read_bytes(), str(build.tflite), request.param)
    assert isinstance(found, Deployed)
    return found


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    tool("qemu-system-arm", "qemu-system-arm")
    tool("arm-none-eabi-gcc", "gcc-arm-none-eabi libnewlib-arm-none-eabi")
    return Machine(tmp_path_factory.mktemp("machine"))


def test_instructions_against_the_emulator(deployed: Deployed, machine: Machine) -> None:
    """Of a network that no coefficient was fitted to."""
    counted = machine.count("build", deployed.plan)
    assert sum(counted.instructions) == pytest.approx(counted.all, rel=0.01)
    assert abs(error(counted, engine_cost.coefficients())) < 0.03
    assert not deployed.cost.unknown


def test_sizes_against_the_compiler(deployed: Deployed, machine: Machine) -> None:
    code = machine.code_bytes()
    assert engine_cost.coefficients()[engine_cost.CODE]["bytes"] == code
    assert deployed.flash_bytes == pytest.approx(
        machine.data_bytes(deployed.plan) + code, abs=256
    ), "but for what aligns one array after another"


def test_memory_in_use_never_exceeds_the_arena(deployed: Deployed) -> None:
    used = bytes_in_use(deployed.plan)
    assert len(used) == len(deployed.plan.schedule.steps)
    assert 0.7 * deployed.arena_bytes < used.max() <= deployed.arena_bytes
    image = deployed.plan.network.values[0]
    assert used.min() >= deployed.plan.storage.buffers[-1].bytes
    assert used[0] >= 3 * image.width, "the first row of the image is there"


def test_a_foreign_file_is_refused_in_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = padded().write(tmp_path / "foreign.tflite")
    assert cost_main([str(path), "--engine", "c"]) == 0
    assert "not on this engine: no NanoDet model spec inside" in capsys.readouterr().out
    found = diagnose(path, "imxrt1170", engine="c")
    assert [f["rule"] for f in found["findings"] if f["severity"] == "error"] == ["refused"]
    assert found["prediction"]["latency_ms"] is None and found["arena"] is None


@pytest.mark.parametrize(
    ("target", "predicted", "reason"),
    [
        ("imxrt1170", True, "a published latency"),
        ("imxrt1060", False, "nobody published what an instruction takes there"),
        ("mcxn947", False, "counted on a Cortex-M7 alone"),
    ],
)
def test_the_doctor_on_the_engine(
    target: str, predicted: bool, reason: str, build: Build, deployed: Deployed
) -> None:
    if deployed.plan.narrow:
        pytest.skip("every board's flash holds int16")
    found = diagnose(build.tflite, target, engine="c")
    assert "weights of 1x1 convolutions are int16 in flash" in found["memory"]
    assert found["arena"]["bytes"] == found["arena"]["reserved_bytes"] == deployed.arena_bytes
    assert found["flash_bytes"] == deployed.flash_bytes and found["constant_bytes"] is None
    latency = found["prediction"]["latency_ms"]
    assert (latency is not None) == predicted and (
        predicted or reason in found["prediction"]["basis"]
    )
