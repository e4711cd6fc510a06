"""`./nanodet firmware MODEL.tflite --engine c --out DIR`: firmware of a model.

DIR gets the C library, the application, the model and its settings as C sources, a test image with
what is to be found in it, and README.md with the steps in the SDK. In a folder that was generated
before, `app/` and `board/` stay as they are, and so do files of your own.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from data import locate
from firmware import emit, files
from firmware.engine import DEFAULT, ENGINES
from firmware.engine.file import plan_of
from firmware.engine.measured import read_measured
from firmware.engine.show import describe
from firmware.image import RESIZES, Recording, record
from firmware.layout import basis, lay_out, lay_out_engine
from firmware.place import renew
from quantize.split import split
from runtime.benchmark.board import load, microcontrollers
from runtime.cli import Parser, fraction, positive
from runtime.detector import DISPLAY_THRESHOLD, IOU_THRESHOLD, MAX_DETECTIONS
from runtime.errors import KitError
from runtime.files import writing
from runtime.postprocess import Selection
from runtime.tflite_file import TfliteFile

_ENGINE_HELP = (
    "tflm: TensorFlow Lite Micro of NXP's SDK; c: plain C without it; default %(default)s"
)
_MARK = Path("generated", "nanodet_settings.h")


@dataclass(frozen=True)
class Options:
    """What the command line says."""

    model: Path
    board: str
    out: Path | None
    engine: str
    plan: bool
    measured: Path | None
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
    add("--out", type=Path, metavar="DIR", help="folder to write")
    add("--engine", choices=ENGINES, default=DEFAULT, help=_ENGINE_HELP)
    add("--plan", action="store_true", help="show how --engine c runs the model")
    add("--measured", type=Path, metavar="FILE", help="of c, what a board's benchmark sent")
    add("--split-stem", action="store_true", help="of tflm, first layers in C: less memory, faster")
    add("--resize", choices=sorted(RESIZES), default="bilinear", help="default %(default)s")
    add("--image", type=Path, help="test image; default: the first for calibration")
    add("--score-threshold", type=fraction, default=DISPLAY_THRESHOLD, help="default %(default)s")
    add("--iou-threshold", type=fraction, default=IOU_THRESHOLD, help="default %(default)s")
    add("--max-detections", type=positive, default=MAX_DETECTIONS, help="default %(default)s")
    add("--record", action="store_true", help="of tflm, also tensors for app/model_runner_replay.c")
    found = parser.parse_args(words)
    selection = Selection(found.score_threshold, found.iou_threshold, found.max_detections)
    chosen = found.split_stem, found.resize, found.image, found.record, selection
    board, out, engine = found.board, found.out, found.engine
    options = Options(found.model, board, out, engine, found.plan, found.measured, *chosen)
    for name, given in (("--split-stem", options.split_stem), ("--record", options.record)):
        if given and options.engine != "tflm":
            parser.error(f"{name}: only with --engine tflm")
    for name, of_c in (("--plan", options.plan), ("--measured", options.measured)):
        if of_c and options.engine != "c":
            parser.error(f"{name}: only with --engine c")
    if options.out is None and not options.plan:
        parser.error("--out DIR is missing")
    return options


def generate(options: Options, out: Path) -> tuple[Recording, list[str]]:
    """Write the folder; returns what is to be found in the test image, and files that were kept."""
    file = TfliteFile.read(options.model)
    if out.exists() and not (out / _MARK).is_file():
        raise KitError(f"--out {out}: holds something else; name a new folder")
    board = load(options.board)
    about = basis(file, board, options.selection, options.resize)
    picture = options.image or locate.calibration_images(file.spec, None)[0]
    if options.engine == "c":
        plan, measured = plan_of(file), None
        if options.measured:
            measured = read_measured(options.measured, plan.network, file.sha256)
        engine = lay_out_engine(about, plan, file.path, measured)
        recording = record(file, engine, None, picture)
        render = partial(emit.write_engine, layout=engine, recording=recording)
    else:
        stem, body = split(file.content, file.path) if options.split_stem else (None, file.content)
        layout = lay_out(about, file, body, stem)
        recording = record(file, layout, stem, picture)
        render = partial(
            emit.write_tflm, layout=layout, recording=recording, with_tensors=options.record
        )

    def make(folder: Path) -> None:
        for name, source in files.copied(options.engine).items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, folder / name)
        render(folder)

    return recording, _write(out, make)


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
            return renew(Path(scratch), out, files.of_any())
    except OSError as error:
        raise KitError(f"--out {out}: cannot be written ({error.strerror})") from None


def main(words: Sequence[str] | None = None) -> int:
    """Generate, and say what was made."""
    options = parse_arguments(words)
    if options.plan:
        print(describe(plan_of(TfliteFile.read(options.model))), end="")
    if options.out is None:
        return 0
    recording, kept = generate(options, options.out)
    print(f"{options.out}: firmware for {options.board}; README.md there has the next steps")
    if kept:
        print(f"kept as they were, for they are yours now: {', '.join(kept)}")
    print(f"on {recording.name}, {len(recording.lines)} detections:")
    for line in recording.lines:
        print(f"  {line}")
    return 0
