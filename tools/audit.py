"""`.venv/bin/python -m tools.audit [OPTIONS OF PIP-AUDIT]`: are the locked packages sound?

`pip check` says whether they fit each other, pip-audit whether a vulnerability is known of one.
The latter asks a service in the network; where that does not answer, nothing was audited, and
that is said. Exit code: 1 something was found, 3 no answer.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from runtime.cli import run
from runtime.errors import DataUnavailable, KitError

ROOT = Path(__file__).parent.parent
# All but PyTorch's builds without CUDA, which services know under the plain version.
_LOCKS = ("locks/test.lock", "locks/benchmark.lock", "locks/torch-cuda.lock")
# `tensorflow-cpu` serves it, see [tool.uv] in pyproject.toml.
_INTENDED = "tf-keras 2.21.0 requires tensorflow, which is not installed."


def conflicts() -> list[str]:
    """What `pip check` has against the packages installed beside this Python."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return []
    lines = done.stdout.splitlines()
    if not lines:
        raise KitError(f"pip check: {done.stderr}")
    return [line for line in lines if line != _INTENDED]


def vulnerabilities(options: Sequence[str]) -> list[str]:
    """One line each. Raises `DataUnavailable` where the service did not answer."""
    requirements = [part for lock in _LOCKS for part in ("--requirement", str(ROOT / lock))]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", "pip_audit", *requirements, "--no-deps", "--disable-pip"]
        command += ["--format", "json", "--output", str(report), *options]
        done = subprocess.run(command, check=False)
        if done.returncode == 2:
            raise KitError(f"pip-audit refuses its options: {' '.join(options)}")
        if not report.exists():
            raise DataUnavailable("NOT AUDITED: pip-audit got no answer, see above")
        packages = json.loads(report.read_text(encoding="utf-8"))["dependencies"]
    return [
        f"{p['name']} {p['version']}: {v['id']}, fixed in {', '.join(v['fix_versions']) or 'none'}"
        for p in packages
        for v in p["vulns"]
    ]


def main() -> int:
    """Print what was found."""
    wrong = conflicts()
    print("\n".join(wrong) or "pip check: the installed packages fit each other", flush=True)
    known = vulnerabilities(sys.argv[1:])
    print("\n".join(known) or "pip-audit: no known vulnerability in the locked packages")
    return 1 if wrong or known else 0


if __name__ == "__main__":
    sys.exit(run(main))
