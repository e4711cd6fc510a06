"""`./nanodet firmware MODEL.tflite --board evkbmimxrt1170 --out DIR`: firmware of a model.

DIR gets the C library, the application, the model and its settings as C sources, a test image with
what is to be found in it, and README.md with the steps in the SDK. In a folder that was generated
before, `app/` and `board/` stay as they are, and so do files of your own.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from data import locate
from firmware import emit
from firmware.image import RESIZES, Recording, record
from firmware.layout import lay_out
from firmware.place import renew
from quantize.split import split
from runtime.benchmark.board import load, microcontrollers
from runtime.cli import Parser, fraction, positive
from runtime.detector import DISPLAY_THRESHOLD, IOU_THRESHOLD, MAX_DETECTIONS
from runtime.errors import KitError
from runtime.files import writing
from runtime.postprocess import Selection
from runtime.tflite_file import TfliteFile

HERE = Path(__file__).parent
_MARK = Path("generated", "nanodet_settings.h")


@dataclass(frozen=True)
class Options:
    """What the command line says."""

    model: Path
    board: str
    out: Path
    split_stem: bool
    resize: str
    image: Path | None
    record: bool
    selection: Selection


def parse_arguments(words: Sequence[str] | None = None) -> Options:
    """The command line."""
    parser = Parser(description=__doc__)
    add = parser.add_argument
    add("model", type=Path, metavar="MODEL")
    boards = [name for board in microcontrollers() if board.firmware for name in board.names]
    add("--board", choices=boards, default="evkbmimxrt1170", help="default %(default)s")
    add("--out", type=Path, required=True, metavar="DIR")
    add("--split-stem", action="store_true", help="first layers in C: less memory, faster")
    add("--resize", choices=sorted(RESIZES), default="bilinear", help="default %(default)s")
    add("--image", type=Path, help="test image; default: the first for calibration")
    add("--score-threshold", type=fraction, default=DISPLAY_THRESHOLD, help="default %(default)s")
    add("--iou-threshold", type=fraction, default=IOU_THRESHOLD, help="default %(default)s")
    add("--max-detections", type=positive, default=MAX_DETECTIONS, help="default %(default)s")
    add("--record", action="store_true", help="also tensors, for app/model_runner_replay.c")
    found = parser.parse_args(words)
    selection = Selection(found.score_threshold, found.iou_threshold, found.max_detections)
    chosen = found.split_stem, found.resize, found.image, found.record, selection
    return Options(found.model, found.board, found.out, *chosen)


def generate(options: Options) -> tuple[Recording, list[str]]:
    """Write the folder; returns what is to be found in the test image, and files that were kept."""
    file = TfliteFile.read(options.model)
    if options.out.exists() and not (options.out / _MARK).is_file():
        raise KitError(f"--out {options.out}: holds something else; name a new folder")
    stem, body = split(file.content, file.path) if options.split_stem else (None, file.content)
    layout = lay_out(file, body, stem, load(options.board), options.selection, options.resize)
    picture = options.image or locate.calibration_images(file.spec, None)[0]
    recording = record(file, layout, stem, picture)

    def make(folder: Path) -> None:
        _copy(folder)
        (folder / "model.tflite").write_bytes(body)
        emit.write(folder, layout, recording, with_tensors=options.record)

    return recording, _write(options.out, make)


def _write(out: Path, make: Callable[[Path], None]) -> list[str]:
    """Make the folder, or renew it; returns files of the user's that were kept, see `renew`."""
    if not out.exists():
        with writing(out) as folder:
            folder.mkdir()
            make(folder)
        return []
    try:
        with tempfile.TemporaryDirectory(dir=out, prefix=".writing-") as scratch:
            make(Path(scratch))
            return renew(Path(scratch), out, emit.OPTIONAL)
    except OSError as error:
        raise KitError(f"--out {out}: cannot be written ({error.strerror})") from None


def _copy(folder: Path) -> None:
    for name in ("nanodet", "app", "tflm", "board"):
        shutil.copytree(HERE / name, folder / name)


def main(words: Sequence[str] | None = None) -> int:
    """Generate, and say what was made."""
    options = parse_arguments(words)
    recording, kept = generate(options)
    print(f"{options.out}: firmware for {options.board}; README.md there has the next steps")
    if kept:
        print(f"kept as they were, for they are yours now: {', '.join(kept)}")
    print(f"on {recording.name}, {len(recording.lines)} detections:")
    for line in recording.lines:
        print(f"  {line}")
    return 0
