"""Networks with wrong numbers: all are refused when they are opened, or run within their bounds."""

from __future__ import annotations

import subprocess

import pytest

from firmware.engine import WEIGHTS, proof
from firmware.engine.emit import emit
from firmware.engine.plan import make_plan
from tests.firmware.conftest import HERE, compiled
from tests.firmware.engine.cores import HOST, library
from tests.firmware.engine.small import small_network


@pytest.fixture(scope="module", params=[False, True], ids=WEIGHTS)
def fuzz(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> str:
    """The program, with a network of every kind of layer in it."""
    folder = tmp_path_factory.mktemp("fuzz")
    plan = make_plan(small_network(16, 16, 4), request.param)
    proof.check(plan)
    (folder / "network.c").write_text(emit(plan))
    compiler, flags, kernels = library(HOST)
    files = str(folder / "network.c"), str(HERE / "engine" / "fuzz.c"), *kernels
    return str(compiled(compiler, folder / "program", *flags, *files))


_ALL = pytest.param(1_000_000, marks=pytest.mark.full(reason="minutes"))


@pytest.mark.parametrize("cases", [10_000, _ALL])
def test_no_report_on_changed_numbers(fuzz: str, cases: int) -> None:
    done = subprocess.run([fuzz, str(cases)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    opened = int(done.stdout.split()[0])
    assert cases * 0.3 < opened < cases * 0.9, "both sound and broken networks are tried"
