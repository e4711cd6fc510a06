from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from PIL import Image

from calibration import canvases, dataset, own_images, verified
from calibration.dataset import IMAGES, ManifestEntry, manifest
from runtime.errors import KitError
from runtime.spec import ModelSpec
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


@pytest.mark.parametrize("count", [0, 99])
def test_too_few_own_images(tmp_path: Path, count: int) -> None:
    for i in range(count):
        (tmp_path / f"{i}.jpg").write_bytes(b"")
    with pytest.raises(KitError, match=f"{count} images, calibration needs 100"):
        own_images(tmp_path)


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
    from runtime.image import load_rgb
    from runtime.preprocess import to_canvas

    paths = verified(folder)
    for path, canvas in zip(paths, canvases(paths, tiny.input)):
        assert (canvas == to_canvas(load_rgb(path), tiny.input)[0]).all()
