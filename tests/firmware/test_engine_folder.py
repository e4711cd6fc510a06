"""The folder of `--engine c`: one call that detects, on this machine and on QEMU's Cortex-M7."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from firmware.engine.plan import Plan
from firmware.layout import STACK_BYTES
from firmware.serial_monitor import Frame
from runtime.spec import ModelSpec
from tests.conftest import NANODET, Build, Converted, in_grey, run_here
from tests.firmware.conftest import HERE, SANITIZERS, STRICT, tool

CODE_BYTES = 32 * 1024


def generate(folder: Path, build: Build, image: Path, *options: str) -> list[str]:
    """Lines of what is to be found."""
    words = [str(build.tflite), "--engine", "c", "--out", "out", "--image", str(image)]
    done = run_here(folder, NANODET, "firmware", *words, "--score-threshold", "0.05", *options)
    assert done.returncode == 0, done.stderr
    return [line.strip() for line in done.stdout.splitlines() if line.startswith("  ")]


@pytest.fixture(scope="module")
def made(
    build: Build, image: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[str]]:
    """A folder that all may read, and what is to be found in its image."""
    folder = tmp_path_factory.mktemp("made")
    return folder / "out", generate(folder, build, image)


def on_this_machine(out: Path, program: Path, main: list[Path], *flags: str) -> str:
    """What a program says that is compiled of the whole folder."""
    sources = [p for part in ("nanodet/src", "generated") for p in (out / part).glob("*.[cS]")]
    includes = [f"-I{out / p}" for p in ("nanodet/include", "nanodet/src", "generated", "app")]
    strict = ["-std=c99", "-pedantic", "-g", *STRICT, *SANITIZERS, *flags, *includes]
    command = [tool("gcc", "gcc"), *strict, *map(str, (*sources, *main)), "-o", str(program)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    ran = subprocess.run([str(program)], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def application(out: Path, name: str = "detect_frames") -> list[Path]:
    names = (name, "detection_responder", "image_provider", "main", "port_posix", "text", "timed")
    return [out / "app" / f"{n}.c" for n in names]


def lines(sent: str) -> list[str]:
    found: dict[str, Any] = json.loads(sent)
    return [
        f"{d['class']} {d['score']:.4f} " + " ".join(f"{v:.4f}" for v in d["box"])
        for d in found["detections"]
    ]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ([], "as it comes"),
        (["--score-threshold", "0"], "the list of candidates is full, and drops some"),
        (["--resize", "nearest", "--iou-threshold", "0.2"], "the other settings"),
        (["--weights", "int8"], "the other weights"),
    ],
)
def test_it_finds_what_python_finds(
    build: Build, image: Path, tmp_path: Path, options: list[str], reason: str
) -> None:
    expected = generate(tmp_path, build, image, *options)
    out = tmp_path / "out"
    flags = "-DNANODET_FRAMES=1", "-DNANODET_ARENA_AS_DATA"
    sent = on_this_machine(out, tmp_path / "program", application(out), *flags)
    assert lines(sent) == expected and expected, reason


def test_grey_frames_stay_grey(
    tiny: ModelSpec, converted: Converted, image: Path, tmp_path: Path
) -> None:
    expected = generate(tmp_path, converted(in_grey(tiny)), image)
    out = tmp_path / "out"
    assert "NANODET_GREY8" in (out / "generated" / "test_image.c").read_text()
    flags = "-DNANODET_FRAMES=1", "-DNANODET_ARENA_AS_DATA"
    sent = on_this_machine(out, tmp_path / "program", application(out), *flags)
    assert lines(sent) == expected and expected


@pytest.fixture(scope="module")
def emulated(made: tuple[Path, list[str]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What CMake builds for QEMU."""
    tool("qemu-system-arm", "qemu-system-arm")
    tool("arm-none-eabi-gcc", "gcc-arm-none-eabi libnewlib-arm-none-eabi")
    built = tmp_path_factory.mktemp("emulated") / "build"
    for words in (["-S", str(made[0] / "qemu"), "-B", str(built)], ["--build", str(built)]):
        done = subprocess.run([tool("cmake", "cmake"), *words], capture_output=True, text=True)
        assert done.returncode == 0 and "warning" not in done.stderr, done.stderr
    return built


