"""On a display that nobody looks at; skipped where there is no Xvfb."""

from __future__ import annotations

import multiprocessing
import shutil
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

import pytest
from PIL import Image

from runtime.errors import KitError
from runtime.window import Window

T = TypeVar("T")


@pytest.fixture
def display(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """800 x 600 pixels."""
    pytest.importorskip("tkinter")
    if shutil.which("Xvfb") is None:
        pytest.skip("needs Xvfb")
    command = ["Xvfb", "-displayfd", "1", "-screen", "0", "800x600x24", "-nolisten", "tcp"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        assert server.stdout is not None
        monkeypatch.setenv("DISPLAY", f":{server.stdout.readline().strip()}")
        yield
        server.terminate()


def in_a_process(function: Callable[..., T], *arguments: object) -> T:
    """Tk ends its process with its display."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result(timeout=60)


def shown(size: tuple[int, int]) -> tuple[int, int]:
    window = Window()
    window.show(Image.new("RGB", size, (250, 20, 20)))
    return window._photo.width(), window._photo.height()


@pytest.mark.parametrize(
    ("picture", "size", "reason"),
    [
        ((300, 200), (300, 200), "as it is"),
        ((4000, 2000), (720, 360), "nine tenths of the screen's width"),
        ((10, 6000), (1, 540), "nine tenths of its height"),
    ],
)
@pytest.mark.usefixtures("display")
def test_size(picture: tuple[int, int], size: tuple[int, int], reason: str) -> None:
    assert in_a_process(shown, picture) == size, reason


def waits(for_escape: bool) -> bool:
    """Whether it is open when `wait` returns; then there is nothing to show in."""
    window = Window()
    root = window._root

    def close() -> None:
        root.focus_force()
        if for_escape:
            root.event_generate("<Escape>")
        else:
            root.tk.call(root.protocol("WM_DELETE_WINDOW"))

    window.show(Image.new("RGB", (30, 20)))
    root.after(50, close)
    window.wait()
    window.show(Image.new("RGB", (30, 20)))
    return window.is_open


@pytest.mark.parametrize("for_escape", [True, False])
@pytest.mark.usefixtures("display")
def test_it_waits_for_escape_or_the_button_of_its_frame(for_escape: bool) -> None:
    assert not in_a_process(waits, for_escape)


def test_no_display(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tkinter")
    monkeypatch.setenv("DISPLAY", "")
    with pytest.raises(KitError, match="--show: there is no display here"):
        Window()
