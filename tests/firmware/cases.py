"""Cases for `runner/runner.c`, and its answers."""

from __future__ import annotations

import struct
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from firmware.describe import Description, StemDescription
from firmware.engine.pack import Blocks, Packed
from firmware.frames import PIXEL_FORMATS
from firmware.layout import CANDIDATE_BYTES, TAP_BYTES
from runtime import integer
from runtime.spec import ModelSpec

POSTPROCESS, PREPROCESS, TO_FRAME, LEAKY_RELU, STEM, CONV, DEPTHWISE = range(1, 8)
OK, NULL_POINTER, BAD_MODEL, BAD_BUFFER, BAD_SCRATCH, BAD_FRAME, BAD_OPTION = range(0, -7, -1)
DETECTION = np.dtype([("box", "<i4", 4), ("score", "<u2"), ("class_id", "<u2")])
_SILENT = ["-nographic", "-monitor", "none", "-serial", "none", "-icount", "shift=0,sleep=off"]


@dataclass(frozen=True)
class Answer:
    """Of one case. instructions: of the call, counted on the emulator; 0 on a PC."""

    status: int
    instructions: int
    payload: bytes

    @property
    def detections(self) -> np.ndarray:
        """Payload as detections."""
        return np.frombuffer(self.payload, DETECTION)


@dataclass
class Writer:
    """Cases one after another."""

    content: bytearray = field(default_factory=bytearray)
    count: int = 0

    def _add(self, kind: int, payload: bytes) -> None:
        self.content += struct.pack("<II", kind, len(payload)) + payload
        self.count += 1

    def postprocess(
        self,
        about: Description,
        raw: Mapping[str, np.ndarray],
        iou_threshold_q10: int = 614,
        max_candidates: int = integer.MAX_CANDIDATES,
        capacity: int = 100,
        wanted: np.ndarray | None = None,
        scratch_bytes: int | None = None,
    ) -> None:
        """raw: as the network's tensors lie in memory."""
        parts = [encode(about)]
        for level in about.levels:
            for name in ("cls", "reg"):
                values = raw[f"{name}_{level.stride}"].tobytes()
                parts += [struct.pack("<I", len(values)), padded(values)]
        mask = b"" if wanted is None else wanted.astype(np.uint8).tobytes()
        if scratch_bytes is None:
            scratch_bytes = CANDIDATE_BYTES * max_candidates
        words = iou_threshold_q10, max_candidates, capacity, len(mask), scratch_bytes
        parts += [struct.pack("<5I", *words), padded(mask)]
        self._add(POSTPROCESS, b"".join(parts))

    def preprocess(
        self,
        about: Description,
        frame: np.ndarray,
        pixel_format: str,
        width: int,
        bilinear: bool,
        other: Mapping[str, int] | None = None,
    ) -> None:
        """frame: uint8 (H, bytes per row). other: fields to give a wrong value."""
        values = {
            "width": width,
            "height": len(frame),
            "row_bytes": frame.shape[1],
            "format": PIXEL_FORMATS.index(pixel_format),
            "resize": int(bilinear),
            "scratch_bytes": TAP_BYTES * about.width,
            "input_bytes": (1 if about.grey else 3) * about.width * about.height,
        }
        content = frame.tobytes()
        words = struct.pack("<7I", *{**values, **(other or {})}.values())
        tail = struct.pack("<I", len(content)) + padded(content)
        self._add(PREPROCESS, encode(about) + words + tail)

    def to_frame(self, about: Description, size: tuple[int, int], detections: np.ndarray) -> None:
        """detections: of dtype `DETECTION`."""
        words = struct.pack("<3I", *size, len(detections))
        self._add(TO_FRAME, encode(about) + words + padded(detections.tobytes()))

    def leaky_relu(self, parameters: Sequence[int]) -> None:
        """parameters: the six fields of `nanodet_leaky_relu_params`."""
        self._add(LEAKY_RELU, struct.pack("<6i", *parameters))

    def stem(
        self, about: StemDescription, image: np.ndarray, other: Mapping[str, int] | None = None
    ) -> None:
        """image: int8 (H, W, 3) as the network takes it. other: fields to give another value."""
        pooled = about.width // 4 * (about.height // 4) * about.channels
        values = {
            "width": about.width,
            "height": about.height,
            "channels": about.channels,
            "input_zero_point": about.input_zero_point,
            "output_zero_point": about.output_zero_point,
            "scratch_bytes": -1,
            "output_bytes": pooled,
        }
        words = struct.pack("<7i", *{**values, **(other or {})}.values())
        arrays = about.weight, about.bias, about.multiplier, about.shift
        content = b"".join(a.astype("<i4").tobytes() for a in arrays)
        content += about.activation.tobytes() + padded(image.tobytes())
        self._add(STEM, words + content)

    def conv(
        self,
        packed: Packed,
        inputs: int,
        outputs: int,
        how: Blocks,
        activation: np.ndarray | None,
        sources: Sequence[View],
        target: View,
        pixels: int,
        in_place: bool = False,
        narrow: bool = False,
    ) -> None:
        """sources: of each row. target: of all rows. in_place: the target's bytes are the first
        source's. narrow: its stream."""
        flags = activation is not None, in_place
        words = (
            *(pixels, len(packed.stream), *flags, inputs, outputs),
            *(how.pixels, how.block, how.turn, packed.any_shift, narrow, how.rows),
        )
        table = b"" if activation is None else activation.tobytes()
        parts = [struct.pack("<12I", *words), packed.stream.astype("<i4").tobytes(), table]
        parts += [struct.pack("<I", len(sources)), *map(View.encode, (*sources, target))]
        self._add(CONV, b"".join(parts))

    def depthwise(
        self,
        packed: Packed,
        form: Sequence[int],
        zero_point: int,
        activation: np.ndarray | None,
        image: np.ndarray,
        shape: tuple[int, int],
        padding: tuple[int, int],
        pitches: tuple[int, int],
    ) -> None:
        """form: kernel and stride. image: int8 (H, W, C). shape: of the output. padding: above and
        at the left. pitches: bytes from one pixel to the next, of image and output."""
        height, width, channels = image.shape
        content = np.zeros((height, width, pitches[0]), np.int8)
        content[..., :channels] = image
        words = (
            *(len(packed.stream), activation is not None, height, shape[0], padding[0]),
            *(channels, *form, zero_point, packed.any_shift),
            *(width, shape[1], padding[1], *pitches),
        )
        table = b"" if activation is None else activation.tobytes()
        parts = [struct.pack("<15i", *words), packed.stream.astype("<i4").tobytes(), table]
        self._add(DEPTHWISE, b"".join(parts) + padded(content.tobytes() + bytes(3)))


