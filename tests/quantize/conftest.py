"""What the tests of quantization share: the small network's graph and its photographs."""

from __future__ import annotations

import pytest
import torch

from quantize.graph import Graph
from tests.conftest import Build, calibration


@pytest.fixture
def graph(build: Build) -> Graph:
    """The float network, to be changed at will."""
    return Graph.parse(build.float_model)


@pytest.fixture(scope="module")
def images(build: Build) -> list[torch.Tensor]:
    """As `calibration` gives them, made once a file."""
    return calibration(build.spec)


def silent(done: int, total: int) -> None:
    """Progress that nobody watches."""
