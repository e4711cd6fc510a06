"""`--board emulated`: what is refused and what is chosen, without an emulator."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from runtime.benchmark import arm_root, board, emulator
from runtime.errors import DataUnavailable, KitError
from tests.runtime.benchmark.conftest import Done, script

Command = Callable[..., Done]


@pytest.mark.parametrize(
    ("options", "message", "reason"),
    [
        (["emulated", "--cpu", "max"], "right answers: cortex-a53, cortex-a76", "gives garbage"),
        (["emulated", "--cpu", "cortex-m7"], "right answers: cortex-a53", "no such CPU in Linux"),
        (["emulated", "--accelerator", "npu"], "--accelerator goes with a board in", "no NPU"),
        (["emulated", "--ssh-config", "x"], "--ssh-config goes with a board in", "no network"),
        (["emulated", "--profile", "imx93"], "--profile goes with a board in", "--cpu chooses"),
        (["root@192.168.0.10", "--cpu", "cortex-a53"], "--cpu goes with --board emulated", "real"),
        (["emulated"], "qemu-aarch64 is not installed; apt install qemu-user", "empty PATH"),
    ],
)
@pytest.mark.parametrize("name", ["parity", "bench"])
def test_refusals(
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    name: str,
    options: list[str],
    message: str,
    reason: str,
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "model.tflite").write_bytes(b"\0\0\0\0TFL3")
    files = [tmp_path / "model.tflite", "image.png"][: 2 if name == "parity" else 1]
    monkeypatch.setattr("analysis.parity.TfliteFile.read", lambda path: None)
    done = command(name, *files, "--board", *options)
    assert done.code == 2 and message in done.err, reason
    assert "\n" not in done.err and not (tmp_path / "cache").exists()


def test_boards_of_the_cpus() -> None:
    named = {cpu: board.name for cpu, board in emulator.known().items()}
    assert named == {"cortex-a53": "imx8mp", "cortex-a76": "imx93"}


def test_a_board_sees_its_own_cpuinfo(tmp_path: Path) -> None:
    """As an i.MX 8M Plus shows it."""
    (tmp_path / "usr/bin").mkdir(parents=True)
    (tmp_path / "usr/bin/python3.99").touch()
    (tmp_path / "usr/bin/python3").symlink_to("python3.99")
    (tmp_path / "proc").mkdir()
    known = board.load("imx8mp")
    assert known.emulation is not None
    for _ in range(2):
        view = arm_root.with_cpuinfo(tmp_path, "imx8mp", known.emulation.cpuinfo(2))
        shown = (view / "proc/cpuinfo").read_text().split("\n\n")
        assert len(shown) == 3 and shown[1].splitlines() == [
            "processor\t: 1",
            "Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 cpuid",
            "CPU implementer\t: 0x41",
            "CPU architecture\t: 8",
            "CPU variant\t: 0x0",
            "CPU part\t: 0xd03",
            "CPU revision\t: 4",
        ]
        assert arm_root.python(view) == tmp_path / "usr/bin/python3.99"


def test_wheels_are_checked_by_their_hashes() -> None:
    for wheel in arm_root.locked_wheels(["ai-edge-litert", "numpy"]):
        first, *hashes = wheel.splitlines()
        assert "==" in first and ";" not in first, "of every platform"
        assert hashes and all(line.lstrip().startswith("--hash=sha256:") for line in hashes)


@pytest.mark.parametrize(
    ("shell", "message"),
    [
        ("echo 'W: so' >&2; echo 'E: Unable to locate package python3' >&2; exit 100",
         "apt-get fails (E: Unable to locate package python3)"),
        ("exit 1", "apt-get fails (it does not say why)"),
    ],
)  # fmt: skip
def test_packages_that_cannot_be_had(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, shell: str, message: str
) -> None:
    script(tmp_path / "bin" / "apt-get", f"#!/bin/sh\n{shell}\n")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/bin:/usr/bin")
    with pytest.raises(DataUnavailable, match="arm64 packages cannot be had") as refusal:
        arm_root.make(tmp_path / "root", ["python3"], [])
    assert message in str(refusal.value)
    assert [path.name for path in tmp_path.iterdir()] == ["bin"], "nothing is left behind"


def test_no_apt(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(KitError, match="apt-get is not installed; --board emulated needs it"):
        arm_root.make(tmp_path / "root", ["python3"], [])
