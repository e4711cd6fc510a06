"""What a build takes: whose weights it begins with."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from data import locate
from data.names import EMBEDDED_MODEL
from pipeline.inputs import trained_by


@pytest.mark.parametrize(
    ("model", "weights", "expected", "reason"),
    [
        ("nanodet-m-0.5x", None, "authors", "the model's YAML names theirs"),
        (EMBEDDED_MODEL, None, "kit", "they are committed"),
        ("nanodet-m-0.5x", Path("own.ckpt"), "user", "--weights goes before what the YAML names"),
    ],
)
def test_trained_by(model: str, weights: Path | None, expected: str, reason: str) -> None:
    options = argparse.Namespace(weights=weights)
    assert trained_by(options, locate.model_spec(model)) == expected, reason
