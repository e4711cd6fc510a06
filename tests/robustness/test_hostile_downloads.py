"""Servers that break their word, and files that were made to do harm."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import tarfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests
import torch

from convert.checkpoint import read_weights
from data import coco, download
from data.download import fetch
from runtime.errors import DataUnavailable, KitError
from tests.conftest import NANODET, ROOT, run_python
from tests.robustness.conftest import Record

CONTENT = bytes(range(256)) * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
_PAGE = b"<html><body>Please log in to the hotel's network</body></html>"
_STALL_S = 1


class Server(BaseHTTPRequestHandler):
    """Each path a way to break one's word; `/good` keeps it, with ranges."""

    files: dict[str, bytes] = {}  # noqa: RUF012 (shared on purpose)

    def do_GET(self) -> None:
        name = self.path[1:]
        with_range = self.headers.get("Range", "")
        start = int(with_range[6:-1]) if with_range else 0
        if name in self.files:
            self.answer(self.files[name])
        elif name == "good":
            self.answer(CONTENT[start:], 206 if start else 200)
        else:
            getattr(self, name.replace("-", "_"))(start)

    def answer(self, body: bytes, status: int = 200, **headers: object) -> None:
        self.send_response(status)
        for key, value in {"Content_Length": len(body), **headers}.items():
            if value is not None:
                self.send_header(key.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(body)

    def truncates(self, _: int) -> None:
        self.answer(CONTENT[:100_000], Content_Length=len(CONTENT))

    def promises_more(self, _: int) -> None:
        self.answer(CONTENT, Content_Length=10**18)

    def promises_less(self, _: int) -> None:
        self.answer(CONTENT, Content_Length=1000)

    def promises_nonsense(self, _: int) -> None:
        self.answer(CONTENT[:1000], Content_Length="a lot")

    def stalls(self, _: int) -> None:
        self.answer(CONTENT[:100_000], Content_Length=len(CONTENT))
        time.sleep(4 * _STALL_S)

    def trickles(self, _: int) -> None:
        self.answer(b"", Content_Length=len(CONTENT))
        for _ in range(40):
            self.wfile.write(b"x")
            time.sleep(_STALL_S / 10)

    def never_ends(self, _: int) -> None:
        self.answer(b"", Content_Length=None)
        for _ in range(1000):
            self.wfile.write(CONTENT)

    def redirects(self, _: int) -> None:
        self.answer(b"", 302, Location="/redirects")

    def redirects_to_a_file(self, _: int) -> None:
        self.answer(b"", 302, Location="file:///etc/passwd")

    def web_page(self, _: int) -> None:
        self.answer(_PAGE, Content_Type="text/html; charset=utf-8")

    def another_range(self, start: int) -> None:
        """Of the file's middle, whatever was asked for, and says so."""
        span = f"bytes 50000-{len(CONTENT) - 1}/{len(CONTENT)}"
        self.answer(CONTENT[50_000:], 206 if start else 200, Content_Range=span)

    def hangs_up(self, _: int) -> None:
        self.close_connection = True

    def speaks_no_http(self, _: int) -> None:
        self.wfile.write(b"220 mail.example ESMTP\r\n" * 3)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    http = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    http.daemon_threads = True
    http.handle_error = lambda *_: None  # type: ignore[method-assign]
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{http.server_port}"
    http.shutdown()
    thread.join()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "_STALL_S", _STALL_S)


