"""A window that shows pictures, where there is a display. Needs `tkinter`, of Python itself."""

from __future__ import annotations

from typing import Any

from PIL import Image

from .errors import KitError

_SHARE = 0.9  # Of the screen, at most.


class Window:
    """Shows one picture after the other. Raises `KitError` where there is no display."""

    def __init__(self) -> None:
        try:
            import tkinter

            self._root: Any = tkinter.Tk()
        except (ImportError, RuntimeError) as error:
            raise KitError(f"--show: no window can be opened ({error}); leave it out") from None
        except Exception as error:  # tkinter.TclError, of a module that may not be there.
            raise KitError(f"--show: there is no display here ({error}); leave it out") from None
        self._label = tkinter.Label(self._root)
        self._label.pack()
        self.is_open = True
        self._root.protocol("WM_DELETE_WINDOW", self._close)
        self._root.bind("<Escape>", lambda _: self._close())

    def show(self, picture: Image.Image) -> None:
        """In place of the last one, at most as large as the screen."""
        from PIL import ImageTk

        if not self.is_open:
            return
        screen = self._root.winfo_screenwidth(), self._root.winfo_screenheight()
        picture = picture.copy()
        picture.thumbnail((round(screen[0] * _SHARE), round(screen[1] * _SHARE)))
        self._photo = ImageTk.PhotoImage(picture, master=self._root)  # Tk keeps none itself.
        self._label.configure(image=self._photo)
        self._root.update()

    def wait(self) -> None:
        """Until the user closes it, by Escape too."""
        while self.is_open:
            self._root.update()
            self._root.after(20)

    def _close(self) -> None:
        self.is_open = False
        self._root.destroy()
