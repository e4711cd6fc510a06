"""TensorFlow comes after Triton, a stand-in here, which only PyTorch's builds for CUDA bring."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

_LATE = "import sys\nassert 'tensorflow' not in sys.modules\nprint('first')\n"


@pytest.mark.parametrize(
    ("triton", "said", "reason"),
    [
        (_LATE, "first\n2.", "Triton is there"),
        ("raise ImportError", "2.", "as where there is none"),
    ],
)
def test_order(tmp_path: Path, triton: str, said: str, reason: str) -> None:
    (tmp_path / "triton.py").write_text(triton)
    code = "from convert.libraries import tensorflow; print(tensorflow().__version__)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.startswith(said), (reason, done.stderr)


def test_nobody_imports_it_otherwise() -> None:
    """Nor onnx2tf, which imports it, before it."""
    for path in ROOT.glob("[a-z]*/**/*.py"):
        before, found, _ = path.read_text(encoding="utf-8").partition("    import onnx2tf\n")
        assert not found or "= tensorflow()" in before, path
        assert path.name.endswith("libraries.py") or "    import tensorflow" not in before, path
