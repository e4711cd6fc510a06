from pathlib import Path

import pytest

from tests.runtime.benchmark.conftest import (  # noqa: F401
    bin_folder,
    board,
    command,
    emulate,
    server,
)


@pytest.fixture(scope="session")
def nxp(data: Path) -> Path:
    """NXP's own NanoDet-m-0.5x, int8, stride 32."""
    paths = sorted((data / "peers").glob("nxp_*.tflite"))
    if not paths:
        pytest.skip("NXP's own file is not here")
    return paths[0]
