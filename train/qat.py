"""Quantization-aware fine-tuning on pictures without labels, taught by the float network.

It takes the place of `reconstruct` in `quantize.methods`, and so rounds exactly as the file will:
the int8 graph learns to answer as the float graph does (distillation, Hinton et al.,
arXiv:1503.02531). A graph that lacks strides of the network first learns in float to find without
them what the whole network detects: that teacher's detections are its objects, their scores its
soft labels.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader

from convert.engines import by_name
from convert.network import NanoDet
from quantize.float_graph import FloatGraph
from quantize.learn import Ends, Learned, LossOf, Objective, Schedule, learn
from quantize.loss import Logits, distillation_loss
from quantize.simulate import run
from quantize.statistics import Progress
from runtime.decode import decode
from runtime.detector import IOU_THRESHOLD, MAX_DETECTIONS
from runtime.nms import nms_per_class
from runtime.spec import ModelSpec, as_trained
from train.augment import Augmentation
from train.criterion import Criterion, Objects, flatten
from train.data import EpochSampler, Picture, TrainingSet, collate
from train.settings import DEFAULT_AUGMENTATION

BATCH = 8
_FLOAT_RATE = 0.3
_INT8_RATE = 0.03
_SCORE = 0.2  # Of a detection that is an object.
_SEED = 0
# Ranges are learned on what the camera will show.
_MIRRORED = Augmentation(flip=0.5)


class FineTuning:
    """Implements `quantize.methods.FineTuning` for one build.

    network: the float teacher, as trained. spec: of the graph to train, as lowered. pictures: at
    least one batch, without labels.
    """

    def __init__(
        self, network: NanoDet, spec: ModelSpec, pictures: Sequence[Path], epochs: int
    ) -> None:
        self._network = network.eval().requires_grad_(False)
        self._spec, self._criterion = spec, Criterion(spec)
        self._cut = spec.graph.strides != spec.architecture.strides
        nothing = np.zeros((0, 4)), np.zeros(0, np.int64)
        self._pictures = [Picture(path, *nothing) for path in pictures]
        self._iterations = len(self._pictures) // BATCH * epochs

    def prepare(
        self, graph: FloatGraph, ranges: dict[int, Ends], progress: Progress
    ) -> Ends | None:
        """Float fine-tuning of a graph that lacks strides, in place; gives the loss's ends."""
        if not self._cut:
            return None
        schedule = Schedule(self._iterations, _FLOAT_RATE, rounding=False)
        return learn(graph, ranges, self._detection(), schedule, progress).loss

    def adapt(self, graph: FloatGraph, ranges: dict[int, Ends], progress: Progress) -> Learned:
        """Fine-tuning with int8 rounding, in place."""
        schedule = Schedule(self._iterations, _INT8_RATE)
        return learn(graph, ranges, self._distillation(graph), schedule, progress)

    def _distillation(self, graph: FloatGraph) -> Objective:
        """To answer as the graph does in float, before it changes."""
        batches, weights, biases = self._batches(_MIRRORED), graph.weights, graph.biases

        def objective(_: int) -> tuple[torch.Tensor, LossOf]:
            images = graph_input(next(batches), self._spec)
            with torch.no_grad():
                teacher = run(graph, images, None, weights, biases)
            return images, lambda own: distillation_loss(own, teacher, self._spec.num_bins)

        return objective

    def _detection(self) -> Objective:
        """To detect what the network detects with all its strides."""
        batches, spec = self._batches(DEFAULT_AUGMENTATION), self._spec
        size = spec.input.height, spec.input.width

        def objective(_: int) -> tuple[torch.Tensor, LossOf]:
            pixels = next(batches)
            with torch.no_grad():
                levels = self._network(pixels.contiguous(memory_format=torch.channels_last))
            objects = self._detections(by_name(levels, spec))

            def loss(outputs: Logits) -> torch.Tensor:
                grids = upright(outputs, spec)
                strides = [str(s) for s in spec.graph.strides]
                joined = [torch.cat([grids[f"cls_{s}"], grids[f"reg_{s}"]], 1) for s in strides]
                return self._criterion(flatten(joined), objects, size)["loss"]

            return graph_input(pixels, spec), loss

        return objective

    def _batches(self, augmentation: Augmentation) -> Iterator[torch.Tensor]:
        """Normalised pixels (B, 3, H, W), epoch after epoch."""
        data = TrainingSet(self._pictures, self._spec, augmentation, _SEED, bars=True)
        sampler = EpochSampler(len(data), BATCH, _SEED)
        loader = DataLoader(
            data,
            BATCH,
            sampler=sampler,
            num_workers=1,
            collate_fn=collate,
            persistent_workers=True,
        )
        for epoch in itertools.count():
            sampler.set_epoch(epoch)
            for pixels, _ in loader:
                yield pixels

    def _detections(self, teacher: Logits) -> list[Objects]:
        """What the teacher sees in each picture, with all its strides."""
        whole = as_trained(self._spec).with_strides(self._spec.architecture.strides)
        grids = {name: values.permute(0, 2, 3, 1).numpy() for name, values in teacher.items()}
        found = []
        for i in range(len(next(iter(grids.values())))):
            candidates = decode({n: g[i] for n, g in grids.items()}, whole, _SCORE)
            kept = nms_per_class(candidates, IOU_THRESHOLD, MAX_DETECTIONS)
            parts = (torch.from_numpy(v) for v in (kept.xyxy, kept.class_id, kept.confidence))
            found.append(Objects(*parts))
        return found


def graph_input(pixels: torch.Tensor, spec: ModelSpec) -> torch.Tensor:
    """Normalised pixels (N, 3, H, W) as a lowered graph takes them."""
    mean, std = (torch.tensor(v)[:, None, None] for v in (spec.input.mean, spec.input.std))
    raw = (pixels * std + mean - spec.input.raw_offset) / spec.input.raw_scale
    return raw.flip(2, 3) if spec.graph.rotated_180 else raw


def upright(outputs: Logits, spec: ModelSpec) -> Logits:
    """A graph's logits (N, C, h, w) turned to the picture's orientation."""
    if not spec.graph.rotated_180:
        return outputs
    return {name: values.flip(2, 3) for name, values in outputs.items()}
