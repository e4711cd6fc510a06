"""Starts the kit's commands with the packages of `.venv` and the kit's own modules.

`evaluate.py` and `example.py` call `enter` first. `python environment.py MODULE ...`, as in
`recipe.sh`, runs a module of the kit in any folder as `python -m MODULE ...` does in the checkout.
"""

from __future__ import annotations

import importlib.util
import os
import runpy
import sys
from pathlib import Path

_KIT = Path(__file__).resolve().parent
_PYTHON = _KIT / ".venv" / "bin" / "python"
_NEEDED = ("numpy", "PIL", "ai_edge_litert", "tqdm", "yaml")


def enter() -> None:
    """Import the kit's modules, and none of the caller's folder, whatever PYTHONPATH says.

    Where packages are missing, starts again with the interpreter of `.venv`, isolated (`-I`) from
    the caller's. Exits with one line where that has them neither.
    """
    if not sys.flags.isolated:
        hidden = _KIT, Path.cwd()
        sys.path[:] = [path for path in sys.path if Path(path).resolve() not in hidden]
    sys.path.insert(0, str(_KIT))
    if all(importlib.util.find_spec(name) for name in _NEEDED):
        return
    if _PYTHON.exists() and not sys.flags.isolated:  # Else it has started again already.
        try:
            os.execv(_PYTHON, [str(_PYTHON), "-I", *sys.argv])
        except OSError as error:
            sys.exit(_complain(f"{_PYTHON} does not start ({error.strerror}); remove .venv"))
    sys.exit(_complain(f"packages are missing; bash {_KIT / 'recipe.sh'} installs them in .venv"))


def _complain(problem: str) -> int:
    print(f"error: {problem}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    enter()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
