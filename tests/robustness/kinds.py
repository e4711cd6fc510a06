"""Mutants of each kind of input, the command lines they go through, and what must hold after."""

from __future__ import annotations

import json
import math
import os
import random
import re
import shutil
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

import commands
from runtime.cli import run
from runtime.tflite_file import TfliteFile
from tests.robustness import mutate
from tests.robustness.material import load_tree

KINDS = ("tflite", "checkpoint", "image", "json", "yaml", "voc", "yolo")
_SLOW_EVERY = 10  # Commands that take half a second or more see every tenth mutant.
_DEMO = ("--model", "nanodet-m-0.5x-shapes", "--input-size", "96x64")


@dataclass(frozen=True)
class Trial:
    """One command line. check: of what it printed, when it returned 0. output: is not to be there
    when it did not."""

    name: str
    main: Callable[[], int]
    check: Callable[[str], None]
    output: Path | None = None


def trials(kind: str, number: int, material: Path, scratch: Path) -> list[Trial]:
    """Make mutant `number` of a kind in `scratch`, and say what it goes through."""
    rng = random.Random(f"{kind} {number}")
    return _MAKERS[kind](rng, number, material, scratch)


_FOUND = 4  # The doctor's exit code where a finding is an error.


def _command(name: str, *arguments: object) -> Callable[[], int]:
    return lambda: commands.start(name, [str(word) for word in arguments])


def _choose(rng: random.Random, folder: Path, pattern: str = "*") -> Path:
    return rng.choice(sorted(p for p in folder.glob(pattern) if p.is_file()))


def _tflite(rng: random.Random, number: int, material: Path, scratch: Path) -> list[Trial]:
    source, path = _choose(rng, material / "tflite"), scratch / "mutant.tflite"
    path.write_bytes(mutate.mutate_tflite(source.read_bytes(), rng))
    photo = material / "image" / "plain.jpg"
    found = [
        Trial("detect", _command("run", "detect", path, photo, "--json"), _detected),
        Trial(
            "detect (TFLM)",
            _command("run", "detect", path, photo, "--json", "--engine", "tflm"),
            _detected,
        ),
        Trial("cost", _command("cost", path, "--engine", "tflm"), _printed),
        Trial("doctor (NPU)", _doctor(path, "imx8mp-npu"), _diagnosed),
    ]
    if number % _SLOW_EVERY == 0:
        out, scores = scratch / "firmware", scratch / "scores.json"
        images = material / "json" / "images"
        inspected = scratch / "inspect.json"
        found += [
            Trial(
                "firmware",
                _command("firmware", path, "--out", out, "--image", photo),
                lambda _: _holds(out / "generated" / "nanodet_settings.h"),
                out,
            ),
            Trial(
                "inspect",
                _command("inspect", path, "--limit", 1, "--json", inspected),
                lambda _: _holds(inspected),
                inspected,
            ),
            Trial("doctor", _doctor(path, "imxrt1170"), _diagnosed),
            Trial("cost (engine)", _command("cost", path, "--engine", "c"), _printed),
            _evaluate(path, images, images.parent / "annotations.json", scores),
        ]
    return found


def _doctor(model: Path, target: str) -> Callable[[], int]:
    """What it finds is its answer, an error among it no fault of its own."""
    diagnose = _command("doctor", model, "--target", target)
    return lambda: 0 if (code := diagnose()) == _FOUND else code


def _evaluate(model: Path, images: Path, annotations: Path, scores: Path) -> Trial:
    arguments = model, "--images", images, "--annotations", annotations, "--json", scores
    return Trial("evaluate", _command("evaluate", *arguments), lambda _: _scored(scores), scores)


def _checkpoint(rng: random.Random, _: int, material: Path, scratch: Path) -> list[Trial]:
    """The weights are those of the file as it was, bit for bit, or there is an error. Files of
    PyTorch before 1.6 and ONNX carry no checksum: there, any finite weights."""
    source, path = _choose(rng, material / "checkpoint"), scratch / "mutant.ckpt"
    path.write_bytes(mutate.mutate_bytes(source.read_bytes(), rng))

    def check(_: str) -> None:
        import torch

        from convert.checkpoint import read_weights

        wanted, found = read_weights(source).weights, read_weights(path).weights
        assert all(torch.isfinite(v).all() for v in found.values())
        if source.name == "archive.ckpt":
            assert all(torch.equal(found[key], wanted[key]) for key in wanted)

    return [Trial("load", lambda: run(lambda: _load_network(path)), check)]


def _load_network(path: Path) -> int:
    from convert.checkpoint import load_network
    from data import locate

    load_network(path, locate.model_spec("nanodet-m-0.5x-shapes"))
    return 0


