"""Commands and files on a board, over a real OpenSSH server."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from runtime.benchmark.remote import CommandTimeout, Connection
from runtime.errors import KitError
from tests.runtime.benchmark.conftest import (
    LOSE_CONNECTION,
    Server,
    StandIn,
    generate_key,
    script,
)

# Each would make the file `hit` if a shell read it unquoted.
INJECTIONS = [
    "; touch hit",
    "$(touch hit)",
    "`touch hit`",
    "' ; touch hit; '",
    '" ; touch hit; "',
    "a\ntouch hit",
    "& touch hit &",
    "| touch hit",
    "-rf",
    "--help",
    "*",
    "~",
    "$HOME",
    "\\",
]


def test_words_reach_the_program_as_they_are(server: Server, tmp_path: Path) -> None:
    board, hit = server.board(), tmp_path / "hit"
    texts = [text.replace("hit", str(hit)) for text in INJECTIONS]
    printed = board.run(["printf", r"%s\0", *texts]).text
    assert printed.split("\0")[:-1] == texts
    variables = {f"TEXT{i}": text for i, text in enumerate(texts)}
    printed = board.run(["env", "-0"], variables).text
    assert [f"{key}={value}" for key, value in variables.items()] == [
        line for line in printed.split("\0") if line.startswith("TEXT")
    ]
    assert board.find([f"{tmp_path}/none{text}" for text in texts]) == []
    assert not hit.exists()


@pytest.mark.parametrize("name", ["$(touch hit)", "-x; touch hit\n", "' \"`touch hit`"])
def test_files_have_the_names_they_are_given(server: Server, tmp_path: Path, name: str) -> None:
    board, folder = server.board(), tmp_path / "names"
    folder.mkdir()
    board.send(b"content", f"{folder}/{name}")
    assert [p.name for p in folder.iterdir()] == [name]
    assert board.receive(f"{folder}/{name}") == b"content"


@pytest.mark.parametrize(
    "host",
    ["-oProxyCommand=touch hit", "root@-oProxyCommand=x", "a b", "a\nb", "", "root@", "$(id)",
     "a;b", "`id`@x"],
)  # fmt: skip
def test_hosts_that_are_none(host: str) -> None:
    with pytest.raises(KitError, match="--board"):
        Connection(host)


def test_folder_goes_with_what_runs_in_it(server: Server, tmp_path: Path) -> None:
    board = server.board()
    pid = tmp_path / "pid"
    child = script(tmp_path / "child", f"#!/bin/sh\necho $$ > {pid}\nsleep 100\n")
    start = time.monotonic()
    with pytest.raises(CommandTimeout), board.temporary_folder() as folder:
        board.run(["sh", "-c", f"{child}; true"], folder=folder, timeout_s=3)
    assert time.monotonic() - start < 30
    assert server.folders() == []
    status = Path(f"/proc/{pid.read_text().strip()}/stat")
    for _ in range(100):
        if not status.exists() or status.read_text().split()[2] == "Z":
            return
        time.sleep(0.05)
    pytest.fail("the board's program still runs")


def test_nothing_starts_in_a_folder_that_is_gone(server: Server, tmp_path: Path) -> None:
    done = server.board().run(["touch", f"{tmp_path}/hit"], folder=f"{tmp_path}/gone")
    assert done.returncode and not (tmp_path / "hit").exists()


def test_interruption_removes_the_folder(server: Server) -> None:
    with pytest.raises(KeyboardInterrupt), server.board().temporary_folder():
        raise KeyboardInterrupt
    assert server.folders() == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"Port": "1"}, "refuses the connection"),
        ({"ProxyCommand": "sleep 9", "ConnectTimeout": "1"}, "it does not answer"),
        ({"UserKnownHostsFile": "/dev/null"}, "host key is not known; connect once by hand: ssh "),
        ({"HostName": "no..name"}, "no machine|connection was lost"),
    ],
)
def test_connections_that_fail(server: Server, changes: dict[str, str], message: str) -> None:
    with pytest.raises(KitError, match=message):
        server.board(**changes).run(["true"])


def test_wrong_keys(server: Server, tmp_path: Path) -> None:
    other = generate_key(tmp_path / "other")
    with pytest.raises(KitError, match="refuses the key; install one with ssh-copy-id"):
        server.board(IdentityFile=str(tmp_path / "other")).run(["true"])
    (tmp_path / "known").write_text(f"[127.0.0.1]:{server.port} {other}")
    with pytest.raises(KitError, match=r"host key is another than the known one.*ssh-keygen -R"):
        server.board(UserKnownHostsFile=str(tmp_path / "known")).run(["true"])


def test_lost_connection(server: Server) -> None:
    with pytest.raises(KitError, match="connection was lost"):
        server.board().run(["sh", "-c", LOSE_CONNECTION])


def test_server_that_goes_away(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    alone = Server(tmp_path, tmp_path / "bin")

    def use() -> None:
        with alone.board().temporary_folder():
            alone.stop()
            raise KitError("no more")

    with pytest.raises(KitError, match=r"no more; .*/nanodet-\w{6} may remain on the board"):
        use()
    assert len(alone.folders()) == 1


def test_files_that_do_not_arrive(board: StandIn, tmp_path: Path) -> None:
    connection = board.server.board()
    with pytest.raises(KitError, match="no space left for /dev/full"):
        connection.send(bytes(100_000), "/dev/full")
    with pytest.raises(KitError, match=r"nowhere/x cannot be written"):
        connection.send(b"x", f"{tmp_path}/nowhere/x")
    with pytest.raises(KitError, match="nowhere cannot be read"):
        connection.receive(f"{tmp_path}/nowhere")
    script(board.bin / "sha256sum", "#!/bin/sh\necho 1234 model\n")
    with pytest.raises(KitError, match="arrived damaged"):
        connection.send(b"x", f"{tmp_path}/x")


def test_exit_codes(server: Server) -> None:
    board = server.board()
    with board.temporary_folder() as folder:
        for shell, code in (("exit 3", 3), ("exit 255", 1), ("kill -11 $$", 139)):
            assert board.run(["sh", "-c", shell], folder=folder).returncode == code
