"""Checked, resumable downloads with a progress bar."""

from __future__ import annotations

import hashlib
from pathlib import Path

import requests
from tqdm import tqdm

from runtime.errors import DataUnavailable

_CHUNK_BYTES = 1 << 16
_TIMEOUT_S = (10, 30)


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

    Size and checksums are compared where given. Raises `DataUnavailable` when the server cannot
    be reached, stalls, breaks off, or sends something else.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    try:
        _receive(url, part, session or requests.Session(), progress)
    except (requests.RequestException, OSError) as error:
        raise DataUnavailable(f"{url}: download failed ({_reason(error)})") from None
    _verify(part, url, size_bytes, {"sha256": sha256, "sha384": sha384})
    part.replace(path)


def fetch_google_drive(file_id: str, path: Path) -> None:
    """Download a Google Drive file to `path` with gdown, resuming a broken download.

    Raises `DataUnavailable` when Google Drive cannot be reached or refuses.
    """
    import gdown

    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    try:
        gdown.download(id=file_id, output=str(part), resume=True)
    except (
        requests.RequestException,
        OSError,
        RuntimeError,
        gdown.exceptions.FileURLRetrievalError,
    ) as error:
        raise DataUnavailable(
            f"Google Drive file {file_id}: download failed ({_reason(error)})"
        ) from None
    if not part.is_file():
        raise DataUnavailable(f"Google Drive file {file_id}: download failed")
    part.replace(path)


def verify_checksum(path: Path, algorithm: str, expected: str) -> bool:
    """Does the file have that checksum (hexadecimal)?"""
    with path.open("rb") as file:
        digest = hashlib.new(algorithm)
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest() == expected


def _receive(url: str, part: Path, session: requests.Session, progress: bool) -> None:
    have = part.stat().st_size if part.exists() else 0
    headers = {"Range": f"bytes={have}-"} if have else {}
    with session.get(url, headers=headers, stream=True, timeout=_TIMEOUT_S) as response:
        if response.status_code == 416:  # The part is already whole.
            return
        response.raise_for_status()
        if response.status_code != 206:  # The server starts over.
            have = 0
        length = int(response.headers.get("Content-Length", 0))
        with (
            part.open("ab" if have else "wb") as file,
            tqdm(
                total=have + length or None,
                initial=have,
                unit="B",
                unit_scale=True,
                desc=part.stem,
                disable=None if progress else True,
            ) as bar,
        ):
            for chunk in response.iter_content(_CHUNK_BYTES):
                file.write(chunk)
                bar.update(len(chunk))
        if length and part.stat().st_size != have + length:
            raise OSError("the connection broke off")


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
    if isinstance(error, requests.ConnectionError):
        return "no connection"
    if isinstance(error, requests.Timeout):
        return "timed out"
    return type(error).__name__ + f": {error}".split("\n")[0]
