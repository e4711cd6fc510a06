"""What a build tells: one line a stage, a summary, and `report.json`."""

from __future__ import annotations

import importlib.metadata
import json
import math
import platform
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from data import names
from firmware.engine import WEIGHTS
from firmware.engine.weights import place
from pipeline.cache import Done
from pipeline.contract import SURE
from runtime.benchmark.board import microcontrollers
from runtime.files import write_text
from runtime.spec import ModelSpec
from runtime.tflite_file import TfliteFile

_PACKAGES = (
    "torch",
    "onnx",
    "onnx2tf",
    "tensorflow-cpu",
    "tensorflow",
    "ai-edge-litert",
    "tflite-micro",
    "numpy",
    "pillow",
)


def stage_line(number: int, total: int, done: Done, detail: str) -> str:
    """One line for the console."""
    took = "unchanged" if done.skipped else f"{done.wall_s:.1f} s"
    return f"[{number}/{total}] {done.name:<12} {detail:<56} {took:>9}"


# On a PC, for the networks of `models/`; what takes a moment is not announced.
_USUALLY = {
    "onnx": "10 to 30 s",
    "tensorflow": "5 to 20 s",
    "quantize": "2 to 7 minutes",
    "plain": "2 to 7 minutes",
    "attempt": "up to 7 minutes",
    "measure": "3 to 25 s",
    "report": "15 to 50 s",
}


_QUANTIZE_USUALLY = {
    "fast": "10 to 60 s",
    "tuned": "an hour for 3,000 pictures",
    "further": "6 to 25 minutes for 1,000 pictures",
}


def start_line(number: int, total: int, stage: str, how: str | None) -> str | None:
    """One line for the console before a stage that takes its time; `None` for any other.

    how: of `quantize`, "fast", "tuned", with "further" pictures, or as usual.
    """
    stage = stage.partition("-")[0]
    usually = _USUALLY.get(stage)
    if stage == "quantize" and how is not None:
        usually = _QUANTIZE_USUALLY[how]
    return usually and f"[{number}/{total}] {stage:<12} begins; it usually takes {usually}"


def quantize_detail(result: dict[str, Any]) -> str:
    """What the quantize stage's line says of its result."""
    detail = f"{sum(result['operators'].values())} operators, verified"
    left_out = [result[k] for k in ("float_left_out", "left_out") if k in result]
    left_out += result.get("rewrites_left_out", [])
    return detail + "".join(f"; left out {what}" for what in left_out)


def compare_detail(result: dict[str, Any]) -> str:
    """How far the fine-tuned and the plain file find what the float network finds."""
    pictures = f"{result['pictures']} pictures held out"
    if not result["boxes"]:
        return f"the float network finds nothing on {pictures}"
    return (
        f"agreement {result['tuned']:.2f} %, without fine-tuning {result['plain']:.2f} %, standard "
        f"error {result['standard_error']:.2f}; a gain has to exceed {SURE} of them "
        f"({result['boxes']} boxes on {pictures})"
    )


def strides_detail(known: Sequence[int], result: dict[str, Any] | None) -> str:
    """That the coarsest stride stands alone, and what the others would give.

    result: of the stage `strides`; None without annotated images.
    """
    alone = f"stride {known[-1]} alone, as --target mcu has by default"
    if result is None:
        return f"{alone}; small objects take finer ones (--strides); --annotations tells their AP"
    first, *others = (f"{ap:.2f} with {strides}" for strides, ap in result["ap"].items())
    more = ", ".join(others)
    return f"{alone}: AP {first}, {more} in float on {result['images']} images (--strides)"


def measure_detail(result: dict[str, Any]) -> str:
    """What the measure stage's line says of its result."""
    if "arena_bytes" in result:
        return f"arena {result['arena_bytes']:,} bytes"
    return result.get("no_arena", "no file for microcontrollers")


def build_report(
    spec: ModelSpec,
    weights: Path,
    weights_sha256: str,
    tflite: Path,
    stages: Sequence[Done],
    fallback: str,
    choice: Sequence[str] = (),
) -> dict[str, Any]:
    """The content of `report.json` but for what the last stage gives.

    fallback: why the embedded model was taken; "" when it was asked for or is another one. choice:
    lines on what a budget chose, or what the board could run instead.
    """
    results = {done.name: done.result for done in stages}
    file = TfliteFile.read(tflite)
    reserved = results["measure"].get("arena_reserved_bytes")
    return {
        "model": spec.name,
        "fallback": fallback,
        "weights": {
            "file": weights.name,
            "sha256": weights_sha256,
            "notes": results["onnx"]["notes"],
        },
        "choice": list(choice),
        "classes": list(spec.classes),
        "strides": list(spec.graph.strides),
        "tflite": {
            "file": tflite.name,
            "bytes": len(file.content),
            "sha256": file.sha256,
            "operators": results["quantize"]["operators"],
            "input": vars(file.input),
            "outputs": [vars(tensor) for tensor in file.outputs],
        },
        "parity": {
            "rewrites": results["onnx"]["rewrites"],
            "onnx": results["onnx"]["largest_difference"],
            "tensorflow": results["tensorflow"]["largest_difference"],
        },
        "quantization": {
            name: results["quantize"].get(name)
            for name in (
                "quantization",
                "methods",
                "rewrites",
                "rewrites_left_out",
                "quantization_images",
                "qat_images",
                "float_left_out",
                "left_out",
                "expected_cost",
                "float_loss",
                "loss",
            )
        },
        "agreement": results.get("compare"),
        "arena_bytes": results["measure"].get("arena_bytes"),
        "arena_how": results["measure"].get("arena_how"),
        "arena_reserved_bytes": reserved,
        "arena_goes_to": _places(reserved, len(file.content)),
        "no_arena": results["measure"].get("no_arena"),
        "cortex_m7": results["measure"].get("cortex_m7"),
        "engine": results["measure"].get("engine"),
        "ap": results["measure"].get("ap"),
        "versions": _versions(),
    }


