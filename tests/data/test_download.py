"""Downloads from a real server on loopback that misbehaves on request."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from data.download import fetch, fetch_google_drive
from runtime.errors import DataUnavailable

CONTENT = bytes(range(256)) * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(BaseHTTPRequestHandler):
    """`/good` honours ranges, `/whole` does not, `/short` breaks off, `/wrong` lies."""

    requests: list[tuple[str, str]] = []  # noqa: RUF012 (shared on purpose)

    def do_GET(self) -> None:
        wanted = self.headers.get("Range", "")
        self.requests.append((self.path, wanted))
        if self.path == "/missing":
            self.send_error(404)
            return
        start = int(wanted[6:-1]) if wanted and self.path == "/good" else 0
        if start >= len(CONTENT):
            self.send_error(416)
            return
        body = CONTENT[::-1] if self.path == "/wrong" else CONTENT[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if self.path == "/short" else body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    http = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{http.server_port}"
    http.shutdown()
    thread.join()


def get(url: str, path: Path) -> None:
    fetch(url, path, size_bytes=len(CONTENT), sha256=SHA256, progress=False)


def test_download(server: str, tmp_path: Path) -> None:
    get(f"{server}/good", tmp_path / "new" / "file")
    assert (tmp_path / "new" / "file").read_bytes() == CONTENT
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("page", "have", "reason"),
    [
        ("good", 1000, "goes on where it broke off"),
        ("good", len(CONTENT), "the part was whole already"),
        ("whole", 1000, "the server ignores ranges and starts over"),
    ],
)
def test_resume(server: str, tmp_path: Path, page: str, have: int, reason: str) -> None:
    (tmp_path / "file.part").write_bytes(CONTENT[:have])
    get(f"{server}/{page}", tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == CONTENT, reason
    assert Server.requests[-1] == (f"/{page}", f"bytes={have}-")


def test_broken_off_download_is_kept_for_later(server: str, tmp_path: Path) -> None:
    with pytest.raises(DataUnavailable, match="download failed"):
        get(f"{server}/short", tmp_path / "file")
    assert not (tmp_path / "file").exists()
    kept = (tmp_path / "file.part").stat().st_size
    assert 0 < kept < len(CONTENT)
    get(f"{server}/good", tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == CONTENT


@pytest.mark.parametrize("have", [0, 1000])
def test_wrong_content_is_discarded(server: str, tmp_path: Path, have: int) -> None:
    if have:
        (tmp_path / "file.part").write_bytes(b"x" * have)
    page = "good" if have else "wrong"
    with pytest.raises(DataUnavailable, match="SHA256 differs"):
        get(f"{server}/{page}", tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


def test_wrong_size(server: str, tmp_path: Path) -> None:
    with pytest.raises(DataUnavailable, match="more than 5 bytes"):
        fetch(f"{server}/good", tmp_path / "file", size_bytes=5, progress=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("url", "message"),
    [("{server}/missing", "HTTP 404"), ("http://127.0.0.1:9/x", "no connection")],
)
def test_unreachable(server: str, tmp_path: Path, url: str, message: str) -> None:
    with pytest.raises(DataUnavailable, match=message):
        get(url.format(server=server), tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("reach", [
    lambda path: fetch("http://127.0.0.1:9/", path), lambda path: fetch_google_drive("id", path),
])  # fmt: skip
def test_a_home_that_cannot_be_written(tmp_path: Path, reach: Callable[[Path], None]) -> None:
    """A file in the place of the folder, for root writes wherever a folder is."""
    (tmp_path / "home").write_text("")
    with pytest.raises(DataUnavailable, match=r"home/cache: downloads .*; set XDG_CACHE_HOME"):
        reach(tmp_path / "home" / "cache" / "file")
