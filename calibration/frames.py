"""Frames of a video as calibration photographs."""

from __future__ import annotations

import hashlib
from pathlib import Path

from PIL import Image

from calibration.dataset import enough, spread
from runtime.files import writing
from runtime.video import VideoSource


def frames_of(video: Path, cache: Path) -> list[Path]:
    """PNG files of at most 100 frames, evenly spread over the video, kept in `cache` by its bytes.

    Warns on stderr where there are fewer. Raises `KitError` without OpenCV, for what is no video,
    and for fewer than 10 frames.
    """
    source = VideoSource(video)
    folder = cache / hashlib.sha256(video.read_bytes()).hexdigest()[:16]
    if not folder.is_dir():
        # The number that a file tells is often wrong.
        count = sum(1 for _ in source)
        enough(count, str(video), "frames")
        wanted = set(spread(count))
        with writing(folder) as temporary:
            temporary.mkdir()
            for number, frame in enumerate(VideoSource(video)):
                if number in wanted:
                    Image.fromarray(frame).save(temporary / f"{number:06d}.png")
    found = sorted(folder.glob("*.png"))
    enough(len(found), str(video), "frames")
    return found