def emulate(program: Path) -> str:
    machine = "qemu-system-arm -M mps2-an500 -nographic -semihosting -icount shift=0 -kernel"
    command = [*machine.split(), str(program)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


_STACK = """
#include "image_provider.h"
#include "test_image.h"
#include "text.h"
static unsigned char *top;
bool image_provider_init(void) { return true; }
bool image_provider_next(nanodet_frame *frame) {
    volatile unsigned char *at;
    if (top == 0) {
        top = (unsigned char *)__builtin_frame_address(0) - 64;
        for (at = top - DEPTH; at < top; at++) *at = 0xA5;
    } else {
        for (at = top - DEPTH; *at == 0xA5; at++) {}
        put_digits((uint32_t)(top + 64 - at), 1);
        put("\\n");
    }
    *frame = test_image;
    return true;
}
"""


def test_stack(made: tuple[Path, list[str]], tmp_path: Path) -> None:
    """The first frame writes over a painted stack; the second tells how deep it got."""
    tool("qemu-system-arm", "qemu-system-arm")
    tool("arm-none-eabi-gcc", "gcc-arm-none-eabi libnewlib-arm-none-eabi")
    depth = 4 * STACK_BYTES
    (tmp_path / "stack.c").write_text(_STACK.replace("DEPTH", str(depth)))
    shutil.copytree(made[0], tmp_path / "out")
    lists = tmp_path / "out" / "qemu" / "CMakeLists.txt"
    lists.write_text(lists.read_text().replace("NANODET_FRAMES=1", "NANODET_FRAMES=2"))
    provider = f"-DNANODET_IMAGE_PROVIDER={tmp_path / 'stack.c'}"
    command = ["cmake", "-S", str(lists.parent), "-B", str(tmp_path / "build"), provider]
    for words in (command, ["cmake", "--build", str(tmp_path / "build"), "-t", "nanodet.elf"]):
        subprocess.run(words, capture_output=True, check=True)
    _, used, _ = emulate(tmp_path / "build" / "nanodet.elf").splitlines()
    assert 500 < int(used) <= STACK_BYTES


def test_readme_says_what_to_expect(emulated: Path, made: tuple[Path, list[str]]) -> None:
    """The sample is what the application sends, but for the board's numbers and what follows the
    first detection."""
    text = (made[0] / "README.md").read_text()
    (sample,) = re.findall(r'^    (\{"frame":0.*)$', text, re.MULTILINE)
    head, _, rest = sample.partition(", ...")
    sent = re.sub(r'(?<=[a-z]":)\d+(?=[,}])', "N", emulate(emulated / "nanodet.elf").strip())
    head = re.sub(r'(?<=[a-z]":)\d+(?=[,}])', "N", head)
    assert rest == "]}" and sent.startswith(head)
    assert "about " in text and f"less than {STACK_BYTES:,}" in text


def test_qemu_finds_what_python_finds(emulated: Path, made: tuple[Path, list[str]]) -> None:
    assert lines(emulate(emulated / "nanodet.elf")) == made[1]


def test_the_benchmark_times_every_layer(emulated: Path, plan: Plan) -> None:
    sent = emulate(emulated / "benchmark.elf").strip()
    frame, layers = Frame.parse(sent), json.loads(sent)["layers"]
    kinds = [layer.kind for layer in plan.network.layers]
    assert [layer["kind"] for layer in layers] == kinds
    assert all(layer["cycles"] > 0 for layer in layers)
    for layer in layers:  # As it is, it is in one of its forms.
        forms = layer.get("forms", [])
        assert bool(forms) == (layer["kind"] in ("conv", "stem"))
        assert not forms or min(abs(layer["cycles"] - one) for one in forms) <= 0.02 * max(forms)
    decoding = sum(layer["cycles"] for layer in layers if layer["kind"] == "decode")
    assert sum(layer["cycles"] for layer in layers) - decoding == frame.cycles["infer"]
    assert frame.cycles["postprocess"] > decoding and frame.cycles["preprocess"] > 0


def forms(out: Path, plan: Plan) -> dict[int, int]:
    """Pixels of a turn of each convolution, as the generated C has them."""
    text = (out / "generated" / "nanodet_network.c").read_text()
    found = re.findall(r"nanodet_conv conv_(\d+) = \{(.*)\};", text)
    return {int(number): int(fields.split(", ")[7]) for number, fields in found}


def test_a_measured_board_chooses(
    emulated: Path,
    build: Build,
    image: Path,
    plan: Plan,
    made: tuple[Path, list[str]],
    tmp_path: Path,
) -> None:
    """QEMU counts instructions in place of cycles; then the other form of each is said to be
    faster, and what is found stays the same."""
    sent = emulate(emulated / "benchmark.elf")
    values, measured = json.loads(sent), tmp_path / "layers.jsonl"
    convs = {n: layer for n, layer in enumerate(values["layers"]) if "forms" in layer}
    assert forms(made[0], plan).keys() == convs.keys()
    assert "model of the" in (made[0] / "README.md").read_text()
    for turned in (False, True):
        for layer in convs.values() if turned else ():
            layer["forms"].reverse()
        measured.write_text(json.dumps(values))
        found = generate(tmp_path, build, image, "--measured", str(measured))
        faster = {n: 2 + int(one["forms"][1] < one["forms"][0]) for n, one in convs.items()}
        assert found == made[1] and forms(tmp_path / "out", plan) == faster
        assert len(set(faster.values())) == 2, "both are chosen"
        assert "measured in 1 frame " in (tmp_path / "out" / "README.md").read_text()
        flags = "-DNANODET_FRAMES=1", "-DNANODET_ARENA_AS_DATA"
        out, program = tmp_path / "out", tmp_path / "program"
        assert lines(on_this_machine(out, program, application(out), *flags)) == found


def define(out: Path, name: str) -> str:
    text = (out / "generated" / "nanodet_settings.h").read_text()
    return re.findall(rf"#define {name} (\S+)", text)[0]


def test_sizes_are_as_the_header_says(emulated: Path, made: tuple[Path, list[str]]) -> None:
    command = ["arm-none-eabi-size", str(emulated / "library" / "libnanodet.a")]
    table = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in table.splitlines()[1:]]
    sizes = {row[5].partition(".")[0]: int(row[0]) for row in rows}
    assert all(row[1:3] == ["0", "0"] for row in rows), "no data of its own"
    constants = sizes.pop("nanodet_network") + sizes.pop("nanodet_settings")
    told = int(define(made[0], "NANODET_FLASH_BYTES"))
    assert constants <= told <= constants * 1.03
    assert sum(sizes.values()) <= CODE_BYTES


