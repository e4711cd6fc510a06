"""A folder with an arm64 Python, for QEMU's user mode: packages of Debian's, and wheels.

apt fetches the packages from where this machine has its own, and checks their signatures. pip
fetches the wheels, and compares their hashes with those of the lock. Neither installs anything on
this machine, and neither needs to be root.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..errors import DataUnavailable, KitError
from ..files import cache, locked, write_text, writing
from ..quiet import say

KIT = Path(__file__).parents[2]
_PACKAGES = ("python3", "libstdc++6")
_WHEELS = ("ai-edge-litert", "flatbuffers", "numpy", "pillow")
_GLIBC = range(17, 32)  # 2.17, of the oldest wheels, to 2.31, of Debian 11.


def standard() -> Path:
    """The folder that `--board emulated` takes, made in the kit's cache when it is wanted first.

    Raises `KitError`; `DataUnavailable` where packages or wheels cannot be had.
    """
    wheels = locked_wheels(_WHEELS)
    key = hashlib.sha256("\n".join([*_PACKAGES, *wheels]).encode()).hexdigest()[:12]
    folder = cache() / f"arm64-{key}"
    try:
        lock = locked(folder.with_suffix(".lock"), "ab", "waiting for another process's arm64 root")
    except OSError as error:
        raise KitError(f"{folder}: cannot be written ({error.strerror})") from None
    with lock:
        if not folder.is_dir():
            say(f"preparing {folder}, once: 40 MB of arm64 packages and wheels")
            make(folder, _PACKAGES, wheels)
    return folder


def locked_wheels(names: Iterable[str]) -> list[str]:
    """Lines of the kit's lock, with hashes, for any platform."""
    text = (KIT / "locks" / "recipe.lock").read_text(encoding="utf-8")
    blocks = {block.partition("==")[0]: block for block in re.split(r"\n(?=\S)", text)}
    return [re.sub(r" ; .*", r" \\", blocks[name], count=1) for name in names]


def make(folder: Path, packages: Sequence[str], wheels: Sequence[str], sources: str = "") -> None:
    """Make a root, whole or not at all.

    wheels: requirements of pip's. sources: lines of apt's sources.list; "" for this machine's.
    Raises as `standard`.
    """
    with tempfile.TemporaryDirectory() as scratch, writing(folder) as root:
        root.mkdir()
        for package in _download(Path(scratch), packages, sources):
            _run(["dpkg-deb", "--extract", str(package), str(root)])
        if not (root / "lib").exists():  # Newer packages leave this link to base-files.
            (root / "lib").symlink_to("usr/lib")
        requirements = Path(scratch) / "requirements.txt"
        requirements.write_text("\n".join(wheels), encoding="utf-8")
        _install(root, requirements)


def with_cpuinfo(root: Path, name: str, cpuinfo: str) -> Path:
    """The same root with a /proc/cpuinfo of its own, without a copy of the rest.

    QEMU shows this machine's, or none of a board's, by which LiteRT chooses kernels.
    """
    view = root / "boards" / name
    write_text(view / "proc" / "cpuinfo", cpuinfo)
    for path in root.iterdir():
        link = view / path.name
        if path.name not in ("boards", "proc") and not link.exists():
            with contextlib.suppress(FileExistsError):  # Another process was faster.
                link.symlink_to(path)
    return view


def python(root: Path) -> Path:
    """Its interpreter."""
    return (root / "usr/bin/python3").resolve()


def _download(scratch: Path, packages: Sequence[str], sources: str) -> list[Path]:
    """Packages and all that they depend on, by an apt that knows nothing to be installed."""
    for name in ("state/lists/partial", "cache/archives/partial", "parts"):
        (scratch / name).mkdir(parents=True)
    (scratch / "state/status").touch()
    settings = {
        "Dir::State": scratch / "state",
        "Dir::State::status": scratch / "state/status",
        "Dir::Cache": scratch / "cache",
        "APT::Architecture": "arm64",
        "APT::Architectures": "arm64",
    }
    if sources:
        (scratch / "sources.list").write_text(sources, encoding="utf-8")
        settings["Dir::Etc::SourceList"] = scratch / "sources.list"
        settings["Dir::Etc::SourceParts"] = scratch / "parts"
    apt = ["apt-get", "-qq", *(word for k, v in settings.items() for word in ("-o", f"{k}={v}"))]
    _run([*apt, "update"])
    _run([*apt, "install", "--download-only", "--yes", "--no-install-recommends", *packages])
    return sorted((scratch / "cache/archives").glob("*.deb"))


def _install(root: Path, requirements: Path) -> None:
    minor = python(root).name.removeprefix("python")
    platforms = ["manylinux2014_aarch64", *(f"manylinux_2_{n}_aarch64" for n in _GLIBC)]
    _run(
        [
            *(sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install"),
            *("--target", str(root / "site"), "--python-version", minor, "--no-compile"),
            *("--only-binary=:all:", "--no-deps", "--requirement", str(requirements)),
            *(word for name in platforms for word in ("--platform", name)),
        ]
    )


def _run(words: list[str]) -> None:
    if shutil.which(words[0]) is None:
        raise KitError(
            f"{words[0]} is not installed; --board emulated needs it for Debian's packages"
        )
    environment = {**os.environ, "LC_ALL": "C"}
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if re.match("E: |ERROR: |dpkg", line)]
        name = "pip" if words[0] == sys.executable else words[0]
        last = (said or done.stderr.splitlines() or ["it does not say why"])[-1]
        raise DataUnavailable(f"arm64 packages cannot be had: {name} fails ({last})")
