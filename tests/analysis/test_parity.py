"""`parity`, with this machine's Python on the board; wrong answers by altered weights there."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from analysis.cut import Cutter
from analysis.parity import steps_apart
from runtime.errors import KitError
from runtime.tflite_graph import Graph
from tests.conftest import Build, photo
from tests.runtime.benchmark.conftest import Done, StandIn, script

Command = Callable[..., Done]
# On random weights XNNPACK's rounding adds up to more than on trained ones.
RANDOM = ["--tolerance", "64", "--score-threshold", "0.05"]


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{i}; touch hit.png" for i in range(2)]
    for i, path in enumerate(paths):
        Image.fromarray(photo(i, 120, 90)).save(path)
    return paths


def python(board: StandIn, *, before: str = "", options: str = "") -> None:
    """The board's python3 is this one. before: what it does first, in shell."""
    shell = f'#!/bin/sh\n{before}\nexec {sys.executable} {options} "$@"\n'
    script(board.bin / "python3", shell)


def test_boards_that_agree(
    board: StandIn, command: Command, build: Build, images: list[Path]
) -> None:
    python(board)
    done = command("parity", build.tflite, *images, *board.options, *RANDOM)
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert [line.partition(": ")[0] for line in lines] == [path.name for path in images]
    for line in lines:
        words = line.split()
        assert float(words[words.index("by") + 1]) <= 64
        assert line.endswith("in both (here, board)") and "0 and 0 detections" not in line
    assert not Path("hit").exists()


def altered(build: Build, kind_number: int) -> tuple[int, bytes, bytes]:
    """Position of a convolution, its weights as they stand in the file, and others."""
    convolution = Graph.read(build.tflite).named("CONV_2D")[kind_number]
    weights = convolution.constant(1).data.tobytes()
    assert build.tflite.read_bytes().count(weights) == 1
    # Turned round and as large as can be: far beyond what rounding differs by.
    turned = np.where(np.frombuffer(weights, np.int8) < 0, 127, -127)
    return convolution.position, weights, turned.astype(np.int8).tobytes()


@pytest.mark.parametrize("number", [0, 5, -1], ids=["first", "sixth", "last"])
def test_the_first_wrong_layer_is_found(
    board: StandIn, command: Command, build: Build, images: list[Path], number: int
) -> None:
    position, right, wrong = altered(build, number)
    code = (
        "import pathlib, sys; path = pathlib.Path(sys.argv[1]); "
        f"path.write_bytes(path.read_bytes().replace({right!r}, {wrong!r}))"
    )
    (board.bsp / "alter.py").write_text(code)
    python(board, before=f'{sys.executable} {board.bsp}/alter.py "$2"')
    done = command("parity", build.tflite, images[0], *board.options, *RANDOM)
    operators = Cutter(build.tflite.read_bytes(), "m.tflite").operators
    made = operators[position].outputs[0].name
    assert done.code == 4, done.out + done.err
    found, _, alone = done.err.rpartition("; alone, with the reference's inputs, it differs by ")
    assert found.endswith(
        f"the first operator to differ so far is number {position}, CONV_2D `{made}`"
    )
    assert "64 are allowed" in found and images[0].name in found
    assert float(alone.split()[0]) > 64


def test_rounding_is_told_from_a_wrong_layer(
    board: StandIn, command: Command, build: Build, images: list[Path]
) -> None:
    python(board)
    done = command("parity", build.tflite, images[0], *board.options, "--tolerance", "10")
    assert done.code == 4 and "10 are allowed" in done.err
    assert float(done.err.split()[-3]) <= 2


def test_emulated_boards_that_agree(
    emulate: Callable[[str], None], command: Command, build: Build, images: list[Path]
) -> None:
    """A line with the reference kernels and one with the same for each image, on each CPU."""
    emulate("")
    done = command("parity", build.tflite, *images, "--board", "emulated", *RANDOM)
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    names = [path.name for path in images]
    assert [line.partition(": ")[0] for line in lines] == [
        *("emulated cortex-a53:", *names, *names),
        *("emulated cortex-a76:", *names, *names),
    ]
    for line in lines[3:5] + lines[8:]:
        assert "with XNNPACK here, too, outputs differ by 0 at most, 0.00 in the mean" in line
        here, _, there, _, equal, _ = line.rpartition("; ")[2].split()
        assert here == there == equal != "0"


