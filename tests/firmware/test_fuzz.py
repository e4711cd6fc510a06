"""Random inputs under the address and undefined-behaviour sanitizers.

`NANODET_FUZZ_CASES=1000000` runs as many; the ordinary tests run fewer.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.firmware.conftest import HERE, SANITIZERS, compiled, sources, tool

CASES = int(os.environ.get("NANODET_FUZZ_CASES", "20000"))


def test_no_report_on_random_inputs(tmp_path: Path) -> None:
    files = [*sources(), str(HERE / "runner" / "fuzz.c")]
    flags = ["-std=c99", "-pedantic", "-O1", "-g", *SANITIZERS]
    program = compiled(tool("gcc", "gcc"), tmp_path / "fuzz", *flags, *files)
    command = [str(program), str(CASES), "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    sound = int(done.stdout.split()[0])
    assert CASES * 0.3 < sound < CASES * 0.95, "both sound and broken inputs are tried"
