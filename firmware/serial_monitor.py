"""`./nanodet monitor PORT`: shows, checks and records what the firmware sends.

The firmware sends one JSON line per frame (`firmware/app/detection_responder.c`): number of the
frame, cycles of each stage, arena used, SHA-256 of the model, and the detections.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtime.cli import Parser, positive, printable
from runtime.errors import GateFailed, KitError
from runtime.tflite_file import TfliteFile

BAUD = 115200
_STAGES = ("preprocess", "infer", "postprocess")
_LARGEST_COUNT = (1 << 64) - 1
_LONGEST_LINE = 1 << 16  # What is longer is noise.


def parse_arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = Parser(description=__doc__)
    add = parser.add_argument
    add("port", type=Path, metavar="PORT", help="e.g. /dev/ttyACM0")
    add("--baud", type=positive, default=BAUD, help="default %(default)s")
    add("--core-mhz", type=positive, help="of the board, to show milliseconds")
    add("--tflite", type=Path, help="check that the board runs this .tflite")
    add("--frames", type=positive, help="stop after so many")
    add("--record", type=Path, metavar="FILE", help="append the frames' lines here")
    return parser.parse_args(words)


@dataclass(frozen=True)
class Frame:
    """One line. cycles: by stage. detections: class, score, and box in pixels of the frame."""

    number: int
    cycles: dict[str, int]
    arena_used_bytes: int
    model_sha256: str
    detections: list[dict[str, Any]]

    @classmethod
    def parse(cls, line: str) -> Frame:
        """Raises `ValueError` saying what is wrong with the line."""
        try:
            values = json.loads(line)
        except RecursionError:
            raise ValueError("brackets within brackets without end") from None
        try:
            frame = cls(
                _count(values["frame"]),
                {stage: _count(values["cycles"][stage]) for stage in _STAGES},
                _count(values["arena_used"]),
                _text(values["model"]),
                list(values["detections"]),
            )
            for found in frame.detections:
                _check(found)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{error} is missing or of another kind") from None
        return frame

    def text(self, core_mhz: int | None) -> str:
        """For people."""
        times = [
            f"{stage} {n / core_mhz / 1000:.1f} ms" if core_mhz else f"{stage} {n:,} cycles"
            for stage, n in self.cycles.items()
        ]
        found = [f"{_shown(d['class'])} {d['score']:.2f}" for d in self.detections]
        return f"frame {self.number}: {', '.join(times)}; {', '.join(found) or 'nothing'}"


def _count(value: Any) -> int:
    """What the firmware sends of C's unsigned integers."""
    if type(value) is not int or not 0 <= value <= _LARGEST_COUNT:
        raise ValueError(f"{value!r:.40} is no count")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r:.40} is no text")
    return value


def _shown(name: str) -> str:
    """What would move the cursor, or turn the writing around, stands as an escape."""
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in name)


def _check(found: dict[str, Any]) -> None:
    left, top, right, bottom = found["box"]
    if not 0 <= left <= right < math.inf or not 0 <= top <= bottom < math.inf:
        raise ValueError(f"{found['box']} is not a box")
    if not 0 <= found["score"] <= 1:
        raise ValueError(f"{found['score']} is not a score")
    _text(found["class"])
    _count(found["class_id"])


def open_port(path: Path, baud: int) -> int:
    """A file descriptor of the serial port, set to raw bytes. Raises `KitError`."""
    try:
        import termios
        import tty
    except ImportError:
        raise KitError("the serial monitor needs Linux or macOS") from None
    speed = getattr(termios, f"B{baud}", None)
    if speed is None:
        raise KitError(f"--baud {baud}: not a usual rate; the firmware sends at {BAUD}")
    try:
        port = os.open(path, os.O_RDONLY | os.O_NOCTTY)
    except OSError as error:
        raise KitError(f"{path}: cannot be opened ({error.strerror})") from None
    try:
        tty.setraw(port, termios.TCSANOW)  # Keep what has come already.
        settings = termios.tcgetattr(port)
        settings[4] = settings[5] = speed
        termios.tcsetattr(port, termios.TCSANOW, settings)
    except termios.error as error:
        os.close(port)
        raise KitError(f"{path}: not a serial port ({error.args[-1]})") from None
    return port


def lines(port: int) -> Iterator[str]:
    """Whole lines, until the port closes."""
    rest = b""
    while True:
        try:
            received = os.read(port, 4096)
        except OSError:  # A pseudo-terminal whose other end went away.
            return
        if not received:
            return
        *whole, rest = (rest + received).split(b"\n")
        if len(rest) > _LONGEST_LINE:
            rest = b""
        for line in whole:
            yield line.decode("utf-8", "replace").strip()


def monitor(options: argparse.Namespace) -> int:
    """Show frames as they come; returns how many lines were wrong."""
    wanted = None if options.tflite is None else TfliteFile.read(options.tflite).sha256
    port, wrong, seen, last = open_port(options.port, options.baud), 0, 0, None
    try:
        for line in lines(port):
            if not line.startswith("{"):
                if line:
                    print(f"board: {printable(line)}")
                continue
            try:
                frame = Frame.parse(line)
            except ValueError as error:
                wrong += 1
                print(printable(f"not a frame ({error}): {line[:100]}"), file=sys.stderr)
                continue
            if wanted is not None and frame.model_sha256 != wanted:
                raise GateFailed(f"the board runs model {frame.model_sha256}, not {wanted}")
            if last is not None and frame.number != last + 1:
                print(f"frames {last + 1} to {frame.number - 1} were lost", file=sys.stderr)
            last, seen = frame.number, seen + 1
            print(printable(frame.text(options.core_mhz)), flush=True)
            if options.record is not None:
                with options.record.open("a", encoding="utf-8") as record:
                    record.write(line + "\n")
            if seen == options.frames:
                break
    finally:
        os.close(port)
    return wrong


def main(words: Sequence[str] | None = None) -> int:
    """Exit code 4 where lines were wrong."""
    wrong = monitor(parse_arguments(words))
    if wrong:
        raise GateFailed(f"{wrong} lines were no frames")
    return 0
