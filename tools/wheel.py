"""`.venv/bin/python -m tools.wheel [--out DIR]`: builds the wheel of `runtime`, for boards.

The same sources give the same bytes, wherever and whenever: dates and permissions are fixed, and
setuptools is the locked one. Prints the SHA-256.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from runtime.cli import Parser, run
from runtime.errors import KitError
from runtime.files import writing

ROOT = Path(__file__).parent.parent
_SOURCES = ("runtime", "pyproject.toml", "README.md", "LICENSE")
_DATE = "315532800"  # 1980-01-01, the first that a zip file can hold.


def build(out: Path, root: Path = ROOT) -> Path:
    """Build from the checkout at `root`, of the files that git knows; returns the wheel's path.

    Raises `KitError` with what pip or git said.
    """
    with tempfile.TemporaryDirectory() as folder:
        copy, built = Path(folder) / "source", Path(folder) / "wheel"
        for name in _output(["git", "-C", str(root), "ls-files", "-z", *_SOURCES]).split("\0")[:-1]:
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes((root / name).read_bytes())
            (copy / name).chmod(0o644)
        pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check"]
        _output([*pip, "--no-deps", "--no-build-isolation", "--wheel-dir", str(built), str(copy)])
        (wheel,) = built.iterdir()
        with writing(out / wheel.name) as temporary:
            temporary.write_bytes(wheel.read_bytes())
    return out / wheel.name


def _output(command: list[str]) -> str:
    environment = {**os.environ, "SOURCE_DATE_EPOCH": _DATE}
    done = subprocess.run(
        command, env=environment, umask=0o022, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise KitError(f"{command[0]}: {done.stderr.strip()[-400:]}")
    return done.stdout


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = Parser(prog="python -m tools.wheel", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("dist"), help="default %(default)s")
    return parser.parse_args()


def main() -> int:
    """Build, and say what."""
    wheel = build(parse_arguments().out)
    print(f"{hashlib.sha256(wheel.read_bytes()).hexdigest()}  {wheel}")
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
