"""Where AP goes, class by class and step by step, on the annotated images at hand."""

from __future__ import annotations

from collections import Counter

from evaluation import CocoSet
from evaluation.waterfall import Step, engines, evaluate
from pipeline.report.contract import Accuracy, ClassScore, Job, Missing, Structure
from runtime.tflite_file import TfliteFile

# TensorFlow Lite Micro's reference kernels take about a nanosecond a multiplication. More than this
# an image, and evaluating takes longer than a report may.
_MICRO_MACS = 250_000_000


def accuracy(
    job: Job, file: TfliteFile, structure: Structure, images: CocoSet | None
) -> Accuracy | Missing:
    """Evaluate every step on the same images."""
    if images is None:
        return Missing(
            "No annotated images are at hand. NANODET_DATA or --annotations and "
            "--evaluation-images give some."
        )
    boxes = _boxes(images)
    if not boxes:
        return Missing(f"No box is annotated in the first {len(images.image_ids)} images.")
    left_out = _no_micro(job, structure)
    kind = job.content["quantization"]["quantization"]
    chosen = engines(file, job.weights, job.onnx, not left_out, kind)
    steps = tuple(evaluate(chosen, images, progress=False))
    exact = next(step for step in steps if step.engine == "onnx")
    quantized = next(step for step in steps if step.engine == "litert")
    found = _classes(images, boxes, file.spec.classes, exact, quantized)
    return Accuracy(len(images.image_ids), steps, left_out, exact, quantized, found)


def _no_micro(job: Job, structure: Structure) -> str:
    """Why TensorFlow Lite Micro is left out; "" where it is not."""
    if job.content["no_arena"] or job.content["arena_bytes"] is None:
        return "TensorFlow Lite Micro does not run this file."
    if structure.macs > _MICRO_MACS:
        return (
            f"TensorFlow Lite Micro is left out, for its reference kernels take minutes for "
            f"{structure.macs / 1e6:,.0f} M multiplications per image; "
            "./nanodet waterfall measures it."
        )
    return ""


def _boxes(images: CocoSet) -> Counter[int]:
    """How often each of the model's categories is annotated."""
    chosen, known = set(images.image_ids), set(images.category_ids)
    return Counter(
        a["category_id"]
        for a in images.coco.dataset["annotations"]
        if a["image_id"] in chosen and a["category_id"] in known and not a["iscrowd"]
    )


def _classes(
    images: CocoSet, boxes: Counter[int], names: tuple[str, ...], exact: Step, quantized: Step
) -> tuple[ClassScore, ...]:
    """The annotated classes, the most frequent first."""
    before, after = exact.scores.per_class, quantized.scores.per_class
    found = [
        ClassScore(name, boxes[category], before[name][1], after[name][1])
        for name, category in zip(names, images.category_ids)
        if category is not None and boxes[category]
    ]
    return tuple(sorted(found, key=lambda c: (-c.boxes, c.name)))
