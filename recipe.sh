#!/usr/bin/env bash
# NanoDet checkpoint -> full-int8 TFLite file. `bash recipe.sh --help` lists the options.
set -euo pipefail
here=$(CDPATH= cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
case " $* " in
  *" --help "* | *" -h "*) [ -e "$here/.venv/bin/python" ] || exec cat "$here/docs/recipe.txt" ;;
esac
. "$here/tools/environment.sh"
(cd "$here" && environment locks/recipe.lock)
# In the caller's folder, for paths in options are relative to it; isolated from the modules there.
exec "$here/.venv/bin/python" -I "$here/environment.py" pipeline "$@"
