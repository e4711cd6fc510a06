"""`bash recipe.sh`: checkpoint -> full-int8 TFLite file."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import assets
from pipeline import report, stages
from pipeline.cache import Done, checksums, run_stage, source_checksum
from pipeline.names import DEFAULT_MODEL, ROOT, parse_strides, tflite_path, variant, work_folder
from runtime.cli import Parser, run
from runtime.errors import KitError

EVALUATED_IMAGES = 50
_SOURCES = ("calibration", "convert", "quantize", "runtime")


def parse_arguments() -> argparse.Namespace:
    """The command line of recipe.sh."""
    parser = Parser(prog="recipe.sh", description=__doc__)
    add = parser.add_argument
    add(
        "--model",
        default=DEFAULT_MODEL,
        metavar="NAME",
        help="variant of models/, default %(default)s",
    )
    add(
        "--strides",
        type=parse_strides,
        metavar="LIST",
        help="32, 16,32 or 8,16,32; default the coarsest alone",
    )
    add("--weights", type=Path, metavar="PATH", help="your own checkpoint of that variant")
    add("--images", type=Path, metavar="DIR", help="your own calibration images, 100 or more")
    add(
        "--annotations",
        type=Path,
        metavar="JSON",
        help="COCO annotations of --evaluation-images, for the AP in the summary",
    )
    add("--evaluation-images", type=Path, metavar="DIR", help="images of --annotations")
    add("--out", type=Path, default=ROOT, metavar="DIR", help="where to write, default here")
    return parser.parse_args()


class Recipe:
    """The sequence of stages, with what they share."""

    total = 6

    def __init__(self, options: argparse.Namespace) -> None:
        self.spec = variant(options.model, options.strides)
        self.options = options
        self.out = _writable(options.out)
        self.folder = work_folder(self.spec, self.out)
        self.done: list[Done] = []
        self.code = source_checksum(ROOT, _SOURCES)

    def step(
        self,
        name: str,
        inputs: dict[str, Any],
        outputs: list[Path],
        run: Callable[[], dict[str, Any]],
        detail: Callable[[dict[str, Any]], str],
    ) -> Done:
        """Run or skip one stage and print its line."""
        inputs = {**inputs, "spec": self.spec.to_json(), "code": self.code, "lock": _lock()}
        done = run_stage(name, self.folder, inputs, outputs, run)
        self.done.append(done)
        line = report.stage_line(len(self.done), self.total, done, detail(done.result))
        print(line, flush=True)
        return done

    def run(self) -> None:
        """All stages, then summary and report."""
        folder, log = self.folder, self.folder / "build.log"
        inputs = self._find_inputs()
        weights, images = inputs["weights"], inputs["images"]
        onnx_path, saved_model = folder / "model.onnx", folder / "saved_model"
        int8_path, final = folder / "int8.tflite", tflite_path(self.spec, self.out)
        image_sums = checksums(images)

        onnx = self.step(
            "onnx",
            {"weights": inputs["weights_sha256"], "image": image_sums[images[0].name]},
            [onnx_path],
            lambda: stages.convert_onnx(self.spec, weights, images, onnx_path),
            lambda r: f"largest difference {r['largest_difference']:.1e} to PyTorch",
        )
        tensorflow = self.step(
            "tensorflow",
            {"onnx": onnx.outputs, "image": image_sums[images[0].name]},
            [saved_model],
            lambda: stages.convert_tensorflow(self.spec, images, onnx_path, saved_model, log),
            lambda r: f"largest difference {r['largest_difference']:.1e} to ONNX",
        )
        int8 = self.step(
            "int8",
            {"onnx": onnx.outputs, "saved_model": tensorflow.outputs, "images": image_sums},
            [int8_path],
            lambda: stages.quantize_int8(images, onnx_path, saved_model, int8_path, log),
            lambda r: f"{sum(r['operators'].values())} operators, verified",
        )
        self.step(
            "measure",
            {"int8": int8.outputs, "evaluation": [str(p) for p in inputs["evaluation"] or ()]},
            [],
            lambda: stages.measure(int8_path, inputs["evaluation"], EVALUATED_IMAGES, log),
            lambda r: f"arena {r['arena_bytes']:,} bytes",
        )
        self.step(
            "publish",
            {"int8": int8.outputs},
            [final],
            lambda: stages.publish(int8_path, final),
            lambda r: final.name,
        )
        content = report.build_report(
            self.spec, weights, inputs["weights_sha256"], final, self.done
        )
        report_path = folder / "report.json"
        report.write_report(content, report_path)
        print(report.summary(content, final, report_path))

    def _find_inputs(self) -> dict[str, Any]:
        """Weights, calibration and evaluation images, with the line of the first stage."""
        start = time.perf_counter()
        given = self.options
        if (given.annotations is None) != (given.evaluation_images is None):
            raise KitError("--annotations and --evaluation-images belong together; give both")
        weights = assets.weights(self.spec, given.weights)
        images = assets.calibration_images(given.images)
        evaluation = assets.evaluation_set(
            given.evaluation_images, given.annotations, EVALUATED_IMAGES, download=False
        )
        done = Done("inputs", {}, {}, time.perf_counter() - start, skipped=False)
        self.done.append(done)
        print(
            f"{self.spec.name}, strides {','.join(map(str, self.spec.graph.strides))}, "
            f"weights {weights}"
        )
        detail = f"{weights.name}, {len(images)} calibration images"
        print(report.stage_line(1, self.total, done, detail), flush=True)
        return {
            "weights": weights,
            "weights_sha256": checksums([weights])[weights.name],
            "images": images,
            "evaluation": evaluation,
        }


def _writable(folder: Path) -> Path:
    existing = next(p for p in (folder, *folder.absolute().parents) if p.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        raise KitError(f"--out {folder}: cannot be written; choose another folder")
    return folder


def _lock() -> str:
    return checksums([ROOT / "requirements.lock"])["requirements.lock"]


def main() -> int:
    """Build."""
    Recipe(parse_arguments()).run()
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
