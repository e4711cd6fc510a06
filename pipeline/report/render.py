"""Findings -> the page and the card, by the templates."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from pipeline.report import plots
from pipeline.report.contract import (
    LEAST_BOXES,
    Accuracy,
    ArenaMap,
    EngineRun,
    Findings,
    Job,
    Missing,
    Noise,
)
from pipeline.report.noise import IMAGES as NOISE_IMAGES
from runtime.benchmark.board import DEFAULT_BOARD
from runtime.detector import DISPLAY_THRESHOLD
from runtime.spec import ModelSpec

_NOISIEST = 8
TEMPLATES = Path(__file__).parent / "templates"


def page(job: Job, spec: ModelSpec, found: Findings) -> str:
    """`report.html`: one file that needs no other."""
    environment = _environment(autoescape=True)
    style = Markup((TEMPLATES / "report.css").read_text(encoding="utf-8"))
    template = environment.get_template("report.html")
    return template.render(
        **_values(job, spec, found),
        style=style,
        plots=_plots(job, found),
        class_limit=plots.CLASSES,
        least_boxes=LEAST_BOXES,
        noise_images=NOISE_IMAGES,
        noisiest=_noisiest(found),
    )


def card(job: Job, spec: ModelSpec, found: Findings) -> str:
    """`MODEL_CARD.md`, in the order of the eIQ model zoo's cards."""
    environment = _environment(autoescape=False, finalize=_as_markdown)
    environment.filters["code"] = code
    return environment.get_template("MODEL_CARD.md").render(**_values(job, spec, found))


def _environment(**settings: Any) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        **settings,
    )
    environment.filters["size"] = size
    return environment


def size(count: int) -> str:
    """Bytes, and the kilobytes of 1,024 that memories are counted in."""
    return f"{count:,} bytes, {count / 1024:,.0f} KB"


def _as_markdown(value: Any) -> Any:
    """Text that stands for itself; what is `Markup` already stays."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return re.sub(r"([\\`*_\[\]<>|#~&])", r"\\\1", re.sub(r"[\r\n]", " ", value))


def code(text: str) -> Markup:
    """Markdown's code span around any text, in tables, too."""
    text = _printable(text).replace("|", r"\|")
    ticks = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return Markup(f"{ticks}{pad}{text}{pad}{ticks}")


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)


def _values(job: Job, spec: ModelSpec, found: Findings) -> dict[str, Any]:
    content = job.content
    return {
        "job": job,
        "spec": spec,
        "content": content,
        "found": found,
        "file": content["tflite"],
        "quantization": content["quantization"],
        "strides": ", ".join(str(s) for s in spec.graph.strides),
        "all_strides": ", ".join(str(s) for s in spec.architecture.strides),
        "fewer_strides": spec.graph.strides != spec.architecture.strides,
        "commands": _commands(job, found),
        "score_threshold": DISPLAY_THRESHOLD,
    }


def _noisiest(found: Findings) -> list[Noise]:
    tensors = () if isinstance(found.noise, Missing) else found.noise
    return sorted(tensors, key=lambda t: t.total_db)[:_NOISIEST]


def _commands(job: Job, found: Findings) -> list[tuple[str, str]]:
    """What each gives, and the command in the project's folder, with the flags that were given."""
    model = shlex.quote(job.content["tflite"]["file"])
    data = _typed(job.command, "--annotations") + _typed(job.command, "--evaluation-images")
    data = data.replace("--evaluation-images", "--images")
    weights = _typed(job.command, "--weights") if job.trained_by == "user" else ""
    measured = isinstance(found.accuracy, Accuracy)
    limit = f" --limit {found.accuracy.images}" if isinstance(found.accuracy, Accuracy) else ""
    made = [
        ("this file", job.command),
        ("AP as above" if measured else "AP", f"./nanodet evaluate {model}{limit}{data}"),
        (
            "the table of steps above" if measured else "where AP is lost",
            f"./nanodet waterfall {model}{limit}{data}{weights}",
        ),
        ("detections, drawn in result.jpg", f"./nanodet detect --tflite {model}"),
    ]
    if job.content["tflite"]["input"]["dtype"] == "INT8":
        made += [
            ("tensors that lose most", f"./nanodet inspect {model}"),
            ("instructions and memory as above", f"./nanodet cost {model}"),
            ("what will go wrong on a board", f"./nanodet doctor {model} --target {DEFAULT_BOARD}"),
            (
                "C sources for a microcontroller",
                f"./nanodet firmware {model} --board {DEFAULT_BOARD} --out firmware_out",
            ),
        ]
    return [(what, _printable(command)) for what, command in made]


def _typed(command: str, option: str) -> str:
    """The option as it stands in a command, after a blank; "" where it does not."""
    words = shlex.split(command)
    for word, value in zip(words, [*words[1:], ""], strict=True):
        if word == option:
            return f" {option} {shlex.quote(value)}"
        if word.startswith(f"{option}="):
            return f" {shlex.quote(word)}"
    return ""


def _plots(job: Job, found: Findings) -> dict[str, Markup]:
    """SVG by name; none for what is missing."""
    instructions = (job.content["cortex_m7"] or {}).get("by_kind", {})
    made = {"operators": plots.operators(found.structure.operators, instructions)}
    if isinstance(found.accuracy, Accuracy):
        made["waterfall"] = plots.waterfall(found.accuracy)
        if found.accuracy.found_classes:
            made["classes"] = plots.classes(found.accuracy)
        made["curves"] = plots.precision_recall(found.accuracy)
    if not isinstance(found.noise, Missing):
        made["noise"] = plots.noise(found.noise)
    if isinstance(found.arena, ArenaMap):
        made["arena"] = plots.memory_map(found.arena)
    if isinstance(found.engine, EngineRun):
        made["engine"] = plots.engine(found.engine)
    return {name: Markup(svg) for name, svg in made.items()}
