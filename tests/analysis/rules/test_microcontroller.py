from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from analysis.diagnosis import Examination
from analysis.rules import microcontroller
from runtime.benchmark.board import Memory
from tests.analysis.tflite import (
    Maker,
    gathered,
    image,
    leaky,
    padded,
    resized,
    subject,
    transposed,
)


def examine(maker: Maker, folder: Path, own: bool = False) -> Examination:
    return microcontroller.examine(subject(maker.write(folder / "m.tflite"), "imxrt1170", own))


@pytest.mark.parametrize(
    ("maker", "rule", "severity", "reason"),
    [
        (transposed(5), "wide-transpose", "error", "as CMSIS-NN's kernel does not know"),
        (transposed(3), "wide-transpose", None, "as it does"),
        (leaky(image()), "leaky-relu", "warning", "somebody else's"),
        (padded(), "leaky-relu", None, "none there"),
        (image().step("LOGISTIC", 1, 8, 8, 4, scale=1 / 256), "logistic", "warning", "all of it"),
        (image().step("QUANTIZE", 1, 8, 8, 4), "quantize", "warning", "all of it"),
        (resized(16), "resize-bilinear", "warning", "all of it"),
        (
            leaky(Maker(1, 64, 64, 8).convolution(1, 64, 64, 32), 1, 64, 64, 32).step(
                "LOGISTIC", 1, 1, 1, 8, scale=1 / 256
            ),
            "logistic",
            "note",
            "next to nothing",
        ),
        (gathered(), "gather", "warning", "no kernel of CMSIS-NN's"),
        (padded(), "gather", None, "none there"),
        (image().step("TOPK_V2", 1, 8, 8, 2, constants=[[2]]), "absent", "error", "not in TFLM"),
        (padded(), "absent", None, "in TFLM"),
        (image().step("TOPK_V2", 1, 8, 8, 2, constants=[[2]]), "refused", "error", "says TFLM"),
        (padded(), "refused", None, "TFLM runs it"),
        (leaky(image(dtype="INT16"), dtype="INT16"), "uncounted", "note", "never counted"),
        (padded(), "uncounted", None, "counted"),
    ],
)
def test_rules(maker: Maker, rule: str, severity: str | None, reason: str, tmp_path: Path) -> None:
    found = {finding.rule: finding for finding in examine(maker, tmp_path).findings}
    assert (rule in found) == (severity is not None), reason
    if severity is not None:
        assert found[rule].severity == severity and found[rule].source, reason


def test_refusal_in_the_interpreters_words(tmp_path: Path) -> None:
    maker = image().step("TOPK_V2", 1, 8, 8, 2, constants=[[2]])
    (found,) = (f for f in examine(maker, tmp_path).findings if f.rule == "refused")
    assert "Didn't find op for builtin opcode 'TOPK_V2'" in found.why


def test_leaky_relu_of_our_own_is_cured(tmp_path: Path) -> None:
    (found,) = (f for f in examine(leaky(image()), tmp_path, own=True).findings)
    assert (found.rule, found.severity) == ("leaky-relu", "note")
    assert found.cure.startswith("nanodet firmware")


