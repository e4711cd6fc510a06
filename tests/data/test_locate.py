from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from data import locate
from data.download import fetch_google_drive
from runtime.errors import DataUnavailable, KitError
from runtime.spec import ModelSpec, WeightsSource


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """An empty cache and an empty NANODET_DATA; Google Drive out of reach."""
    data = tmp_path / "data"
    data.mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NANODET_DATA", str(data))

    def unreachable(file_id: str, path: Path) -> None:
        raise DataUnavailable(f"Google Drive file {file_id}: download failed (no connection)")

    monkeypatch.setattr(locate, "fetch_google_drive", unreachable)
    return {"data": data, "cache": tmp_path / "home" / "nanodet-edge-kit"}


def touch(path: Path, content: bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_weights_in_order(official: ModelSpec, folders: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(DataUnavailable) as error:
        locate.weights(official, None)
    for way_out in ("--weights", str(folders["cache"]), "NANODET_DATA"):
        assert way_out in str(error.value)
    cached = touch(folders["cache"] / "weights" / "nanodet_m_0.5x.ckpt")
    assert locate.weights(official, None) == cached
    shared = touch(folders["data"] / "weights" / "nanodet_m_0.5x.ckpt")
    assert locate.weights(official, None) == shared
    own = touch(tmp_path / "own.ckpt")
    assert locate.weights(official, own) == own


def test_missing_option_file(official: ModelSpec, tmp_path: Path) -> None:
    with pytest.raises(KitError, match="--weights"):
        locate.weights(official, tmp_path / "nowhere.ckpt")


def test_wrong_data_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NANODET_DATA", "/nowhere")
    with pytest.raises(KitError, match="NANODET_DATA=/nowhere"):
        locate.data_folders()


def test_first_download_is_pinned(
    official: ModelSpec,
    folders: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    content = [b"first"]
    monkeypatch.setattr(locate, "fetch_google_drive", lambda _, path: touch(path, content[0]))
    path = locate.weights(official, None)
    assert "pinned" in capsys.readouterr().out
    path.unlink()
    assert locate.weights(official, None) == path, "the same file comes again"
    path.unlink()
    content[0] = b"second"
    with pytest.raises(DataUnavailable, match="differs from the file downloaded before"):
        locate.weights(official, None)
    assert not path.exists()


def test_mirror_before_google_drive(official: ModelSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    source = WeightsSource("a.ckpt", google_drive_id="id", url="http://mirror/a", size_bytes=3)
    spec = dataclasses.replace(official, weights=source)
    asked = []

    def fetch(url: str, path: Path, **checks: object) -> None:
        asked.append((url, checks["size_bytes"]))
        touch(path)

    monkeypatch.setattr(locate, "fetch", fetch)
    locate.weights(spec, None)
    assert asked == [("http://mirror/a", 3)]


def test_google_drive_failure_is_one_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import gdown

    def broken(**_: object) -> None:
        raise gdown.exceptions.FileURLRetrievalError("quota\nexceeded")

    monkeypatch.setattr(gdown, "download", broken)
    with pytest.raises(DataUnavailable, match="Google Drive file abc"):
        fetch_google_drive("abc", tmp_path / "w.ckpt")
    assert not (tmp_path / "w.ckpt").exists()


def test_evaluation_set(folders: dict[str, Path], tmp_path: Path) -> None:
    spec = locate.model_spec("nanodet-m-0.5x")
    assert locate.evaluation_set(spec, None, None, None, download=False) is None
    coco = folders["data"] / "coco"
    (coco / "val500").mkdir(parents=True)
    touch(coco / "instances_val500.json")
    expected = coco / "val500", coco / "instances_val500.json"
    assert locate.evaluation_set(spec, None, None, None, download=False) == expected
    given = tmp_path / "images", tmp_path / "a.json"
    assert locate.evaluation_set(spec, *given, None) == given
    with pytest.raises(KitError, match="belong together"):
        locate.evaluation_set(spec, given[0], None, None)


def test_unknown_model() -> None:
    with pytest.raises(KitError, match=r"nanodet-m-0\.5x, nanodet-m"):
        locate.model_spec("yolo")
