"""What is known of TensorFlow Lite's operators: `operators.csv`, one row per operator, read once.

Sources: kernels of tflite-micro of August 2026 (`micro_mutable_op_resolver.h`,
`python_ops_resolver.cc`, `kernels/cmsis_nn/`), of which NXP's libraries may have fewer; of LiteRT
2.1 (`core/kernels/register.cc`), of which a BSP's may have fewer; `op_map.cc` of VeriSilicon's
tflite-vx-delegate of January 2025, and VeriSilicon's simulator of August 2025 for an i.MX 8M Plus;
the NXP backend of ExecuTorch, of 2026; TensorFlow Lite's quantization specification and versions of
operators. A custom operator is a row `CUSTOM` with its own name.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

CUSTOM = "CUSTOM"


@dataclass(frozen=True)
class OperatorFacts:
    """One row; a field is empty where the operator lacks it, or nothing is known.

    number: in TensorFlow Lite's schema, of those that an interpreter may get from a file of this
    kit. options: number of the type of its options, 0 where it needs none. inputs: the fewest and
    the most. weights: full, depthwise or dense. scales: `one` where inputs and outputs share one
    scale and zero point. rounds: int8 arithmetic rounds its result. ratio: float32 where an engine
    forms the ratio of its scales in float32. homogeneous: f(s x) = s f(x) in each channel, s > 0.
    int8, int16: its version with such activations. micro: its kernel in TensorFlow Lite Micro,
    cmsis (CMSIS-NN), cmsis-int8 (CMSIS-NN for int8 alone) or reference. registration, parser: its
    C++ names there, of those that the firmware may hold. vx: the i.MX 8M Plus's delegate takes it,
    and its unit in the simulator, NN, TP or shader; fused or `no copy` where it took none, yes
    where nobody looked. neutron: the published constraints of eIQ Neutron know it. linux: LiteRT
    has a kernel, of custom ones. compiled_for: the accelerator whose compiler leaves it. cost: what
    tells its instructions on a Cortex-M7 apart, window, rows or rank. onnx: what it is made of one
    for one, with `tensorflow` in between; without `onnx`, `tensorflow` is an operator that no
    network may have. cure: the rewrite that spares an NPU it.
    """

    name: str
    number: str = ""
    options: str = ""
    inputs: str = ""
    weights: str = ""
    scales: str = ""
    rounds: str = ""
    ratio: str = ""
    homogeneous: str = ""
    int8: str = ""
    int16: str = ""
    micro: str = ""
    registration: str = ""
    parser: str = ""
    vx: str = ""
    neutron: str = ""
    linux: str = ""
    compiled_for: str = ""
    cost: str = ""
    onnx: str = ""
    tensorflow: str = ""
    cure: str = ""

    @property
    def is_convolution(self) -> bool:
        """Does it slide its weights over an image?"""
        return self.weights in ("full", "depthwise")

    def takes_inputs(self, count: int) -> bool:
        """May it have so many?"""
        fewest, _, most = self.inputs.partition("-")
        return int(fewest) <= count <= int(most or fewest)


def _read() -> dict[str, OperatorFacts]:
    path = Path(__file__).with_name("operators.csv")
    with path.open(newline="", encoding="utf-8") as file:
        return {row["name"]: OperatorFacts(**row) for row in csv.DictReader(file)}


FACTS = _read()
BY_NUMBER = {int(facts.number): facts for facts in FACTS.values() if facts.number}


def facts_of(name: str) -> OperatorFacts:
    """What is known of an operator; nothing of one that is not in the table."""
    return FACTS.get(name) or OperatorFacts(name)
