"""The sequence of stages, with what they share."""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import assets
from convert.foreign_file import refuse_foreign
from pipeline import names, report, stages
from pipeline.cache import Done, alone_in, checksums, run_stage, source_checksum
from pipeline.escalation import escalate
from pipeline.fallback import use_embedded_model_if_needed
from pipeline.targets import left_out
from quantize import INT8_REWRITES
from quantize.scheme import SCHEMES
from report.contract import Job
from runtime.errors import KitError
from runtime.image import list_images
from runtime.spec import ModelSpec

EVALUATED_IMAGES = 50
_SOURCES = ("calibration", "convert", "quantize", "runtime")


class Recipe:
    """One build. `run` makes the quantized file, `run_onnx` stops at an ONNX file."""

    def __init__(self, options: argparse.Namespace) -> None:
        target = "linux" if options.stop_after == "onnx" else options.target
        self.out = _writable(options.out)
        self.fallback = use_embedded_model_if_needed(options)
        self.spec = names.chosen_spec(options, target)
        self.options = options
        self.left_out = left_out(target, options.disable_rewrite)
        self.rewrites = [name for name in INT8_REWRITES if name not in self.left_out]
        self.quantization = options.quantization
        self.folder = names.work_folder(self._final_spec(), self.out, self.quantization)
        self.total = 3 if options.stop_after == "onnx" else 7
        self.done: list[Done] = []
        self.command = report.command(sys.argv[1:])
        self.escalation: list[dict[str, Any]] = []
        self.code = source_checksum(names.ROOT, _SOURCES)

    def run(self) -> None:
        """Checkpoint -> quantized file, summary and report."""
        found = self._find_inputs()
        with alone_in(self.folder):
            self._build(found)

    def _build(self, found: dict[str, Any]) -> None:
        folder, log = self.folder, self.folder / "build.log"
        images, evaluation = found["images"], found["evaluation"]
        onnx_path, saved_model = folder / "model.onnx", folder / "saved_model"
        image_sums = checksums(images)
        onnx = self._onnx_stage(found, onnx_path, "lowered")
        tensorflow = self._stage(
            "tensorflow",
            {"onnx": onnx.outputs, "image": image_sums[images[0].name]},
            [saved_model],
            lambda: stages.convert_tensorflow(self.spec, images, onnx_path, saved_model, log),
            lambda r: f"largest difference {r['largest_difference']:.1e} to ONNX",
        )
        before = {"onnx": onnx.outputs, "saved_model": tensorflow.outputs, "images": image_sums}
        settings = self._settings(found, before)
        # The last attempt is the one that held, and is not made twice.
        name = "attempt" if self.escalation else "quantize"
        quantized, quantized_path = self._quantize(found, before, settings, name)
        quantized = dataclasses.replace(quantized, name="quantize")
        self._announce(quantized, report.quantize_detail(quantized.result))
        final = names.tflite_path(self._final_spec(), self.out, settings.quantization)
        self._stage(
            "measure",
            {"file": quantized.outputs, "evaluation": [str(p) for p in evaluation or ()]},
            [],
            lambda: stages.measure(quantized_path, evaluation, EVALUATED_IMAGES, log),
            report.measure_detail,
        )
        self._publish(quantized_path, final, quantized.outputs)
        self._report(found, final, image_sums)

    def _report(self, found: dict[str, Any], final: Path, image_sums: dict[str, str]) -> None:
        """`report.html`, `MODEL_CARD.md`, `report.json` and the summary."""
        folder = self.folder
        content = report.build_report(
            self.spec, found["weights"], found["weights_sha256"], final, self.done, self.fallback
        )
        content["escalation"] = self.escalation
        job = Job(
            tflite=final,
            onnx=folder / "model.onnx",
            weights=found["weights"],
            calibration=found["images"],
            evaluation=found["evaluation"],
            limit=EVALUATED_IMAGES,
            content=content,
            command=self.command,
            official=self.options.weights is None,
        )
        page, card = folder / "report.html", folder / "MODEL_CARD.md"
        done = self._stage(
            "report",
            {**_report_inputs(job), "images": image_sums},
            [page, card],
            lambda: stages.report(job, page, card, folder / "build.log"),
            lambda r: f"{page.name}, {card.name}",
        )
        content["waterfall"] = done.result["waterfall"]
        content["stages"] = report.stage_times(self.done)
        report.write_report(content, folder / "report.json")
        print(report.summary(content, final, page, card))

    def _quantize(
        self,
        found: dict[str, Any],
        before: dict[str, Any],
        settings: stages.QuantizationSettings,
        name: str,
    ) -> tuple[Done, Path]:
        """Run or skip the stage that quantizes; the file is called as the stage."""
        images, tuning, folder = found["images"], found["qat"], self.folder
        path = folder / f"{name}.tflite"
        inputs = {
            **before,
            "settings": dataclasses.asdict(settings),
            "qat": None if tuning is None else _qat_inputs(tuning),
        }
        onnx_path, saved_model = folder / "model.onnx", folder / "saved_model"
        log = folder / "build.log"

        def quantize() -> dict[str, Any]:
            return stages.quantize(images, onnx_path, saved_model, path, settings, log, tuning)

        return self._run(name, inputs, [path], quantize), path

    def _settings(
        self, found: dict[str, Any], before: dict[str, Any]
    ) -> stages.QuantizationSettings:
        """As the options say, or the first that keep to `--max-drop`."""
        rewrites, limit = tuple(self.rewrites), self.options.max_drop
        if limit is None:
            methods = tuple(names.quantization_methods(self.options))
            return stages.QuantizationSettings(self.quantization, methods, rewrites)
        evaluation, log = found["evaluation"], self.folder / "build.log"
        if evaluation is None:
            raise KitError("--max-drop: no annotated images at hand; give --annotations")

        def ap_of(settings: stages.QuantizationSettings) -> float:
            _, path = self._quantize(found, before, settings, "attempt")
            return stages.average_precision(path, evaluation, None, log)

        float_ap = stages.average_precision(self.folder / "model.onnx", evaluation, None, log)
        print(f"      float: AP {float_ap:.2f}")
        settings, self.escalation = escalate(limit, float_ap, rewrites, ap_of)
        return settings

    def run_onnx(self, layout: str) -> None:
        """Checkpoint -> ONNX file in the layout `plain` or `omz`."""
        found = self._find_inputs()
        made = self.folder / f"{layout}.onnx"
        final = names.onnx_path(self.spec, self.out, layout)
        with alone_in(self.folder):
            onnx = self._onnx_stage(found, made, layout)
            self._publish(made, final, onnx.outputs)
        print(f"file     {final}, {final.stat().st_size:,} bytes")

    def _onnx_stage(self, found: dict[str, Any], path: Path, layout: str) -> Done:
        weights, images = found["weights"], found["images"]
        done = self._stage(
            "onnx" if layout == "lowered" else f"onnx-{layout}",
            {
                "weights": found["weights_sha256"],
                "image": checksums(images[:1]),
                "left_out": sorted(self.left_out),
            },
            [path],
            lambda: stages.convert_onnx(self.spec, weights, images, path, layout, self.left_out),
            lambda r: f"largest difference {r['largest_difference']:.1e} to PyTorch",
        )
        for note in done.result["notes"]:
            print(f"      {weights.name} {note}")
        return done

    def _publish(self, source: Path, final: Path, sums: dict[str, str]) -> None:
        self._stage(
            "publish",
            {"file": sums, "final": final.name},
            [final],
            lambda: stages.publish(source, final),
            lambda r: final.name,
        )

    def _stage(
        self,
        name: str,
        inputs: dict[str, Any],
        outputs: list[Path],
        run: Callable[[], dict[str, Any]],
        detail: Callable[[dict[str, Any]], str],
    ) -> Done:
        """Run or skip one stage and print its line."""
        done = self._run(name, inputs, outputs, run)
        self._announce(done, detail(done.result))
        return done

    def _run(
        self,
        name: str,
        inputs: dict[str, Any],
        outputs: list[Path],
        run: Callable[[], dict[str, Any]],
    ) -> Done:
        inputs = {**inputs, "spec": self.spec.to_json(), "code": self.code, "lock": _locks()}
        return run_stage(name, self.folder, inputs, outputs, run)

    def _announce(self, done: Done, detail: str) -> None:
        self.done.append(done)
        print(report.stage_line(len(self.done), self.total, done, detail), flush=True)

    def _final_spec(self) -> ModelSpec:
        """The spec that the finished file will hold, as far as its name goes.

        Blocks are gathered in integer files alone, and only where the stem does not pad.
        """
        integers = self.options.stop_after != "onnx" and self.quantization in SCHEMES
        rotated = "rotate_180" not in self.left_out
        blocks = integers and rotated and "space_to_depth" in self.rewrites
        graph = dataclasses.replace(self.spec.graph, space_to_depth=blocks)
        return dataclasses.replace(self.spec, graph=graph)

    def _find_inputs(self) -> dict[str, Any]:
        """Weights, calibration and evaluation images, with the line of the first stage."""
        start = time.perf_counter()
        given = self.options
        if (given.annotations is None) != (given.evaluation_images is None):
            raise KitError("--annotations and --evaluation-images belong together; give both")
        weights = assets.weights(self.spec, given.weights)
        refuse_foreign(weights)  # Before images are downloaded.
        images = assets.calibration_images(self.spec, given.images)
        evaluation = self._find_evaluation()
        strides = ",".join(str(stride) for stride in self.spec.graph.strides)
        print(f"{self.spec.name}, strides {strides}, weights {weights}")
        done = Done("inputs", {}, {}, time.perf_counter() - start, skipped=False)
        self._announce(done, f"{weights.name}, {len(images)} calibration images")
        return {
            "weights": weights,
            "weights_sha256": checksums([weights])[weights.name],
            "images": images,
            "evaluation": evaluation,
            "qat": self._find_qat(weights),
        }

    def _find_evaluation(self) -> tuple[Path, Path] | None:
        """The annotated images; those that happen to be at hand only if they have a class of the
        model."""
        given = self.options
        found = assets.evaluation_set(
            self.spec, given.evaluation_images, given.annotations, EVALUATED_IMAGES, download=False
        )
        if found is None or given.annotations is not None:
            return found
        from evaluation.coco import annotates

        return found if annotates(found[1], self.spec.classes) else None

    def _find_qat(self, weights: Path) -> stages.QatInputs | None:
        folder = self.options.qat
        if folder is None:
            return None
        return stages.QatInputs(weights, tuple(list_images(folder)), self.options.qat_epochs)


def _report_inputs(job: Job) -> dict[str, Any]:
    return {
        "content": job.content,
        "evaluation": [str(p) for p in job.evaluation or ()],
        "annotations": checksums(job.evaluation[1:]) if job.evaluation else {},
        "command": job.command,
        "official": job.official,
        "report": source_checksum(names.ROOT, ("evaluation", "report")),
        "templates": checksums([names.ROOT / "report" / "templates"]),
    }


def _qat_inputs(tuning: stages.QatInputs) -> dict[str, Any]:
    return {
        "images": checksums(tuning.images),
        "epochs": tuning.epochs,
        "code": source_checksum(names.ROOT, ("train",)),
    }


def _writable(folder: Path) -> Path:
    existing = next(p for p in (folder, *folder.absolute().parents) if p.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        raise KitError(f"--out {folder}: cannot be written; choose another folder")
    return folder


def _locks() -> dict[str, str]:
    locks = ("requirements.lock", "requirements-torch-cpu.lock", "requirements-torch-cuda.lock")
    return checksums([names.ROOT / lock for lock in locks])
