"""A board on this machine: OpenSSH's server on loopback with a throw-away key, and stand-ins for
what a board brings along."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import commands
from runtime.benchmark import arm_root
from runtime.benchmark.remote import Connection

OUTPUTS = Path(__file__).parent / "outputs"
KERNEL = "Linux imx8mpevk 6.1.36-lf-6.1.y #1 SMP PREEMPT aarch64 GNU/Linux"
# Each call prints the next of `play/1`, `play/2`, ... after what `play/N.sh` does.
BENCHMARK_MODEL = """#!/bin/sh
play="$(dirname "$0")/play"
for word in "$@"; do
  printf '%s\\n' "$word" >> "$play/words"
  case "$word" in --profiling_output_csv_file=*) csv="${word#*=}" ;; esac
done
echo call >> "$play/calls"
n=$(wc -l < "$play/calls")
env > "$play/$n.env"
[ -e "$play/$n.csv" ] && cat "$play/$n.csv" > "$csv"
[ -n "$VIV_VX_CACHE_BINARY_GRAPH_DIR" ] && echo graph > "$VIV_VX_CACHE_BINARY_GRAPH_DIR/graph.nb"
[ -e "$play/$n" ] && cat "$play/$n"
[ -e "$play/$n.sh" ] && . "$play/$n.sh"
exit 0
"""
# Ends the server's process that leads this session.
LOSE_CONNECTION = """
p=$$
while case "$(cat /proc/$p/comm)" in sshd*) false ;; *) true ;; esac; do
  p=$(awk '{print $4}' /proc/$p/stat)
done
kill -9 $p
"""
PROFILE = """
title: i.MX 8M Plus
kind: linux
soc: imx8mp
cores: {{count: 4, kind: Cortex-A53, mhz: 1800}}
benchmark_model: ["{bsp}/tensorflow-lite-*/examples/benchmark_model"]
accelerators:
  cpu:
  npu:
    delegate: {bsp}/libvx_delegate.so
    cache_environment:
      VIV_VX_ENABLE_CACHE_GRAPH_BINARY: "1"
      VIV_VX_CACHE_BINARY_GRAPH_DIR: "{{folder}}"
    profile_environment: {{CNN_PERF: "1"}}
