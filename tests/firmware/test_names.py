"""Any class name compiles, and comes back through the line that the firmware sends."""

from __future__ import annotations

import dataclasses
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from firmware import emit
from firmware.image import record
from firmware.layout import basis, lay_out
from firmware.serial_monitor import Frame
from firmware.text import c_comment, c_string, one_line
from runtime.benchmark.board import load
from runtime.errors import KitError
from runtime.postprocess import Selection
from runtime.tflite_file import TfliteFile
from tests.conftest import ROOT, Build, photo
from tests.firmware.conftest import SANITIZERS, STRICT, tool

NAMES = (
    "person", '"', "\\", "\\n", "??/", "??=", "what??", "a\nb", "tab\there", "%s %d %n", "a/b",
    "\u4eba", "\U0001f600", "e\u0301", "\u05d0\u05d1", "\u202eright to left", "\u00e9", "\u0085",
    "\u2028", "\x1b[31m", "\x7f", "7", "\u00e97", "*/ int x; /*", "//", "'", "{}", "\ufeff",
    "\U0010ffff", "\x01" "f", "\u4eba" * 200,
)  # fmt: skip
# As the application calls it, a frame in which every class is found.
_MAIN = """
#include "detection_responder.h"
#include "nanodet_settings.h"
#include "test_image.h"
int main(void) {
    nanodet_detection found[COUNT];
    for (uint16_t i = 0; i < COUNT; i++) {
        found[i] = (nanodet_detection){.class_id = i, .score = 1000, .box_q4 = {0, 0, 16, 16}};
    }
    frame_report report = {.detections = found, .count = COUNT};
    detection_responder_report(&report);
    return 0;
}
"""


@pytest.fixture(scope="module")
def folder(build: Build, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Generated, with these classes, a picture and a model that are called as badly."""
    folder = tmp_path_factory.mktemp("names")
    Image.fromarray(photo(3, 200, 150)).save(folder / "photo.png")
    file, board = TfliteFile.read(build.tflite), load("evkbmimxrt1170")
    known = basis(file, board, Selection(0.05, 0.6, 10), "bilinear")
    layout = lay_out(known, file, file.content, None)
    recording = record(file, layout, None, folder / "photo.png")
    about = dataclasses.replace(layout.about, classes=len(NAMES))
    layout = dataclasses.replace(layout, about=about, class_names=NAMES, name='*/ "x" ??/')
    lines = [f"{one_line(name)} 0.5000 1.0000" for name in NAMES]
    recording = dataclasses.replace(recording, lines=lines, name='a\n*/ "??/')
    emit.write_tflm(folder, layout, recording, with_tensors=False)
    (folder / "main.c").write_text(_MAIN)
    return folder


@pytest.mark.parametrize("standard", ["c99", "c11", "gnu17"])
def test_names_come_back(folder: Path, standard: str) -> None:
    app, library = ROOT / "firmware" / "app", ROOT / "firmware" / "nanodet"
    sources = [app / f"{n}.c" for n in ("detection_responder", "text", "port_posix")]
    sources += [folder / "main.c"]
    sources += [folder / "generated" / f"{n}.c" for n in ("nanodet_settings", "test_image")]
    includes = [f"-I{p}" for p in (app, library / "include", folder / "generated")]
    program = folder / f"program_{standard}"
    flags = [f"-std={standard}", f"-DCOUNT={len(NAMES)}", *STRICT, *SANITIZERS, *includes]
    command = [tool("gcc", "gcc"), *flags, *map(str, sources), "-o", str(program)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    sent = subprocess.run([str(program)], capture_output=True, check=True).stdout
    assert sent.count(b"\n") == 1 and sent.endswith(b"\r\n"), "one line per frame"
    found = Frame.parse(sent.decode().strip())
    assert tuple(d["class"] for d in found.detections) == NAMES
    shown = found.text(None)
    assert shown.isprintable() and "person 0.02" in shown, "a line that a terminal shows as one"


@pytest.mark.parametrize(
    ("text", "literal", "reason"),
    [
        ("person", '"person"', "plain"),
        ("\u00e97", r'"\303\2517"', "an octal escape takes three digits, the 7 is the name's"),
        ("??=", r'"\?\?="', "a trigraph would be a number sign"),
        ('"\\', r'"\"\\"', "a quote and a backslash"),
    ],
)
def test_c_string(text: str, literal: str, reason: str) -> None:
    assert c_string(text) == literal, reason


@pytest.mark.parametrize("text", ["a\0b", "\ud800"])
def test_what_no_c_string_holds(text: str) -> None:
    with pytest.raises(KitError, match="class name"):
        c_string(text)


@pytest.mark.parametrize("text", ["*/", "**//", "/*/", "???", "a\nb", "\u2028*/"])
def test_comments_stay_comments(text: str) -> None:
    made = c_comment(text)
    assert not any(pair in made for pair in ("*/", "/*", "??", "\n")) and made.isascii()


def test_pictures_show_names_or_numbers() -> None:
    from runtime.detections import Detections
    from runtime.draw import annotate

    rgb = np.zeros((200, 300, 3), np.uint8)

    def drawn(names: list[str]) -> bytes:
        box = np.array([[20, 60, 280, 180]], np.float32)
        found = Detections(box, np.array([0.5], np.float32), np.array([1]))
        return annotate(rgb, found, names).tobytes()

    number = drawn(["", "1"])
    for name in ("\u4eba", "\U0001f600", "\u05d0", "a\nb", "tab\t", "\u202ex", "person \u4eba"):
        assert drawn(["", name]) == number, repr(name)
    for name in ("person", "traffic light", "??/", '"', "\\", "%s"):
        assert drawn(["", name]) != number, name
