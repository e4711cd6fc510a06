"""`./nanodet firmware MODEL.tflite --engine c --out DIR`: firmware of a model.

DIR gets the C library, the application, the model and its settings as C sources, a test image with
what is to be found in it, and README.md with the steps in the SDK. In a folder that was generated
before, `app/` and `board/` stay as they are, and so do files of your own.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from data import locate
from firmware import emit, files
from firmware.engine import DEFAULT, ENGINES, WEIGHTS
from firmware.engine.file import network_of
from firmware.engine.measured import read_measured
from firmware.engine.show import describe
from firmware.image import RESIZES, Recording, record
from firmware.layout import Basis, EngineLayout, basis, lay_out, lay_out_engine, plan_for
from firmware.place import renew
from quantize.split import split
from runtime.benchmark.board import BOARD_HELP, DEFAULT_BOARD, board_type, load, microcontrollers
from runtime.cli import Parser, fraction, plural, positive
from runtime.detector import DISPLAY_THRESHOLD, IOU_THRESHOLD, MAX_DETECTIONS
from runtime.errors import KitError
from runtime.files import writing
from runtime.postprocess import Selection
from runtime.tflite_file import TfliteFile

_ENGINE_HELP = (
    "tflm: TensorFlow Lite Micro of NXP's SDK; c: plain C without it; default %(default)s"
)
_WEIGHTS_HELP = "of --engine c, in flash; default: the first of them that the board's flash holds"
_MARK = Path("generated", "nanodet_settings.h")


@dataclass(frozen=True)
class Options:
    """What the command line says."""

    model: Path
    board: str
    out: Path | None
    engine: str
    weights: str | None
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
    boards = [board for board in microcontrollers() if board.firmware]
    add("--board", type=board_type(boards), default=DEFAULT_BOARD, metavar="NAME", help=BOARD_HELP)
    add("--out", type=Path, metavar="DIR", help="folder to write")
    add("--engine", choices=ENGINES, default=DEFAULT, help=_ENGINE_HELP)
    add("--weights", choices=WEIGHTS, help=_WEIGHTS_HELP)
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
    about = found.model, found.board, found.out, found.engine, found.weights, found.plan
    options = Options(*about, found.measured, *chosen)
    for name, given in (("--split-stem", options.split_stem), ("--record", options.record)):
        if given and options.engine != "tflm":
            parser.error(f"{name}: only with --engine tflm")
    of_c = ("plan", options.plan), ("weights", options.weights), ("measured", options.measured)
    for name, asked in of_c:
        if asked and options.engine != "c":
            parser.error(f"--{name}: only with --engine c")
    if options.out is None and not options.plan:
        parser.error("--out DIR is missing")
    return options


def _basis(options: Options) -> tuple[Basis, TfliteFile]:
    file = TfliteFile.read(options.model)
    return basis(file, load(options.board), options.selection, options.resize), file


def generate(options: Options, out: Path) -> tuple[Recording, list[str]]:
    """Write the folder; returns what is to be found in the test image, and what else to say."""
    about, file = _basis(options)
    if out.exists() and not (out / _MARK).is_file():
        raise KitError(f"--out {out}: holds something else; name a new folder")
    notes: list[str] = []
    picture = options.image or locate.calibration_images(file.spec, None)[0]
    if options.engine == "c":
        measured = None
        if options.measured:
            measured = read_measured(options.measured, network_of(file), file.sha256)
        engine = lay_out_engine(about, file, options.weights, measured)
        notes += _on_flash(engine, options.weights)
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

    kept = _write(out, make)
    if kept:
        notes.append(f"kept as they were, for they are yours now: {', '.join(kept)}")
    return recording, notes


def _on_flash(layout: EngineLayout, asked: str | None) -> Iterator[str]:
    """What the board's flash decided."""
    title = layout.board.title
    if asked is None and layout.weights != WEIGHTS[0]:
        yield (
            f"weights: {layout.weights}, since with {WEIGHTS[0]} the flash of {title} would not "
            "hold them"
        )
    if layout.linked:
        yield f"the linker script of {title} must give it more flash, see README.md there"


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
        _, network, _ = plan_for(*_basis(options), options.weights)
        print(describe(network.plan), end="")
    if options.out is None:
        return 0
    recording, notes = generate(options, options.out)
    print(f"{options.out}: firmware for {options.board}; README.md there has the next steps")
    for note in notes:
        print(note)
    print(f"on {recording.name}, {plural(len(recording.lines), 'detection')}:")
    for line in recording.lines:
        print(f"  {line}")
    return 0
