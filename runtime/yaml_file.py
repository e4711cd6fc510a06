"""Reads YAML files of users."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .errors import KitError


def read_yaml(path: Path, where: str = "", names: str = "") -> Any:
    """Content of a file as lists, mappings and plain values. Raises `KitError`.

    where: names the file in errors, by default its path. names: a key of the file whose list is
    taken as text, as it is written, for YAML makes numbers of `010`, dates of `2024-01-01` and
    booleans of `no`.
    """
    import yaml  # Boards read model files and need no YAML.

    where = where or str(path)
    try:
        loader = yaml.SafeLoader(path.read_text(encoding="utf-8"))
        root = loader.get_single_node()
        for key, value in root.value if isinstance(root, yaml.MappingNode) else ():
            if key.value == names and isinstance(value, yaml.SequenceNode):
                for entry in value.value:
                    if isinstance(entry, yaml.ScalarNode):
                        entry.tag = "tag:yaml.org,2002:str"
        return None if root is None else loader.construct_document(root)
    except OSError as error:
        raise KitError(f"{where}: cannot be read ({error.strerror})") from None
    except RecursionError:
        raise KitError(f"{where}: cannot be read as YAML (nested too deeply)") from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise KitError(f"{where}: cannot be read as YAML ({error})") from None
