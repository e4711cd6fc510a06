# Sourced by recipe.sh and tests/run.sh: makes .venv with the locked versions, once.
#   environment LOCK   installs LOCK into .venv unless it is there already

# Containers set it; without .pyc files of PyTorch and TensorFlow every start takes 10 s more.
unset PYTHONDONTWRITEBYTECODE
# The caller's modules are not the kit's.
unset PYTHONPATH PYTHONHOME PYTHONSAFEPATH

python_in_range() { "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' 2>/dev/null; }

version_of() { "$1" -c 'import platform; print(platform.python_version())' 2>/dev/null; }

find_python() {
  local candidate version newest=""
  for candidate in ${PYTHON:-.venv/bin/python python3 python3.13 python3.12 python3.11 python3.10}; do
    if python_in_range "$candidate"; then echo "$candidate"; return; fi
    version=$(version_of "$candidate") || continue
    newest=${newest:-"$candidate is $version"}
  done
  echo "error: Python 3.10 to 3.13 is needed, ${newest:-none is here}; install one beside it (apt," \
    "pyenv, or uv python install 3.13) and name it: PYTHON=/path/to/python3.13" >&2
  return 2
}

install() {  # $1 = lock; a file that is not in it by its hash is refused. More words go to pip.
  .venv/bin/pip install --quiet --disable-pip-version-check --no-deps --no-compile \
    --require-hashes -r "$@"
}

install_torch() {
  local reason
  if [[ $OSTYPE = linux* ]] && ! command -v nvidia-smi >/dev/null; then
    reason=$(install locks/torch-cpu.lock --retries 1 \
      --extra-index-url "${TORCH_INDEX:-https://download.pytorch.org/whl/cpu}" 2>&1) && return
    echo "torch: no build without CUDA (${reason##*$'\n'}; see docs/installation.md)," \
      "taking the one with it" >&2
  fi
  install locks/torch-cuda.lock
}

marker_of() { echo ".venv/.installed-$(cat "$1" locks/torch-*.lock | cksum | tr -d ' ')"; }

environment() {
  local lock=$1 marker
  marker=$(marker_of "$lock")
  [ -e "$marker" ] && return
  case $(uname -sm) in
    "Linux x86_64" | "Linux aarch64" | "Darwin arm64") ;;
    *) echo "error: $(uname -sm): building needs Linux on x86-64 or aarch64, or macOS on arm64" \
         "(TensorFlow has no other builds)" >&2; return 2 ;;
  esac
  { mkdir -p .venv && [ -w .venv ]; } 2>/dev/null || {
    echo "error: the checkout's .venv cannot be written; run this once in one that can be" >&2; return 2; }
  (
    # A second run waits for the first one's installation. macOS has no flock.
    ! command -v flock >/dev/null || flock 9
    [ -e "$marker" ] && exit
    python=$(find_python) && "$python" tools/check.py network || exit
    echo "installing $lock into .venv (once, a few minutes)"
    [ "$(version_of "$python")" = "$(version_of .venv/bin/python)" ] || another=--clear
    "$python" -m venv ${another-} .venv &&
      install "$lock" &&
      install_torch &&
      touch "$marker" "$(marker_of locks/recipe.lock)"  # Every other lock holds this one.
  ) 9>.venv/.lock
}
