"""`./nanodet parity MODEL IMAGE ... --board root@HOST|emulated`: does a board answer as the
reference kernels of this machine do, and if not, from which layer on?"""

from __future__ import annotations

import argparse
import io
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from runtime.benchmark import emulator, identify, remote
from runtime.benchmark.board import Accelerator
from runtime.cli import Parser, fraction, positive
from runtime.compare import describe_detections, describe_outputs
from runtime.detector import DISPLAY_THRESHOLD, Detector
from runtime.engines import LiteRtEngine, TfliteEngine, interpreter
from runtime.errors import GateFailed, KitError
from runtime.image import load_rgb
from runtime.preprocess import to_canvas
from runtime.tflite_file import TfliteFile

# Fast kernels round otherwise: XNNPACK is 8 to 34 steps from the reference on this kit's models.
_TOLERANCE = 40
_FLOAT_STEPS = 255
_SCRIPT = Path(interpreter.__file__)
_Board = remote.Connection | emulator.Emulator


def parse_arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = Parser(description=__doc__)
    add = parser.add_argument
    add("model", type=Path, metavar="MODEL")
    add("images", type=Path, nargs="+", metavar="IMAGE")
    add("--threads", type=positive, default=1, help="default %(default)s")
    add("--score-threshold", type=fraction, default=DISPLAY_THRESHOLD, help="default %(default)s")
    add("--tolerance", type=positive, default=_TOLERANCE, metavar="STEPS",
        help="of int8 that outputs may differ by, default %(default)s")  # fmt: skip
    remote.add_options(parser)
    remote.add_timeout(parser)
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None) -> int:
    """Print how far each image's answers lie apart; where too far, from which operator on.

    Raises `GateFailed` then.
    """
    options = parse_arguments(words)
    model = TfliteFile.read(options.model)
    if options.board == remote.EMULATED:
        for board in emulator.chosen(options):
            print(f"{board.host}:")
            _compare_runtimes(options, model, board, _compare(options, model, board, Accelerator()))
        return 0
    connection = remote.Connection.of(options)
    known, _ = identify.identify(connection, options.profile or "", options.boards)
    accelerator = identify.choose_accelerator(connection, known, options.accelerator)
    _compare(options, model, connection, accelerator)
    return 0


def _compare(
    options: argparse.Namespace, model: TfliteFile, board: _Board, accelerator: Accelerator
) -> list[NDArray[Any]]:
    """With the reference kernels here; returns the board's outputs, (N, ...) each.

    Raises `GateFailed` where they lie too far away.
    """
    images = [load_rgb(path) for path in options.images]
    replay = _Replay(model)
    inputs = np.stack([replay.pixels(to_canvas(rgb, model.spec.input)[0]) for rgb in images])
    with board.temporary_folder() as folder:
        there = BoardInterpreter(board, folder, accelerator, options.threads, options.timeout)
        pair = answer_here(model.content, [inputs]), there.answer(model.content, [inputs])
        detector = Detector(replay, score_threshold=options.score_threshold)
        for i, (path, rgb) in enumerate(zip(options.images, images)):
            print(f"{path.name}: {_describe(replay, detector, pair, i, rgb)}")
        worst = [steps_apart(*([a[i] for a in side] for side in pair)) for i in range(len(images))]
        if max(worst) <= options.tolerance:
            return pair[1]
        position = int(np.argmax(worst))
        found = _bisect(
            model.content, str(options.model), inputs[position], there, options.tolerance
        )
    raise GateFailed(
        f"{options.images[position].name}: outputs differ by {max(worst):g} steps, "
        f"{options.tolerance} are allowed; {found}"
    )


def _compare_runtimes(
    options: argparse.Namespace,
    model: TfliteFile,
    board: emulator.Emulator,
    outputs: Sequence[NDArray[Any]],
) -> None:
    """With the same kernels here; and what `python3 -m runtime` detects, there and here.

    outputs: the board's, as `_compare` returns them.
    """
    replay, engine = _Replay(model), LiteRtEngine(model, options.threads)
    detector = Detector(engine, score_threshold=options.score_threshold)
    for i, path in enumerate(options.images):
        replay.arrays = [array[i] for array in outputs]
        canvas, _ = to_canvas(load_rgb(path), model.spec.input)
        apart = describe_outputs(engine.infer_raw(canvas), replay.infer_raw(canvas))
        here, there = json.loads(detector.detect(path).to_json()), _detect(options, board, path)
        equal = sum(found in there for found in here)
        counts = f"{len(here)} and {len(there)} detections, {equal} equal"
        print(f"{path.name}: with XNNPACK here, too, {apart}; {counts}")


def _detect(options: argparse.Namespace, board: emulator.Emulator, image: Path) -> Any:
    files = str(options.model.resolve()), str(image.resolve())
    chosen = f"--threads={options.threads}", f"--score-threshold={options.score_threshold}"
    words = ["python3", "-m", "runtime", "detect", *files, *chosen, "--json"]
    done = board.run(words, timeout_s=options.timeout)
    if done.returncode:
        raise KitError(f"{board.host}: its runtime does not detect {done.failure}")
    return json.loads(done.text)