def fine_tuning(tuned: Done, compared: Done, published: bool) -> dict[str, Any]:
    """Of `report.json`: what `--qat` came to. float, int8: agreement with the float network on the
    pictures held out, before each phase and after each of its epochs; None where it was left out
    from the start."""
    made = tuned.result
    return {
        "images": made["qat_images"],
        "float": _known(made.get("float_agreement")),
        "int8": _known(made.get("agreement")),
        "left_out": [made[key] for key in ("float_left_out", "left_out") if key in made],
        "compared": compared.result,
        "published": published,
        "seconds": round(tuned.wall_s, 1),
        "peak_memory_bytes": made["peak_memory_bytes"],
    }


def _known(curve: Sequence[float] | None) -> list[float | None] | None:
    """JSON has no NaN."""
    return (
        None
        if curve is None
        else [None if math.isnan(value) else round(value, 2) for value in curve]
    )


def _places(reserved_bytes: int | None, file_bytes: int) -> dict[str, str]:
    """Board -> memory that takes the arena, or `nowhere`."""
    if reserved_bytes is None:
        return {}
    return {b.title: b.fits(reserved_bytes, file_bytes).where for b in microcontrollers()}


def stage_times(stages: Sequence[Done]) -> list[dict[str, Any]]:
    """Of `report.json`: `wall_s` is each stage's time when it last ran."""
    return [
        {"name": done.name, "wall_s": round(done.wall_s, 2), "skipped": done.skipped}
        for done in stages
    ]


def command(arguments: Sequence[str]) -> str:
    """What was typed, but for `--out`, which decides nothing of what is built."""
    kept: list[str] = []
    words = iter(arguments)
    for word in words:
        if word == "--out":
            next(words, None)
        elif not word.startswith("--out="):
            kept.append(word)
    return shlex.join(["bash", "recipe.sh", *kept])


def write_report(report: dict[str, Any], path: Path) -> None:
    """Write `report.json`."""
    write_text(path, json.dumps(report, indent=2) + "\n")


def summary(report: dict[str, Any], tflite: Path, pages: Mapping[str, Path]) -> str:
    """The closing lines on the console; `pages` are those that were written, by their names."""
    file = report["tflite"]
    operators = " ".join(f"{name} {n}" for name, n in file["operators"].items())
    strides = ",".join(str(stride) for stride in report["strides"])
    ap = report["ap"]
    accuracy = (
        f"{ap['AP']:.2f} on {ap['images']} images ({ap['engine']}; evaluate.py measures all)"
        if ap
        else "not measured: no annotated images with its classes found (README, NANODET_DATA)"
    )
    stages = ", ".join(
        f"{s['name']} {s['wall_s']:.1f}{' (earlier)' if s['skipped'] else ''}"
        for s in report["stages"]
    )
    source = report["weights"]["file"]
    demo = f"; a demo, for {report['fallback']}" if report["fallback"] else ""
    return "\n".join(
        (
            f"model    {report['model']}, strides {strides}, from {source}{demo}",
            f"file     {tflite}, {file['bytes']:,} bytes",
            f"sha256   {file['sha256']}",
            f"ops      {sum(file['operators'].values())}: {operators}",
            f"AP       {accuracy}",
            *_microcontroller(report),
            *report["choice"],
            f"seconds  {stages}",
            *(f"{name:<8} {path}" for name, path in pages.items()),
        )
    )


def _microcontroller(report: dict[str, Any]) -> list[str]:
    if report["cortex_m7"] is None:
        return []
    arena = report["arena_bytes"]
    size = (
        report["no_arena"]
        if arena is None
        else f"{arena:,} bytes {report['arena_how']}, an upper bound for a Cortex-M7; "
        f"the firmware reserves {report['arena_reserved_bytes']:,}: "
        + ", ".join(f"{place} on {title}" for title, place in report["arena_goes_to"].items())
    )
    counted = f"M7       {cortex_m7(report['cortex_m7'])}"
    return [f"arena    {size}", counted, f"engine   {own_engine(report['engine'])}"]


def own_engine(found: dict[str, Any]) -> str:
    """What the summary says of `engine` of `report.json`."""
    if "refused" in found:
        return str(found["refused"])
    sizes = engine_sizes(found)
    (arena, flash), (other_arena, other_flash) = map(sizes, WEIGHTS)
    places = ", ".join(f"{place(board, sizes)} on {board.title}" for board in microcontrollers())
    return (
        f"{cortex_m7(found)}; arena {arena:,} bytes, flash {flash:,}, with {WEIGHTS[1]} weights "
        f"{other_arena:,} and {other_flash:,}: {places}"
    )


def engine_sizes(found: Mapping[str, Any]) -> Callable[[str], tuple[int, int]]:
    """Bytes of arena and flash by form of weights, of `engine` of `report.json`."""
    forms = found["weights"]
    return lambda form: (forms[form]["arena_bytes"], forms[form]["flash_bytes"])


def cortex_m7(cost: dict[str, Any]) -> str:
    """What the summary says of `cortex_m7` of `report.json`."""
    left_out = ", ".join(cost["not_counted"])
    if not cost["by_kind"]:
        return f"not predicted: none of its operators was ever counted ({left_out})"
    text = f"{cost['instructions'] / 1e6:.1f} M instructions per inference, predicted"
    return f"at least {text}; never counted: {left_out}" if left_out else text


def _versions() -> dict[str, str]:
    versions = {"nanodet-edge-kit": names.kit_version(), "python": platform.python_version()}
    for name in _PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
