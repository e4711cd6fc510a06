"""Board files: ours, and a user's right and wrong ones."""

from __future__ import annotations

import argparse
import re
import subprocess
from pathlib import Path

import pytest

from runtime.benchmark.board import (
    BOARDS,
    DEFAULT_BOARD,
    Board,
    Cores,
    Memory,
    board_type,
    find,
    load,
    load_all,
    microcontrollers,
)
from runtime.errors import KitError
from tests.conftest import ROOT

GOOD = "{title: A, kind: linux, soc: a1, cores: {count: 2, kind: Cortex-A55, mhz: 1700}"


@pytest.mark.parametrize("name", find())
def test_ours(name: str) -> None:
    board = load(name)
    assert board.name == name and board.title
    if board.kind == "linux":
        assert "cpu" in board.accelerators
        assert not board.accelerators["cpu"].delegate
    else:
        assert all(memory.bytes > 0 and memory.speed for memory in board.memories)
        assert board.firmware is not None and board.flash is not None
        data = [m for m in board.memories if m.free_bytes and m.address is None]
        assert data == [board.memories[-1]], "the linker script puts data in the roomiest alone"


def test_published_latencies_are_those_of_the_cards() -> None:
    found = {
        (name, p.accelerator, p.threads, p.latency_ms)
        for name in find()
        for p in load(name).published
        if "older" not in p.source
    }
    assert found == {
        ("imx8mp", "cpu", 1, 92.4), ("imx8mp", "cpu", 4, 68.6), ("imx8mp", "npu", 0, 12.1),
        ("imx93", "cpu", 1, 78.1), ("imx93", "cpu", 2, 73.0),
        ("imxrt1170", "cpu", 0, 615), ("imxrt1050", "cpu", 0, 771),
    }  # fmt: skip
    older = [p for name in find() for p in load(name).published
             if "older" in p.source]  # fmt: skip
    assert sorted(p.latency_ms for p in older) == [11.9, 78.2, 89.4]
    assert all(p.source for name in find() for p in load(name).published)


def test_a_users_file(tmp_path: Path) -> None:
    text = GOOD + ", memories: [{name: RAM, bytes: 1024, speed: fast}], benchmark_model: [/opt/b*]}"
    (tmp_path / "mine.yaml").write_text(text)
    (tmp_path / "imx93.yaml").write_text(GOOD + "}")
    mine = load("mine", tmp_path)
    assert mine == Board(
        "mine", "A", "linux", "a1", Cores(2, "Cortex-A55", 1700), benchmark_model=("/opt/b*",),
        memories=(Memory("RAM", 1024, "fast", 1024),),
    )  # fmt: skip
    assert load("imx93", tmp_path).title == "A", "the user's hides ours"
    assert load("imx93").title == "i.MX 93"
    assert list(find(tmp_path)) == sorted([*find(), "mine"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "cannot be read as YAML"),
        ("\x00", "cannot be read as YAML"),
        ("- a", "bad.yaml: expected a mapping"),
        ("", "bad.yaml: expected a mapping"),
        (GOOD + ", colour: red}", "unknown key `colour`; known: name, title"),
        (GOOD.replace("count: 2", "count: two") + "}", "cores: count: expected int, got 'two'"),
        (GOOD.replace("count: 2", "count: true") + "}", "cores: count: expected int, got True"),
        (GOOD.replace("title: A", "title: 1") + "}", "title: expected str, got 1; write"),
        (GOOD.replace("soc: a1, ", "") + "}", "missing key `soc`"),
        (GOOD.replace("count: 2, ", "") + "}", "cores: missing key `count`"),
        (GOOD.replace("linux", "toaster") + "}", "kind `toaster`, expected one of linux"),
        (GOOD + ", accelerators: [cpu]}", "accelerators: expected a mapping, got ['cpu']"),
        (GOOD + ", accelerators: {npu: {driver: x}}}", "accelerators.npu: unknown key `driver`"),
        (GOOD + ", accelerators: {npu: {options: {a: true}}}}",
         "accelerators.npu: options.a: expected str, got True; write it in quotes"),
        (GOOD + ", accelerators: {npu: {options: {1: a}}}}", "options: expected str, got 1; write"),
        (GOOD + ", accelerators: {npu: {options: a}}}", "options: expected a mapping, got 'a'"),
        (GOOD + ", memories: 7}", "memories: expected a list, got 7"),
        (GOOD + ", memories: [{name: a}]}", "memories: missing key `bytes`"),
        (GOOD + ", memories: [{name: a, bytes: 4, speed: b, free_bytes: 5}]}",
         "a has 4 bytes, of which 5 cannot be free"),
        (GOOD + ", memories: [{name: a, bytes: 4, speed: b, address: x}]}",
         "memories: address: expected int, got 'x'"),
        (GOOD + ", flash: 7}", "flash: expected a mapping, got int"),
        (GOOD + ", flash: {name: a, speed: b}}", "flash: missing key `bytes`"),
        (GOOD + ", firmware: [a]}", "firmware: expected a mapping, got list"),
        (GOOD + ", firmware: {core: cm7}}", "firmware: missing key `sdk_board`"),
        (GOOD + ", aliases: b}", "aliases: expected a list, got 'b'"),
        (GOOD + ", benchmark_model: /usr/bin/b}", "benchmark_model: expected a list, got '/usr"),
        (GOOD + ", benchmark_model: [1]}", "benchmark_model: expected str, got 1"),
        (GOOD + ", published: [{model: a, accelerator: cpu, threads: 1, latency_ms: b, "
         "source: c}]}", "published: latency_ms: expected float, got 'b'"),
    ],
)  # fmt: skip
def test_wrong_files(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "bad.yaml").write_text(text)
    with pytest.raises(KitError, match=r"bad\.yaml: ") as caught:
        load("bad", tmp_path)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("name", "arena_bytes", "file_bytes", "where", "reason"),
    [
        ("imxrt1170", 427_168, 302_672, "OCRAM", "a split stem's arena"),
        ("imxrt1170", 676_832, 302_672, "SDRAM", "a whole network's does not fit the free bank"),
        ("imxrt1170", 1 << 30, 302_672, "nowhere", "larger than all"),
        ("imxrt1170", 427_168, 1 << 30, "nowhere", "the flash does not hold the file"),
        ("imxrt1050", 427_168, 302_672, "SDRAM", "more than the OCRAM beside both TCMs"),
        ("imxrt1050", 200_000, 16, "OCRAM", "a small network's"),
        ("imx93", 16, 16, "nowhere", "no memory is described"),
    ],
)
def test_fits_of_ours(
    name: str, arena_bytes: int, file_bytes: int, where: str, reason: str
) -> None:
    fit = load(name).fits(arena_bytes, file_bytes)
    assert fit.where == where, reason
    assert fit.in_flash == (file_bytes < 1 << 30)


