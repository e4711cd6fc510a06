"""A newcomer's checkout: a copy of the kit with small stand-ins for weights, photographs, boards.

Its `.venv` is a virtual environment as `recipe.sh` makes one, with the packages of this one.
Commands run in a fresh shell, with the system's programs and nothing of this environment.

So that a command takes seconds, official weights are random here and take 96x96 pixels, and
quantization learns for a few iterations. The board at 192.168.0.10 is OpenSSH's server on this
machine.
"""

from __future__ import annotations

import csv
import getpass
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import cv2
import torch
import yaml
from PIL import Image

from data.locate import model_spec
from data.shapes.dataset import write_set
from tests.conftest import ROOT, photo, small
from tests.random_network import random_network
from tests.runtime.benchmark.conftest import OUTPUTS, Server, script

SIDE = 96
_MODEL = "nanodet-m-0.5x"
_IMAGES = 100
_ITERATIONS = {"reconstruct.py": r"(ITERATIONS = )300", "equalize.py": r"(_ITERATIONS = )500"}
# Of a fresh shell.
_SYSTEM = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_KEPT = ("HOME", "LANG", "LC_ALL", "LOGNAME", "TERM", "USER")
_LOCKED = ("locks/recipe.lock", "locks/test.lock")
# Says what a board says: with a delegate or without, profiling or not.
_BENCHMARK_MODEL = """#!/bin/sh
case "$*" in
*external_delegate*profiling*) cat {outputs}/npu_profile ;;
*external_delegate*) cat {outputs}/npu_cached ;;
*) cat {outputs}/old_cpu ;;
esac
"""
# A board's Python that has no NPU to give.
_PYTHON = """#!/bin/sh
for word in "$@"; do
  shift
  case "$word" in --delegate*) ;; *) set -- "$@" "$word" ;; esac
done
exec {python} "$@"
"""
_SSH_CONFIG = """Host 192.168.0.10
HostName 127.0.0.1
Port {port}
IdentityFile {identity}
IdentitiesOnly yes
UserKnownHostsFile {known_hosts}
StrictHostKeyChecking yes
"""


