"""Detection over a set in shards: in this process, in several, or on a Dask cluster.

Every finished shard is kept until the whole is, so that an interrupted evaluation goes on where it
stopped. Results come in the order of the images, whoever found them.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from tqdm import tqdm

from data.annotations import Results
from evaluation.coco import CocoSet
from runtime.detector import Detector
from runtime.engines import Engine, open_engine
from runtime.errors import KitError
from runtime.files import write_text
from runtime.quiet import say
from runtime.spec import ModelSpec
from runtime.tflite_file import TfliteFile

SHARD_IMAGES = 20

# Number of an image, and its file.
Image = tuple[int, Path]


@dataclass(frozen=True)
class Job:
    """All that a worker must know to detect as every other does.

    model: a .tflite or .onnx file, or the checkpoint of `spec` for engine `torch`. sha256: of that
    file. category_ids: see `CocoSet`. arithmetic: see `Detector`.
    """

    engine: str
    model: Path
    sha256: str
    spec: ModelSpec
    score_threshold: float
    iou_threshold: float
    max_detections: int
    category_ids: tuple[int | None, ...] = ()
    arithmetic: str | None = None


def open_job(job: Job) -> Engine:
    """The engine of a job."""
    if job.engine == "onnx":
        from convert.engines import OnnxEngine

        return OnnxEngine(job.model)
    if job.engine == "torch":
        from convert.checkpoint import load_network
        from convert.engines import TorchEngine

        return TorchEngine(load_network(job.model, job.spec).network, job.spec)
    return open_engine(job.engine, TfliteFile.read(job.model))


@functools.lru_cache(maxsize=1)
def _detector(job: Job) -> Detector:
    return Detector(
        open_job(job),
        score_threshold=job.score_threshold,
        iou_threshold=job.iou_threshold,
        max_detections=job.max_detections,
        arithmetic=job.arithmetic,
    )


def detect_shard(job: Job, shard: Sequence[Image]) -> Results:
    """Detections of some images; a worker opens the model once."""
    detector, results = _detector(job), []
    for image_id, path in shard:
        results += detector.detect(path).to_coco(image_id, job.category_ids)
    return results


def detect_sharded(
    job: Job, images: CocoSet, state: Path, code: str, workers: int = 1, scheduler: str = ""
) -> Results:
    """Detections of every image, in the images' order.

    state: folder in which interrupted evaluations are kept. code: checksum of what detects.
    workers: processes; scheduler: address of a Dask scheduler to run on instead.
    """
    files = images.paths()
    shards = [files[k : k + SHARD_IMAGES] for k in range(0, len(files), SHARD_IMAGES)]
    folder = state / _fingerprint(job, files, code)
    found = {k: d for k, shard in enumerate(shards) if (d := _read(folder / f"{k}.json", shard))}
    missing = [k for k in range(len(shards)) if k not in found]
    if len(missing) < len(shards):
        say(f"going on after {len(shards) - len(missing)} of {len(shards)} shards")
    run = _on_dask(scheduler) if scheduler else _in_processes(min(workers, len(missing)))
    with tqdm(total=len(files), desc="evaluate", unit="image", disable=None) as bar:
        bar.update(sum(len(shards[k]) for k in found))
        for k, results in run(job, {k: shards[k] for k in missing}):
            found[k] = {"results": results, "images": _content(shards[k])}
            write_text(folder / f"{k}.json", json.dumps(found[k]))
            bar.update(len(shards[k]))
    shutil.rmtree(folder, ignore_errors=True)
    return [result for k in range(len(shards)) for result in found[k]["results"]]


_Run = Callable[[Job, dict[int, list[Image]]], Iterable[tuple[int, Results]]]


def _in_processes(workers: int) -> _Run:
    def here(job: Job, shards: dict[int, list[Image]]) -> Iterator[tuple[int, Results]]:
        yield from ((k, detect_shard(job, shard)) for k, shard in shards.items())

    def spread(job: Job, shards: dict[int, list[Image]]) -> Iterator[tuple[int, Results]]:
        threads = str(max(1, (os.cpu_count() or 1) // workers))
        pool = ProcessPoolExecutor(workers, get_context("spawn"), _limit_threads, (threads,))
        with pool:
            running = {pool.submit(detect_shard, job, shard): k for k, shard in shards.items()}
            for done in as_completed(running):
                yield running[done], done.result()

    return spread if workers > 1 else here


def _limit_threads(threads: str) -> None:
    """Before PyTorch is imported: workers share the cores."""
    os.environ["OMP_NUM_THREADS"] = threads


def _on_dask(address: str) -> _Run:
    try:
        import distributed
    except ImportError:
        raise KitError("--scheduler: package distributed is not installed") from None

    def run(job: Job, shards: dict[int, list[Image]]) -> Iterator[tuple[int, Results]]:
        try:
            client = distributed.Client(address, timeout="10s")
        except (OSError, ValueError) as error:
            raise KitError(f"--scheduler {address}: no scheduler answers ({error})") from None
        with client:
            running = {
                client.submit(detect_shard, job, shard, pure=False): k
                for k, shard in shards.items()
            }
            for done in distributed.as_completed(running):
                yield running[done], done.result()

    return run


def _fingerprint(job: Job, files: Sequence[Image], code: str) -> str:
    content = {**asdict(job), "spec": job.spec.to_json(), "files": files, "code": code}
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def _content(shard: Sequence[Image]) -> list[str]:
    """SHA-256 of each image."""
    return [hashlib.sha256(path.read_bytes()).hexdigest() for _, path in shard]


def _read(path: Path, shard: Sequence[Image]) -> dict[str, Any] | None:
    """A shard's results; None where there are none, half a file, or those of other images."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    whole = isinstance(content, dict) and {"results", "images"} <= set(content)
    return content if whole and content["images"] == _content(shard) else None