@dataclass(frozen=True)
class View:
    """content: int8 (pixels, pitch). runs: (offset, bytes) of each."""

    content: np.ndarray
    runs: Sequence[tuple[int, int]]

    def encode(self) -> bytes:
        """As the runner reads it."""
        head = struct.pack("<3I", self.content.size, self.content.shape[1], len(self.runs))
        return head + np.array(self.runs, "<u2").tobytes() + padded(self.content.tobytes())

    @property
    def channels(self) -> np.ndarray:
        """int8 (pixels, channels), in the order of the runs."""
        return np.concatenate([self.content[:, at : at + n] for at, n in self.runs], axis=1)


def padded(content: bytes) -> bytes:
    """To whole words."""
    return content + bytes(-len(content) % 4)


def encode(about: Description) -> bytes:
    """A description as the runner reads it."""
    flags = about.keep_ratio | about.bgr << 1 | about.rotated_180 << 2 | about.grey << 3
    head = about.width, about.height, about.classes, about.bins, len(about.levels), flags
    parts = [struct.pack("<6I", *head)]
    for level in about.levels:
        numbers = level.stride, level.rows, level.columns, level.min_logit, level.offset_q4
        parts.append(struct.pack("<3I2i", *numbers))
        parts += [level.score.astype("<u2").tobytes(), level.weight.astype("<u2").tobytes()]
    return b"".join(parts)


@dataclass(frozen=True)
class Runner:
    """The library on this machine, or on an emulated core, by default a Cortex-M7."""

    program: Path
    emulated: bool
    machine: str = "mps2-an500"

    def run(self, cases: Writer) -> list[Answer]:
        """Answers in the order of the cases; a sanitizer's report fails."""
        with tempfile.TemporaryDirectory() as folder:
            source, target = Path(folder, "cases"), Path(folder, "answers")
            source.write_bytes(cases.content)
            done = subprocess.run(
                self.start([str(source), str(target)]), capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, f"{done.returncode} {done.stdout} {done.stderr}"
            answers = list(_answers(target.read_bytes()))
        assert len(answers) == cases.count
        return answers

    def start(self, words: Sequence[str]) -> list[str]:
        """The command that runs the program with these arguments."""
        if not self.emulated:
            return [str(self.program), *words]
        arguments = ",".join(f"arg={a}" for a in ("runner", *words))
        semihosting = ["-semihosting-config", f"enable=on,target=native,{arguments}"]
        machine = ["qemu-system-arm", "-M", self.machine, *_SILENT]
        return [*machine, *semihosting, "-kernel", str(self.program)]


def _answers(content: bytes):  # type: ignore[no-untyped-def]
    at = 0
    while at < len(content):
        status, instructions, size = struct.unpack_from("<iII", content, at)
        yield Answer(status, instructions, content[at + 12 : at + 12 + size])
        at += 12 + size + -size % 4


def lying(raw: Mapping[str, np.ndarray], spec: ModelSpec) -> dict[str, np.ndarray]:
    """Upright outputs as the network's tensors hold them."""
    turned = spec.graph.rotated_180
    return {n: np.ascontiguousarray(v[::-1, ::-1] if turned else v) for n, v in raw.items()}
