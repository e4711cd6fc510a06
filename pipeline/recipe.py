"""The sequence of stages, with what they share."""

from __future__ import annotations

import argparse
import dataclasses
import os
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from data import names
from data.fallback import use_embedded_model_if_needed
from pipeline import measures, stages, summary
from pipeline.budget import apply_budget, camera_note, instead
from pipeline.cache import Done, Stage, alone_in, run_stage
from pipeline.contract import SURE, Inputs, QatInputs, QuantizationSettings
from pipeline.escalation import escalate
from pipeline.fingerprint import SOURCES, fingerprint
from pipeline.inputs import find_inputs, trained_by
from pipeline.report.contract import Job
from quantize import INT8_REWRITES
from quantize.scheme import SCHEMES
from quantize.targets import left_out
from runtime.errors import GateFailed, KitError
from runtime.quiet import say
from runtime.spec import ModelSpec


class Recipe:
    """One build. `run` makes the quantized file, `run_onnx` stops at an ONNX file."""

    def __init__(self, options: argparse.Namespace) -> None:
        target = "linux" if options.stop_after == "onnx" else options.target
        self.out = _writable(options.out)
        self.choice = apply_budget(options)
        print("".join(f"{line}\n" for line in self.choice), end="")
        self.fallback = use_embedded_model_if_needed(options)
        self.spec = names.chosen_spec(options, target)
        self.choice = self.choice or instead(self.spec, options)
        if options.camera is not None:
            print(f"camera   {camera_note(options.camera, self.spec)}")
        self.origin = self.spec
        if options.qat is not None and options.activation:
            unswapped = argparse.Namespace(**{**vars(options), "activation": None})
            self.origin = names.chosen_spec(unswapped, target)
        self.options = options
        self.left_out = left_out(target, options.disable_rewrite)
        self.rewrites = [name for name in INT8_REWRITES if name not in self.left_out]
        self.quantization = options.quantization
        self.folder = names.work_folder(self._final_spec(), self.out, self.quantization)
        whole = 7 + (options.qat is not None) - options.no_report
        self.total = 3 if options.stop_after == "onnx" else whole
        self.done: list[Done] = []
        self.command = summary.command(options.words)
        self.escalation: list[dict[str, Any]] = []
        self.log = self.folder / "build.log"

    def run(self) -> None:
        """Checkpoint -> quantized file, summary and report."""
        found = self._find_inputs()
        with alone_in(self.folder):
            self._build(found)

    def _find_inputs(self) -> Inputs:
        """With the line of the first stage."""
        start = time.perf_counter()
        found = find_inputs(self.options, self.spec, self.origin)
        strides = ",".join(str(stride) for stride in self.spec.graph.strides)
        say(f"{self.spec.name}, strides {strides}, weights {found.weights}")
        done = Done("inputs", {}, {}, time.perf_counter() - start, skipped=False)
        self._announce(done, f"{found.weights.name}, {len(found.images)} calibration images")
        return found

    def _build(self, found: Inputs) -> None:
        onnx_path, saved_model = self.folder / "model.onnx", self.folder / "saved_model"
        self._onnx_stage(found, onnx_path, "lowered")
        self._stage(
            "tensorflow",
            partial(stages.convert_tensorflow, log=self.log),
            {"spec": self.spec, "images": found.images[:1], "onnx_path": onnx_path},
            {"saved_model": saved_model},
            lambda r: f"largest difference {r['largest_difference']:.1e} to ONNX",
        )
        settings = self._settings(found)
        # The last attempt is the one that held, and is not made twice.
        name = "attempt" if self.escalation else "quantize"
        quantized, quantized_path = self._quantize(found, settings, name, found.qat)
        quantized = dataclasses.replace(quantized, name="quantize")
        self._announce(quantized, summary.quantize_detail(quantized.result))
        rejected, tuning = "", None
        if found.qat is not None:
            plain, plain_path = self._quantize(found, settings, "plain", None)
            rejected = self._compare(found.qat, quantized_path, plain_path)
            tuning = summary.fine_tuning(quantized, self.done[-1], not rejected)
            if rejected:
                quantized_path = plain_path
                plain = dataclasses.replace(plain, name="quantize")
                self.done = [plain if old.name == plain.name else old for old in self.done]
        final = names.tflite_path(self._final_spec(), self.out, settings.quantization)
        self._stage(
            "measure",
            partial(measures.measure, log=self.log),
            {"tflite": quantized_path, "evaluation": found.evaluation},
            {},
            summary.measure_detail,
        )
        self._publish(quantized_path, final)
        self._report(found, final, tuning)
        self._name_strides(found)
        if rejected:
            raise GateFailed(f"--qat: {rejected}; {final} is the file without fine-tuning")

    def _compare(self, tuning: QatInputs, tuned: Path, plain: Path) -> str:
        """Why the fine-tuned file is not to be published; "" where it is."""
        reads = {"network": tuning.network, "pictures": tuning.held_out}
        run = partial(measures.compare, log=self.log)
        files = {"tuned": tuned, "plain": plain}
        result = self._stage("compare", run, {**reads, **files}, {}, summary.compare_detail).result
        needed = SURE * result["standard_error"]
        if result["boxes"] and result["tuned"] > result["plain"] + needed:
            return ""
        return summary.compare_detail(result)

    def _report(self, found: Inputs, final: Path, tuning: dict[str, Any] | None) -> None:
        """`report.html`, `MODEL_CARD.md`, `report.json` and the summary."""
        folder, weights = self.folder, found.weights
        about = final, self.done, self.fallback, self.choice
        content = summary.build_report(self.spec, weights, found.weights_sha256, *about)
        content |= {"escalation": self.escalation, "fine_tuning": tuning}
        pages = {"report": folder / "report.html", "card": folder / "MODEL_CARD.md"}
        if self.options.no_report:
            for path in pages.values():  # Those of a build before tell of another file.
                path.unlink(missing_ok=True)
            self._tell(content, final, {})
            return
        job = Job(
            tflite=final,
            onnx=folder / "model.onnx",
            weights=weights,
            calibration=found.images,
            evaluation=found.evaluation,
            content=content,
            command=self.command,
            trained_by=trained_by(self.options, self.origin),
        )
        done = self._stage(
            "report",
            partial(stages.report, log=self.log),
            {"job": job},
            {"page": pages["report"], "card": pages["card"]},
            lambda r: ", ".join(path.name for path in pages.values()),
        )
        content["waterfall"] = done.result["waterfall"]
        self._tell(content, final, pages)

    def _tell(self, content: dict[str, Any], final: Path, pages: Mapping[str, Path]) -> None:
        content["stages"] = summary.stage_times(self.done)
        summary.write_report(content, self.folder / "report.json")
        print(summary.summary(content, final, pages))

    def _name_strides(self, found: Inputs) -> None:
        """Tell those who bring a network of their own that finer strides were left out."""
        given, known = self.options, self.spec.architecture.strides
        own = given.config is not None or given.weights is not None
        if not own or given.strides is not None or self.spec.graph.strides == known:
            return
        result = None
        if found.evaluation is not None:
            reads = {"spec": self.spec, "weights": found.weights}
            reads |= {"evaluation": found.evaluation}
            run = partial(measures.strides, log=self.log)
            result = self._run("strides", run, SOURCES["strides"], reads, {}).result
        say(summary.strides_detail(known, result))

    def _quantize(
        self,
        found: Inputs,
        settings: QuantizationSettings,
        name: str,
        tuning: QatInputs | None,
    ) -> tuple[Done, Path]:
        """Run or skip the stage that quantizes; the file is called as the stage."""
        path = self.folder / f"{name}.tflite"
        reads = {
            "images": found.images,
            "onnx_path": self.folder / "model.onnx",
            "saved_model": self.folder / "saved_model",
            "settings": settings,
            "tuning": tuning,
        }
        sources = SOURCES["quantize"] + (SOURCES["fine-tuning"] if tuning else ())
        saved = self.folder / f"tuning-{fingerprint(sources, reads)[:16]}" if tuning else path
        run = partial(stages.quantize, log=self.log, saved=saved)
        return self._run(name, run, sources, reads, {"tflite": path}), path

    def _settings(self, found: Inputs) -> QuantizationSettings:
        """As the options say, or the first that keep to `--max-drop`."""
        rewrites, limit = tuple(self.rewrites), self.options.max_drop
        if limit is None:
            methods = tuple(names.quantization_methods(self.options))
            further = found.further
            return QuantizationSettings(self.quantization, methods, rewrites, further)
        if found.evaluation is None:
            raise KitError("--max-drop: no annotated images found; give --annotations")
        every_image = dataclasses.replace(found.evaluation, limit=None)

        def ap_of(settings: QuantizationSettings) -> float:
            _, path = self._quantize(found, settings, "attempt", None)
            return measures.average_precision(path, every_image, self.log)

        float_ap = measures.average_precision(self.folder / "model.onnx", every_image, self.log)
        say(f"      float: AP {float_ap:.2f}")
        settings, self.escalation = escalate(limit, float_ap, rewrites, ap_of, self.quantization)
        return settings

    def run_onnx(self, layout: str) -> None:
        """Checkpoint -> ONNX file in the layout `plain` or `omz`."""
        found = self._find_inputs()
        made = self.folder / f"{layout}.onnx"
        final = names.onnx_path(self.spec, self.out, layout)
        with alone_in(self.folder):
            self._onnx_stage(found, made, layout)
            self._publish(made, final)
        print(f"file     {final}, {final.stat().st_size:,} bytes")

    def _onnx_stage(self, found: Inputs, path: Path, layout: str) -> None:
        done = self._stage(
            "onnx" if layout == "lowered" else f"onnx-{layout}",
            stages.convert_onnx,
            {
                "spec": self.spec,
                "weights": found.weights,
                "images": found.images[:1],
                "layout": layout,
                "left_out": self.left_out,
            },
            {"onnx_path": path},
            lambda r: f"largest difference {r['largest_difference']:.1e} to PyTorch",
        )
        for note in done.result["notes"]:
            say(f"      {found.weights.name} {note}")

    def _publish(self, source: Path, final: Path) -> None:
        self._stage(
            "publish",
            stages.publish,
            {"source": source},
            {"target": final},
            lambda r: final.name,
        )

    def _stage(
        self,
        name: str,
        run: Callable[..., dict[str, Any]],
        reads: Mapping[str, Any],
        writes: Mapping[str, Path],
        detail: Callable[[dict[str, Any]], str],
    ) -> Done:
        """Run or skip one stage and print its lines."""
        sources = SOURCES[name.partition("-")[0]]  # Of `onnx-omz`, those of `onnx`.
        done = self._run(name, run, sources, reads, writes)
        self._announce(done, detail(done.result))
        return done

    def _run(
        self,
        name: str,
        run: Callable[..., dict[str, Any]],
        sources: tuple[str, ...],
        reads: Mapping[str, Any],
        writes: Mapping[str, Path],
    ) -> Done:
        """Run or skip one stage; one that runs says so first."""

        def begin(**given: Any) -> dict[str, Any]:
            ways = {
                "fast": self.options.fast,
                "tuned": reads.get("tuning") is not None,
                "further": self.options.quantization_images is not None,
            }
            how = next((way for way, taken in ways.items() if taken), None)
            if line := summary.start_line(len(self.done) + 1, self.total, name, how):
                say(line)
            return run(**given)

        return run_stage(self.folder, Stage(name, begin, sources, reads, writes))

    def _announce(self, done: Done, detail: str) -> None:
        self.done.append(done)
        say(summary.stage_line(len(self.done), self.total, done, detail))

    def _final_spec(self) -> ModelSpec:
        """The spec that the finished file will hold, as far as its name goes.

        Blocks are gathered in integer files alone, and only where the stem does not pad.
        """
        integers = self.options.stop_after != "onnx" and self.quantization in SCHEMES
        rotated = "rotate_180" not in self.left_out
        blocks = integers and rotated and "space_to_depth" in self.rewrites
        graph = dataclasses.replace(self.spec.graph, space_to_depth=blocks)
        return dataclasses.replace(self.spec, graph=graph)


def _writable(folder: Path) -> Path:
    existing = next(p for p in (folder, *folder.absolute().parents) if p.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        raise KitError(f"--out {folder}: cannot be written; choose another folder")
    return folder
