#!/usr/bin/env bash
# NanoDet checkpoint -> full-int8 TFLite file. `bash recipe.sh --help` lists the options.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
caller=$PWD
cd "$here"
. tools/environment.sh
environment requirements.lock
cd "$caller"  # Relative paths in options are the caller's.
PYTHONPATH=$here exec "$here/.venv/bin/python" -m pipeline "$@"
