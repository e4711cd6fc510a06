from __future__ import annotations

import pytest

from report.latency import latencies, published

# Of NXP's own file: instructions counted, milliseconds published.
_COUNTED = 397_000_000


def test_the_basis_predicts_itself() -> None:
    found = {x.board: x.predicted_ms for x in latencies(_COUNTED, None)}
    assert found["i.MX RT1170"] == pytest.approx(615, abs=0.5)
    assert found["i.MX RT1050"] == pytest.approx(771, abs=0.5)
    assert found["i.MX 8M Plus"] is found["i.MX 93"] is None, "no costs of these are known"


def test_nothing_predicted_without_instructions() -> None:
    for latency in latencies(0, 500_000):
        assert latency.predicted_ms is None and latency.basis.startswith("Not predicted")


@pytest.mark.parametrize(
    ("arena_bytes", "memory"),
    [(500_000, "OCRAM"), (1_048_577, "SDRAM"), (1 << 40, "nowhere"), (None, "")],
)
def test_memory(arena_bytes: int | None, memory: str) -> None:
    (board,) = (x for x in latencies(_COUNTED, arena_bytes) if x.board == "i.MX RT1170")
    assert board.memory.startswith(memory) and bool(board.memory) == bool(memory)


def test_published_have_a_source() -> None:
    found = published()
    assert {"i.MX 8M Plus", "i.MX 93", "i.MX RT1050", "i.MX RT1170"} == {p.board for p in found}
    assert all("NXP" in p.origin and p.latency_ms > 0 for p in found)
