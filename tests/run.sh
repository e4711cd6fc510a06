#!/usr/bin/env bash
# Lint, types, tests, branch coverage. `--full` runs the tests that take longest, too. Other
# arguments go to pytest; where one chooses tests, coverage is left out.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. tools/environment.sh
environment locks/test.lock
SECONDS=0
trap 'printf "tests/run.sh took %d min %02d s\n" $((SECONDS / 60)) $((SECONDS % 60))' EXIT
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
for package in convert quantize runtime analysis; do
  echo "$package: $(.venv/bin/coverage report --include="$package/*" --format=total) %"
done
.venv/bin/coverage report --format=total --fail-under=90