def test_calls_that_will_not_do(made: tuple[Path, list[str]], tmp_path: Path) -> None:
    on_this_machine(made[0], tmp_path / "program", [HERE / "runner" / "detect.c"])


_ALL = pytest.param(1_000_000, marks=pytest.mark.full(reason="minutes"))


@pytest.mark.parametrize("cases", [5_000, _ALL])
def test_no_report_on_random_calls(
    cases: int, made: tuple[Path, list[str]], tmp_path: Path
) -> None:
    flags = "-O1", f"-DCASES={cases}"
    main = [HERE / "runner" / "detect_fuzz.c"]
    sound = int(on_this_machine(made[0], tmp_path / "program", main, *flags))
    assert cases * 0.3 < sound < cases * 0.9, "both sound and broken calls are tried"


_KERNELS = "conv_s8.c", "conv_pixels.c", "conv_pixels.S", "depthwise_s8.c", "max_columns.S"


@pytest.mark.parametrize(
    ("board", "flags", "wanted", "reason"),
    [
        ("evkbmimxrt1170", "", "CodeQuickAccess", "its ITCM"),
        ("evkbimxrt1050", "-DNANODET_CODE_IN_FLASH", ".text", "the startup code copies nothing"),
        ("evkmimxrt1064", "-DNANODET_CODE_SECTION=fast", "fast", "a section of the user's"),
        ("frdmmcxn947", "", ".text", "it has no ITCM"),
    ],
)
def test_sections_of_kernels(
    board: str, flags: str, wanted: str, reason: str, build: Build, image: Path, tmp_path: Path
) -> None:
    """All instructions go where the macros say."""
    generate(tmp_path, build, image, "--board", board)
    out = tmp_path / "out"
    for name in _KERNELS:
        path = out / "nanodet" / "src" / f"nanodet_{name}"
        sizes = section_bytes("CODE", path, out, tmp_path / "object.o", *flags.split())
        code = {re.sub(r"^\.text.*", ".text", part) for part, size in sizes.items() if size}
        assert code == {wanted}, (name, reason)


def test_sections_of_weights(made: tuple[Path, list[str]], tmp_path: Path) -> None:
    network, target = made[0] / "generated" / "nanodet_network.c", tmp_path / "object.o"
    slow = section_bytes("DATA", network, made[0], target, "-DNANODET_WEIGHTS_SECTION=slow")
    assert slow["slow"] > 100_000 and "slow" not in section_bytes("DATA", network, made[0], target)


def section_bytes(kind: str, source: Path, out: Path, target: Path, *flags: str) -> dict[str, int]:
    """Of a source that is compiled for a Cortex-M7, by section. kind: CODE or DATA."""
    gcc = tool("arm-none-eabi-gcc", "gcc-arm-none-eabi libnewlib-arm-none-eabi")
    includes = [f"-I{out / p}" for p in ("nanodet/include", "nanodet/src")]
    command = [gcc, *STRICT, *includes, "-O2", "-mcpu=cortex-m7", "-mthumb", *flags, "-c"]
    subprocess.run([*command, str(source), "-o", str(target)], check=True)
    shown = subprocess.run(
        ["arm-none-eabi-objdump", "-h", str(target)], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    rows = [row.split() for row, about in pairwise(shown) if kind in about.split(", ")]
    return {row[1]: int(row[2], 16) for row in rows}


def test_kernels_run_from_another_memory(emulated: Path) -> None:
    """As the SDK's startup code copies them to the ITCM, far from the rest."""
    command = ["arm-none-eabi-nm", str(emulated / "nanodet.elf")]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    at = {row.split()[-1]: int(row.split()[0], 16) for row in listed.splitlines()}
    assert at["nanodet_detect"] < 0x1000000
    for name in ("conv_s8", "conv_3", "conv_pixels", "conv_widen", "depthwise_s8", "add_s8"):
        assert at[f"nanodet_{name}"] >= 0x20000000, name
