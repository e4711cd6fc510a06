"""Writes a model's settings, tables and pictures as C, from `templates/`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from analysis.cortex_m7 import ns_per_instruction
from analysis.engine_cost import instructions
from firmware import files
from firmware.image import Recording
from firmware.layout import CODE_BYTES, STACK_BYTES, EngineLayout, Layout
from firmware.text import c_comment, c_string, one_line
from runtime import integer
from runtime.benchmark.board import Board

_TEMPLATES = Path(__file__).parent / "templates"
_NUMBERS_A_LINE = 16


def write_tflm(folder: Path, layout: Layout, recording: Recording, with_tensors: bool) -> None:
    """Write everything that is generated for TensorFlow Lite Micro into `folder`."""
    (folder / "model.tflite").write_bytes(layout.content)
    names = files.rendered("tflm", layout.stem is not None, with_tensors)
    _render(folder, "tflm", names, {**_values(layout, recording), **_of_tflm(layout)})


def write_engine(folder: Path, layout: EngineLayout, recording: Recording) -> None:
    """Write everything that is generated for the kit's own engine into `folder`."""
    values = {**_values(layout, recording), **_of_engine(layout)}
    _render(folder, "c", files.rendered("c"), values)


def _render(folder: Path, engine: str, names: list[str], values: dict[str, Any]) -> None:
    """A template of the engine's folder goes before one that all share."""
    loader = jinja2.FileSystemLoader([_TEMPLATES / engine, _TEMPLATES])
    templates = jinja2.Environment(
        loader=loader,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    templates.filters |= {"numbers": numbers, "c_string": c_string, "c_comment": c_comment}
    sources = files.sources(engine)
    (folder / "generated").mkdir()
    for name in [*(f"generated/{n}" for n in names), *files.OTHERS[engine]]:
        template = templates.get_template(f"{Path(name).name}.jinja")
        text = template.render(values, library_sources=sources)
        (folder / name).write_text(text, encoding="utf-8")


def numbers(values: bytes | np.ndarray) -> str:
    """Whole numbers as the inside of a C array, in lines."""
    array = np.frombuffer(values, np.uint8) if isinstance(values, bytes) else values
    texts = [str(v) for v in array.ravel().tolist()]
    step = _NUMBERS_A_LINE
    lines = (", ".join(texts[i : i + step]) for i in range(0, len(texts), step))
    return ",\n".join(f"    {line}" for line in lines)


def _values(layout: Layout | EngineLayout, recording: Recording) -> dict[str, Any]:
    """What templates of all engines ask for."""
    frame = recording.frame
    memory, board, firmware = layout.memory, layout.board, layout.firmware
    return {
        "note": f"/* Written by `./nanodet firmware` for {firmware.sdk_board}. */",
        "model": {"name": layout.name, "sha256": layout.sha256},
        "about": layout.about,
        "arena_address": None if memory.address is None else f"0x{memory.address:08X}u",
        "memory": memory,
        "board": {
            "name": firmware.sdk_board,
            "soc": board.title,
            "core": firmware.core,
            "core_flags": firmware.core_flags,
            "core_mhz": board.cores.mhz,
            "target": firmware.target,
        },
        "selection": layout.selection,
        "resize": f"NANODET_{layout.resize.upper()}",
        "iou_q10": round(layout.selection.iou_threshold * (1 << integer.IOU_BITS)),
        "max_candidates": integer.MAX_CANDIDATES,
        "class_names": layout.class_names,
        "image": {
            "name": one_line(recording.name),
            "pixels": frame,
            "row_bytes": frame.shape[1],
            "width": recording.width,
            "format": recording.format,
            "height": frame.shape[0],
        },
        "expected": recording.lines,
        "sample": _sample(layout, recording),
        "recorded": recording,
    }


def _sample(layout: Layout | EngineLayout, recording: Recording) -> str:
    """The line that a board sends of the test image, but for what only the board knows; of the
    detections the first alone."""
    found = [
        f'{{"class_id":{class_id},"score":{score},"class":'
        f'{json.dumps(layout.class_names[class_id])},"box":[{",".join(box)}]}}'
        for class_id, (score, *box) in zip(recording.class_id[:1], recording.numbers)
    ]
    more = ", ..." if len(recording.lines) > 1 else ""
    cycles = '{"preprocess":N,"infer":N,"postprocess":N}'
    model = f'"model":"{layout.sha256}","detections":[{"".join(found)}{more}]'
    return f'{{"frame":0,"arena_used":N,"cycles":{cycles},{model}}}'


def _of_tflm(layout: Layout) -> dict[str, Any]:
    places = {name: i for i, name in enumerate(layout.output_names)}
    strides = [level.stride for level in layout.about.levels]
    content = layout.content
    return {
        **_time(layout.board, layout.instructions),
        "stock_kernels": True,
        "model": {
            "name": layout.name,
            "sha256": layout.sha256,
            "bytes": len(content),
            "content": content,
        },
        "stem": layout.stem,
        "operators": layout.operators,
        "arena": layout.arena,
        "scratch": layout.scratch,
        "input_bytes": _input_bytes(layout),
        "outputs": {kind: [places[f"{kind}_{s}"] for s in strides] for kind in ("cls", "reg")},
    }


def _of_engine(layout: EngineLayout) -> dict[str, Any]:
    flash, network = layout.board.flash, layout.network
    return {
        **_time(layout.board, instructions(network.plan).instructions),
        "stock_kernels": False,
        "network": network.emitted,
        "measured": layout.measured,
        "weights": layout.weights,
        "layers": len(network.plan.network.layers),
        "spare": network.spare,
        "flash_bytes": network.flash_bytes,
        "flash": "flash" if flash is None else flash.name,
        "code_bytes": CODE_BYTES,
        "stack_bytes": STACK_BYTES,
        "code_section": layout.firmware.code_section(CODE_BYTES),
        "linked": layout.linked,
        "program_bytes": network.program_bytes,
    }


def _time(board: Board, instructions: float | None) -> dict[str, float | None]:
    """Of a frame's network."""
    nanoseconds = ns_per_instruction(board)
    latency_ms = None
    if instructions is not None and nanoseconds is not None:
        latency_ms = instructions * nanoseconds / 1e6
    return {"instructions": instructions, "latency_ms": latency_ms}


def _input_bytes(layout: Layout) -> int:
    about, stem = layout.about, layout.stem
    if stem is None:
        return (1 if about.grey else 3) * about.width * about.height
    return stem.width // 4 * (stem.height // 4) * stem.channels
