"""Quantization-aware fine-tuning on pictures without labels, taught by float networks.

It has two phases, each of which is judged by itself and left out where it gains nothing:

- In float, where the graph lacks strides of the network or has other activations. It learns to find
  what the whole network, or a larger one, detects (see `soft_labels`); with all strides it learns
  the network's own answers (distillation, Hinton et al., arXiv:1503.02531).
- With int8 rounding in place, which is `reconstruct` on more pictures: the graph learns to answer
  as it does in float, with the rounding that the file will have.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader

from convert.network import NanoDet
from quantize.float_graph import FloatGraph
from quantize.learn import Ends, Judge, Learned, LossOf, Numbers, Objective, Schedule, learn
from quantize.loss import Logits, distillation_loss
from quantize.simulate import run
from quantize.statistics import Progress
from runtime.quiet import say
from runtime.spec import ModelSpec
from train.augment import Augmentation
from train.criterion import flatten
from train.data import Key, Picture, TrainingSet, collate
from train.judge import Jury
from train.settings import DEFAULT_AUGMENTATION
from train.soft_labels import SoftLabels
from train.teacher import Teacher

BATCH = 8
# In grid steps, see `quantize.learn`. A bias moves whole maps of scores at once.
_FLOAT_RATE, _BIAS_RATE = 0.1, 0.1
_INT8_RATE = 0.03
_WARM_UP = 0.05  # Of the iterations.
_AVERAGE = 0.998
_SEED = 0
# Ranges are learned on what the camera will show.
_MIRRORED = Augmentation(flip=0.5)


@dataclass(frozen=True)
class Lesson:
    """What is learned from. pictures: at least one batch, without labels. judged: further ones,
    which only judge. saved: folder for runs that were interrupted; None to keep none."""

    pictures: Sequence[Path]
    judged: Sequence[Path]
    epochs: int
    saved: Path | None = None


class FineTuning:
    """Implements `quantize.methods.FineTuning` for one build.

    network, origin: the float network as trained. spec: of the graph to train, as lowered; its
    activations may be others. teacher: another network with its spec, whose detections are learned.
    """

    def __init__(
        self,
        network: NanoDet,
        origin: ModelSpec,
        spec: ModelSpec,
        lesson: Lesson,
        teacher: tuple[NanoDet, ModelSpec] | None = None,
    ) -> None:
        self._spec, self._lesson = spec, lesson
        self._jury = Jury(network, origin, lesson.judged)
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._network = Teacher(network, origin, spec, self._device)
        self._teacher = self._network
        if teacher is not None:
            self._teacher = Teacher(*teacher, spec, self._device)
        self._cut = spec.graph.strides != spec.architecture.strides
        self._float = self._cut or spec.architecture != origin.architecture
        nothing = np.zeros((0, 4)), np.zeros(0, np.int64)
        self._pictures = [Picture(path, *nothing) for path in lesson.pictures]
        self._epoch = len(self._pictures) // BATCH

    def prepare(
        self, graph: FloatGraph, ranges: dict[int, Ends], progress: Progress
    ) -> Learned | None:
        """Float fine-tuning in place of a graph that is not the network as trained."""
        if not self._float:
            return None
        soft = self._cut or self._teacher is not self._network
        objective = self._detection() if soft else self._answers()
        schedule = self._schedule(_FLOAT_RATE, rounding=False, bias_rate=_BIAS_RATE)
        return self._learn("float", graph, ranges, objective, schedule, progress)

    def adapt(self, graph: FloatGraph, ranges: dict[int, Ends], progress: Progress) -> Learned:
        """Fine-tuning with int8 rounding, in place."""
        objective, schedule = self._distillation(graph), self._schedule(_INT8_RATE)
        return self._learn("int8", graph, ranges, objective, schedule, progress)

    def _schedule(self, rate: float, rounding: bool = True, bias_rate: float = 1.0) -> Schedule:
        iterations = self._epoch * self._lesson.epochs
        warm_up = round(_WARM_UP * iterations)
        return Schedule(
            iterations, rate, rounding, bias_rate, warm_up, _AVERAGE, self._epoch, self._device
        )

    def _learn(
        self,
        phase: str,
        graph: FloatGraph,
        ranges: dict[int, Ends],
        objective: Objective,
        schedule: Schedule,
        progress: Progress,
    ) -> Learned:
        judge, folder = self._jury.of(graph, self._spec), self._lesson.saved
        told = self._telling(phase, judge)
        saved = None if folder is None else folder / f"{phase}.pt"
        return learn(graph, ranges, objective, schedule, progress, told, saved)

    def _telling(self, phase: str, judge: Judge) -> Judge:
        """The judge, who says aloud what he thinks."""

        def judged(numbers: Numbers) -> float:
            value = judge(numbers)
            say(f"      {phase}: agreement on pictures held out {value:.2f} %")
            return value

        return judged

    def _distillation(self, graph: FloatGraph) -> Objective:
        """To answer as the graph does in float, before it changes."""
        batches = _Batches(self._pictures, self._spec, _MIRRORED)
        weights, biases = (
            [v.to(self._device) for v in values] for values in (graph.weights, graph.biases)
        )

        def objective(iteration: int) -> tuple[torch.Tensor, LossOf]:
            images = graph_input(batches.at(iteration).to(self._device), self._spec)
            with torch.no_grad():
                wanted = run(graph, images, None, weights, biases)
            return images, lambda own: distillation_loss(own, wanted, self._spec.num_bins)

        return objective

    def _answers(self) -> Objective:
        """To answer as the network does."""
        batches, spec = _Batches(self._pictures, self._spec, DEFAULT_AUGMENTATION), self._spec

        def objective(iteration: int) -> tuple[torch.Tensor, LossOf]:
            pixels = batches.at(iteration).to(self._device)
            wanted = self._network.logits(pixels)
            return graph_input(pixels, spec), lambda own: distillation_loss(
                upright(own, spec), wanted, spec.num_bins
            )

        return objective

    def _detection(self) -> Objective:
        """To find what the teacher finds, and else to answer as the network does."""
        batches, spec = _Batches(self._pictures, self._spec, DEFAULT_AUGMENTATION), self._spec
        soft = SoftLabels(spec)

        def objective(iteration: int) -> tuple[torch.Tensor, LossOf]:
            pixels = batches.at(iteration).to(self._device)
            start = own = self._network.logits(pixels)
            if self._teacher is not self._network:
                own = self._teacher.logits(pixels)
            objects = self._teacher.objects(own)

            def loss(outputs: Logits) -> torch.Tensor:
                now = cells(upright(outputs, spec), spec)
                return soft(now, cells(start, spec), objects)

            return graph_input(pixels, spec), loss

        return objective


class _Batches:
    """Normalised pixels (B, 3, H, W) by the number of the iteration, made in another process; from
    any iteration on the same."""

    def __init__(
        self, pictures: Sequence[Picture], spec: ModelSpec, augmentation: Augmentation
    ) -> None:
        self._data = TrainingSet(pictures, spec, augmentation, _SEED, bars=True)
        self._next, self._loaded = -1, iter(())

    def at(self, iteration: int) -> torch.Tensor:
        """One after the other is fast."""
        if iteration != self._next:
            keys = _Keys(len(self._data), iteration)
            loader = DataLoader(self._data, batch_sampler=keys, num_workers=1, collate_fn=collate)
            self._loaded = iter(loader)
        self._next = iteration + 1
        pixels: torch.Tensor = next(self._loaded)[0]
        return pixels


class _Keys:
    """Batches of samples without end, every picture once an epoch, from an iteration on."""

    def __init__(self, count: int, first: int) -> None:
        self._count, self._first = count, first

    def __iter__(self) -> Iterator[list[Key]]:
        per_epoch = self._count // BATCH
        epoch, place = divmod(self._first, per_epoch)
        while True:
            order = np.random.default_rng([_SEED, epoch]).permutation(self._count)
            for start in range(place * BATCH, per_epoch * BATCH, BATCH):
                yield [(epoch, int(index)) for index in order[start : start + BATCH]]
            epoch, place = epoch + 1, 0


def cells(outputs: Logits, spec: ModelSpec) -> torch.Tensor:
    """Upright logits by name -> (B, cells, classes + 4 * bins), of the strides of `spec`."""
    strides = spec.graph.strides
    return flatten([torch.cat([outputs[f"cls_{s}"], outputs[f"reg_{s}"]], 1) for s in strides])


def graph_input(pixels: torch.Tensor, spec: ModelSpec) -> torch.Tensor:
    """Normalised pixels (N, 3, H, W) as a lowered graph takes them."""
    mean, std = (
        torch.tensor(v, device=pixels.device)[:, None, None]
        for v in (spec.input.mean, spec.input.std)
    )
    raw = (pixels * std + mean - spec.input.raw_offset) / spec.input.raw_scale
    return raw.flip(2, 3) if spec.graph.rotated_180 else raw


def upright(outputs: Logits, spec: ModelSpec) -> Logits:
    """A graph's logits (N, C, h, w) turned to the picture's orientation."""
    if not spec.graph.rotated_180:
        return outputs
    return {name: values.flip(2, 3) for name, values in outputs.items()}
