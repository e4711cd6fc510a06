"""Each stage runs again when anything that it reads has changed, and not otherwise."""

from __future__ import annotations

import ast
import dataclasses
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from data.annotations import AnnotatedImages
from pipeline import fingerprint as module
from pipeline.cache import Stage, run_stage
from pipeline.fingerprint import ROOT, SOURCES, fingerprint, installed, processor
from tests.conftest import Build

# Folders that hold data, which no import shows; `test_what_measure_opens` looks at what is opened.
_DATA = {"runtime/benchmark/boards", "pipeline/report/templates"}
_STAGES = {
    "onnx": "convert_onnx",
    "tensorflow": "convert_tensorflow",
    "quantize": "quantize",
    "fine-tuning": "_fine_tuning",
    "compare": "compare",
    "strides": "strides",
    "measure": "measure",
    "publish": "publish",
    "report": "report",
}


class Changing:
    """A stage whose arguments are the files of a folder, in a copy of the kit's sources."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root, self.folder = folder / "kit", folder
        without = shutil.ignore_patterns(".*", "build", "__pycache__", "*.tflite", "docs", "tests")
        shutil.copytree(ROOT, self.root, ignore=without)
        monkeypatch.setattr(module.fingerprint, "__defaults__", (self.root,))
        self.images = folder / "images"
        self.images.mkdir()
        for i in range(3):
            (self.images / f"{i}.jpg").write_bytes(bytes([i]))
        self.annotations, self.model = folder / "annotations.json", folder / "model.tflite"
        self.annotate(box=[0, 0, 1, 1])
        self.model.write_bytes(b"model")
        self.settings = {"limit": 2}

    def annotate(self, **more: object) -> None:
        images = [{"id": 9 - i, "file_name": f"{i}.jpg"} for i in range(3)]
        content = {"images": images, "categories": [], "info": more}
        self.annotations.write_text(json.dumps(content))

    def skipped(self, stage: str) -> bool:
        reads = {
            "tflite": self.model,
            "evaluation": AnnotatedImages(self.images, self.annotations, 2),
            "settings": self.settings,
        }
        run = Stage(stage, lambda **_: {}, SOURCES[stage], reads, {})
        return run_stage(self.folder / "work", run).skipped


@pytest.fixture
def changing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Changing:
    return Changing(tmp_path, monkeypatch)


def _edit(name: str) -> Callable[[Changing], object]:
    def edit(changing: Changing) -> None:
        path = changing.root / name
        path.write_bytes((path.read_bytes() if path.exists() else b"") + b"\n")

    return edit


@pytest.mark.parametrize(
    ("stage", "change", "runs_again", "reason"),
    [
        ("measure", lambda c: c.annotate(box=[0, 0, 2, 2]), True, "an annotation"),
        ("measure", lambda c: (c.images / "2.jpg").write_bytes(b"other"), True, "an image's bytes"),
        ("measure", lambda c: (c.images / "0.jpg").write_bytes(b"other"), False,
         "the image with the highest id is beyond the limit"),
        ("measure", lambda c: (c.images / "notes.txt").write_bytes(b""), False, "no image of it"),
        ("measure", lambda c: (c.images / "1.jpg").unlink(), True, "an image gone"),
        ("measure", lambda c: c.model.write_bytes(b"other"), True, "the file"),
        ("measure", lambda c: c.settings.update(limit=3), True, "a setting"),
        ("measure", _edit("analysis/cortex_m7.json"), True, "coefficients"),
        ("measure", _edit("runtime/tflite_graph.py"), True, "what they are applied to"),
        ("measure", _edit("evaluation/coco.py"), True, "how AP is computed"),
        ("measure", _edit("evaluation/new.py"), True, "a module that is new"),
        ("measure", lambda c: (c.root / "evaluation/bootstrap.py").unlink(), True, "one gone"),
        ("measure", _edit("pipeline/measures.py"), True, "the stage itself"),
        ("measure", _edit("runtime/nms.py"), True, "what detects"),
        ("measure", _edit("pipeline/report/templates/report.html"), False, "it makes no page"),
        ("measure", _edit("quantize/rewrites/strips.py"), False, "the file shows what it changes"),
        ("measure", _edit("firmware/engine/plan.py"), True, "how the kit's engine runs it"),
        ("measure", _edit("README.md"), False, "a document"),
        ("measure", _edit("firmware/app/main.c"), False, "no stage runs it"),
        ("measure", _edit("evaluation/.coco.py.swp"), False, "an editor's"),
        ("report", _edit("pipeline/report/templates/report.html"), True, "a template"),
        ("report", _edit("pipeline/report/templates/report.css"), True, "its style"),
        ("report", _edit("runtime/benchmark/boards/imxrt1170.yaml"), True, "a board"),
        ("report", _edit("runtime/benchmark/boards/new.yaml"), True, "another board"),
        ("report", _edit("evaluation/waterfall.py"), True, "where AP goes"),
        ("report", _edit("train/data.py"), False, "it trains nothing"),
        ("quantize", _edit("quantize/rewrites/strips.py"), True, "a rewrite"),
        ("quantize", _edit("evaluation/coco.py"), False, "it evaluates nothing"),
        ("fine-tuning", _edit("train/qat.py"), True, "how it trains"),
        ("onnx", _edit("convert/lowering/narrow_neck.py"), True, "a rewrite"),
        ("onnx", _edit("quantize/build.py"), False, "a later stage"),
        ("publish", _edit("runtime/files.py"), True, "how files are written"),
    ],
)  # fmt: skip
def test_what_makes_a_stage_run_again(
    changing: Changing, stage: str, change: Any, runs_again: bool, reason: str
) -> None:
    assert not changing.skipped(stage)
    assert changing.skipped(stage)
    change(changing)
    assert changing.skipped(stage) != runs_again, reason


@pytest.mark.parametrize(
    ("one", "other", "same", "reason"),
    [
        ({"a": 1}, {"a": 2}, False, "a number"),
        ({"a": 1}, {"b": 1}, False, "another argument"),
        ({"a": frozenset("xy")}, {"a": frozenset("yx")}, True, "sets have no order"),
        ({"a": ("x", "y")}, {"a": ("y", "x")}, False, "lists have one"),
        ({"a": {"x": {1, 2}}}, {"a": {"x": {1, 3}}}, False, "however deep"),
    ],
)
def test_arguments(one: dict[str, Any], other: dict[str, Any], same: bool, reason: str) -> None:
    assert (fingerprint((), one) == fingerprint((), other)) == same, reason


def test_paths_count_by_content(tmp_path: Path) -> None:
    @dataclasses.dataclass(frozen=True)
    class Holder:
        path: Path

    folders = [tmp_path / name for name in ("here", "there")]
    for folder in folders:
        (folder / "model").mkdir(parents=True)
        (folder / "model" / "weights.bin").write_bytes(b"1")
    one, other = ({"a": Holder(folder / "model")} for folder in folders)
    assert fingerprint((), one) == fingerprint((), other), "a folder elsewhere, with the same files"
    (folders[1] / "model" / "weights.bin").write_bytes(b"2")
    assert fingerprint((), one) != fingerprint((), other), "a file within the folder"


def test_the_machine_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    before = fingerprint((), {})
    assert {"python", "torch", "numpy", "ai-edge-litert"} <= set(installed())
    monkeypatch.setattr(module, "installed", lambda: {**installed(), "numpy": "0.1"})
    changed = fingerprint((), {})
    monkeypatch.setattr(module, "processor", lambda: [*processor(), "avx10"])
    assert len({before, changed, fingerprint((), {})}) == 3


def _tree(path: Path) -> ast.Module:
    """Without what type checkers alone import."""

    class Running(ast.NodeTransformer):
        def visit_If(self, node: ast.If) -> ast.AST | None:
            return None if "TYPE_CHECKING" in ast.unparse(node.test) else self.generic_visit(node)

    tree = Running().visit(ast.parse(path.read_text(encoding="utf-8")))
    assert isinstance(tree, ast.Module)
    return tree


def _imported(tree: ast.AST, package: Sequence[str] = ()) -> Iterator[str]:
    """package: the one that the module lies in, for relative imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join([*above, *filter(None, [node.module])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _modules(names: list[str]) -> set[Path]:
    """Files of the kit that importing these, and all that those import, may read."""
    found: set[Path] = set()
    while names:
        parts = names.pop().split(".")
        for end in range(1, len(parts) + 1):
            stem = ROOT.joinpath(*parts[:end])
            path = stem / "__init__.py" if stem.is_dir() else stem.with_suffix(".py")
            if path.is_file() and path not in found:
                found.add(path)
                names += _imported(_tree(path), path.parent.relative_to(ROOT).parts)
    return found


def _of_stage(function: str) -> list[str]:
    """What the stage's module imports for one of its functions, and for those that it calls."""
    module = "measures" if function in ("compare", "strides", "measure") else "stages"
    body = _tree(ROOT / "pipeline" / f"{module}.py").body
    functions = {node.name: node for node in body if isinstance(node, ast.FunctionDef)}
    names = [name for node in body if not isinstance(node, (ast.FunctionDef, ast.ClassDef))
             for name in _imported(node)]  # fmt: skip
    waiting, seen = [function], set()
    while waiting:
        one = waiting.pop()
        seen.add(one)
        names += _imported(functions[one])
        calls = (node.func for node in ast.walk(functions[one]) if isinstance(node, ast.Call))
        called = {name.id for name in calls if isinstance(name, ast.Name)}
        # Fine-tuning is declared apart, for it takes many more modules.
        waiting += sorted(called & functions.keys() - seen - {"_fine_tuning"})
    return names


@pytest.mark.parametrize("stage", SOURCES)
def test_sources_are_those_that_the_stage_imports(stage: str) -> None:
    folders = {str(path.parent.relative_to(ROOT)) for path in _modules(_of_stage(_STAGES[stage]))}
    assert set(SOURCES[stage]) - _DATA == folders | {"pipeline"}


_OPENED = """
import sys
opened = set()
sys.addaudithook(lambda event, args: event == "open" and opened.add(str(args[0])))
from pathlib import Path
from data.annotations import AnnotatedImages
from pipeline import measures
model, folder, log = map(Path, sys.argv[1:])
measures.measure(model, AnnotatedImages(folder / "images", folder / "annotations.json", 2), log)
print(*sorted(opened), sep="\\n")
"""


def test_what_measure_opens(build: Build, annotated: Path, tmp_path: Path) -> None:
    """No file of the kit, nor of the user's folder, that is not declared."""
    folder = annotated.parent
    done = subprocess.run(
        [sys.executable, "-c", _OPENED, str(build.tflite), str(folder), str(tmp_path / "log")],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    opened = [Path(line) for line in done.stdout.splitlines()]
    ours = {str(p.parent.relative_to(ROOT)).removesuffix("/__pycache__") for p in opened
            if p.is_relative_to(ROOT) and ".venv" not in p.parts}  # fmt: skip
    assert {"evaluation", "runtime/benchmark"} <= ours <= {*SOURCES["measure"], "."}
    declared = AnnotatedImages(folder / "images", folder / "annotations.json", 2).files()
    assert {p for p in opened if p.is_relative_to(folder)} == {*declared, tmp_path / "log"}