@pytest.mark.parametrize(
    ("page", "says", "keeps"),
    [
        ("truncates", "broke off", 100_000),
        ("promises-more", "broke off", len(CONTENT)),
        ("promises-less", "1000 bytes instead of 256000", None),
        ("promises-nonsense", "1000 bytes instead of 256000", None),
        ("stalls", "stalls", 100_000),
        ("trickles", "stalls", None),
        ("never-ends", "more than 256,000 bytes", None),
        ("redirects", "redirects without end", None),
        ("redirects-to-a-file", "download failed", None),
        ("web-page", "a web page instead", None),
        ("hangs-up", "download failed", None),
        ("speaks-no-http", "download failed", None),
    ],
)
def test_server(
    server: str, tmp_path: Path, page: str, says: str, keeps: int | None, record: Record
) -> None:
    """One line in time, no file; what is sound is kept, and a good server finishes it."""
    path, start = tmp_path / "file", time.monotonic()
    with pytest.raises(DataUnavailable, match=says) as error:
        fetch(f"{server}/{page}", path, size_bytes=len(CONTENT), sha256=SHA256, progress=False)
    assert time.monotonic() - start < 3 * _STALL_S + 1
    assert "\n" not in str(error.value) and not path.exists()
    part = tmp_path / "file.part"
    if keeps is not None:
        assert part.read_bytes() == CONTENT[:keeps]
    elif part.exists():
        part.unlink()  # Bytes that cannot be told from sound ones; the checksum tells later.
    fetch(f"{server}/good", path, size_bytes=len(CONTENT), sha256=SHA256, progress=False)
    assert path.read_bytes() == CONTENT and not part.exists()
    record("server", page.replace("-", " "), cases=1, held="one line; no file; then resumed")


def test_a_range_that_was_not_asked_for(server: str, tmp_path: Path) -> None:
    """Is not put behind what is there, nor in its place, be there a checksum or not."""
    part = tmp_path / "file.part"
    part.write_bytes(CONTENT[:1000])
    with pytest.raises(DataUnavailable, match="another part of the file"):
        fetch(f"{server}/another-range", tmp_path / "file", progress=False)
    assert part.read_bytes() == CONTENT[:1000] and not (tmp_path / "file").exists()


