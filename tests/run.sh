#!/usr/bin/env bash
# The whole test suite: lint, types, tests, branch coverage. Arguments go to pytest; where one
# chooses tests, coverage is left out.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. tools/environment.sh
environment locks/test.lock
.venv/bin/ruff check .
.venv/bin/ruff format --check .
.venv/bin/mypy . nanodet
coverage=(--cov --cov-report=)
for argument; do [[ $argument == -* ]] || coverage=(); done
export OMP_NUM_THREADS=1  # A process a core; more threads than cores are many times slower.
.venv/bin/python -m pytest --numprocesses=logical --maxprocesses=4 \
  --dist=loadfile --no-loadscope-reorder "${coverage[@]}" "$@"
[ ${#coverage[@]} -gt 0 ] || exit 0
echo "Branch coverage, of 90 % wanted in all:"
.venv/bin/coverage report
for package in convert quantize runtime; do
  echo "$package: $(.venv/bin/coverage report --include="$package/*" --format=total) %"
done
.venv/bin/coverage report --format=total --fail-under=90
