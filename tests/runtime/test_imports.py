from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conftest import ROOT

FOREIGN = (
    "numpy.typing torch tensorflow cv2 pycocotools onnx onnxruntime convert quantize yaml".split()
)


@pytest.mark.parametrize(
    ("module", "allowed"), [("runtime", []), ("runtime.benchmark.bench", ["yaml"])]
)
def test_runtime_imports_no_heavy_package(module: str, allowed: list[str]) -> None:
    foreign = [name for name in FOREIGN if name not in allowed]
    code = f"import sys, {module}; print([m for m in {foreign} if m in sys.modules])"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
