"""Board profiles: ours, and a user's right and wrong ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.benchmark import profile
from runtime.benchmark.profile import Cores, Memory, Profile
from runtime.errors import KitError

GOOD = "{title: A, kind: linux, soc: a1, cores: {count: 2, kind: Cortex-A55, mhz: 1700}"


@pytest.mark.parametrize("name", profile.find())
def test_ours(name: str) -> None:
    board = profile.load(name)
    assert board.name == name and board.title
    if board.kind == "linux":
        assert "cpu" in board.accelerators
        assert not board.accelerators["cpu"].delegate
    else:
        assert all(memory.bytes > 0 and memory.speed for memory in board.memories)


def test_published_latencies_are_those_of_the_cards() -> None:
    found = {
        (name, p.accelerator, p.threads, p.latency_ms)
        for name in profile.find()
        for p in profile.load(name).published
        if "older" not in p.source
    }
    assert found == {
        ("imx8mp", "cpu", 1, 92.4), ("imx8mp", "cpu", 4, 68.6), ("imx8mp", "npu", 0, 12.1),
        ("imx93", "cpu", 1, 78.1), ("imx93", "cpu", 2, 73.0),
        ("imxrt1170", "cpu", 0, 615), ("imxrt1050", "cpu", 0, 771),
    }  # fmt: skip
    older = [p for name in profile.find() for p in profile.load(name).published
             if "older" in p.source]  # fmt: skip
    assert sorted(p.latency_ms for p in older) == [11.9, 78.2, 89.4]
    assert all(p.source for name in profile.find() for p in profile.load(name).published)


def test_a_users_profile(tmp_path: Path) -> None:
    text = GOOD + ", memories: [{name: RAM, bytes: 1024, speed: fast}], benchmark_model: [/opt/b*]}"
    (tmp_path / "mine.yaml").write_text(text)
    (tmp_path / "imx93.yaml").write_text(GOOD + "}")
    mine = profile.load("mine", tmp_path)
    assert mine == Profile(
        "mine", "A", "linux", "a1", Cores(2, "Cortex-A55", 1700), ("/opt/b*",), {},
        (Memory("RAM", 1024, "fast"),),
    )  # fmt: skip
    assert profile.load("imx93", tmp_path).title == "A", "the user's hides ours"
    assert profile.load("imx93").title == "i.MX 93"
    assert list(profile.find(tmp_path)) == sorted([*profile.find(), "mine"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "cannot be read as YAML"),
        ("\x00", "cannot be read as YAML"),
        ("- a", "the file is no table"),
        ("", "the file is no table"),
        (GOOD + ", colour: red}", "profile has no `colour`, only name, title"),
        (GOOD.replace("count: 2", "count: two") + "}", "`count` is 'two', expected int"),
        (GOOD.replace("count: 2", "count: true") + "}", "`count` is True, expected int"),
        (GOOD.replace("title: A", "title: 1") + "}", "`title` is 1, expected str"),
        (GOOD.replace("soc: a1, ", "") + "}", "profile lacks 'soc'"),
        (GOOD.replace("count: 2, ", "") + "}", "cores lacks 'count'"),
        (GOOD.replace("linux", "toaster") + "}", "kind `toaster`, expected one of linux"),
        (GOOD + ", accelerators: [cpu]}", "accelerators is no table"),
        (GOOD + ", accelerators: {npu: {driver: x}}}", "accelerator has no `driver`"),
        (GOOD + ", accelerators: {npu: {options: {a: true}}}}", "True is no text; write it in"),
        (GOOD + ", accelerators: {npu: {options: {1: a}}}}", "1 is no text; write it in quotes"),
        (GOOD + ", accelerators: {npu: {options: a}}}", "options is no table"),
        (GOOD + ", memories: 7}", "`memories` is no list"),
        (GOOD + ", memories: [{name: a}]}", "memory lacks 'bytes' and 'speed'"),
        (GOOD + ", benchmark_model: /usr/bin/b}", "`benchmark_model` is no list"),
        (GOOD + ", benchmark_model: [1]}", "1 is no text"),
        (GOOD + ", published: [{model: a, accelerator: cpu, threads: 1, latency_ms: b, "
         "source: c}]}", "`latency_ms` is 'b', expected float"),
    ],
)  # fmt: skip
def test_wrong_profiles(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "bad.yaml").write_text(text)
    with pytest.raises(KitError, match=r"bad\.yaml: ") as caught:
        profile.load("bad", tmp_path)
    assert message in str(caught.value)


def test_boards_and_folders_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(KitError, match="board `imx99` is unknown; known: host, imx8mp, imx93"):
        profile.load("imx99")
    with pytest.raises(KitError, match="nowhere: no such folder"):
        profile.find(tmp_path / "nowhere")
    with pytest.raises(KitError, match="cannot be read"):
        Profile.read(tmp_path / "nowhere.yaml")
