# Sourced by recipe.sh and tests/run.sh: makes .venv with the locked versions, once.
#   environment LOCK   installs LOCK into .venv unless it is there already

python_in_range() { "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 13))' 2>/dev/null; }

find_python() {
  local candidate
  for candidate in ${PYTHON:-python3 python3.12 python3.11 python3.10}; do
    if python_in_range "$candidate"; then echo "$candidate"; return; fi
  done
  echo "error: no Python 3.10 to 3.12 found; install one, or name it: PYTHON=/path/to/python" >&2
  return 2
}

install_torch() {  # $1 = pip, $2 = torch==VERSION
  if ! command -v nvidia-smi >/dev/null && "$1" install --quiet --no-compile "$2+cpu" 2>/dev/null; then
    return
  fi
  echo "torch: pip offers no build without CUDA (see Installation in README.md); taking $2" >&2
  "$1" install --quiet --no-compile "$2"
}

environment() {
  local lock=$1 pip=.venv/bin/pip marker
  marker=.venv/.installed-$(sha256sum "$lock" | cut -c1-16)
  [ -e "$marker" ] && return
  [ "$(uname -sm)" = "Linux x86_64" ] || {
    echo "error: building needs Linux on x86-64 (tflite-micro has no other build)" >&2; return 2; }
  mkdir -p .venv
  (
    flock 9  # A second run waits for the first one's installation.
    [ -e "$marker" ] && exit
    python=$(find_python) || exit
    echo "installing $lock into .venv (once, a few minutes)"
    "$python" -m venv .venv &&
      grep -v '^torch==' "$lock" >".venv/$lock" &&
      "$pip" install --quiet --disable-pip-version-check --no-deps --no-compile -r ".venv/$lock" &&
      install_torch "$pip" "$(grep -o '^torch==[^ ;]*' "$lock")" &&
      touch "$marker"
  ) 9>.venv/.lock
}
