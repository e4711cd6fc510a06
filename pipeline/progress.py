"""The bar of a stage that takes its time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm


@contextmanager
def progress(stage: str) -> Iterator[Callable[[str, int, int], None]]:
    """Gives a function that shows what is going on, how much of it is done, and of how much."""
    now = ""

    def show(what: str, done: int, total: int) -> None:
        nonlocal now
        if what != now:  # Time left is that of what is going on, from where it goes on.
            bar.reset(total)
            bar.set_description(what, refresh=False)
            now, bar.initial = what, done - 1
        bar.n = done
        bar.refresh()

    with tqdm(desc=stage, disable=None, leave=False) as bar:
        yield show
