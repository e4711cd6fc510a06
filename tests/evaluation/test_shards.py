"""The same results whoever finds them, and an interrupted evaluation goes on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from evaluation import CocoSet, Job, detect_all, detect_sharded, shards
from runtime.detector import Detector
from runtime.errors import KitError
from runtime.tflite_file import TfliteFile
from tests.conftest import Build, photo

PHOTOS = 7


@pytest.fixture(scope="module")
def images(build: Build, tmp_path_factory: pytest.TempPathFactory) -> CocoSet:
    folder = tmp_path_factory.mktemp("images")
    content: dict[str, Any] = {
        "images": [{"id": 9 - i, "file_name": f"{i}.png"} for i in range(PHOTOS)],
        "categories": [{"id": i + 1, "name": name} for i, name in enumerate(build.spec.classes)],
        "annotations": [],
    }
    for i in range(PHOTOS):
        Image.fromarray(photo(i, 90, 70)).save(folder / f"{i}.png")
    (folder / "annotations.json").write_text(json.dumps(content))
    return CocoSet.load(folder, folder / "annotations.json", build.spec.classes)


@pytest.fixture
def job(build: Build, images: CocoSet) -> Job:
    file = TfliteFile.read(build.tflite)
    return Job("tflm", build.tflite, file.sha256, file.spec, 0.3, 0.6, 20, images.category_ids)


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "SHARD_IMAGES", 2)


@pytest.fixture(scope="module")
def expected(build: Build, images: CocoSet) -> list[dict[str, Any]]:
    detector = Detector(
        str(build.tflite), "tflm", score_threshold=0.3, iou_threshold=0.6, max_detections=20
    )
    found = detect_all(detector, images, progress=False)
    assert len(found) > PHOTOS, "something to compare"
    return found


@pytest.mark.parametrize("workers", [1, 2, 9])
def test_workers(
    job: Job, images: CocoSet, expected: list[dict[str, Any]], workers: int, tmp_path: Path
) -> None:
    assert detect_sharded(job, images, tmp_path, "code", workers) == expected
    assert list(tmp_path.iterdir()) == [], "nothing is kept of a finished evaluation"


@pytest.fixture
def scheduler() -> Iterator[str]:
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None
    ) as cluster:
        yield cluster.scheduler_address


def test_dask(
    job: Job, images: CocoSet, expected: list[dict[str, Any]], scheduler: str, tmp_path: Path
) -> None:
    assert detect_sharded(job, images, tmp_path, "code", scheduler=scheduler) == expected


def test_no_scheduler(job: Job, images: CocoSet, tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    with pytest.raises(KitError, match="--scheduler tcp://127"):
        detect_sharded(job, images, tmp_path, "code", scheduler="tcp://127.0.0.1:9")


@pytest.mark.parametrize(
    ("code", "spoil", "again", "reason"),
    [
        ("code", None, [2, 3], "the first two are there"),
        ("other code", None, [0, 1, 2, 3], "found by other code"),
        ("code", "shard", [0, 2, 3], "the first is half a file"),
        ("code", "image", [1, 2, 3], "an image of the second was another then"),
    ],
)
def test_going_on(
    job: Job,
    images: CocoSet,
    expected: list[dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    code: str,
    spoil: str | None,
    again: list[int],
    reason: str,
) -> None:
    seen: list[int] = []
    whole = shards.detect_shard

    def interrupted(job: Job, shard: Any) -> Any:
        if len(seen) == 2:
            raise KeyboardInterrupt
        seen.append(shard[0][0])
        return whole(job, shard)

    monkeypatch.setattr(shards, "detect_shard", interrupted)
    with pytest.raises(KeyboardInterrupt):
        detect_sharded(job, images, tmp_path, "code")
    (folder,) = tmp_path.iterdir()
    assert sorted(p.name for p in folder.iterdir()) == ["0.json", "1.json"]
    if spoil == "shard":
        (folder / "0.json").write_text('{"results": [')
    if spoil == "image":
        second = json.loads((folder / "1.json").read_text())
        second["images"][0] = "0" * 64
        (folder / "1.json").write_text(json.dumps(second))

    def counted(job: Job, shard: Any) -> Any:
        seen.append(shard[0][0])
        return whole(job, shard)

    seen.clear()
    monkeypatch.setattr(shards, "detect_shard", counted)
    assert detect_sharded(job, images, tmp_path, code) == expected
    assert seen == [images.image_ids[2 * k] for k in again], reason