def _describe(
    replay: _Replay,
    detector: Detector,
    pair: tuple[list[NDArray[Any]], list[NDArray[Any]]],
    i: int,
    rgb: NDArray[Any],
) -> str:
    raw, found = [], []
    for side in pair:
        replay.arrays = [array[i] for array in side]
        raw.append(replay.infer_raw(to_canvas(rgb, replay.spec.input)[0]))
        found.append(detector.detect(rgb))
    return f"{describe_outputs(*raw)}; {describe_detections(*found)} (here, board)"


class _Replay(TfliteEngine):
    """Answers what has been computed elsewhere. arrays: the outputs, in the file's order."""

    name = "replay"
    arrays: Sequence[NDArray[Any]] = ()

    def pixels(self, canvas: NDArray[Any]) -> NDArray[Any]:
        """Canvas -> the model's input (1, H, W, 3)."""
        return self._input_of(canvas, self.spec)

    def _invoke(self, pixels: NDArray[Any]) -> list[NDArray[Any]]:
        return list(self.arrays)


class BoardInterpreter:
    """Runs models with the board's Python, on the kernels or the delegate of `accelerator`."""

    def __init__(
        self,
        board: _Board,
        folder: str,
        accelerator: Accelerator,
        threads: int,
        timeout_s: float,
    ) -> None:
        self._board, self._folder, self._timeout_s = board, folder, timeout_s
        self._options = [f"--threads={threads}"]
        if accelerator.delegate:
            self._options.append(f"--delegate={accelerator.delegate}")
            pairs = accelerator.options.items()
            self._options += [f"--delegate-option={key}:{value}" for key, value in pairs]
        board.send(_SCRIPT.read_bytes(), f"{folder}/{_SCRIPT.name}")

    def answer(self, content: bytes, inputs: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        """As `runtime.engines.interpreter.answer`. Raises `KitError`."""
        script, model, source, target = (
            f"{self._folder}/{name}" for name in (_SCRIPT.name, "model.tflite", "in.npz", "out.npz")
        )
        self._board.send(content, model)
        stream = io.BytesIO()
        interpreter.save_arrays(stream, inputs)
        self._board.send(stream.getvalue(), source)
        words = ["python3", script, model, source, target, *self._options]
        done = self._board.run(words, folder=self._folder, timeout_s=self._timeout_s)
        if done.returncode:
            raise KitError(f"{self._board.host}: {_reason(done)}")
        try:
            return interpreter.load_arrays(io.BytesIO(self._board.receive(target)))
        except (ValueError, OSError, KeyError, zipfile.BadZipFile):
            raise KitError(f"{self._board.host}: its answers cannot be read") from None


def _reason(done: remote.Finished) -> str:
    """Why the script did not run."""
    if done.returncode == 127:
        return "no python3 there; parity needs it, with numpy and tflite_runtime"
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    if lines and "No module named" in lines[-1]:
        return f"its python3 lacks {lines[-1].rpartition(' ')[2]}; parity needs it"
    return f"its interpreter does not run the model {done.failure}"


def answer_here(content: bytes, inputs: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
    """The same by the built-in kernels of this machine's LiteRT."""
    package = interpreter.find_package()
    return interpreter.answer(interpreter.open_interpreter(package, content, xnnpack=False), inputs)


def steps_apart(reference: Sequence[NDArray[Any]], other: Sequence[NDArray[Any]]) -> float:
    """Largest distance of two lists of arrays. Floats count in 255 steps of the reference."""
    worst = 0.0
    for one, two in zip(reference, other):
        if one.shape != two.shape or one.dtype != two.dtype:
            raise KitError(f"outputs of {one.dtype} {one.shape} and {two.dtype} {two.shape}")
        distance = np.abs(one.astype(np.float64) - two)
        if one.dtype.kind == "f":
            distance *= _FLOAT_STEPS / max(float(np.ptp(one)), 1e-9)
        worst = max(worst, float(distance.max(initial=0)))
    return worst


def _bisect(
    content: bytes, path: str, pixels: NDArray[Any], there: BoardInterpreter, tolerance: int
) -> str:
    """The first operator to differ, and how far it does so alone: that tells a wrong kernel from
    rounding that has added up."""
    from analysis.cut import Cutter, first_difference

    cutter, inputs = Cutter(content, path), [pixels[None]]
    with tqdm(desc="bisecting", unit="run", disable=None, leave=False) as progress:

        def differs(count: int) -> bool:
            cut = cutter.prefix(count)
            progress.update()
            return steps_apart(answer_here(cut, inputs), there.answer(cut, inputs)) > tolerance

        position = first_difference(cutter, differs)
    # All that an operator reads is live, or the pixels.
    values = dict.fromkeys(cutter.inputs_of(position), pixels[None])
    if position:
        reference = answer_here(cutter.prefix(position), inputs)
        values.update(zip(cutter.live_after(position), reference))
    fed = [values[i] for i in cutter.inputs_of(position)]
    alone = cutter.alone(position)
    apart = steps_apart(answer_here(alone, fed), there.answer(alone, fed))
    kind, made = cutter.operators[position].name, cutter.operators[position].outputs[0].name
    return (
        f"the first operator to differ so far is number {position}, {kind} `{made}`; "
        f"alone, with the reference's inputs, it differs by {apart:g} at most"
    )
