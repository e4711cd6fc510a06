from __future__ import annotations

import subprocess
import sys

from tests.conftest import ROOT

FOREIGN = "torch tensorflow cv2 pycocotools onnx onnxruntime convert quantize yaml".split()


def test_runtime_imports_no_heavy_package() -> None:
    code = f"import sys, runtime; print([m for m in {FOREIGN} if m in sys.modules])"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
