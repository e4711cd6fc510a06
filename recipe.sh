#!/usr/bin/env bash
# NanoDet checkpoint -> full-int8 TFLite file. `bash recipe.sh --help` lists the options.
set -euo pipefail
here=$(CDPATH= cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
. "$here/tools/environment.sh"
(cd "$here" && environment locks/recipe.lock)
# In the caller's folder, for paths in options are relative to it; isolated from the modules there.
exec "$here/.venv/bin/python" -I "$here/environment.py" pipeline "$@"
