"""`python -m tools.reference`: writes docs/reference.md from the docstrings of `runtime`."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from runtime.files import write_text

DOCUMENT = Path(__file__).parent.parent / "docs" / "reference.md"
_PACKAGE = "runtime"
# Not for other programs: what `./nanodet` runs, and how it reads its command lines.
_COMMANDS = ("runtime.benchmark", "runtime.__main__", "runtime.cli")
_HEAD = """# Reference of `runtime`

Written from the docstrings by `.venv/bin/python -m tools.reference`. What most programs need is
`from runtime import Detector`; of the wheel, the package is called `nanodet_runtime`.
"""


def render() -> str:
    """The document."""
    return _HEAD + "".join(_module(name) for name in _modules())


def _modules() -> list[str]:
    package = importlib.import_module(_PACKAGE)
    found = pkgutil.walk_packages(package.__path__, f"{_PACKAGE}.")
    return sorted(m.name for m in found if not m.name.startswith(_COMMANDS))


def _module(name: str) -> str:
    module = importlib.import_module(name)
    entries = "".join(_entry(k, v) for k, v in _public(module, name))
    return f"\n## `{name}`\n\n{inspect.getdoc(module)}\n{entries}" if entries else ""


def _public(owner: Any, module: str) -> Iterator[tuple[str, Any]]:
    """Classes and functions with a docstring of their own that are defined there, in order."""
    for name, value in vars(owner).items():
        plain = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
        defined = inspect.isclass(plain) or inspect.isfunction(plain)
        if defined and not name.startswith("_") and plain.__module__ == module and plain.__doc__:
            yield name, value


def _entry(name: str, value: Any) -> str:
    if not inspect.isclass(value):
        return f"\n### `{_heading(name, value)}`\n\n{_text(value)}\n"
    members = "".join(
        f"\n- `{_heading(member, inner)}`: {_text(inner, indent='  ')}\n"
        for member, inner in _public(value, value.__module__)
    )
    made = "" if issubclass(value, Exception) else _signature(value)
    return f"\n### class `{name}{made}`\n\n{_text(value)}\n{members}"


def _heading(name: str, value: Any) -> str:
    """Name and signature; of a property its type."""
    if isinstance(value, property):
        return f"{name}{_signature(value.fget)[2:]}"
    return f"{name}{_signature(getattr(value, '__func__', value))}"


def _signature(value: Any) -> str:
    signature = inspect.signature(value)
    kept = [p for p in signature.parameters.values() if p.name not in ("self", "cls")]
    return str(signature.replace(parameters=kept)).replace("'", "")


def _text(value: Any, indent: str = "") -> str:
    """The docstring, its lines indented after the first."""
    lines = (inspect.getdoc(value) or "").splitlines()
    return "\n".join((lines[0], *(f"{indent}{line}".rstrip() for line in lines[1:])))


if __name__ == "__main__":
    write_text(DOCUMENT, render())
