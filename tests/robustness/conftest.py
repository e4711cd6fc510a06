from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.robustness.faults import Workshop

Record = Callable[..., None]


@pytest.fixture(scope="session")
def record() -> Record:
    """Keeps figures for the report, where one is wanted."""

    def keep(kind: str, name: str, **figures: Any) -> None:
        if folder := os.environ.get("NANODET_ROBUSTNESS_RECORDS"):
            text = json.dumps({"kind": kind, "name": name, **figures})
            with Path(folder, "records.jsonl").open("a", encoding="utf-8") as file:
                file.write(text + "\n")

    return keep


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    return Workshop.prepare(tmp_path_factory.mktemp("workshop"))
