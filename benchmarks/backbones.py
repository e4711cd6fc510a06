"""`python -m benchmarks.backbones`: networks of other backbones, trained on generated scenes and
quantized.

Each is trained from random weights, its best checkpoint is built in full, and AP is measured in
float and in int8 on scenes that chose nothing. That takes about an hour a network on one core. A
run that was interrupted goes on where it stopped, and one that is finished is not made again.
Writes results/backbones.json and a table in docs/networks.md.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import yaml

from benchmarks.builds import FIGURES, python, read_rows, write_rows
from benchmarks.markdown import replace_block, table
from data import locate
from data.names import DEFAULT_MODEL, ROOT
from runtime.files import write_text
from train.starting import configuration

RESULTS = ROOT / "benchmarks" / "results" / "backbones.json"
DOCUMENT = ROOT / "docs" / "networks.md"
_SCRATCH = ROOT / "build" / "benchmark-backbones"
_SIZE = 160
_AVERAGE_DECAY = 0.998  # Upstream's is for runs of many more steps.
# Backbone of upstream's configuration, and epochs.
_NETWORKS: dict[str, tuple[dict[str, Any], int]] = {
    "MobileNetV2": ({"name": "MobileNetV2", "width_mult": 1.0, "out_stages": [2, 4, 6]}, 40),
    "EfficientNet-Lite0": ({"name": "EfficientNetLite", "model_name": "efficientnet_lite0"}, 40),
    "RepVGG-A0": (
        {"name": "RepVGG", "arch": "A0", "out_stages": [2, 3, 4], "last_channel": 512}, 30,
    ),
}  # fmt: skip
# How many scenes to learn from, to choose the epoch by, to calibrate with and to measure on, and
# the number of the first.
_SCENES = {
    "train": (2000, 0),
    "valid": (500, 100_000),
    "calibration": (100, 200_000),
    "test": (2000, 300_000),
}
_SCENES_FOLDER = _SCRATCH / "scenes"


def measure(name: str) -> dict[str, Any]:
    """A row of the table."""
    backbone, epochs = _NETWORKS[name]
    folder = _SCRATCH / name
    config, run = folder / "own.yml", folder / "run"
    folder.mkdir(parents=True, exist_ok=True)
    write_text(config, yaml.safe_dump(_configuration(backbone, epochs)))
    resume = ["--resume"] if (run / "last.ckpt").is_file() else []
    python(
        "nanodet", "train", "--config", str(config), "--data", str(_scenes()), "--out", str(run),
        "--workers", "0", "--accelerator", "cpu", *resume,
    )  # fmt: skip
    weights = ["--config", str(config), "--weights", str(run / "best.ckpt")]
    out, calibration = folder / "built", _SCENES_FOLDER / "calibration" / "images"
    strides = ["--strides", "8,16,32"]
    python("-m", "pipeline", *weights, *strides, "--images", str(calibration), "--out", str(out))
    (tflite,) = out.glob("*.tflite")
    float_ap = _evaluate(folder, "float", "--engine", "torch", *weights, *strides)
    int8_ap = _evaluate(folder, "int8", str(tflite))
    python(
        "nanodet", "compare", str(folder / "float.json"), str(folder / "int8.json"),
        "--annotations", str(_SCENES_FOLDER / "test" / "annotations.json"),
        "--json", str(folder / "compared.json"),
    )  # fmt: skip
    return {
        "epochs": epochs,
        "bytes": tflite.stat().st_size,
        "float": float_ap,
        "int8": int8_ap,
        "standard_error": read_rows(folder / "compared.json")["AP"]["standard_error"],
    }


def _scenes() -> Path:
    for part, (images, seed) in _SCENES.items():
        if not (folder := _SCENES_FOLDER / part).is_dir():
            words = ["--out", str(folder), "--images", str(images), "--seed", str(seed)]
            python("nanodet", "shapes", *words)
    return _SCENES_FOLDER


def _configuration(backbone: dict[str, Any], epochs: int) -> dict[str, Any]:
    """The kit's own of NanoDet-m-0.5x for the scenes, with another backbone."""
    names = locate.model_spec(f"{DEFAULT_MODEL}-shapes").class_names
    made = configuration(locate.model_spec(DEFAULT_MODEL), names, {})
    architecture, schedule = made["model"]["arch"], made["schedule"]
    architecture["backbone"] = backbone
    del architecture["fpn"]["in_channels"]  # Those that the backbone hands on.
    made["model"]["weight_averager"]["decay"] = _AVERAGE_DECAY
    for part in ("train", "val"):
        made["data"][part]["input_size"] = [_SIZE, _SIZE]
    schedule["total_epochs"] = schedule["lr_schedule"]["T_max"] = epochs
    return made


def _evaluate(folder: Path, name: str, *words: str) -> dict[str, float]:
    """AP in percent on the scenes to measure on; detections are left in `folder`."""
    scores, images = folder / f"{name}-scores.json", _SCENES_FOLDER / "test"
    python(
        "evaluate.py", *words, "--images", str(images / "images"),
        "--annotations", str(images / "annotations.json"),
        "--json", str(scores), "--detections", str(folder / f"{name}.json"),
    )  # fmt: skip
    figures = read_rows(scores)
    return {figure: round(figures[figure], 2) for figure in FIGURES}


def render(rows: dict[str, Any]) -> str:
    """The table in Markdown."""
    header = ("backbone", "epochs", "int8, bytes", "AP in float", "in int8", "difference")
    return table(header, [_line(name, row) for name, row in rows.items()])


def _line(name: str, row: dict[str, Any]) -> tuple[str, ...]:
    exact, quantized = row["float"]["AP"], row["int8"]["AP"]
    sign = "\N{PLUS-MINUS SIGN}"
    return (
        name,
        f"{row['epochs']}",
        f"{row['bytes']:,}",
        f"{exact:.2f}",
        f"{quantized:.2f}",
        f"{quantized - exact:+.2f} {sign} {row['standard_error']:.2f}",
    )


def main() -> None:
    """Train, build, measure, render."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", nargs="+", choices=_NETWORKS, default=list(_NETWORKS))
    for name in parser.parse_args().networks:
        if name not in read_rows(RESULTS):
            row = measure(name)  # Meanwhile, another run may have added one.
            write_rows(RESULTS, {**read_rows(RESULTS), name: row})
    replace_block(DOCUMENT, "backbones", render(read_rows(RESULTS)))


if __name__ == "__main__":
    main()
