"""`python -m benchmarks.peers --nxp FILE`: latency on one x86 core beside others'.

Every run in turns with its peer, so that the ratio holds whatever else the machine does. FILE is
NXP's int8 NanoDet-m-0.5x, stride 32. Builds must lie in the working folder or be made before:
`recipe.sh`, and for all strides `recipe.sh --target linux` with and without `--stop-after onnx`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.builds import write_rows
from benchmarks.markdown import replace_block, table
from benchmarks.networks import in_turns, litert, openvino
from data.names import DEFAULT_MODEL, ROOT, onnx_path, tflite_path, variant

RESULTS = ROOT / "benchmarks" / "results" / "peers.json"
DOCUMENT = ROOT / "docs" / "results.md"
_RUNS = 200
_ALL = (8, 16, 32)


def render(rows: Sequence[dict[str, Any]]) -> str:
    """The table in Markdown."""
    header = ("this kit's file", "ms", "peer", "ms", "ratio")
    cells = [
        (
            r["file"],
            f"{r['ms']:.2f}",
            r["peer"],
            f"{r['peer_ms']:.2f}",
            f"{r['ms'] / r['peer_ms']:.2f}",
        )
        for r in rows
    ]
    return table(header, cells)


def main() -> None:
    """Measure and write results/peers.json and the table in docs/results.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nxp", type=Path, required=True, metavar="FILE")
    parser.add_argument("--folder", type=Path, default=ROOT, help="of the builds")
    options = parser.parse_args()
    coarse, whole = variant(DEFAULT_MODEL, None), variant(DEFAULT_MODEL, _ALL)
    pairs = {
        "stride 32, int8": ("NXP's file in LiteRT", litert, options.nxp, coarse),
        "strides 8,16,32, int8": (
            "OpenVINO, float32, same network",
            openvino,
            onnx_path(whole, options.folder, "plain"),
            whole,
        ),
    }
    rows = []
    for name, (peer_name, runner, peer, spec) in pairs.items():
        ms, peer_ms = in_turns(litert(tflite_path(spec, options.folder)), runner(peer), _RUNS)
        rows.append({"file": name, "ms": ms, "peer": peer_name, "peer_ms": peer_ms})
    write_rows(RESULTS, rows)
    replace_block(DOCUMENT, "peers", render(rows))


if __name__ == "__main__":
    main()