published:
  - {{model: NXP's, accelerator: npu, threads: 0, latency_ms: 12.1, source: a card}}
  - {{model: NXP's, accelerator: cpu, threads: 1, latency_ms: 92.4, source: a card}}
"""

# In the place of QEMU: this Python in the place of the root's, and 250 instructions counted.
QEMU = """#!/bin/sh
[ "$1" != --help ] || {{ echo " -plugin"; exit; }}
[ "$5" != -plugin ] || printf '100\\n350\\n' > counts
while [ "${{1##*/}}" != python3.99 ]; do shift; done
shift
unset PYTHONHOME LD_LIBRARY_PATH
{before}
exec {python} "$@"
"""


def script(path: Path, text: str) -> Path:
    """An executable file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def generate_key(path: Path) -> str:
    """Make a key pair; returns the public half."""
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", str(path)]
    subprocess.run(command, check=True)
    return path.with_suffix(".pub").read_text()


class Server:
    """OpenSSH's server as this user, on a free port."""

    def __init__(self, folder: Path, bin_folder: Path) -> None:
        daemon = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        if daemon is None or shutil.which("ssh") is None:
            pytest.skip("no OpenSSH server here (apt install openssh-server openssh-client)")
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)  # For its separation of privileges.
        self.identity, self.user = folder / "key", getpass.getuser()
        (folder / "authorized").write_text(generate_key(self.identity))
        host_key = generate_key(folder / "host")
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.known_hosts = folder / "known_hosts"
        self.known_hosts.write_text(f"[127.0.0.1]:{self.port} {host_key}")
        config = folder / "sshd_config"
        # At the second level bash leaves ~/.bashrc alone.
        config.write_text(
            f"ListenAddress 127.0.0.1:{self.port}\nHostKey {folder}/host\nPidFile none\n"
            f"AuthorizedKeysFile {folder}/authorized\nPasswordAuthentication no\n"
            "KbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\nUsePAM no\n"
            "Subsystem sftp internal-sftp\n"
            f"StrictModes no\nKexAlgorithms curve25519-sha256\nMaxStartups 100\n"
            f"SetEnv PATH={bin_folder}:/usr/bin:/bin TMPDIR={self.temporary} SHLVL=2\n"
        )
        self.process = subprocess.Popen(
            [daemon, "-D", "-e", "-f", str(config)], stderr=subprocess.PIPE
        )
        self._master: subprocess.Popen[bytes] | None = None
        self._wait()

    def _wait(self) -> None:
        for _ in range(400):
            if self.process.poll() is not None:
                assert self.process.stderr is not None
                pytest.skip(f"sshd does not run here: {self.process.stderr.read().decode()}")
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        pytest.skip("sshd does not answer here")

    def share_connection(self, path: Path) -> None:
        """Keep one connection open for `shared_options`: encryption is half of the tests' time."""
        command = self.board(ControlPath=str(path), ControlMaster="yes")._ssh
        self._master = subprocess.Popen([*command[:-2], "-N", *command[-2:]])
        self.shared_options = [*self.options, "--ssh-option", f"ControlPath={path}"]
        for _ in range(400):
            if path.exists():
                return
            time.sleep(0.05)

    @property
    def options(self) -> list[str]:
        """Of the command line."""
        return [
            "--board", f"{self.user}@127.0.0.1", "--port", str(self.port),
            "--identity", str(self.identity),
            "--ssh-option", f"UserKnownHostsFile={self.known_hosts}",
            "--ssh-option", "StrictHostKeyChecking=yes", "--ssh-config", os.devnull,
        ]  # fmt: skip

    def board(self, **changes: str) -> Connection:
        """A connection; changes: options of ssh."""
        options = {
            "Port": str(self.port),
            "IdentityFile": str(self.identity),
            "IdentitiesOnly": "yes",
            "UserKnownHostsFile": str(self.known_hosts),
            "StrictHostKeyChecking": "yes",
        } | changes
        words = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
        return Connection(f"{self.user}@127.0.0.1", ["-F", os.devnull, *words])

    def folders(self) -> list[Path]:
        """What is temporary on the board."""
        return list(self.temporary.iterdir())

    def stop(self) -> None:
        """End the server; sessions go on."""
        if self._master is not None:
            self._master.terminate()
            self._master.wait()
        self.process.terminate()
        self.process.wait()
        assert self.process.stderr is not None
        self.process.stderr.close()


@pytest.fixture(scope="session")
def bin_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """First in the PATH of the board's sessions."""
    return tmp_path_factory.mktemp("bin")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, bin_folder: Path) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp("sshd"), bin_folder)
    with tempfile.TemporaryDirectory() as folder:  # The path of a socket must be short.
        running.share_connection(Path(folder) / "socket")
        yield running
    running.stop()


@dataclass(frozen=True)
class StandIn:
    """A board with a `benchmark_model` that replays. bin: for stand-ins of other programs."""

    server: Server
    bin: Path
    bsp: Path
    play: Path

    def replay(self, *names: str) -> None:
        """Print these files of `outputs/`, one a call."""
        for number, name in enumerate(names, 1):
            shutil.copy(OUTPUTS / name, self.play / str(number))

    def then(self, number: int, shell: str) -> None:
        """What the call does after it printed."""
        (self.play / f"{number}.sh").write_text(shell)

    @property
    def words(self) -> list[str]:
        """All words that `benchmark_model` was called with."""
        return (self.play / "words").read_text().splitlines()

    @property
    def options(self) -> list[str]:
        """Of the command line."""
        return [*self.server.shared_options, "--boards", str(self.bsp)]


@pytest.fixture
def board(server: Server, bin_folder: Path, tmp_path: Path) -> Iterator[StandIn]:
    bsp = tmp_path / "bsp"
    for version in ("2.9.1", "2.10.0"):
        script(bsp / f"tensorflow-lite-{version}/examples/benchmark_model", BENCHMARK_MODEL)
    play = bsp / "tensorflow-lite-2.10.0/examples/play"
    play.mkdir()
    (bsp / "libvx_delegate.so").touch()
    (bsp / "imx8mp.yaml").write_text(PROFILE.format(bsp=bsp))
    script(bin_folder / "uname", f"#!/bin/sh\necho '{KERNEL}'\n")
    yield StandIn(server, bin_folder, bsp, play)
    for path in bin_folder.iterdir():
        path.unlink()
    assert server.folders() == [], "nothing stays on the board"


@pytest.fixture
def emulate(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    """Lets `--board emulated` run this machine's Python, after a line of shell."""
    root = tmp_path / "arm64"
    script(root / "usr/bin/python3.99", "")
    (root / "usr/bin/python3").symlink_to("python3.99")
    monkeypatch.setattr(arm_root, "standard", lambda: root)
    monkeypatch.setenv("PATH", f"{tmp_path / 'qemu'}:{os.environ['PATH']}")

    def start(before: str) -> None:
        text = QEMU.format(before=before, python=sys.executable)
        script(tmp_path / "qemu/qemu-aarch64", text)

    return start


@dataclass(frozen=True)
class Done:
    """What a command line left behind."""

    code: int
    out: str
    err: str


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[..., Done]:
    """Runs `./nanodet` with the words, in this process and an empty folder."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    def call(name: str, *words: object) -> Done:
        code = commands.start(name, [str(word) for word in words])
        said = capsys.readouterr()
        return Done(code, said.out, said.err.split("\r")[-1].strip())

    return call
