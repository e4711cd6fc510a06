"""Checked, resumable downloads with a progress bar.

This is not left to pooch, whose `HTTPDownloader` (1.9) asks for no range and so cannot resume.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import requests
from tqdm import tqdm
from urllib3.exceptions import HTTPError, ProtocolError, ReadTimeoutError

from runtime.errors import DataUnavailable
from runtime.files import locked

_CHUNK_BYTES = 1 << 16
_CONNECT_S = 10
# A server that sends less than so much in so long has stalled.
_STALL_S = 30
_STALL_BYTES = 1 << 10
_MOST_BYTES = 2 << 30  # Of a file whose size is not known beforehand.


def fetch(
    url: str,
    path: Path,
    *,
    size_bytes: int = 0,
    sha256: str = "",
    sha384: str = "",
    session: requests.Session | None = None,
    progress: bool = True,
) -> None:
    """Download `url` to `path`, going on from `path` + `.part` if a download broke off.

    Size and checksums are compared where given. A second download of the same file waits for the
    first. Raises `DataUnavailable` when the server cannot be reached, stalls, breaks off, or sends
    something else.
    """
    part, there = path.with_name(path.name + ".part"), path.exists()
    most_bytes = size_bytes or _MOST_BYTES
    try:
        lock = locked(part, "ab")
    except OSError as error:
        raise _unwritable(path.parent, error) from None
    try:
        with lock as file:
            if path.exists() and not there:  # Whoever had the lock has finished it.
                part.unlink()
                return
            try:
                _receive(url, file, session or requests.Session(), most_bytes, progress)
            finally:
                empty = not file.seek(0, 2)
                if empty:
                    part.unlink()
            if empty:
                raise OSError("the server sends nothing")
            _verify(part, url, size_bytes, {"sha256": sha256, "sha384": sha384})
            part.replace(path)
    except (HTTPError, OSError) as error:
        raise DataUnavailable(f"{url}: download failed ({_reason(error)})") from None


def fetch_google_drive(file_id: str, path: Path) -> None:
    """Download a Google Drive file to `path` with gdown, resuming a broken download.

    Raises `DataUnavailable` when Google Drive cannot be reached or refuses.
    """
    import gdown

    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(path.parent, error) from None
    try:
        gdown.download(id=file_id, output=str(part), resume=True)
        if not part.is_file():
            raise OSError("nothing was received")
    except (OSError, RuntimeError, gdown.exceptions.FileURLRetrievalError) as error:
        raise DataUnavailable(
            f"Google Drive file {file_id}: download failed ({_reason(error)})"
        ) from None
    part.replace(path)


def _unwritable(folder: Path, error: OSError) -> DataUnavailable:
    return DataUnavailable(
        f"{folder}: downloads cannot be kept there ({error.strerror}); set XDG_CACHE_HOME to a "
        "folder that can be written"
    )


def verify_checksum(path: Path, algorithm: str, expected: str) -> bool:
    """Does the file have that checksum (hexadecimal)?"""
    digest = hashlib.new(algorithm)
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest() == expected


def _receive(
    url: str, file: IO[bytes], session: requests.Session, most_bytes: int, progress: bool
) -> None:
    """Append to `file` what it lacks."""
    have = file.seek(0, 2)
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    timeouts, wanted = (_CONNECT_S, _STALL_S), f"bytes {have}-"
    with session.get(url, headers=headers, stream=True, timeout=timeouts) as response:
        if response.status_code == 416:  # The part is already whole.
            return
        response.raise_for_status()
        if "text/html" in response.headers.get("Content-Type", ""):
            raise OSError("the server sends a web page instead")
        if response.status_code != 206:  # The server starts over.
            have = 0
            file.truncate(0)
        elif not response.headers.get("Content-Range", wanted).startswith(wanted):
            raise OSError("the server sends another part of the file")
        said = response.headers.get("Content-Length", "")
        length = int(said) if said.isdecimal() else 0
        with tqdm(
            total=have + length or None,
            initial=have,
            unit="B",
            unit_scale=True,
            desc=Path(file.name).stem,
            disable=None if progress else True,
        ) as bar:
            received = have
            for chunk in _chunks(response):
                received += len(chunk)
                if received > most_bytes:
                    file.truncate(0)
                    raise OSError(f"the server sends more than {most_bytes:,} bytes")
                file.write(chunk)
                bar.update(len(chunk))
        if length and received != have + length:
            raise OSError("the connection broke off")


def _chunks(response: requests.Response) -> Iterator[bytes]:
    """The body as it comes, so that one that trickles is noticed."""
    start, received = time.monotonic(), 0
    while chunk := response.raw.read1(_CHUNK_BYTES):
        received += len(chunk)
        yield chunk
        if time.monotonic() - start > _STALL_S:
            if received < _STALL_BYTES:
                raise requests.Timeout
            start, received = time.monotonic(), 0


def _verify(part: Path, url: str, size_bytes: int, checksums: dict[str, str]) -> None:
    size = part.stat().st_size
    wrong = size_bytes and size != size_bytes
    problem = f"{size} bytes instead of {size_bytes}" if wrong else ""
    for algorithm, expected in checksums.items():
        if not problem and expected and not verify_checksum(part, algorithm, expected):
            problem = f"{algorithm.upper()} differs"
    if problem:
        part.unlink()
        raise DataUnavailable(f"{url}: received a wrong file, {problem}; it was discarded")


def _reason(error: Exception) -> str:
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"HTTP {error.response.status_code}"
    if isinstance(error, (requests.Timeout, ReadTimeoutError)):
        return "the server stalls"
    if isinstance(error, requests.TooManyRedirects):
        return "it redirects without end"
    if isinstance(error, ProtocolError):
        return "the connection broke off"
    if isinstance(error, requests.ConnectionError):
        return "no connection"
    if isinstance(error, OSError) and not isinstance(error, requests.RequestException):
        return error.strerror or str(error)
    return type(error).__name__ + f": {error}".split("\n")[0]
