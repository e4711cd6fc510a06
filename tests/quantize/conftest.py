"""What the tests of quantization share: the small network's graph and its photographs."""

from __future__ import annotations

import pytest
import torch

from quantize.float_graph import FloatGraph
from tests.conftest import Build, calibration


@pytest.fixture
def graph(build: Build) -> FloatGraph:
    """The float network, to be changed at will."""
    return FloatGraph.parse(build.float_model)


@pytest.fixture(scope="module")
def images(build: Build) -> list[torch.Tensor]:
    """As `calibration` gives them, made once a file."""
    return calibration(build.spec)


def silent(done: int, total: int) -> None:
    """Progress that nobody watches."""