@pytest.mark.parametrize(
    ("arena_bytes", "file_bytes", "where", "reason"),
    [
        (0, 0, "fast", "something is free in the first"),
        (100, 50, "fast", "both just fit"),
        (101, 50, "slow", "of 200 bytes the first has 100 free"),
        (1000, 50, "slow", "the last byte"),
        (1001, 50, "nowhere", "one more"),
        (100, 51, "nowhere", "the flash lacks a byte"),
    ],
)
def test_fits_at_the_boundary(
    arena_bytes: int, file_bytes: int, where: str, reason: str, tmp_path: Path
) -> None:
    (tmp_path / "mine.yaml").write_text(
        GOOD + ", memories: [{name: none, bytes: 9000, free_bytes: 0, speed: a}, {name: fast, "
        "bytes: 200, free_bytes: 100, speed: b}, {name: slow, bytes: 1000, speed: c}], "
        "flash: {name: flash, bytes: 60, free_bytes: 50, speed: d}}"
    )
    assert load("mine", tmp_path).fits(arena_bytes, file_bytes).where == where, reason


def test_every_name_leads_to_its_board() -> None:
    named = {name: board for board in load_all() for name in board.names}
    assert len(named) == sum(len(board.names) for board in load_all()), "no name is another's"
    assert all(load(name) == board for name, board in named.items())
    assert {"imxrt1170", "rt1170", "evkbmimxrt1170", "evkbimxrt1050"} <= set(named)
    known = board_type(microcontrollers())
    assert {known(name) for name in load("rt1170").names} == {DEFAULT_BOARD}
    with pytest.raises(argparse.ArgumentTypeError, match=r"rt9: .* imxrt1170 \(rt1170, evkb"):
        known("rt9")


def test_sizes_of_memories_stand_in_the_boards_file_alone() -> None:
    """In all of the repository, but for tables of the documents that a program writes. Powers of
    two stand for much else."""
    homes: dict[int, set[Path]] = {}
    for board in microcontrollers():
        for memory in (*board.memories, board.flash):
            assert memory is not None
            for number in filter(None, (memory.bytes, memory.free_bytes, memory.address)):
                if number & (number - 1):
                    homes.setdefault(number, set()).add(BOARDS / f"{board.name}.yaml")
    forms = {f: n for n in homes for f in (f"{n}", f"{n:,}", f"{n:_}", f"0x{n:x}", f"0x{n:08x}")}
    pattern = re.compile(rf"(?<![\w,])({'|'.join(forms)})(?![\w]|,\d)", re.IGNORECASE)
    found: dict[int, set[Path]] = {number: set() for number in homes}
    for name in subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).splitlines():
        path = ROOT / name
        if path.is_symlink() or not path.is_file():
            continue
        text = path.read_bytes().decode("utf-8", "replace")
        text = re.sub(r"<!-- (\w+) -->.*?<!-- /\1 -->", "", text, flags=re.DOTALL)
        for form in pattern.findall(text):
            found[forms[form.lower()]].add(path)
    assert found == homes


def test_boards_and_folders_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(KitError, match="board `imx99` is unknown; known: host, imx8mp, imx91, "):
        load("imx99")
    with pytest.raises(KitError, match="nowhere: no such folder"):
        find(tmp_path / "nowhere")
    with pytest.raises(KitError, match="cannot be read"):
        Board.read(tmp_path / "nowhere.yaml")


def test_code_that_does_not_fit_stays_in_flash() -> None:
    firmware = load("imxrt1050").firmware
    assert firmware is not None and firmware.itcm_bytes == 128 << 10
    assert firmware.code_section(32 << 10) == firmware.code_section(128 << 10) == "CodeQuickAccess"
    assert firmware.code_section((128 << 10) + 1) == ""
    assert not any(b.firmware.code_section(1) for b in [load("mcxn947")] if b.firmware)