@pytest.mark.parametrize(
    ("sizes", "severity", "where", "reason"),
    [
        ((100_000, 200_000), None, "", "the first holds it"),
        ((1_000, 200_000), "warning", "SDRAM", "only the one outside does"),
        ((1_000, 2_000), "error", "nowhere", "neither"),
        ((0, 200_000), "warning", "SDRAM", "of the one on the chip nothing is free"),
        ((0, 2_000), "error", "nowhere", "nor does the second hold it"),
        ((), None, "", "the board's file names no memory"),
    ],
)
def test_arena(
    sizes: tuple[int, ...], severity: str | None, where: str, reason: str, tmp_path: Path
) -> None:
    """Tensors of 16,384 and 32,768 bytes at once."""
    path = leaky(Maker(1, 64, 64, 4).convolution(1, 64, 64, 8), 1, 64, 64, 8)
    asked = subject(path.write(tmp_path / "m.tflite"), "imxrt1170")
    names = ("OCRAM", "SDRAM")
    memories = tuple(
        Memory(n, 1 << 20, "fast", s, external=n == "SDRAM")
        for n, s in zip(names, sizes, strict=False)
    )
    board = dataclasses.replace(asked.board, memories=memories)
    found = microcontroller.examine(dataclasses.replace(asked, board=board))
    assert found.arena is not None and found.arena.bytes > 2 * 32_768
    fitting = [m.name for m in memories if found.arena.reserved_bytes <= m.free_bytes]
    assert found.arena.goes_to == (fitting[0] if fitting else "nowhere"), reason
    arena = [f for f in found.findings if f.rule == "arena"]
    assert [f.severity for f in arena] == ([] if severity is None else [severity]), reason
    if arena:
        assert where in arena[0].why and "65,536 at LEAKY_RELU 1" in arena[0].why


def test_split_stem_cures_the_arena(tmp_path: Path) -> None:
    """Ours alone, and only with a stem that nanodet firmware splits off."""
    for kernel, severity in ((3, "note"), (1, "warning")):
        maker = Maker(1, 64, 64, 3).convolution(1, 32, 32, 16, kernel=kernel, stride=2)
        path = leaky(maker.pool(1, 16, 16, 16), 1, 16, 16, 16).write(tmp_path / "m.tflite")
        asked = subject(path, "imxrt1170", own=True)
        memories = (
            Memory("OCRAM", 1 << 20, "fast", 24_000),
            Memory("SDRAM", 1 << 20, "slow", 1 << 20, external=True),
        )
        board = dataclasses.replace(asked.board, memories=memories)
        found = microcontroller.examine(dataclasses.replace(asked, board=board)).findings
        (arena,) = (f for f in found if f.rule == "arena")
        assert arena.severity == severity
        assert ("--split-stem" in arena.cure) == (severity == "note")


@pytest.mark.parametrize(("spare", "severity"), [(0, None), (-1, "error")])
def test_flash(spare: int, severity: str | None, tmp_path: Path) -> None:
    """Just the file's bytes, and one less."""
    asked = subject(padded().write(tmp_path / "m.tflite"), "imxrt1170")
    flash = Memory("flash", 1 << 20, "slow", asked.path.stat().st_size + spare)
    board = dataclasses.replace(asked.board, flash=flash)
    found = microcontroller.examine(dataclasses.replace(asked, board=board))
    assert [f.severity for f in found.findings if f.rule == "flash"] == [severity] * (spare < 0)
    assert found.arena is not None
    assert found.arena.goes_to == ("nowhere" if severity else "DTCM")
    assert found.memory[-1].endswith(": does not fit" if severity else ": fits")


def test_latency(tmp_path: Path) -> None:
    """615 ms were published for 396.98 M instructions."""
    found = examine(resized(16), tmp_path).prediction
    assert found.latency_ms == pytest.approx(1024 * 60.2 * 615 / 396.98e6, rel=0.01)
    assert "1.549 ns" in found.basis and "5 %" in found.error


def test_nothing_published_nothing_predicted(tmp_path: Path) -> None:
    asked = subject(resized(16).write(tmp_path / "m.tflite"), "imxrt1170")
    board = dataclasses.replace(asked.board, published=())
    found = microcontroller.examine(dataclasses.replace(asked, board=board)).prediction
    assert found.latency_ms is None and "nobody published" in found.basis


def test_without_tflite_micro_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    found = examine(leaky(image()), tmp_path)
    assert found.arena is not None and found.arena.bytes > 2 * 8 * 8 * 4
    assert "planned by the kit" in found.arena.basis and "not installed" in found.arena.basis
    assert "refused" not in {f.rule for f in found.findings}
