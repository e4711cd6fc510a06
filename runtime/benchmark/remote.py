"""A Linux board over OpenSSH: commands, files, and a folder there that is always removed.

Nothing that a user types reaches a shell unquoted: here commands are lists of arguments, and what
the board's shell reads is quoted word by word.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import re
import shlex
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..cli import positive
from ..errors import KitError

EMULATED = "emulated"  # In the place of a board's name, see `emulator`.
_CONNECT_S = 10
# For what takes no time: without an answer by then the connection is lost.
_SHORT_S = 60
_SLOWEST_BYTES_S = 1e5
_SIGNALS = 128  # Exit codes of the board's shell above it.
_LOST = 255  # Exit code of ssh itself.
_FOLDER = re.compile(r"/[\w./-]*nanodet-\w+")
_REASONS = (
    ("REMOTE HOST IDENTIFICATION HAS CHANGED", "its host key is another than the known one; if "
     "the board was flashed anew, remove the old key: ssh-keygen -R {name}"),
    ("Host key verification failed", "its host key is not known; connect once by hand: ssh {host}"),
    ("Permission denied", "it refuses the key; install one with ssh-copy-id {host}, or name "
     "another with --identity"),
    ("Connection refused", "it refuses the connection; is its SSH server on, and --port right?"),
    ("Could not resolve", "no machine has this name"),
    ("No route to host", "it cannot be reached; is it on, and in this network?"),
    ("Network is unreachable", "it cannot be reached; is it on, and in this network?"),
    ("timed out", "it does not answer; is it on, and in this network?"),
)  # fmt: skip


@dataclass(frozen=True)
class Finished:
    """What a command on the board left behind."""

    returncode: int
    stdout: bytes
    stderr: str

    @property
    def text(self) -> str:
        """Its stdout as text."""
        return self.stdout.decode("utf-8", "replace")

    @property
    def failure(self) -> str:
        """How it failed, and its last line."""
        how, said = f"exit code {self.returncode}", self.stderr or self.text
        if self.returncode > _SIGNALS:  # On stderr the shell adds its own words.
            how, said = f"signal {self.returncode - _SIGNALS}", self.text or self.stderr
        if "No space left" in self.stderr:
            how = f"no space left, {how}"
        lines = [line.strip() for line in said.splitlines() if line.strip()]
        return f"({how}); its last line: {lines[-1] if lines else 'nothing at all'}"


class CommandTimeout(KitError):
    """A command on the board took too long."""


def add_timeout(parser: argparse.ArgumentParser) -> None:
    """The option of every command that waits for another program."""
    parser.add_argument(
        "--timeout", type=positive, default=600, metavar="S", help="of a run; default %(default)s"
    )


def add_options(options: argparse._ActionsContainer, required: bool = True) -> None:
    """Options of every command that talks to a board. options: a parser, or a group of one."""
    add = options.add_argument
    add("--board", required=required, metavar="USER@HOST", help=f"or {EMULATED}, on this machine")
    add("--cpu", metavar="NAME", help="the one that is emulated; default each that works")
    add("--accelerator", default="cpu", metavar="NAME", help="cpu or npu; default %(default)s")
    add("--profile", metavar="NAME", help="board profile; by default found by uname")
    add("--boards", type=Path, metavar="DIR", help="folder with more profiles")
    add("--port", type=positive, help="of the board's SSH server")
    add("--identity", type=Path, metavar="FILE", help="private key")
    add("--ssh-config", type=Path, metavar="FILE", help="instead of ~/.ssh/config")
    add("--ssh-option", action="append", default=[], metavar="KEY=VALUE", help="as of ssh -o")


class Connection:
    """A connection. host: `user@name`. arguments: further options of ssh."""

    def __init__(self, host: str, arguments: Sequence[str] = ()) -> None:
        name = host.rpartition("@")[2]
        if not re.fullmatch(r"[\w.@:%\[\]-]+", host) or host[0] == "-" or name[:1] in ("", "-"):
            raise KitError(f"--board {host!r}: wants USER@HOST, e.g. root@192.168.0.10")
        self.host = host
        self._name = name
        options = {
            "BatchMode": "yes",
            "ConnectTimeout": str(_CONNECT_S),
            "ServerAliveInterval": "5",
            "ServerAliveCountMax": "3",
        }
        # The user's come first: of two, ssh takes the first.
        defaults = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
        self._ssh = ["ssh", *arguments, *defaults, "--", host]

    @classmethod
    def of(cls, options: argparse.Namespace) -> Connection:
        """From the options of `add_options`. Raises `KitError` for wrong ones."""
        arguments: list[str] = []
        if options.cpu is not None:
            raise KitError(f"--cpu goes with --board {EMULATED}")
        for pair in options.ssh_option:
            if not re.match(r"[A-Za-z]+=", pair):
                raise KitError(f"--ssh-option {pair!r}: wants KEY=VALUE")
            arguments += ["-o", pair]
        for letter, path in (("-i", options.identity), ("-F", options.ssh_config)):
            if path is not None and not path.exists():
                raise KitError(f"{path}: no such file")
            arguments += [letter, str(path.absolute())] if path is not None else []
        if options.port is not None:
            arguments += ["-p", str(options.port)]
        return cls(options.board, arguments)

    def run(
        self,
        words: Sequence[str],
        environment: Mapping[str, str] | None = None,
        folder: str = "",
        timeout_s: float = _SHORT_S,
    ) -> Finished:
        """Run a command, its words as they are. folder: of `temporary_folder`, for a command that
        may be long: when the folder is removed, it is ended.

        Raises `KitError` when the connection fails, `CommandTimeout` when time is up.
        """
        assigned = [f"{key}={value}" for key, value in (environment or {}).items()]
        command = shlex.join([*(["env", *assigned] if assigned else []), *words])
        if folder:
            # A signal becomes an exit code of the shell; ssh's own would be a lost connection's.
            status = "exit $(($? == 255 ? 1 : $?))"
            command = f"echo $$ > {shlex.quote(folder)}/pid && {{ {command}; {status}; }}"
        return self._shell(command, timeout_s)

    def find(self, globs: Sequence[str]) -> list[str]:
        """Executable files on the board that match; only `*` and `?` are special."""
        quoted = [
            "".join(c if c in "*?" else shlex.quote(c) for c in re.split(r"([*?])", glob) if c)
            for glob in globs
        ]
        done = self._shell(f'for f in {" ".join(quoted)}; do [ -x "$f" ] && echo "$f"; done; true')
        return done.text.split("\n")[:-1]

    def send(self, content: bytes, path: str) -> None:
        """Write a file there and compare its checksum. Raises `KitError`."""
        quoted, longest_s = shlex.quote(path), _SHORT_S + len(content) / _SLOWEST_BYTES_S
        done = self._shell(f"cat > {quoted} && sha256sum < {quoted}", longest_s, content)
        if "No space left" in done.stderr:
            raise KitError(f"{self.host}: no space left for {path} ({len(content)} bytes)")
        if done.returncode:
            raise KitError(f"{self.host}: {path} cannot be written ({_last(done.stderr)})")
        if done.text.split()[:1] != [hashlib.sha256(content).hexdigest()]:
            raise KitError(
                f"{self.host}: {path} arrived damaged, its SHA-256 is another; try again"
            )

    def receive(self, path: str) -> bytes:
        """Content of a file there. Raises `KitError` when it cannot be read."""
        done = self.run(["cat", path], timeout_s=600)
        if done.returncode:
            raise KitError(f"{self.host}: {path} cannot be read ({_last(done.stderr)})")
        return done.stdout

    @contextlib.contextmanager
    def temporary_folder(self) -> Iterator[str]:
        """A new folder there, removed at the end with what still runs in it."""
        done = self.run(["mktemp", "-d", "-t", "nanodet-XXXXXX"])
        path = done.text.strip()
        if done.returncode or not _FOLDER.fullmatch(path):
            raise KitError(f"{self.host}: no temporary folder there ({_last(done.stderr)})")
        try:
            yield path
        except BaseException as error:
            self._remove_after(error, path)
            raise
        self._remove(path)

    def _remove(self, path: str) -> None:
        """Remove the folder and end what `run` started in it, children too: each command that ssh
        runs leads a process group. Renamed first, so that what starts late does not start."""
        old, gone = shlex.quote(path), shlex.quote(f"{path}-gone")
        end = f'[ ! -e {gone}/pid ] || kill -9 -- -"$(cat {gone}/pid)" 2>/dev/null'
        done = self._shell(f"mv {old} {gone} && {{ {end}; rm -rf {gone}; }}")
        if done.returncode:
            raise KitError(f"{self.host}: {path} could not be removed ({_last(done.stderr)})")

    def _remove_after(self, error: BaseException, path: str) -> None:
        """Remove the folder; the error that came first stays the one reported."""
        try:
            self._remove(path)
        except KitError:
            # Of an interruption, nobody else would say it.
            message = str(error) or type(error).__name__
            raise KitError(f"{message}; {path} may remain on the board") from None

    def _shell(self, command: str, timeout_s: float = _SHORT_S, stdin: bytes = b"") -> Finished:
        """`command` is for the board's shell: all that comes from outside is quoted in it."""
        try:
            done = subprocess.run(
                [*self._ssh, command],
                input=stdin,
                capture_output=True,
                timeout=timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise CommandTimeout(f"{self.host}: no answer in {timeout_s:.0f} s") from None
        except FileNotFoundError:
            raise KitError("ssh is not installed here; install OpenSSH's client") from None
        stderr = done.stderr.decode("utf-8", "replace")
        if done.returncode == _LOST:
            raise KitError(f"{self.host}: {self._reason(stderr)}")
        return Finished(done.returncode, done.stdout, stderr)

    def _reason(self, stderr: str) -> str:
        for sign, reason in _REASONS:
            if sign in stderr:
                return reason.format(host=self.host, name=self._name)
        return f"the connection was lost ({_last(stderr)})"


def _last(stderr: str) -> str:
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    return lines[-1] if lines else "it does not say why"
