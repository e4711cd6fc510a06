"""What is silenced comes back, and other threads' lines are never lost. In processes of their own,
for descriptors are a process's."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, Build

_BEGIN = "import os, sys, threading, time\nfrom runtime.quiet import output_to, silenced\n"


def _run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", _BEGIN + code, *arguments],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("code", "out", "err", "reason"),
    [
        ("with silenced(): os.write(2, b'native\\n')\nos.write(2, b'after\\n')", "", "after\n",
         "stderr comes back"),
        ("with silenced(): print('kept', flush=True)", "kept\n", "", "stdout is left alone"),
        ("with silenced():\n with silenced(): pass\n os.write(2, b'in\\n')\n"
         "os.write(2, b'after\\n')", "", "after\n", "one within another"),
        ("try:\n with silenced(): 1 / 0\nexcept ZeroDivisionError: os.write(2, b'after\\n')",
         "", "after\n", "after an error"),
        ("threading.Thread(target=time.sleep, args=(1,)).start()\n"
         "with silenced(): os.write(2, b'native\\n')", "", "native\n", "another thread runs"),
        ("import _thread; _thread.start_new_thread(lambda: time.sleep(1), ()); time.sleep(.1)\n"
         "with silenced(): os.write(2, b'native\\n')", "", "native\n", "one started from C, say"),
        ("from tqdm import tqdm\nfor _ in tqdm([1], disable=True): pass\n"
         "with silenced(): os.write(2, b'native\\n')", "", "", "tqdm's monitor does not count"),
        ("os.close(2); sys.stderr = None\nwith silenced(): print('alive')", "alive\n", "",
         "no stderr at all"),
    ],
)  # fmt: skip
def test_silenced(code: str, out: str, err: str, reason: str) -> None:
    done = _run(code)
    assert (done.returncode, done.stdout, done.stderr) == (0, out, err), reason


_THREADS = """
from pathlib import Path
from runtime.detector import Detector
from runtime.image import load_rgb
import numpy as np
model, lines = sys.argv[1], int(sys.argv[2])
picture = np.zeros((64, 96, 3), np.uint8)
before = [os.fstat(d)[:3] for d in (1, 2)]
working = True
def detect(engine):
    while working:
        Detector(model, engine).detect(picture)
def tell(stream, name):
    for i in range(lines):
        print(f"{name} {i}", file=stream, flush=True)
        time.sleep(0.002)
engines = ("litert", "tflm") * 4
workers = [threading.Thread(target=detect, args=(engine,)) for engine in engines]
streams = ((sys.stdout, "out"), (sys.stderr, "err"))
tellers = [threading.Thread(target=tell, args=stream) for stream in streams]
for thread in (*workers, *tellers): thread.start()
for thread in tellers: thread.join()
working = False
for thread in workers: thread.join()
assert [os.fstat(d)[:3] for d in (1, 2)] == before
Detector(model, "tflm").detect(picture)  # Alone again.
print("end"); print("end", file=sys.stderr)
"""


def test_detectors_in_threads(build: Build) -> None:
    """Eight threads open detectors and detect; two others tell."""
    done = _run(_THREADS, str(build.tflite), "100")
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.splitlines() == [*(f"out {i}" for i in range(100)), "end"]
    # A library's line and its end are two writes, and ours may come between them.
    told = re.findall(r"(?:err \d+|end)$", done.stderr, re.MULTILINE)
    assert told == [*(f"err {i}" for i in range(100)), "end"]


def test_logs_of_two_threads(tmp_path: Path) -> None:
    """One after the other, and then both descriptors are as they were."""
    code = """
from pathlib import Path
def work(name):
    for i in range(50):
        with output_to(Path(sys.argv[1]) / name):
            os.write(1, f"{name} {i}\\n".encode())
            time.sleep(0.001)
threads = [threading.Thread(target=work, args=(name,)) for name in "ab"]
for thread in threads: thread.start()
for thread in threads: thread.join()
print("out"); print("err", file=sys.stderr)
"""
    done = _run(code, str(tmp_path))
    assert (done.returncode, done.stdout, done.stderr) == (0, "out\n", "err\n")
    for name in "ab":
        assert (tmp_path / name).read_text().splitlines() == [f"{name} {i}" for i in range(50)]


@pytest.mark.parametrize(
    ("level", "out", "err", "reason"),
    [
        (-1, "result\n", "", "neither lines on the way nor chatter"),
        (0, "on the way\nresult\n", "", "no chatter"),
        (1, "on the way\nresult\n", "dropped\nlog.txt:\nlogged\n\n", "all that is said"),
    ],
)
def test_levels(tmp_path: Path, level: int, out: str, err: str, reason: str) -> None:
    """What is said at each level; the log holds the same at all of them."""
    code = (
        "from pathlib import Path\nfrom runtime.quiet import say, set_level\n"
        "os.chdir(sys.argv[1]); set_level(int(sys.argv[2])); say('on the way')\n"
        "Path('log.txt').write_text('before\\n')\n"
        "with silenced(): os.write(2, b'dropped\\n')\n"
        "with output_to(Path('log.txt')): os.write(1, b'logged\\n')\n"
        "print('result')"
    )
    done = _run(code, str(tmp_path), str(level))
    assert (done.returncode, done.stdout, done.stderr) == (0, out, err), reason
    assert (tmp_path / "log.txt").read_text() == "before\nlogged\n"
