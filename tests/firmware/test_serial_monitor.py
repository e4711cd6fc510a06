"""The serial monitor on a pseudo-terminal."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from firmware.serial_monitor import Frame
from tests.conftest import NANODET, ROOT, Build, run_python

SHA = "ab" * 32


FOUND = {"class_id": 0, "class": "person", "score": 0.5, "box": [1.5, 2.0, 30.0, 40.0625]}


def frame(number: int, **changes: Any) -> str:
    cycles = {"preprocess": 1000, "infer": 242_000_000, "postprocess": 60_000}
    values = {"frame": number, "arena_used": 400, "cycles": cycles, "model": SHA}
    return json.dumps({**values, "detections": [FOUND], **changes})


def watch(folder: Path, sent: list[str], *options: str) -> subprocess.CompletedProcess[str]:
    """Run the monitor on a terminal that sends these lines and hangs up."""
    board, port = pty.openpty()
    command = [sys.executable, NANODET, "monitor", os.ttyname(port), *options]
    process = subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    # The first answer tells that the terminal is raw; until then it would echo.
    assert process.stdout is not None
    os.write(board, b"ready\r\n")
    first = process.stdout.readline()
    os.write(board, "".join(f"{line}\r\n" for line in sent).encode())
    os.close(port)
    try:
        out, err = process.communicate(timeout=40)
    except subprocess.TimeoutExpired:
        os.close(board)
        out, err = process.communicate(timeout=40)
    return subprocess.CompletedProcess(command, process.returncode, first + out, err)


def test_frames_are_shown_and_recorded(tmp_path: Path) -> None:
    sent = ["Booting", frame(0), frame(1, detections=[])]
    done = watch(tmp_path, sent, "--core-mhz", "996", "--record", "log.jsonl", "--frames", "2")
    assert done.returncode == 0, done.stderr
    assert "board: Booting" in done.stdout
    assert "frame 0: preprocess 0.0 ms, infer 243.0 ms, postprocess 0.1 ms; person 0.50" in (
        done.stdout
    )
    assert "frame 1:" in done.stdout and "nothing" in done.stdout
    assert (tmp_path / "log.jsonl").read_text().splitlines() == sent[1:]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (frame(0)[:50], "not a frame"),
        ('{"frame":0}', "'cycles' is missing"),
        (frame(0, detections=[{"box": [5, 0, 1, 9]}]), "[5, 0, 1, 9] is not a box"),
        ('{"error":"infer","status":-4}', "not a frame"),
        (frame(0, detections=[{**FOUND, "score": 1.5}]), "1.5 is not a score"),
        (frame(0, detections=[{**FOUND, "class": 7}]), "7 is no text"),
    ],
)
def test_lines_that_are_no_frames(tmp_path: Path, line: str, message: str) -> None:
    done = watch(tmp_path, [line, frame(1)], "--frames", "1")
    assert done.returncode == 4
    assert message in done.stderr and "error: 1 lines were no frames" in done.stderr


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"frame": 0', '"frame": 1e999'),
        ('"frame": 0', '"frame": NaN'),
        ('"frame": 0', '"frame": -1'),
        ('"frame": 0', '"frame": 1.5'),
        ('"frame": 0', '"frame": true'),
        ('"arena_used": 400', '"arena_used": null'),
        ('"infer": 242000000', '"infer": -Infinity'),
        ('"infer": 242000000', f'"infer": 1{"0" * 400}'),
        ('"infer": 242000000', f'"infer": 1{"0" * 5000}'),
        ('"cycles": {', '"cycles": 1e999, "x": {'),
        ('"model": "', '"model": 7, "x": "'),
        ('"score": 0.5', '"score": NaN'),
        ('"score": 0.5', '"score": 1e999'),
        ('"class_id": 0', '"class_id": NaN'),
        ("[1.5, 2.0, 30.0, 40.0625]", "[1.5, 2.0, 1e999, 1e999]"),
        ("[1.5, 2.0, 30.0, 40.0625]", "[NaN, 2.0, 3.0, 4.0]"),
        ("[1.5, 2.0, 30.0, 40.0625]", "[" * 60_000),
        ("[1.5, 2.0, 30.0, 40.0625]", '{"a":' * 12_000),
        ('"detections": [', '"detections": 1e999, "x": ['),
        ('"detections": [', '"detections": [[], '),
    ],
    ids=lambda text: text[:24],
)
def test_numbers_that_are_none_and_brackets_without_end(old: str, new: str) -> None:
    """Each is a `ValueError` of one line, which `monitor` counts; the whole line is a frame."""
    line = frame(0)
    assert Frame.parse(line).text(996) and old in line
    with pytest.raises(ValueError, match=r".") as caught:
        Frame.parse(line.replace(old, new))
    assert len(str(caught.value)) < 200


def test_goes_on_after_them(tmp_path: Path) -> None:
    sent = ["[" * 60_000, '{"a":' + "[" * 60_000, frame(0).replace(" 0,", " 1e999,", 1), frame(1)]
    done = watch(tmp_path, sent, "--frames", "1")
    assert done.returncode == 4 and "frame 1:" in done.stdout and "Traceback" not in done.stderr
    assert "error: 2 lines were no frames" in done.stderr
    assert "brackets within brackets" in done.stderr and "inf is no count" in done.stderr


def test_a_board_cannot_steer_the_terminal(tmp_path: Path) -> None:
    named = frame(0, detections=[{**FOUND, "class": "\x1b[31mred"}])
    done = watch(tmp_path, ["\x1b[2Jboot", '{"\x1b[2J', named], "--frames", "1")
    assert "boot" in done.stdout and "red" in done.stdout
    assert "\x1b" not in done.stdout + done.stderr


def test_lost_frames(tmp_path: Path) -> None:
    done = watch(tmp_path, [frame(3), frame(6)], "--frames", "2")
    assert done.returncode == 0 and "frames 4 to 5 were lost" in done.stderr


def test_another_model(tmp_path: Path, build: Build) -> None:
    done = watch(tmp_path, [frame(0)], "--tflite", str(build.tflite))
    assert done.returncode == 4 and f"the board runs model {SHA}" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["/dev/nowhere"], "/dev/nowhere: cannot be opened"),
        (["plain.txt"], "plain.txt: not a serial port"),
        (["plain.txt", "--baud", "12345"], "12345: not a usual rate"),
    ],
)
def test_ports_that_are_none(tmp_path: Path, arguments: list[str], message: str) -> None:
    (tmp_path / "plain.txt").write_text("no port")
    done = run_python(tmp_path, NANODET, "monitor", *arguments)
    assert done.returncode == 2 and message in done.stderr and done.stderr.count("\n") == 1