def test_a_web_page_does_not_become_a_photograph(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Photographs of val2017 have no published checksum."""
    listing = {"images": [{"id": 1, "file_name": "web-page"}], "categories": [], "annotations": []}
    path = tmp_path / "annotations" / "instances_val2017.json"
    path.parent.mkdir()
    path.write_text(json.dumps(listing))
    monkeypatch.setattr(coco, "VAL_URL", f"{server}/")
    with pytest.raises(DataUnavailable, match=r"evaluation images: .*a web page instead"):
        coco.fetch_val2017(tmp_path, None)
    assert not list((tmp_path / "val2017").iterdir())


def test_file_names_in_annotations_stay_in_the_folder(tmp_path: Path) -> None:
    listing = {"images": [{"id": 1, "file_name": "../../x"}], "categories": [], "annotations": []}
    path = tmp_path / "annotations" / "instances_val2017.json"
    path.parent.mkdir()
    path.write_text(json.dumps(listing))
    with pytest.raises(KitError, match="not a plain file name"):
        coco.fetch_val2017(tmp_path, None)


@pytest.mark.parametrize("attempt", range(5))
def test_two_downloads_of_one_file(server: str, tmp_path: Path, attempt: int) -> None:
    """Eight at once: one fetches, the others find it done."""
    failed: list[Exception] = []

    def get() -> None:
        try:
            fetch(f"{server}/good", tmp_path / "file", sha256=SHA256, progress=False)
        except DataUnavailable as error:
            failed.append(error)

    threads = [threading.Thread(target=get) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed and (tmp_path / "file").read_bytes() == CONTENT
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def zipped(*members: tuple[str, bytes], link: str = "") -> bytes:
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members:
            file.writestr(name, content)
        if link:
            entry = zipfile.ZipInfo(coco._MEMBER)
            entry.external_attr = 0o120777 << 16
            file.writestr(entry, link)
    return memory.getvalue()


def tarred() -> bytes:
    memory = io.BytesIO()
    with tarfile.open(fileobj=memory, mode="w:gz") as file:
        entry = tarfile.TarInfo("../../escaped")
        entry.size = 5
        file.addfile(entry, io.BytesIO(b"harm!"))
    return memory.getvalue()


_SOUND = json.dumps({"images": [], "categories": [], "annotations": []}).encode()


@pytest.mark.parametrize(
    ("name", "archive", "refused"),
    [
        ("parent folder", lambda: zipped(("../escaped", b"x"), (coco._MEMBER, _SOUND)), False),
        ("absolute path", lambda: zipped(("/tmp/escaped", b"x"), (coco._MEMBER, _SOUND)), False),
        ("symbolic link", lambda: zipped(link="/etc/passwd"), True),
        ("bomb", lambda: zipped((coco._MEMBER, bytes(65 << 20))), True),
        ("no such member", lambda: zipped(("other.json", b"{}")), True),
        ("cut", lambda: zipped((coco._MEMBER, _SOUND))[:-30], True),
        ("tar", tarred, True),
    ],
)
def test_archive(
    name: str, archive: Callable[[], bytes], refused: bool, server: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, record: Record,
) -> None:  # fmt: skip
    """Of annotations, should its checksum be right all the same. Only one member is read; it never
    says where it goes."""
    content = archive()
    Server.files["annotations.zip"] = content
    monkeypatch.setattr(coco, "ANNOTATIONS_URL", f"{server}/annotations.zip")
    monkeypatch.setattr(coco, "ANNOTATIONS_BYTES", len(content))
    monkeypatch.setattr(coco, "ANNOTATIONS_SHA256", hashlib.sha256(content).hexdigest())
    folder = tmp_path / "a" / "b"
    if refused:
        with pytest.raises(KitError) as error:
            coco.fetch_val2017(folder, None)
        assert "\n" not in str(error.value)
    else:
        coco.fetch_val2017(folder, None)
    found = {p for p in tmp_path.rglob("*") if not p.is_dir() and p.suffix != ".part"}
    assert found <= {folder / coco._MEMBER}
    assert not any(p.is_symlink() for p in found) and not Path("/tmp/escaped").exists()
    record("archive", name, cases=1,
           held="one line" if refused else "only the annotations are read")  # fmt: skip


class Harm:
    """Unpickled, it makes a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("how", ["archive", "old", "bare pickle", "compressed archive"])
def test_pickle_that_runs_code(how: str, tmp_path: Path, record: Record) -> None:
    harm, path = tmp_path / "harm", tmp_path / "hostile.ckpt"
    state = {"state_dict": {"x": torch.zeros(1), "y": Harm(harm)}}
    if how == "bare pickle":
        path.write_bytes(pickle.dumps(state))
    else:
        torch.save(state, path, _use_new_zipfile_serialization=how != "old")
    if how == "compressed archive":
        with zipfile.ZipFile(path) as archive:
            members = [(name, archive.read(name)) for name in archive.namelist()]
        path.write_bytes(zipped(*members))
    with pytest.raises(KitError, match=r"refused|no PyTorch checkpoint") as error:
        read_weights(path)
    assert "\n" not in str(error.value) and not harm.exists()
    record("archive", f"pickle that runs code, {how}", cases=1, held="one line; nothing runs")


def test_resumed_training_runs_no_code(tmp_path: Path) -> None:
    harm, out = tmp_path / "harm", tmp_path / "out"
    out.mkdir()
    torch.save({"state_dict": {"x": Harm(harm)}}, out / "last.ckpt")
    (tmp_path / "data").mkdir()
    done = run_python(tmp_path, NANODET, "shapes", "--out", "data", "--images", "4")
    assert done.returncode == 0, done.stderr
    config = ROOT / "models" / "shapes" / "nanodet-m-0.5x-shapes.yml"
    done = run_python(
        tmp_path, NANODET, "train", "--config", str(config), "--data", "data", "--batch", "2",
        "--epochs", "1", "--workers", "0", "--out", "out", "--resume", "--accelerator", "cpu",
    )  # fmt: skip
    assert done.returncode == 2 and "refused" in done.stderr, done.stderr
    assert done.stderr.count("\n") == 1 and not harm.exists()


def test_requests_follows_no_redirect_to_a_file(server: str) -> None:
    """What `redirects-to-a-file` rests on."""
    with pytest.raises(requests.exceptions.InvalidSchema):
        requests.get(f"{server}/redirects-to-a-file", timeout=5)
