"""Reads YAML files of users."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from runtime.errors import KitError


def read_yaml(path: Path, where: str = "") -> Any:
    """Content of a file as lists, mappings and plain values. Raises `KitError`.

    where: names the file in errors, by default its path.
    """
    import yaml  # Boards read model files and need no YAML.

    where = where or str(path)
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise KitError(f"{where}: cannot be read ({error.strerror})") from None
    except RecursionError:
        raise KitError(f"{where}: cannot be read as YAML (nested too deeply)") from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise KitError(f"{where}: cannot be read as YAML ({error})") from None
