from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from runtime.errors import KitError
from runtime.video import VideoSource, video_sink
from tests.conftest import photo


def test_frames_survive_writing_and_reading(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    frames = [(photo(0, 64, 48) // 4 + 40 * i).astype(np.uint8) for i in range(4)]
    with video_sink(path, 10) as sink:
        for frame in frames:
            sink.write(frame)
    source = VideoSource(path)
    assert source.fps == pytest.approx(10)
    read = list(source)
    assert len(read) == 4
    for expected, found in zip(frames, read):
        assert found.shape == expected.shape
        assert np.abs(expected.mean((0, 1)) - found.mean((0, 1))).max() < 6, "colours keep order"
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]


@pytest.mark.parametrize(
    ("name", "plays"), [("a.webm", True), ("a.WEBM", True), ("a.mkv", None), ("a.avi", None)]
)
def test_what_browsers_play(tmp_path: Path, name: str, plays: bool | None) -> None:
    """H.264 is not in every OpenCV."""
    with video_sink(tmp_path / name, 10) as sink:
        sink.write(photo(0, 64, 48))
    assert len(list(VideoSource(tmp_path / name))) == 1
    if plays is not None:
        assert sink.plays_in_browsers == plays


def test_no_frames_leave_no_file(tmp_path: Path) -> None:
    with pytest.raises(KitError, match="no frame"), video_sink(tmp_path / "a.mp4", 10):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("name", "message"), [("nowhere.mp4", "no such"), ("text.mp4", "open")])
def test_bad_videos(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(KitError, match=f"{name}.*{message}"):
        VideoSource(tmp_path / name)
