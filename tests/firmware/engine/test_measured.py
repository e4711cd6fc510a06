"""What a board measured, and files that are something else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from firmware.engine.layers import CONVOLUTIONS, Network
from firmware.engine.measured import read_measured
from runtime.errors import KitError
from tests.firmware.engine.small import small_network

SHA256 = "5" * 64


@pytest.fixture(scope="module")
def network() -> Network:
    return small_network(16, 16, 4)


def frame(network: Network, *forms: int) -> dict[str, Any]:
    """As `app/benchmark.c` says it. forms: cycles of each convolution's."""
    layers = []
    for layer in network.layers:
        out = network.values[layer.value]
        about = {"kind": layer.kind, "kernel": layer.kernel, "stride": layer.stride, "cycles": 5}
        about |= {"height": out.height, "width": out.width}
        layers.append({**about, "forms": list(forms)} if layer.kind in CONVOLUTIONS else about)
    stages = {"preprocess": 1, "infer": 2, "postprocess": 3}
    head = {"frame": 0, "arena_used": 9, "cycles": stages, "model": SHA256, "detections": []}
    return {**head, "layers": layers}


def test_the_faster_form_of_the_fastest_frame(network: Network, tmp_path: Path) -> None:
    path = tmp_path / "layers.jsonl"
    sent = [frame(network, 10, 40), frame(network, 90, 20), frame(network, 30, 9)]
    for count, form in ((1, 2), (2, 2), (3, 3)):
        path.write_text("\r\n".join(json.dumps(one) for one in sent[:count]) + "\r\n\n")
        found = read_measured(path, network, SHA256)
        convs = {n for n, layer in enumerate(network.layers) if layer.kind in CONVOLUTIONS}
        assert found.frames == count and found.forms == dict.fromkeys(convs, form)


Change = Callable[[dict[str, Any]], object]


def _set(*keys: str | int, to: Any) -> Change:
    def change(values: Any) -> None:
        for key in keys[:-1]:
            values = values[key]
        values[keys[-1]] = to

    return change


@pytest.mark.parametrize(
    ("change", "message", "reason"),
    [
        (_set("model", to="6" * 64), "measured with model '666", "another file"),
        (_set("model", to="6" * 9999), "measured with model '666", "a long name"),
        (_set("layers", to=[]), "0 layers, but the model has", "layers are missing"),
        (lambda v: v["layers"].pop(), "layers, but the model has", "one is missing"),
        (lambda v: v.pop("layers"), "missing key `layers`", "a line of detect_frames.c"),
        (_set("layers", 1, "width", to=3), "another layer", "of another version of the kit"),
        (_set("layers", 0, "kind", to="conv"), "another layer", "the image's is of another kind"),
        (_set("layers", 0, "forms", to=[]), "stem 0: wants 2 counts", "nothing was timed"),
        (_set("layers", 0, "forms", to=[4, 5, 6]), "wants 2 counts", "a form that is not there"),
        (_set("layers", 1, "forms", to=[4, 5]), "wants 0 counts", "a layer of one form"),
        (_set("layers", 0, "forms", to=[0, 0]), "wants 2 counts", "the counter stands still"),
        (_set("layers", 0, "forms", to=[4, -5]), "wants 2 counts", "a negative count"),
        (_set("layers", 0, "forms", to=[4, 5.5]), "expected int, got 5.5", "half a cycle"),
        (_set("layers", 0, "forms", to=[4, float("nan")]), "expected int, got nan", "no number"),
        (_set("layers", 0, "forms", to=[True, 4]), "expected int, got True", "no number"),
        (_set("layers", 0, "forms", to=7), "expected a list", "no list"),
        (_set("layers", to={"a": 1}), "expected a list", "no list"),
        (_set("more", to=1), "unknown key `more`", "something else"),
    ],
)
def test_lines_of_something_else(
    change: Change, message: str, reason: str, network: Network, tmp_path: Path
) -> None:
    path, values = tmp_path / "layers.jsonl", frame(network, 4, 5)
    change(values)
    path.write_text(json.dumps(frame(network, 4, 5)) + "\n" + json.dumps(values))
    refused(path, network, message, reason)


@pytest.mark.parametrize(
    ("content", "message", "reason"),
    [
        (b"", "no frame is in there", "nothing"),
        (b"\n \r\n", "no frame is in there", "blank lines"),
        (b"hello", "line 1: is not JSON", "text"),
        (b'{"frame": 1', "line 1: is not JSON", "the first half of a line"),
        (b"[" * 100_000, "line 1: is not JSON", "brackets without end"),
        (b"9" * 9_999, "line 1: is not JSON", "more digits than Python takes"),
        (b"[]", "line 1: expected a mapping", "a list"),
        (b"\xff\xfe", "is no text", "bytes"),
    ],
)
def test_other_files(
    content: bytes, message: str, reason: str, network: Network, tmp_path: Path
) -> None:
    path = tmp_path / "layers.jsonl"
    path.write_bytes(content)
    refused(path, network, message, reason)


def test_no_file(network: Network, tmp_path: Path) -> None:
    refused(tmp_path / "missing", network, "cannot be read", "there is none")
    refused(tmp_path, network, "cannot be read", "a folder")


def refused(path: Path, network: Network, message: str, reason: str) -> None:
    with pytest.raises(KitError) as told:
        read_measured(path, network, SHA256)
    text = str(told.value)
    assert text.startswith(str(path)) and message in text and "\n" not in text, reason
    assert len(text) < 600, reason
