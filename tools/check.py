"""`./nanodet check`: what this machine has of what the kit needs, and how to get the rest.

`python tools/check.py network` says in one line why packages cannot be fetched, if they cannot, and
exits with 2. Any Python 3 understands this file, and it needs no package.
"""

import argparse
import os
import shutil
import ssl
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

KIT = Path(__file__).resolve().parent.parent
OLDEST, NEWEST = (3, 10), (3, 13)
INDEX = "https://pypi.org/simple/"
# `.venv` of `tests/run.sh` with the CPU build of PyTorch, and a build of the largest network.
_DISK_GB = 6
_TIMEOUT_S = 15
_ABOUT = "Say what this machine has of what the kit needs, and how to get the rest."
# Program, Debian's package, and what does without it.
_PROGRAMS = (
    ("gcc", "gcc", "tests of the firmware on this machine"),
    ("cmake", "cmake", "builds of generated firmware"),
    ("arm-none-eabi-gcc", "gcc-arm-none-eabi", "builds for a microcontroller"),
    ("qemu-system-arm", "qemu-system-arm", "runs on an emulated microcontroller"),
    ("qemu-aarch64", "qemu-user", "Linux boards that are emulated"),
    ("chromium", "chromium", "tests that look at reports"),
    ("ssh", "openssh-client", "boards in the network"),
)


def main(words: "list[str]") -> int:
    """Print a line for each need; returns 1 where models cannot be built here, else 0."""
    parser = argparse.ArgumentParser("nanodet check", description=_ABOUT)
    others = parser.parse_known_args(words)[1]
    if others:
        print(f"error: {others[0]}: nanodet check takes no options", file=sys.stderr)
        return 2
    needed = [_python(), _disk(), _packages()]
    for found, text in needed + [_data()] + [_program(*row) for row in _PROGRAMS]:
        print(("ok       " if found else "missing  ") + text)
    return 0 if all(found for found, _ in needed) else 1


def _python() -> "tuple[bool, str]":
    venv = KIT / ".venv" / "bin" / "python"
    path = str(venv) if venv.exists() else sys.executable
    asked = [path, "-c", "import platform; print(platform.python_version())"]
    try:
        version = subprocess.run(asked, stdout=subprocess.PIPE, text=True).stdout.strip()
    except OSError:
        version = ""
    fits = bool(version) and OLDEST <= tuple(map(int, version.split(".")[:2])) <= NEWEST
    span = "{}.{} to {}.{}".format(*OLDEST, *NEWEST)
    return fits, f"Python {version or 'that starts'} ({path}); models are built with {span}"


def _disk() -> "tuple[bool, str]":
    free_gb = shutil.disk_usage(str(KIT)).free / 1e9
    enough = free_gb >= _DISK_GB or (KIT / ".venv").exists()
    return enough, f"{free_gb:.0f} GB free in {KIT}; an installation and its builds take {_DISK_GB}"


def _packages() -> "tuple[bool, str]":
    installed = any(KIT.glob(".venv/.installed-*"))
    if installed:
        return True, "packages in .venv"
    return False, f"packages; bash {KIT / 'recipe.sh'} installs them"


def _data() -> "tuple[bool, str]":
    """Official weights and photographs for calibration, where they are before a download."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folders = [Path(base) / "nanodet-edge-kit"]
    if os.environ.get("NANODET_DATA"):
        folders.insert(0, Path(os.environ["NANODET_DATA"]))
    there = all(
        any(next(folder.glob(pattern), None) for folder in folders)
        for pattern in ("weights/*.ckpt", "coco/calibration/*.jpg")
    )
    where = " or ".join(map(str, folders))
    hint = "" if there else "; builds download what they need"
    return there, f"official weights and pictures for calibration in {where}{hint}"


def _program(name: str, package: str, use: str) -> "tuple[bool, str]":
    path = shutil.which(name)
    return bool(path), f"{name} for {use}" + ("" if path else f" (apt install {package})")


def network() -> str:
    """Why pip cannot reach its index, in words; "" where it can, or needs none."""
    if os.environ.get("PIP_NO_INDEX"):
        return ""
    index = os.environ.get("PIP_INDEX_URL") or _configured_index() or INDEX
    if not index.startswith("http"):
        return ""
    try:
        urllib.request.urlopen(index, timeout=_TIMEOUT_S).close()
    except urllib.error.HTTPError:
        return ""  # It answers.
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        if isinstance(reason, ssl.SSLError):
            return ""  # It answers; pip has certificates of its own.
        host = urllib.parse.urlparse(index).hostname
        scheme = index.split(":")[0]
        proxy = urllib.request.getproxies().get(scheme, "")
        through = (
            f" through the proxy {proxy.rpartition('@')[2]} of {scheme}_proxy" if proxy else ""
        )
        return f"{host} does not answer{through} ({reason}); packages come from there"
    return ""


def _configured_index() -> str:
    asked = [sys.executable, "-m", "pip", "config", "get", "global.index-url"]
    done = subprocess.run(asked, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return done.stdout.strip()


if __name__ == "__main__":
    why = network() if sys.argv[1:] == ["network"] else ""
    if why:
        sys.stderr.write("error: " + why + "\n")
        sys.exit(2)