def test_the_first_wrong_layer_on_an_emulated_board(
    emulate: Callable[[str], None], command: Command, build: Build, images: list[Path]
) -> None:
    position, right, wrong = altered(build, 5)
    code = f"content = open('model.tflite', 'rb').read().replace({right!r}, {wrong!r}); "
    Path("alter.py").write_text(code + "open('model.tflite', 'wb').write(content)")
    emulate(f"{sys.executable} {Path('alter.py').absolute()}")
    options = ["--board", "emulated", "--cpu", "cortex-a76", *RANDOM]
    done = command("parity", build.tflite, images[0], *options)
    assert done.code == 4 and f"is number {position}, CONV_2D" in done.err
    assert "cortex-a53" not in done.out


@pytest.mark.parametrize(
    ("before", "message"),
    [
        ("kill -11 $$", "emulated cortex-a53: its interpreter does not run the model (signal 11)"),
        ("exec sleep 9", "emulated cortex-a53: no answer in 2 s"),
        ('case "$1" in -m) exit 3 ;; esac', "its runtime does not detect (exit code 3)"),
        ("echo > out.npz; exit", "its answers cannot be read"),
        ("exit", "out.npz: cannot be read (No such file or directory)"),
    ],
)
def test_emulated_boards_that_cannot(
    emulate: Callable[[str], None],
    command: Command,
    build: Build,
    images: list[Path],
    before: str,
    message: str,
) -> None:
    emulate(before)
    options = ["--board", "emulated", *RANDOM, "--timeout", "2" if "sleep" in before else "60"]
    done = command("parity", build.tflite, images[0], *options)
    assert done.code == 2 and message in done.err and "\n" not in done.err


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("no python3", "no python3 there; parity needs it"),
        ("no numpy", "its python3 lacks 'numpy'"),
        (
            "no interpreter",
            "does not run the model (exit code 2); its last line: error: no interpreter here",
        ),
        ("broken delegate", "its last line: error: {bsp}/libvx_delegate.so: file too short"),
        ("crash", "does not run the model (signal 11)"),
        ("garbage", "its answers cannot be read"),
        ("hang", "no answer in 2 s"),
    ],
)
def test_boards_that_cannot(
    board: StandIn, command: Command, build: Build, images: list[Path], how: str, message: str
) -> None:
    options = list(board.options)
    if how == "no python3":
        script(board.bin / "python3", "#!/bin/sh\nexit 127\n")
    elif how == "no numpy":
        python(board, options="-I -S")
    elif how == "no interpreter":
        blocked = board.bsp / "blocked.py"
        blocked.write_text(
            "import runpy, sys\n"
            "for n in ('ai_edge_litert', 'tflite_runtime', 'tensorflow'): sys.modules[n] = None\n"
            "sys.argv = sys.argv[1:]\nrunpy.run_path(sys.argv[0], run_name='__main__')\n"
        )
        python(board, options=str(blocked))
    elif how == "broken delegate":
        python(board)
        options += ["--accelerator", "npu"]
    elif how == "crash":
        script(board.bin / "python3", "#!/bin/sh\nkill -11 $$\n")
    elif how == "garbage":
        script(board.bin / "python3", '#!/bin/sh\necho garbage > "$4"\n')
    elif how == "hang":
        script(board.bin / "python3", "#!/bin/sh\nsleep 100\n")
        options += ["--timeout", "2"]
    done = command("parity", build.tflite, images[0], *options)
    assert done.code == 2 and done.err.startswith("error: ") and "\n" not in done.err
    assert message.format(bsp=board.bsp) in done.err


def test_bad_input(board: StandIn, command: Command, build: Build, tmp_path: Path) -> None:
    assert "IMAGE" in command("parity", build.tflite, *board.options).err
    done = command("parity", build.tflite, tmp_path / "none.png", *board.options)
    assert done.code == 2 and "none.png: no such image" in done.err


@pytest.mark.parametrize(
    ("kind", "one", "other", "steps"),
    [
        ("int8", [-128], [127], 255),
        ("int8", [[1, 2]], [[1, 5]], 3),
        ("float32", [0, 10], [0, 10.2], 5.1),
        ("float32", [3, 3], [3, 3], 0),
    ],
)
def test_steps(kind: str, one: list[Any], other: list[Any], steps: float) -> None:
    arrays = np.array(one, kind), np.array(other, kind)
    assert steps_apart([arrays[0], arrays[0]], arrays) == pytest.approx(steps)


def test_other_shapes_are_an_error() -> None:
    with pytest.raises(KitError, match="outputs of int8"):
        steps_apart([np.zeros(2, np.int8)], [np.zeros(1, np.int8)])