class Sandbox:
    """Where the commands run. folder: the checkout."""

    def __init__(self, folder: Path, server: Server, board_bin: Path) -> None:
        self.folder, self._server, self._board_bin = folder, server, board_bin
        self._soc = ""
        self._typed: dict[tuple[str, str], subprocess.CompletedProcess[str]] = {}
        self._copy()
        self._data(folder.parent / "data")
        self._own()
        self._tools(folder.parent / "bin")
        self._board(folder.parent / "board")
        dead = "http://127.0.0.1:9"  # Nobody listens there: nothing is downloaded.
        self._environment = {
            **{name: os.environ[name] for name in _KEPT if name in os.environ},
            "PATH": f"{folder.parent / 'bin'}:{_SYSTEM}",
            "NANODET_DATA": str(folder.parent / "data"),
            "XDG_CACHE_HOME": str(folder.parent / "cache"),
            "OMP_NUM_THREADS": "1",
            "HTTP_PROXY": dead,
            "HTTPS_PROXY": dead,
        }

    def _copy(self) -> None:
        """What git tracks, and an environment."""
        listed = subprocess.run(
            ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
        )
        for name in filter(None, listed.stdout.split("\0")):
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, self.folder / name)
        author = ("-c", "user.name=a", "-c", "user.email=a@example.com")
        for words in (("init",), ("add", "--all"), (*author, "commit", "--message", "all")):
            subprocess.run(["git", *words], cwd=self.folder, check=True, capture_output=True)
        self._venv(self.folder / ".venv")
        for module, iterations in _ITERATIONS.items():
            path = self.folder / "quantize" / module
            shorter, count = re.subn(iterations, r"\g<1>5", path.read_text())
            assert count == 1, module
            path.write_text(shorter)
        installed = '. tools/environment.sh; for lock; do touch "$(marker_of "$lock")"; done'
        subprocess.run(["bash", "-c", installed, "bash", *_LOCKED], cwd=self.folder, check=True)

    def _venv(self, folder: Path) -> None:
        """Packages and their programs are this environment's; Python and pip are its own."""
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
        (packages,) = folder.glob("lib/python*/site-packages")
        packages.rmdir()
        packages.symlink_to(sysconfig.get_paths()["purelib"])
        script(folder / "bin" / "pip", f'#!/bin/sh\nexec "{folder}/bin/python" -m pip "$@"\n')
        for program in Path(sysconfig.get_paths()["scripts"]).iterdir():
            if not (folder / "bin" / program.name).exists():
                (folder / "bin" / program.name).symlink_to(program)

    def _data(self, data: Path) -> None:
        """Small official weights, and photographs that the manifest of this checkout lists."""
        path = self.folder / "models" / f"{_MODEL}.yaml"
        values = yaml.safe_load(path.read_text())
        values["input"] |= {"width": SIDE, "height": SIDE}
        path.write_text(yaml.safe_dump(values))
        (data / "weights").mkdir(parents=True)
        network = random_network(small(model_spec(_MODEL), SIDE, SIDE))
        with torch.no_grad():
            for last in network.head.gfl_cls:  # As few candidates as a trained network has.
                last.get_parameter("bias").sub_(3.4)
        torch.save({"state_dict": network.state_dict()}, data / "weights" / "nanodet_m_0.5x.ckpt")
        shutil.copy(data / "weights" / "nanodet_m_0.5x.ckpt", self.folder)
        self._photographs(data / "coco")

    def _photographs(self, coco: Path) -> None:
        (coco / "calibration").mkdir(parents=True)
        manifest = io.StringIO()
        writer = csv.writer(manifest)
        writer.writerow(("image_id", "url", "size_bytes", "sha256"))
        for i in range(_IMAGES):
            path = coco / "calibration" / f"{i:012d}.jpg"
            Image.fromarray(photo(i, 120, 100)).save(path)
            content = path.read_bytes()
            writer.writerow((i, "http://x", len(content), hashlib.sha256(content).hexdigest()))
        (self.folder / "calibration" / "manifest.csv").write_text(manifest.getvalue())
        shutil.copytree(coco / "calibration", self.folder / "photos")
        (coco / "val500").mkdir()
        names = [f"{i:012d}.jpg" for i in range(4)]
        for name in names:
            shutil.copy(coco / "calibration" / name, coco / "val500")
        size = {"width": 120, "height": 100}
        box = {"bbox": [10, 10, 60, 60], "area": 3600, "iscrowd": 0, "category_id": 1}
        annotations = {
            "images": [{"id": i, "file_name": name, **size} for i, name in enumerate(names)],
            "annotations": [{"id": i + 1, "image_id": i, **box} for i in range(len(names))],
            "categories": [{"id": 1, "name": "person"}],
        }
        (coco / "instances_val500.json").write_text(json.dumps(annotations))

    def _own(self) -> None:
        """What a user brings: a picture, a clip, scenes, a configuration and its checkpoint."""
        Image.fromarray(photo(1, 160, 120)).save(self.folder / "street.jpg")
        clip = cv2.VideoWriter(
            str(self.folder / "clip.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 10, (96, 64)
        )
        for i in range(3):
            clip.write(photo(i, 96, 64))
        clip.release()
        write_set(self.folder / "scenes", _IMAGES, SIDE, SIDE, 0)
        text = (ROOT / "models" / "shapes" / "nanodet-m-0.5x-shapes.yml").read_text()
        text = text.replace("[320, 320]", f"[{SIDE}, {SIDE}]").replace("epochs: 18", "epochs: 1")
        (self.folder / "own.yml").write_text(text)
        shutil.copy(ROOT / "models" / "nanodet_m_0.5x_shapes.ckpt", self.folder / "own.ckpt")

    def _tools(self, folder: Path) -> None:
        """ssh and scp that find the board."""
        config = folder.parent / "ssh_config"
        config.write_text(
            _SSH_CONFIG.format(
                port=self._server.port,
                identity=self._server.identity,
                known_hosts=self._server.known_hosts,
            )
        )
        for name in ("ssh", "scp"):
            script(folder / name, f'#!/bin/sh\nexec {shutil.which(name)} -F {config} "$@"\n')

    def _board(self, folder: Path) -> None:
        """Profiles of this checkout whose boards lie in `folder`."""
        tool = folder / "tensorflow-lite-2.10.0/examples/benchmark_model"
        script(tool, _BENCHMARK_MODEL.format(outputs=OUTPUTS))
        (folder / "delegate.so").touch()
        script(self._board_bin / "python3", _PYTHON.format(python=sys.executable))
        for name in ("imx8mp", "imx93"):
            path = self.folder / "runtime/benchmark/boards" / f"{name}.yaml"
            values = yaml.safe_load(path.read_text())
            values["benchmark_model"] = [str(tool)]
            values["accelerators"]["npu"]["delegate"] = str(folder / "delegate.so")
            path.write_text(yaml.safe_dump(values))

    def become(self, soc: str) -> None:
        """Let the board say that it is another."""
        self._soc = soc
        script(self._board_bin / "uname", f"#!/bin/sh\necho 'Linux {soc}evk 6.1.36 aarch64'\n")

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """Type a command as it stands in the document, but for `_substitutes`.

        One that several pages show was typed already, and its outcome stands.
        """
        key = self._soc, command
        if key not in self._typed:
            self._typed[key] = self._type(command)
        return self._typed[key]

    def _type(self, command: str) -> subprocess.CompletedProcess[str]:
        for pattern, replacement in self._substitutes().items():
            command = re.sub(pattern, replacement, command)
        return subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def _substitutes(self) -> dict[str, str]:
        """Pattern -> what stands for it: names left to the reader, and numbers that take long."""
        return {
            r"root@": f"{getpass.getuser()}@",
            r"/opt/nanodet": str(self.folder.parent / "on_board"),
            # Random weights magnify what kernels round otherwise.
            r"(nanodet parity)": r"\1 --tolerance 255",
            r"MODEL\.tflite|MODEL\b": "nanodet_m_0.5x.tflite",
            r"OTHER\.tflite": "nanodet_m_0.5x.tflite",
            r"DIR\b": "scenes",
            r"/path/to/python3\.11": sys.executable,
            r"--images 2000": f"--images {_IMAGES}",
            r"--epochs 20": "--epochs 1",
            # The sandbox has no package index to fetch setuptools from.
            r"pip wheel": "pip wheel --no-build-isolation",
        }
