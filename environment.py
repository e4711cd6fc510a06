"""Starts the kit's commands with the packages of `.venv` and the kit's own modules.

`nanodet`, `evaluate.py` and `example.py` call `enter` first. `python environment.py MODULE ...`, as
in `recipe.sh`, runs a module of the kit in any folder as `python -m MODULE ...` does in the
checkout. Any Python 3 understands this file.
"""

import importlib.util
import os
import re
import runpy
import sys
from pathlib import Path

KIT = Path(__file__).resolve().parent
_VENV = KIT / ".venv"
_PYTHON = _VENV / "bin" / "python"
_NEEDED = ("numpy", "PIL", "ai_edge_litert", "tqdm", "yaml")
_MARK = "nanodet"  # Of a Python that `enter` has started, as an option `-X`.


def enter() -> None:
    """Import the kit's modules, and none of the caller's folder, whatever PYTHONPATH says.

    Outside `.venv`, where there is one, starts again with its interpreter, isolated (`-I`) from
    the caller's settings. Exits with one line where packages are missing.
    """
    if not sys.flags.isolated:
        hidden = KIT, Path.cwd()
        sys.path[:] = [path for path in sys.path if Path(path).resolve() not in hidden]
    sys.path.insert(0, str(KIT))
    outside = os.path.realpath(sys.prefix) != os.path.realpath(str(_VENV))
    if outside and _PYTHON.exists() and _MARK not in sys._xoptions:
        try:
            os.execv(str(_PYTHON), [str(_PYTHON), "-I", "-X", _MARK, *sys.argv])
        except OSError as error:
            sys.exit(complain(f"{_PYTHON} does not start ({error.strerror}); remove .venv"))
    if not all(importlib.util.find_spec(name) for name in _NEEDED):
        install = KIT / "recipe.sh"
        sys.exit(complain(f"packages are missing; bash {install} installs them in .venv"))


def version() -> str:
    """The kit's, as pyproject.toml says."""
    text = (KIT / "pyproject.toml").read_text(encoding="utf-8")
    return re.findall('^version = "(.+)"$', text, re.MULTILINE)[0]


def complain(problem: str) -> int:
    """Print one line on stderr; returns the exit code of bad input."""
    shown = "".join(c if c.isprintable() else "?" for c in problem)
    print(f"error: {shown}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    enter()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