def _image(rng: random.Random, _: int, material: Path, scratch: Path) -> list[Trial]:
    source = _choose(rng, material / "image")
    path = scratch / f"mutant{source.suffix}"
    path.write_bytes(mutate.mutate_bytes(source.read_bytes(), rng))
    model, out = _choose(rng, material / "tflite"), scratch / "drawn.png"
    command = _command("run", "detect", model, path, "--json", "--out", out)
    return [Trial("detect", command, _detected, out)]


def _json(rng: random.Random, number: int, material: Path, scratch: Path) -> list[Trial]:
    """Annotations, and every other time the model spec in a `.tflite`."""
    model = _choose(rng, material / "tflite")
    if number % 2:
        text = json.loads(TfliteFile.read(model).spec.to_json())
        path = scratch / "mutant.tflite"
        path.write_bytes(mutate.with_spec(model.read_bytes(), _document(text, rng)))
        photo = material / "image" / "plain.jpg"
        command = _command("run", "detect", path, photo, "--json")
        return [Trial("detect", command, _detected)]
    path = scratch / "mutant.json"
    path.write_bytes(_document(load_tree(material / "json" / "annotations.json"), rng))
    evaluate = _evaluate(model, material / "json" / "images", path, scratch / "scores.json")
    return [
        evaluate,
        Trial("train", lambda: run(lambda: _read_pictures(path, path.parent)), lambda _: None),
    ]


def _voc(rng: random.Random, number: int, material: Path, scratch: Path) -> list[Trial]:
    """One XML of a set; or the list of `ImageSets`."""
    folder = _copied(material / "voc", scratch)
    path = _choose(rng, folder / "Annotations")
    if number % 4 == 0:
        path = folder / "ImageSets" / "Main" / "train.txt"
    path.write_bytes(mutate.mutate_bytes(path.read_bytes(), rng))
    return _set_trials(folder, scratch)


def _yolo(rng: random.Random, number: int, material: Path, scratch: Path) -> list[Trial]:
    """The labels of a picture; or the `data.yaml`."""
    folder = _copied(material / "yolo", scratch)
    path = _choose(rng, folder / "train" / "labels")
    if number % 2:
        path.write_bytes(mutate.mutate_bytes(path.read_bytes(), rng))
    else:
        path = folder / "data.yaml"
        path.write_bytes(_document(load_tree(path), rng, yaml.safe_dump))
    return _set_trials(folder, scratch)


def _copied(source: Path, scratch: Path) -> Path:
    shutil.copytree(source, scratch / "set")
    return scratch / "set"


def _set_trials(folder: Path, scratch: Path) -> list[Trial]:
    sheet = scratch / "sheet.png"

    def read() -> int:
        from data.sets import find_sets

        learned = find_sets(folder)["train"]
        return _read_pictures(learned.path, learned.folder)

    return [
        Trial("train", lambda: run(read), lambda _: None),
        Trial("data", _command("data", folder, "--sheet", sheet), lambda _: _holds(sheet), sheet),
    ]


def _read_pictures(path: Path, images: Path) -> int:
    from data import locate
    from train.data import read_pictures

    names = locate.model_spec("nanodet-m-0.5x-shapes").class_names
    for picture in read_pictures(images, path, names):
        assert len(picture.xyxy) == len(picture.class_id)
        assert all(math.isfinite(v) for v in picture.xyxy.ravel())
    return 0


def _document(tree: Any, rng: random.Random, dump: Callable[[Any], str] = json.dumps) -> bytes:
    """A tree changed in its values, or its text in its bytes."""
    if rng.random() < 0.3:
        return mutate.mutate_bytes(dump(tree).encode(), rng)
    changed = mutate.mutate_tree(tree, rng)
    try:
        return dump(changed).encode("utf-8", "surrogatepass")
    except RecursionError:  # The YAML writer's; JSON is YAML, too.
        return json.dumps(changed).encode()


def _yaml(rng: random.Random, _: int, material: Path, scratch: Path) -> list[Trial]:
    source = _choose(rng, material / "yaml")
    path = scratch / source.name
    path.write_bytes(_document(load_tree(source), rng, yaml.safe_dump))
    for name in ("coco.names", "shapes.names"):
        (scratch / name).write_text("ball\ncar\n")
    if source.suffix == ".yml":
        readers: list[tuple[str, Callable[[Path], Any]]] = [
            ("recipe.sh --config", _training_config), ("nanodet train --config", _settings),
        ]  # fmt: skip
    else:
        readers = [("model", _spec) if source.name.startswith("nanodet") else ("board", _board)]
    return [Trial(name, _reading(reader, path), lambda _: None) for name, reader in readers]


