from tests.runtime.benchmark.conftest import bin_folder, board, command, server  # noqa: F401
