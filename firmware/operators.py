"""TensorFlow Lite Micro's names for the operators that a file of this kit may hold."""

from __future__ import annotations

from collections.abc import Iterable

from runtime.errors import KitError
from runtime.operators import facts_of


def registrations(names: Iterable[str], path: str) -> list[tuple[str, str, str]]:
    """(operator, registration, parser) of each, sorted. Raises `KitError` for a foreign one."""
    found = [facts_of(name) for name in sorted(set(names))]
    for facts in found:
        if not facts.registration:
            raise KitError(f"{path}: operator {facts.name} is not known to the firmware")
    return [(facts.name, facts.registration, facts.parser) for facts in found]
