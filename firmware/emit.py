"""Writes a model's settings, tables and pictures as C, from `templates/`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from firmware.image import Recording
from firmware.layout import Layout
from firmware.text import c_comment, c_string, one_line
from runtime import integer

HERE = Path(__file__).parent
_TEMPLATES = HERE / "templates"
_ALWAYS = (
    *("model_data.h", "model_data.c", "nanodet_settings.h", "nanodet_settings.c"),
    *("nanodet_ops.cc", "test_image.h", "test_image.c"),
)
_OF_STEM = ("stem_data.h", "stem_data.c")
_OF_RECORDING = ("recorded.h",)
# What some folders hold and others do not.
OPTIONAL = tuple(f"generated/{name}" for name in (*_OF_STEM, *_OF_RECORDING))
_BESIDE = ("CMakeLists.txt", "README.md")
_NUMBERS_A_LINE = 16


def write(folder: Path, layout: Layout, recording: Recording, with_tensors: bool) -> None:
    """Write everything that is generated into `folder`."""
    loader = jinja2.FileSystemLoader(_TEMPLATES)
    templates = jinja2.Environment(
        loader=loader,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    templates.filters |= {"numbers": numbers, "c_string": c_string, "c_comment": c_comment}
    values = _values(layout, recording)
    names = [*_ALWAYS, *(_OF_STEM if layout.stem else ())]
    names += _OF_RECORDING if with_tensors else ()
    (folder / "generated").mkdir()
    for name in [f"generated/{n}" for n in names] + list(_BESIDE):
        template = templates.get_template(f"{Path(name).name}.jinja")
        (folder / name).write_text(template.render(values), encoding="utf-8")


def numbers(values: bytes | np.ndarray) -> str:
    """Whole numbers as the inside of a C array, in lines."""
    array = np.frombuffer(values, np.uint8) if isinstance(values, bytes) else values
    texts = [str(v) for v in array.ravel().tolist()]
    step = _NUMBERS_A_LINE
    lines = (", ".join(texts[i : i + step]) for i in range(0, len(texts), step))
    return ",\n".join(f"    {line}" for line in lines)


def _values(layout: Layout, recording: Recording) -> dict[str, Any]:
    frame = recording.frame
    memory, board, firmware = layout.memory, layout.board, layout.firmware
    places = {name: i for i, name in enumerate(layout.output_names)}
    strides = [level.stride for level in layout.about.levels]
    return {
        "note": f"/* Written by `./nanodet firmware` for {firmware.sdk_board}. */",
        "model": {
            "name": layout.name,
            "sha256": layout.sha256,
            "bytes": len(layout.content),
            "content": layout.content,
        },
        "about": layout.about,
        "stem": layout.stem,
        "operators": layout.operators,
        "arena": layout.arena,
        "arena_address": None if memory.address is None else f"0x{memory.address:08X}u",
        "memory": memory,
        "board": {
            "name": firmware.sdk_board,
            "soc": board.title,
            "core": firmware.core,
            "core_flags": firmware.core_flags,
            "core_mhz": board.cores.mhz,
        },
        "library_sources": sorted(path.name for path in (HERE / "nanodet" / "src").glob("*.c")),
        "scratch": layout.scratch,
        "selection": layout.selection,
        "resize": f"NANODET_{layout.resize.upper()}",
        "iou_q10": round(layout.selection.iou_threshold * (1 << integer.IOU_BITS)),
        "max_candidates": integer.MAX_CANDIDATES,
        "input_bytes": _input_bytes(layout),
        "outputs": {kind: [places[f"{kind}_{s}"] for s in strides] for kind in ("cls", "reg")},
        "class_names": layout.class_names,
        "image": {
            "name": one_line(recording.name),
            "pixels": frame,
            "row_bytes": frame.shape[1],
            "width": frame.shape[1] // 2,
            "height": frame.shape[0],
        },
        "expected": recording.lines,
        "recorded": recording,
    }


def _input_bytes(layout: Layout) -> int:
    about, stem = layout.about, layout.stem
    if stem is None:
        return 3 * about.width * about.height
    return stem.width // 4 * (stem.height // 4) * stem.channels
