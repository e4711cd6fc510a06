"""COCO mAP of a model: `./nanodet evaluate [MODEL] --engine ENGINE`, or evaluate.py."""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent))  # `python -P` leaves it out.
    import environment

    environment.enter()

import argparse
import dataclasses
import hashlib
import json
from collections.abc import Sequence
from typing import Any

from data import locate
from data.annotations import Found
from data.fallback import default_model
from data.names import (
    ROOT,
    add_model_options,
    camera_canvas,
    chosen_network,
    naming_the_choice,
    onnx_path,
    tflite_path,
    variant,
)
from data.pictures import size_of
from evaluation import CocoSet, Job, Scores, detect_sharded, score
from pipeline.fingerprint import SOURCES, fingerprint
from runtime import integer
from runtime.cli import Parser, fraction, plural, positive, run
from runtime.detector import IOU_THRESHOLD, MAX_DETECTIONS, SCORE_THRESHOLD
from runtime.engines import TFLITE_ENGINES
from runtime.errors import KitError
from runtime.files import write_text
from runtime.postprocess import ARITHMETIC
from runtime.spec import ModelSpec, as_trained
from runtime.tflite_file import TfliteFile

ENGINES = (*TFLITE_ENGINES, "onnx", "torch")


def parse_arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = Parser(description=__doc__)
    add = parser.add_argument
    add(
        "model",
        nargs="?",
        type=Path,
        metavar="MODEL",
        help="a .tflite (litert, tflm, torch) or .onnx (onnx); default: what recipe.sh builds",
    )
    add(
        "--engine",
        choices=ENGINES,
        default="litert",
        help="torch runs the network as trained, all its strides unless --strides says otherwise; "
        "the others run the file; default %(default)s",
    )
    add_model_options(parser.add_argument_group("engine torch"), "default nanodet-m-0.5x")
    add("--images", type=Path, help="folder of images")
    add("--annotations", type=Path, help="COCO annotation file of these images")
    add("--limit", type=positive, help="only the first N images by id")
    add(
        "--aspect",
        type=parse_aspect,
        metavar="MIN:MAX",
        help="of these only images whose width / height lies within, e.g. 1.2:1.6",
    )
    add("--score-threshold", type=fraction, default=SCORE_THRESHOLD, help="default %(default)s")
    add("--iou-threshold", type=fraction, default=IOU_THRESHOLD, help="default %(default)s")
    add(
        "--max-detections",
        type=positive,
        default=MAX_DETECTIONS,
        help="per image, default %(default)s",
    )
    add(
        "--arithmetic",
        choices=ARITHMETIC,
        help="of post-processing; default integer for int8 files, as on a microcontroller",
    )
    add("--workers", type=positive, default=1, help="processes, default %(default)s")
    add(
        "--scheduler",
        default="",
        metavar="ADDRESS",
        help="run on this Dask scheduler's workers instead (.venv/bin/pip install distributed)",
    )
    add("--json", type=Path, metavar="OUT", help="write the figures here")
    add(
        "--detections",
        type=Path,
        metavar="OUT",
        help="write what was found here, for ./nanodet compare",
    )
    options = parser.parse_args(words)
    torch_only = "variant config strides classes weights activation input_size".split()
    given = [name for name in torch_only if getattr(options, name) is not None]
    if given and options.engine != "torch":
        name = given[0].replace("variant", "model").replace("_", "-")
        parser.error(f"--{name} goes with --engine torch; other engines read it from the file")
    return options


def parse_aspect(text: str) -> tuple[float, float]:
    """Command-line type: `1.2:1.6` -> (1.2, 1.6)."""
    try:
        least, most = map(float, text.split(":"))
    except ValueError:
        least, most = 1.0, 0.0
    if not 0 < least <= most:
        raise argparse.ArgumentTypeError(f"{text}: expected e.g. 1.2:1.6")
    return least, most


def of_aspect(images: CocoSet, limits: tuple[float, float]) -> CocoSet:
    """The images whose width / height lies within the limits. Raises `KitError` for none."""
    sizes = {i: size_of(path) for i, path in images.paths()}
    kept = tuple(i for i, (w, h) in sizes.items() if limits[0] <= w / h <= limits[1])
    if not kept:
        raise KitError(f"--aspect {limits[0]:g}:{limits[1]:g}: no image is of such a shape")
    return dataclasses.replace(images, image_ids=kept)


def shape_note(images: CocoSet, spec: ModelSpec) -> str:
    """How many images a canvas that was chosen for a camera does not suit; "" for a square one, and
    for a network that stretches."""
    canvas = spec.input.width, spec.input.height
    if canvas[0] == canvas[1] or not spec.input.keep_ratio:
        return ""
    fitting = [camera_canvas(size_of(p), max(canvas)) == canvas for _, p in images.paths()]
    return (
        f"note: {fitting.count(False)} of {len(fitting)} images have another shape than the canvas "
        f"of {canvas[0]}x{canvas[1]}, and lie on it smaller or with wider borders"
    )


