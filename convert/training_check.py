"""Holds a training configuration against the rules of `training_keys`."""

from __future__ import annotations

import reprlib
from collections.abc import Iterator, Mapping
from typing import Any

from convert.training_keys import (
    BACKBONES,
    CLOSED,
    HEADS,
    MISSING,
    NETWORK_SECTIONS,
    WAYS_OUT,
    Rule,
    network_rules,
    training_rules,
    value_at,
)
from runtime.errors import KitError


def examine(config: Mapping[str, Any], source: str, training: bool) -> tuple[str, ...]:
    """The keys that are written but not used, for a line to the user.

    training: all keys are looked at; else those of the network alone. Raises `KitError` naming
    the first key whose value is not supported.
    """
    head = str(value_at(config, "model.arch.head.name"))
    refuse_unless(source, "model.arch.head.name", head, HEADS)
    backbone = str(value_at(config, "model.arch.backbone.name"))
    refuse_unless(source, "model.arch.backbone.name", backbone, BACKBONES)
    network, more = network_rules(head, backbone), training_rules(config, head)
    rules = {**network, **more} if training else network
    for path, rule in rules.items():
        value = value_at(config, path, rule.missing)
        if rule.only:
            refuse_unless(source, path, value, rule.only)
    known = {**network, **more}
    found = [
        (path, rules[path].instead if path in rules else "")
        for path, value in _leaves(config, known)
        if (training or path.startswith(tuple(f"{s}." for s in NETWORK_SECTIONS)))
        and _is_unused(source, path, value, rules, known)
    ]
    return _grouped(found)


def refuse_unless(source: str, path: str, value: Any, supported: tuple[Any, ...]) -> None:
    """Raise `KitError` for a value that is not in `supported`."""
    if value not in supported:
        names = " and ".join(map(str, supported))
        says = f"knows {names}" if len(supported) > 1 else f"supports {supported[0]!r}"
        way = f": {WAYS_OUT[value]}" if isinstance(value, str) and value in WAYS_OUT else ""
        raise KitError(f"{source}: {path} is {reprlib.repr(value)}, this kit {says}{way}")


def _leaves(
    config: Mapping[str, Any], known: Mapping[str, Rule], section: str = ""
) -> Iterator[tuple[str, Any]]:
    """Dotted paths of the keys that have a rule, or belong to no section that has some."""
    for key, value in config.items():
        path = f"{section}{key}"
        inside = any(rule.startswith(f"{path}.") for rule in known)
        if path not in known and inside and isinstance(value, Mapping):
            yield from _leaves(value, known, f"{path}.")
        else:
            yield path, value


def _is_unused(
    source: str, path: str, value: Any, rules: Mapping[str, Rule], known: Mapping[str, Rule]
) -> bool:
    """Whether a written key is to be named. Raises `KitError` for one that must not be unknown."""
    if (rule := rules.get(path)) is not None:
        return rule.unused and (rule.like is MISSING or value != rule.like)
    if path in known:
        return False  # Of training alone.
    if any(other.startswith(f"{path}.") for other in known):  # It names a section.
        followed = any(other.startswith(f"{path}.") for other in rules)
        if followed and path.startswith(NETWORK_SECTIONS):
            raise KitError(f"{source}: {path} is {reprlib.repr(value)}, expected a section")
        return followed and value is not None
    if path.startswith(tuple(f"{section}." for section in CLOSED)):
        raise KitError(f"{source}: {path} is a key that this kit does not know; check its name")
    return True


def _grouped(found: list[tuple[str, str]]) -> tuple[str, ...]:
    """Keys of one section that one option replaces as one item: `data.{name,img_path} (--data)`."""
    groups: dict[tuple[str, str], list[str]] = {}
    for path, instead in found:
        section, _, key = path.rpartition(".")
        groups.setdefault((section, instead), []).append(key)
    items = []
    for (section, instead), keys in groups.items():
        joined = keys[0] if len(keys) == 1 else f"{{{','.join(keys)}}}"
        shown = [f"{section}.{joined}"] if section else keys
        items += [f"{item} ({instead})" if instead else item for item in shown]
    return tuple(items)
