#!/usr/bin/env bash
# The whole test suite: lint, types, tests. Arguments go to pytest.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. tools/environment.sh
environment requirements-test.lock
.venv/bin/ruff check .
.venv/bin/ruff format --check .
.venv/bin/mypy .
export OMP_NUM_THREADS=1  # A process a core; more threads than cores are many times slower.
exec .venv/bin/python -m pytest --numprocesses=logical --maxprocesses=4 --dist=loadfile "$@"
