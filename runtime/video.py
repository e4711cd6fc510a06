"""Frames of a video file or a camera, and a video of annotated frames.

Needs OpenCV, an optional extra: the package `opencv-python-headless`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import KitError
from .files import writing
from .quiet import silenced

if TYPE_CHECKING:
    from numpy.typing import NDArray

VIDEO_SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v")
# Browsers play WebM and H.264, which not every OpenCV writes. VP9 would take ten times as long.
_CODECS = {".webm": ("VP80",)}
_OTHERS = ("avc1", "mp4v")
_FALLBACK_FPS = 25.0  # Cameras often do not know theirs.


class VideoSource:
    """Iterates over frames, uint8 (H, W, 3) in RGB. `source`: a file, or a camera's number."""

    def __init__(self, source: Path | int) -> None:
        self._cv2 = _opencv()
        if isinstance(source, Path) and not source.is_file():
            raise KitError(f"{source}: no such video")
        with silenced():  # OpenCV warns on stderr before it fails.
            self._capture = self._cv2.VideoCapture(
                source if isinstance(source, int) else str(source)
            )
        if not self._capture.isOpened():
            what = f"--camera {source}" if isinstance(source, int) else str(source)
            raise KitError(f"{what}: OpenCV cannot open it")
        self.fps = self._capture.get(self._cv2.CAP_PROP_FPS) or _FALLBACK_FPS

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        """Frames until the end."""
        while True:
            ok, bgr = self._capture.read()
            if not ok:
                self._capture.release()
                return
            yield np.ascontiguousarray(bgr[..., ::-1])


class VideoSink:
    """Writes frames; the first one decides the size."""

    def __init__(self, path: Path, fps: float) -> None:
        self._cv2, self._path, self._fps = _opencv(), path, fps
        self._writer: Any = None
        self.plays_in_browsers = True

    def write(self, rgb: NDArray[np.uint8]) -> None:
        """Append a frame, uint8 (H, W, 3) in RGB."""
        if self._writer is None:
            self._writer = self._opened((rgb.shape[1], rgb.shape[0]))
        self._writer.write(np.ascontiguousarray(rgb[..., ::-1]))

    def _opened(self, size: tuple[int, int]) -> Any:
        """A writer with the first codec that this OpenCV has."""
        for name in _CODECS.get(self._path.suffix.lower(), _OTHERS):
            codec = self._cv2.VideoWriter_fourcc(*name)
            with silenced():  # OpenCV says what it lacks.
                writer = self._cv2.VideoWriter(str(self._path), codec, self._fps, size)
            if writer.isOpened():
                self.plays_in_browsers = name != "mp4v"
                return writer
        raise KitError(f"{self._path.name}: OpenCV cannot write it; end the name in .webm or .mp4")

    def close(self) -> bool:
        """Finish the file; False when there was no frame."""
        if self._writer is not None:
            self._writer.release()
        return self._writer is not None


@contextlib.contextmanager
def video_sink(path: Path, fps: float) -> Iterator[VideoSink]:
    """A sink whose file gets its name only when it is whole. Raises `KitError` without frames."""
    with writing(path) as temporary:
        sink = VideoSink(temporary, fps)
        yield sink
        if not sink.close():
            raise KitError(f"{path}: the source gave no frame")


def _opencv() -> Any:
    try:
        import cv2
    except ImportError:
        raise KitError(
            "video and camera need OpenCV: .venv/bin/pip install opencv-python-headless"
        ) from None
    return cv2
