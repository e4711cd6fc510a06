"""The page in a real browser: headless Chromium, without a network."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from pipeline.report import render
from pipeline.report.contract import Findings, Job
from runtime.tflite_file import TfliteFile
from tests.pipeline.report.conftest import HOSTILE_FILE
from tests.pipeline.report.test_render import hostile

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
_FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
    "--hide-scrollbars", "--no-first-run", "--disable-background-networking",
    "--host-resolver-rules=MAP * ~NOTFOUND", "--enable-logging=stderr", "--v=0",
    "--virtual-time-budget=8000",
)  # fmt: skip
_TIMEOUT_S = 120

# Put at the end of a copy of the page; tells the frame around it what the page is like.
_PROBE = """<script>addEventListener("load", () => parent.postMessage({
  title: document.title,
  images: [...document.images].map(i => [i.alt, i.complete, i.naturalWidth]),
  shown: document.documentElement.clientWidth,
  wide: document.documentElement.scrollWidth,
  requests: performance.getEntriesByType("resource").map(r => r.name.slice(0, 60)),
  text: [...document.querySelectorAll("svg text")].map(t => {
    const svg = t.ownerSVGElement;
    const scale = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
    return scale * parseFloat(getComputedStyle(t).fontSize); }),
  cut: [...document.querySelectorAll("svg")].filter(s => { const b = s.getBoundingClientRect();
    return [...s.querySelectorAll("text")].some(t => { const r = t.getBoundingClientRect();
      return r.left < b.left - 2 || r.right > b.right + 2; }); }).length,
}, "*"));</script>"""

_FRAME = """<!DOCTYPE html><body style="margin:0"><pre id="told"></pre><script>
addEventListener("message", e => told.textContent = JSON.stringify(e.data));</script>
<iframe src="PAGE" style="border:0;width:WIDTHpx;height:9000px"></iframe>"""

needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium here (apt-get install chromium)"
)


def _run(folder: Path, page: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    assert CHROMIUM is not None
    return subprocess.run(
        [CHROMIUM, *_FLAGS, f"--user-data-dir={folder / 'profile'}", *flags, page.as_uri()],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=True,
    )


def _look(folder: Path, page: str, width: int) -> tuple[dict[str, Any], list[str]]:
    """What the probe tells of a page in a frame of `width` pixels, and the console's lines."""
    (folder / "copy.html").write_text(page.replace("</body>", _PROBE + "</body>"), "utf-8")
    frame = _FRAME.replace("PAGE", "copy.html").replace("WIDTH", str(width))
    (folder / "frame.html").write_text(frame, "utf-8")
    done = _run(folder, folder / "frame.html", "--dump-dom")
    told = re.findall(r'<pre id="told">(.*?)</pre>', done.stdout, re.DOTALL)
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return json.loads(html.unescape(told[0])), console


@pytest.fixture(scope="module")
def page(job: Job, found: Findings) -> str:
    return render.page(job, TfliteFile.read(job.tflite).spec, hostile(found))


@needs_chromium
@pytest.mark.parametrize("width", [360, 1280])
def test_page(page: str, width: int, tmp_path: Path) -> None:
    told, console = _look(tmp_path, page, width)
    assert console == [] and told["requests"] == []
    assert told["title"] == "nanodet-m-0.5x, strides 8, 16, 32, int8", "no script has run"
    assert len(told["images"]) == 6 and all(ok and n > 0 for _, ok, n in told["images"])
    assert any(HOSTILE_FILE in alt for alt, _, _ in told["images"])
    assert told["shown"] == width and told["wide"] <= width, "nothing to scroll sideways for"
    assert told["text"] and min(told["text"]) >= 11
    assert told["cut"] == 0, "no plot's text leaves it"


@needs_chromium
def test_the_probe_sees_what_is_wrong(tmp_path: Path) -> None:
    """Otherwise the test above would hold for any page."""
    broken = """<!DOCTYPE html><title>t</title><body><div style="width:900px">wide</div>
    <img alt="" src="nowhere.jpg"><img alt="" src="https://example.org/x.png">
    <svg viewBox="0 0 1000 100" width="300"><text x="990" y="50">small and cut</text></svg>
    <script>nothing.there()</script></body>"""
    told, console = _look(tmp_path, broken, 360)
    assert "nothing is not defined" in "".join(console)
    assert told["wide"] > 360 and told["cut"] == 1 and min(told["text"]) < 11
    assert [n for _, _, n in told["images"]] == [0, 0]
    assert any("example.org" in name for name in told["requests"])


@needs_chromium
def test_screenshot(page: str, tmp_path: Path) -> None:
    """Legible in greyscale: ink on white, and shades between them."""
    from PIL import Image

    (tmp_path / "page.html").write_text(page, "utf-8")
    _run(tmp_path, tmp_path / "page.html", "--window-size=1000,3000", "--screenshot=page.png")
    with Image.open(tmp_path / "page.png") as image:
        shades = image.convert("L").histogram()
    assert shades[255] > sum(shades) / 3 and sum(shades[:90]) > sum(shades) / 200
