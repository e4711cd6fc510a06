"""The audit, with a vulnerability service of our own on loopback, and with none."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from packaging.requirements import Requirement

from runtime.errors import DataUnavailable, KitError
from tests.conftest import ROOT, run_python
from tools import audit

VULNERABILITY = {
    "id": "OSV-1",
    "published": "2026-01-01T00:00:00Z",
    "affected": [
        {
            "package": {"name": "pillow", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "99"}]}],
        }
    ],
}


class Service(ThreadingHTTPServer):
    """Answers as OSV does: of Pillow it knows one vulnerability. asked: `name==version`."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.asked: set[str] = set()
        self.options = ["-s", "osv", "--osv-url", f"http://127.0.0.1:{self.server_port}"]


class Answer(BaseHTTPRequestHandler):
    """To a question after one package."""

    server: Service

    def do_POST(self) -> None:
        query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        name = query["package"]["name"]
        self.server.asked.add(f"{name}=={query['version']}")
        content = json.dumps({"vulns": [VULNERABILITY]} if name == "pillow" else {}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Not on stderr."""


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_vulnerability_is_found(service: Service) -> None:
    done = run_python(ROOT, "-m", "tools.audit", *service.options)
    assert done.returncode == 1, done.stderr
    assert re.search(r"^pillow \S+: OSV-1, fixed in 99$", done.stdout, re.MULTILINE)
    assert "no known vulnerability" not in done.stdout
    lines = (ROOT / "locks/recipe.lock").read_text().splitlines()
    locked = [Requirement(line.rstrip("\\")) for line in lines if line[0] not in " #"]
    here = {f"{r.name}{r.specifier}" for r in locked if r.marker is None or r.marker.evaluate()}
    assert here <= service.asked, "every package is asked after"


def test_without_an_answer_nothing_is_called_sound(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as silent:  # Bound, not listening: refuses.
        silent.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(DataUnavailable, match="NOT AUDITED"):
            audit.vulnerabilities(["-s", "osv", "--osv-url", url])
    assert "no known vulnerability" not in capsys.readouterr().out


def test_a_wrong_option_is_said() -> None:
    with pytest.raises(KitError, match="--bogus"):
        audit.vulnerabilities(["--bogus"])


def test_the_locked_packages_fit_each_other() -> None:
    lock = (ROOT / "locks/test.lock").read_text()
    ours = set(re.findall(r"^([a-z0-9.-]+)==", lock, re.MULTILINE))
    assert [line for line in audit.conflicts() if line.split()[0].lower() in ours] == []
