from __future__ import annotations

from typing import Any

import pytest

from pipeline.report.latency import latencies, published

# Of NXP's own file: instructions counted, milliseconds published.
_COUNTED = 397_000_000
_PUBLISHED = "i.MX RT1170", "i.MX RT1050"
ENGINE = {
    "weights": {
        "int16": {"instructions": _COUNTED, "arena_bytes": 120_000, "flash_bytes": 4_300_000},
        "int8": {"instructions": 2 * _COUNTED, "arena_bytes": 150_000, "flash_bytes": 1_800_000},
    }
}


def cost(**changes: Any) -> dict[str, Any]:
    """Of `report.json`."""
    whole = {"instructions": _COUNTED, "by_kind": {"ADD": _COUNTED}, "not_counted": []}
    return {**whole, **changes}


def test_the_basis_predicts_itself() -> None:
    found = {x.board: x.predicted_ms for x in latencies(cost(), None, 0)}
    assert found["i.MX RT1170"] == pytest.approx(615, abs=0.5)
    assert found["i.MX RT1050"] == pytest.approx(771, abs=0.5)
    assert found["i.MX 8M Plus"] is found["i.MX 93"] is None, "no costs of these are known"
    assert not any(x.lower_bound for x in latencies(cost(), None, 0))


@pytest.mark.parametrize(
    ("counted", "reason"),
    [
        (None, "a float file"),
        (cost(instructions=None, by_kind={}, not_counted=["ADD int16"]), "ADD int16"),
    ],
)
def test_nothing_predicted_where_nothing_was_counted(
    counted: dict[str, Any] | None, reason: str
) -> None:
    for latency in latencies(counted, 500_000, 0):
        assert latency.predicted_ms is None and latency.basis.startswith("Not predicted")
        assert reason in latency.basis or latency.board not in _PUBLISHED


def test_a_lower_bound_says_what_is_missing() -> None:
    found = {x.board: x for x in latencies(cost(not_counted=["GATHER"]), None, 0)}
    for latency in (found[title] for title in _PUBLISHED):
        assert latency.lower_bound and "lower bound" in latency.basis
        assert "GATHER" in latency.basis


@pytest.mark.parametrize(
    ("arena_bytes", "file_bytes", "memory"),
    [
        (500_000, 300_000, "OCRAM (speed: on chip)"),
        (700_000, 300_000, "SDRAM (speed: a fraction of OCRAM's)"),
        (1 << 40, 300_000, "nowhere"),
        (500_000, 1 << 30, "nowhere"),
        (None, 300_000, ""),
    ],
)
def test_memory(arena_bytes: int | None, file_bytes: int, memory: str) -> None:
    found = latencies(cost(), arena_bytes, file_bytes)
    (board,) = (x for x in found if x.board == "i.MX RT1170")
    assert board.memory == memory


def test_the_engine_beside_it() -> None:
    found = {x.board: x for x in latencies(cost(), 700_000, 300_000, ENGINE)}
    assert found["i.MX RT1170"].engine_ms == found["i.MX RT1170"].predicted_ms
    assert found["i.MX RT1060"].engine_ms is None, "nobody published a latency"
    assert {t: x.engine_memory.split(" (")[0] for t, x in found.items() if x.engine_memory} == {
        **dict.fromkeys(("i.MX RT1050", "i.MX RT1060", "i.MX RT1170"), "DTCM"),
        "i.MX RT1064": "OCRAM",
        "MCX N947": "SRAM",
    }
    narrow = {t for t, x in found.items() if x.engine_memory.endswith(", int8 weights")}
    assert narrow == {"i.MX RT1064", "MCX N947"}, "of 4 and 2 MB of flash"
    refused = latencies(cost(), 700_000, 300_000, {"refused": "not on this engine: ADD 1"})
    assert not any(x.engine_ms or x.engine_memory for x in refused)


def test_verdicts() -> None:
    """In words, of both engines: what fits, where, how fast, and by which option."""
    found = {x.board: x for x in latencies(cost(), 700_000, 300_000, ENGINE)}
    assert {t: (x.on_engine, x.on_tflm) for t, x in found.items() if "RT" in t or "MCX" in t} == {
        "i.MX RT1170": ("about 615 ms, arena in DTCM", "about 615 ms, arena in SDRAM *"),
        "i.MX RT1050": ("about 771 ms, arena in DTCM", "about 771 ms, arena in SDRAM *"),
        "i.MX RT1060": ("fits, arena in DTCM", "fits, arena in OCRAM"),
        "i.MX RT1064": ("fits, arena in OCRAM; needs --weights int8", "fits, arena in OCRAM"),
        "MCX N947": (
            "fits, arena in SRAM; needs --weights int8",
            "does not fit: no memory holds the arena",
        ),
    }
    assert "./nanodet bench --board" in found["i.MX 93"].on_tflm
    (refused, bound) = (
        latencies(cost(not_counted=["ADD"]), 1, 1 << 40, {"refused": "ADD 1"}),
        latencies(cost(not_counted=["ADD"]), 1, 1),
    )
    boards = [x for x in refused if x.board in _PUBLISHED]
    assert {x.on_engine for x in boards} == {"does not run it"}
    assert {x.on_tflm for x in boards} == {"does not fit: the flash is too small"}
    assert all("at least" in x.on_tflm for x in bound if x.board in _PUBLISHED)
    assert all(x.on_tflm != "" for x in latencies(None, None, 0))


def test_published_have_a_source() -> None:
    found = published()
    assert {"i.MX 8M Plus", "i.MX 93", "i.MX RT1050", "i.MX RT1170"} == {p.board for p in found}
    assert all("NXP" in p.origin and p.latency_ms > 0 for p in found)
