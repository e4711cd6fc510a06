"""Whole files on the engine against TensorFlow Lite Micro: every output of twenty photographs, on
this machine under sanitizers, and on each emulated core.

`NANODET_FILES` names `.tflite` files of this kit, separated by colons; without it, those in the
checkout count. Where there are none, the embedded demo looks at generated scenes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from convert.checkpoint import load_network
from data import locate, names
from data.shapes.scene import make_scene
from firmware.engine.emit import emit_measured
from firmware.engine.file import plan_of
from runtime.image import list_images, load_rgb
from runtime.preprocess import int8_input, to_canvas
from runtime.tflite_file import TfliteFile
from tests.conftest import ROOT, convert_network, once
from tests.firmware.engine.cores import CORES, HOST, program
from tests.firmware.engine.test_network import compare

COUNT = 20
_CODE_BYTES = 4 << 20  # Of the emulated boards, see memory.ld.
_FILES = os.environ.get("NANODET_FILES", "").split(":")
FILES = sorted(map(Path, filter(None, _FILES))) or sorted(ROOT.glob("*.tflite"))


def pictures() -> Iterator[np.ndarray]:
    """Photographs, or scenes where there are none: uint8 (H, W, 3), RGB."""
    folder = Path(os.environ.get("NANODET_DATA") or ROOT.parent / "shared") / "coco" / "val500"
    if folder.is_dir():
        yield from map(load_rgb, list_images(folder)[:COUNT])
    else:
        yield from (make_scene(seed, 320, 240).rgb for seed in range(COUNT))


def demo(folder: Path) -> Path:
    """The embedded demo, quantized min/max."""
    spec = locate.model_spec(names.EMBEDDED_MODEL)
    network = load_network(locate.weights(spec, None), spec).network
    size = spec.input.width, spec.input.height
    scenes = [to_canvas(make_scene(seed, *size).rgb, spec.input)[0] for seed in range(10)]
    return convert_network(network, spec, scenes, folder).tflite


@pytest.mark.full(reason="a minute a file and core")
@pytest.mark.parametrize("core", [HOST, *CORES])
@pytest.mark.parametrize("path", FILES or [None], ids=[path.stem for path in FILES] or ["demo"])
def test_twenty_photographs(
    path: Path | None, core: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = TfliteFile.read(path or once(tmp_path_factory, "demo", demo))
    emitted = emit_measured(plan_of(file), "network")
    if core != HOST and emitted.weight_bytes + emitted.plan_bytes + 0x40000 > _CODE_BYTES:
        pytest.skip(f"{emitted.weight_bytes:,} bytes of weights: more than the emulated board has")
    (tmp_path / "network.c").write_text(emitted.text)
    canvases = (to_canvas(picture, file.spec.input)[0] for picture in pictures())
    images = [int8_input(canvas, file.spec) for canvas in canvases]
    assert len(images) == COUNT
    compare(program(core, tmp_path / "network.c"), file, images)
