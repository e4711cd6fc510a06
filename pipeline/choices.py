"""What budgets of microcontrollers and of Linux boards share."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

_CHOOSING = ("variant", "config", "weights", "input_size", "strides")


class _Choice(Protocol):
    @property
    def ap(self) -> float:
        """Of what is built."""


C = TypeVar("C", bound=_Choice)


def already_chosen(options: argparse.Namespace) -> bool:
    """Do other options choose what a budget does?"""
    return any(getattr(options, name) is not None for name in _CHOOSING)


def beside(
    ordered: Sequence[C], chosen: C, cost: Callable[[C], float]
) -> tuple[C | None, C | None]:
    """Of those in order of cost, the cheapest that finds more, and the most accurate of those that
    find less at less cost; None where there is none."""
    more = (choice for choice in ordered if choice.ap > chosen.ap)
    less = [c for c in ordered if c.ap < chosen.ap and cost(c) < cost(chosen)]
    return next(more, None), max(less, key=lambda choice: choice.ap, default=None)


def lines(
    chosen: C, others: tuple[C | None, C | None], on: Callable[[C], str], after: str = ""
) -> list[str]:
    """What was chosen, and the next better and the next cheaper, in words."""
    named = zip(("better", "cheaper"), others)
    return [f"chosen   {on(chosen)}{after}"] + [
        f"{what:<8} {on(other) if other else 'nothing measured that fits the board'}"
        for what, other in named
    ]