def chosen_job(options: argparse.Namespace) -> Job:
    """What to evaluate."""
    if options.engine == "torch":
        return _job(options, *_torch_network(options))
    if options.engine == "onnx":
        from convert.engines import OnnxEngine

        whole_network = locate.model_spec(default_model(ROOT))
        path = _built(options.model, onnx_path(whole_network, ROOT, "plain"), "--stop-after onnx")
        return _job(options, path, OnnxEngine(path).spec)
    path = _built(options.model, tflite_path(variant(default_model(ROOT), None), ROOT))
    file = TfliteFile.read(path)
    whole = integer.fits(file.spec, file.outputs)
    return _job(options, path, file.spec, "integer" if whole else "float")


def _job(
    options: argparse.Namespace, path: Path, spec: ModelSpec, arithmetic: str = "float"
) -> Job:
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    settings = options.score_threshold, options.iou_threshold, options.max_detections
    chosen = options.arithmetic or arithmetic
    return Job(options.engine, path.resolve(), sha256, spec, *settings, arithmetic=chosen)


def _torch_network(options: argparse.Namespace) -> tuple[Path, ModelSpec]:
    """Checkpoint and spec."""
    if options.model is None:
        if options.config is None and options.weights is None:
            options.variant = options.variant or default_model(ROOT)
        spec = chosen_network(options)
    else:
        if options.variant is not None or options.config is not None:
            raise KitError(f"{options.model}: names the network already; drop --model and --config")
        if options.input_size is not None:
            raise KitError(f"{options.model}: has its input size already; drop --input-size")
        spec = as_trained(TfliteFile.read(options.model).spec)
        spec = spec.with_strides(options.strides or spec.architecture.strides)
        spec = spec.with_classes(options.classes) if options.classes else spec
    from convert.checkpoint import load_network

    path = locate.weights(spec, options.weights)
    with naming_the_choice(options):
        loaded = load_network(path, spec)
    for note in loaded.notes:
        print(f"{path.name}: {note}")
    return path, spec


def _built(given: Path | None, default: Path, option: str = "") -> Path:
    path = default if given is None else given
    if not path.is_file():
        build = f"build it with: bash recipe.sh {option}".rstrip()
        hint = build if given is None else "check the name"
        raise KitError(f"{path}: no such file; {hint}")
    return path


def report(scores: Scores, job: Job, images: int) -> dict[str, Any]:
    """What `--json` writes."""
    return {
        **{name: round(value, 4) for name, value in scores.figures.items()},
        "images": images,
        "engine": job.engine,
        "arithmetic": job.arithmetic,
        "model": job.spec.name,
        "strides": list(job.spec.graph.strides),
        "network_strides": list(job.spec.architecture.strides),
        "model_sha256": job.sha256,
        "per_class": {
            name: {"AP50": round(ap50, 4), "AP": round(ap, 4)}
            for name, (ap50, ap) in scores.per_class.items()
        },
    }


def print_table(values: dict[str, Any]) -> None:
    """The per-class table, then the 12 figures."""
    width = max(len(name) for name in values["per_class"])
    print(f"{'class':<{width}}   AP50     AP")
    for name, figures in values["per_class"].items():
        print(f"{name:<{width}}  {_cell(figures['AP50'])} {_cell(figures['AP'])}")
    print()
    print(f"{values['model']}, {values['engine']}, {plural(values['images'], 'image')}")
    print(f"{_strides(values)}: {_figures(values, 'AP AP50 AP75 APs APm APl')}")
    print(_figures(values, "AR1 AR10 AR100 ARs ARm ARl"))


def _strides(values: dict[str, Any]) -> str:
    """For which the figures hold, and which the network has besides."""
    used, known = (",".join(map(str, values[k])) for k in ("strides", "network_strides"))
    return f"strides {used}" if used == known else f"strides {used} of {known}"


def _figures(values: dict[str, Any], names: str) -> str:
    return "  ".join(f"{name} {_cell(values[name]).strip()}" for name in names.split())


def _cell(percent: float) -> str:
    return f"{percent:6.2f}" if percent >= 0 else "     -"


def main(words: Sequence[str] | None = None) -> int:
    """Evaluate, print, write."""
    options = parse_arguments(words)
    job = chosen_job(options)
    classes = job.spec.classes
    found = locate.evaluation_set(job.spec, options.images, options.annotations, options.limit)
    assert found is not None
    images = CocoSet.load(*found, classes, options.limit)
    if options.aspect is not None:
        images = of_aspect(images, options.aspect)
    if note := shape_note(images, job.spec):
        print(note)
    unknown = sum(category is None for category in images.category_ids)
    if unknown:
        print(f"note: {unknown} of the model's classes are not annotated and not scored")
    job = dataclasses.replace(job, category_ids=images.category_ids)
    state, code = locate.cache() / "evaluation", fingerprint(SOURCES["measure"], {})
    results = detect_sharded(job, images, state, code, options.workers, options.scheduler)
    values = report(score(images, results, classes), job, len(images.image_ids))
    if options.detections is not None:
        shared = [n for n, category in zip(classes, images.category_ids) if category is not None]
        written = Found(results, images.image_ids, tuple(shared))
        write_text(options.detections, written.to_json())
    if options.json is not None:
        write_text(options.json, json.dumps(values, indent=2) + "\n")
    print_table(values)
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
