from __future__ import annotations

import csv
import sys
from pathlib import Path

import pytest

from analysis import vela
from runtime.errors import KitError
from tests.analysis.tflite import gathered, image, leaky, padded
from tests.conftest import NANODET, run_python

needs_vela = pytest.mark.skipif(
    not Path(sys.executable).with_name("vela").is_file(),
    reason="vela is not installed (locks/benchmark.lock)",
)


@needs_vela
def test_time_and_layers(tmp_path: Path) -> None:
    """A convolution's multiplications counted by hand; layers add up to the whole."""
    made = leaky(image().convolution(1, 4, 4, 16, kernel=3, stride=2), 1, 4, 4, 16)
    found = vela.compile_model(made.write(tmp_path / "m.tflite"))
    assert [layer.operator for layer in found.layers] == ["Conv2D", "LeakyRelu"]
    assert found.layers[0].macs == 4 * 4 * 16 * 3 * 3 * 4
    assert sum(layer.latency_ms for layer in found.layers) == pytest.approx(found.latency_ms)
    assert not found.cpu and found.dram_bytes > 0 and found.version


@needs_vela
def test_what_stays_on_the_cpu(tmp_path: Path) -> None:
    found = vela.compile_model(leaky(gathered()).write(tmp_path / "m.tflite"))
    assert found.cpu == {"tensor_0": "Unsupported opType"}


@needs_vela
def test_command(tmp_path: Path) -> None:
    """With odd names, two files beside each other, and everything kept."""
    name = "it's a $(model) of ours.tflite"
    image().convolution(1, 8, 8, 8).write(tmp_path / name)
    leaky(gathered()).write(tmp_path / "-other.tflite")
    arguments = [NANODET, "vela", name, "--compare", "./-other.tflite"]
    done = run_python(tmp_path, *arguments, "--out", "kept")
    assert done.returncode == 0, done.stderr
    ours, other = done.stdout.splitlines()[-2:]
    assert "of --compare's, operators on the CPU: 0" in ours and name in ours
    assert " 1.00 of --compare's, operators on the CPU: 1" in other
    kept = {path.name for path in (tmp_path / "kept").iterdir()}
    stem = name.removesuffix(".tflite")
    assert {f"{stem}_vela.tflite", f"{stem}_layers.svg", f"{stem}_per-layer.csv"} <= kept
    with (tmp_path / "kept" / f"{stem}_per-layer.csv").open(newline="") as file:
        assert [row["Target"] for row in csv.DictReader(file)] == ["NPU"]


@needs_vela
def test_nothing_on_the_npu(tmp_path: Path) -> None:
    """No time to compare with, and no layer to show."""
    gathered().write(tmp_path / "m.tflite")
    arguments = ["vela", "m.tflite", "--compare", "m.tflite", "--out", "kept"]
    done = run_python(tmp_path, NANODET, *arguments)
    assert done.returncode == 0, done.stderr
    assert "Unsupported opType" in done.stdout and "nothing estimated" in done.stdout


def test_another_vela(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that succeeds and writes nothing we know."""
    path = padded().write(tmp_path / "m.tflite")
    stand_in = tmp_path / "vela"
    stand_in.write_text("#!/bin/sh\necho 9.9\n")
    stand_in.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(KitError, match=r"Vela 9\.9 writes other tables"):
        vela.compile_model(path)


@needs_vela
@pytest.mark.parametrize(
    ("content", "message"),
    [(b"nothing of the kind", "not a TFLite file"), (b"\x10\0\0\0TFL3" + bytes(40), "refuses")],
)
def test_garbage(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.tflite"
    path.write_bytes(content)
    with pytest.raises(KitError, match=rf"bad\.tflite.*{message}"):
        vela.compile_model(path)


def test_missing_vela_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = padded().write(tmp_path / "m.tflite")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(KitError, match=r"pip install -r locks/benchmark\.lock"):
        vela.compile_model(path)
