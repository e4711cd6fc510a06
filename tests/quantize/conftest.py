"""What the tests of quantization share: the small network's graph and its photographs."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from quantize.float_graph import FloatGraph
from quantize.learn import Ends
from quantize.methods import quantize
from tests.conftest import Build, calibration, once


@pytest.fixture
def graph(build: Build) -> FloatGraph:
    """The float network, to be changed at will."""
    return FloatGraph.parse(build.float_model)


@pytest.fixture(scope="module")
def images(build: Build) -> list[torch.Tensor]:
    """As `calibration` gives them, made once a file."""
    return calibration(build.spec)


@pytest.fixture(scope="session")
def ranges(build: Build, tmp_path_factory: pytest.TempPathFactory) -> dict[int, Ends]:
    """What method `ranges` finds of the small network, by group: sought once in the whole run."""

    def find(_: Path) -> dict[int, Ends]:
        graph = FloatGraph.parse(build.float_model)
        return quantize(graph, build.spec, calibration(build.spec), ("ranges",)).ranges

    return once(tmp_path_factory, "ranges", find)


def silent(done: int, total: int) -> None:
    """Progress that nobody watches."""
