from tests.runtime.benchmark.conftest import (  # noqa: F401
    bin_folder,
    board,
    command,
    emulate,
    server,
)
