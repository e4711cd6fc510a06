from __future__ import annotations

from tools.reference import DOCUMENT, render


def test_document_is_in_step() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == render(), "run: python -m tools.reference"


def test_it_has_what_programs_need() -> None:
    text = render()
    for wanted in ("### class `Detector(", "### class `Detections(", "- `detect(image: "):
        assert wanted in text