def _reading(reader: Callable[[Path], Any], path: Path) -> Callable[[], int]:
    def main() -> int:
        reader(path)
        return 0

    return lambda: run(main)


def _training_config(path: Path) -> None:
    from convert.training_config import read_training_config

    spec, config = read_training_config(path), load_tree(path)
    assert isinstance(config, dict)
    arch, size = config["model"]["arch"], config["data"]["val"]["input_size"]
    root = yaml.compose(path.read_text())
    assert isinstance(root, yaml.MappingNode)
    nodes = {key.value: value for key, value in root.value}
    assert list(spec.class_names) == [entry.value for entry in nodes["class_names"].value]
    assert [spec.input.width, spec.input.height] == size
    assert (
        spec.architecture.backbone == f"shufflenet_v2_{arch['backbone'].get('model_size', '1.5x')}"
    )
    _round_trip(spec)


def _settings(path: Path) -> None:
    from train.settings import read_settings

    settings = read_settings(path)
    numbers = [v for v in vars(settings).values() if isinstance(v, (int, float))]
    assert all(math.isfinite(n) for n in numbers)
    assert settings.epochs > 0 and settings.batch > 0 and settings.rate > 0


def _spec(path: Path) -> None:
    from runtime.spec import ModelSpec

    spec, values = ModelSpec.from_yaml(path), load_tree(path)
    assert isinstance(values, dict)
    _agrees({k: v for k, v in values.items() if k != "classes"}, json.loads(spec.to_json()))
    _round_trip(spec)


def _round_trip(spec: Any) -> None:
    assert type(spec).from_json(spec.to_json(), "again") == spec


def _board(path: Path) -> None:
    from runtime.benchmark.board import Board

    board, values = Board.read(path), load_tree(path)
    assert isinstance(values, dict)
    for key in ("title", "kind", "soc"):
        assert values[key] == getattr(board, key)
    _agrees(values["cores"], vars(board.cores))
    for memory, given in zip(board.memories, values.get("memories") or (), strict=True):
        _agrees(given, vars(memory))
    for key in ("flash", "firmware"):
        if values.get(key) is not None:
            _agrees(values[key], vars(getattr(board, key)))


def _agrees(given: Any, read: Any) -> None:
    """Everything the file says is in what was read."""
    if isinstance(given, dict):
        for key, value in given.items():
            _agrees(value, read[key])
    elif isinstance(given, list):
        assert len(given) == len(read)
        for one, other in zip(given, read, strict=True):
            _agrees(one, other)
    else:
        assert given == read, f"{given!r} in the file, {read!r} read"


def _detected(printed: str) -> None:
    for found in json.loads(printed):
        left, top, right, bottom = found["xyxy"]
        assert 0 <= left <= right <= 1e5 and 0 <= top <= bottom <= 1e5, found
        assert 0 < found["confidence"] <= 1 and found["class_name"], found


def _diagnosed(printed: str) -> None:
    assert re.search(r"\d+ errors?, \d+ warnings?, \d+ notes?$", printed.strip())
    assert not re.search(r"\b(nan|inf)\b", printed)


def _printed(printed: str) -> None:
    assert re.search(r"instructions (on a Cortex-M7|not predicted)|not on this engine: .", printed)
    assert not re.search(r"\b(nan|inf)\b", printed)


def _scored(path: Path) -> None:
    scores = json.loads(path.read_text(), parse_constant=_no_number)
    assert -1 <= scores["AP"] <= 100 and scores["images"] > 0


def _no_number(text: str) -> None:
    raise AssertionError(f"{text} among the figures")


def _holds(path: Path) -> None:
    assert path.stat().st_size > 0


def _selftest(_: random.Random, number: int, __: Path, ___: Path) -> list[Trial]:
    """What the harness must notice."""

    def misbehave() -> int:
        if number == -2:
            time.sleep(60)
        if number == -3:
            os.kill(os.getpid(), signal.SIGSEGV)
        if number == -4:
            np.empty(8 << 30, np.uint8)  # Refused at once, so nothing is written.
        return 1 // (number + 5)

    def complain(_: str) -> None:
        raise AssertionError("wrong answer")

    return [Trial("misbehave", lambda: 0 if number == -1 else misbehave(), complain)]


_Maker = Callable[[random.Random, int, Path, Path], Sequence[Trial]]
_MAKERS: dict[str, Any] = {
    "tflite": _tflite, "checkpoint": _checkpoint, "image": _image, "json": _json, "yaml": _yaml,
    "voc": _voc, "yolo": _yolo,
    "selftest": _selftest,
}  # fmt: skip
