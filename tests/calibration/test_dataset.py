from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from calibration import canvases, dataset, frames_of, own_images, verified
from calibration.dataset import IMAGES, ManifestEntry, enough, manifest, spread
from runtime.errors import KitError
from runtime.image import load_rgb
from runtime.spec import ModelSpec
from runtime.video import VideoSource, video_sink
from tests.conftest import photo


def test_manifest() -> None:
    entries = manifest()
    assert len(entries) == len({e.image_id for e in entries}) == IMAGES
    assert [e.image_id for e in entries] == sorted(e.image_id for e in entries)
    for entry in entries:
        assert entry.url.endswith(f"/train2017/{entry.file_name}")
        assert len(bytes.fromhex(entry.sha256)) == 32
        assert entry.size_bytes > 0


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three images that make up the manifest."""
    entries = []
    for image_id in (3, 5, 9):
        entry = ManifestEntry(image_id, "", 0, "")
        Image.fromarray(photo(image_id, 40, 30)).save(tmp_path / entry.file_name)
        digest = hashlib.sha256((tmp_path / entry.file_name).read_bytes()).hexdigest()
        entries.append(ManifestEntry(image_id, "", 0, digest))
    monkeypatch.setattr(dataset, "manifest", lambda: entries)
    return tmp_path


def test_verified(folder: Path) -> None:
    (folder / "other.jpg").write_bytes(b"not in the manifest")
    assert [p.name for p in verified(folder)] == [f"{i:012d}.jpg" for i in (3, 5, 9)]


def test_missing_images_are_counted(folder: Path) -> None:
    (folder / f"{5:012d}.jpg").unlink()
    with pytest.raises(KitError, match="2 of the 3 calibration images"):
        verified(folder)


def test_changed_image_is_named(folder: Path) -> None:
    path = folder / f"{5:012d}.jpg"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(KitError, match=f"{path.name}.*SHA-256"):
        verified(folder)


@pytest.mark.parametrize("count", [0, 9])
def test_too_few_own_images(tmp_path: Path, count: int) -> None:
    for i in range(count):
        (tmp_path / f"{i}.jpg").write_bytes(b"")
    with pytest.raises(KitError, match=f"{count} images, calibration needs 10, better 100"):
        own_images(tmp_path)


@pytest.mark.parametrize(
    ("count", "first", "last", "warns", "reason"),
    [
        (10, 0, 9, True, "just enough"),
        (99, 0, 98, True, "all of them"),
        (100, 0, 99, False, "all, as the kit's own"),
        (101, 0, 99, False, "one is left out"),
        (1000, 0, 990, False, "every tenth"),
    ],
)
def test_pictures_are_spread(
    capsys: pytest.CaptureFixture[str], count: int, first: int, last: int, warns: bool, reason: str
) -> None:
    enough(count, "photos", "images")
    numbers = spread(count)
    assert len(set(numbers)) == min(count, IMAGES), reason
    assert (numbers[0], numbers[-1]) == (first, last), reason
    steps = np.diff(numbers)
    assert steps.min() >= 1 and steps.max() - steps.min() <= 1, reason
    assert (f"photos: {count} images; with 100" in capsys.readouterr().err) is warns, reason


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """120 frames that get brighter by 2 each."""
    path = tmp_path / "clip.mp4"
    with video_sink(path, 25) as sink:
        for i in range(120):
            sink.write(np.full((48, 64, 3), 2 * i, np.uint8))
    return path


def test_frames_of_a_video(tmp_path: Path, video: Path) -> None:
    frames = frames_of(video, tmp_path / "cache")
    shown = list(VideoSource(video))
    for i, path in enumerate(frames):
        np.testing.assert_array_equal(load_rgb(path), shown[i * 120 // 100])
    before = frames[0].stat().st_mtime_ns
    assert frames_of(video, tmp_path / "cache") == frames
    assert frames[0].stat().st_mtime_ns == before, "kept"


def test_videos_that_will_not_do(
    tmp_path: Path, video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    with video_sink(tmp_path / "short.mp4", 25) as sink:
        for _ in range(9):
            sink.write(np.zeros((48, 64, 3), np.uint8))
    for name, message in (
        ("missing.mp4", "no such video"),
        ("text.mp4", "OpenCV cannot open it"),
        ("short.mp4", "9 frames, calibration needs 10"),
    ):
        with pytest.raises(KitError, match=message):
            frames_of(tmp_path / name, tmp_path / "cache")
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(KitError, match="pip install opencv-python-headless"):
        frames_of(video, tmp_path / "cache")
    assert not list((tmp_path / "cache").glob("*")), "nothing half-written"


def test_damaged_own_image_is_named(tmp_path: Path) -> None:
    image = Image.fromarray(photo(1, 60, 60))
    for i in range(IMAGES):
        image.save(tmp_path / f"{i:03d}.jpg")
    (tmp_path / "readme.txt").write_text("no image")
    assert len(own_images(tmp_path)) == IMAGES
    (tmp_path / "042.jpg").write_bytes((tmp_path / "042.jpg").read_bytes()[:500])
    with pytest.raises(KitError, match=r"042\.jpg"):
        own_images(tmp_path)


def test_canvases_are_what_inference_sees(folder: Path, tiny: ModelSpec) -> None:
    from runtime.preprocess import to_canvas

    paths = verified(folder)
    for path, canvas in zip(paths, canvases(paths, tiny.input)):
        assert (canvas == to_canvas(load_rgb(path), tiny.input)[0]).all()
