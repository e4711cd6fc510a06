"""Adapt weights, biases and ranges so that the int8 network answers as the float one does.

The network runs with int8 rounding in place and is trained for a few minutes against the float
network's logits on copies of photographs, by default those of calibration: rounding decisions,
biases and ranges are learned together, which takes in bias correction (Nagel et al.,
arXiv:1906.04721, 4.2) and adaptive rounding (AdaRound, arXiv:2004.10568), with the loss at the
output as in BRECQ (arXiv:2102.05426) with one block. Ranges move by a step or two alone: those
that learn faster fit the hundred photographs better and others worse.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from quantize.augment import vary
from quantize.float_graph import FloatGraph
from quantize.learn import Ends, Learned, LossOf, Schedule, learn
from quantize.loss import distillation_loss
from quantize.simulate import run
from quantize.statistics import Progress

# Of a hundred photographs; twice as many gave no more AP there, see docs/quantization.md.
ITERATIONS = 300
BATCH = 4
_PHOTOGRAPHS = 100
_RATE = 0.01
_SEED = 0


def reconstruct(
    graph: FloatGraph,
    ranges: dict[int, Ends],
    progress: Progress,
    *,
    images: Sequence[torch.Tensor],
    num_bins: int,
    pixels: Ends,
) -> Learned:
    """Train the graph's weights and biases in place; returns the ranges learned with them.

    images: each (1, 3, H, W), taken when it is used. pixels: see `augment.vary`.
    """
    count = iterations(len(images))
    order = _shuffled(len(images), count * BATCH).tolist()
    generator = torch.Generator().manual_seed(_SEED)
    weights, biases = graph.weights, graph.biases

    def objective(i: int) -> tuple[torch.Tensor, LossOf]:
        chosen = order[i * BATCH : (i + 1) * BATCH]
        batch = vary(torch.cat([images[n] for n in chosen]), pixels, generator)
        with torch.no_grad():
            wanted = run(graph, batch, None, weights, biases)
        return batch, lambda outputs: distillation_loss(outputs, wanted, num_bins)

    return learn(graph, ranges, objective, Schedule(count, _RATE), progress)


def iterations(photographs: int) -> int:
    """How many pay: they grow with the root of the number of photographs, 949 for a thousand."""
    return round(ITERATIONS * max(1.0, math.sqrt(photographs / _PHOTOGRAPHS)))


def _shuffled(count: int, length: int) -> torch.Tensor:
    """Numbers below `count`, each once before any comes again."""
    generator = torch.Generator().manual_seed(_SEED)
    rounds = -(-length // count)
    return torch.cat([torch.randperm(count, generator=generator) for _ in range(rounds)])
