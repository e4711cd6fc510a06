"""From a network's outputs and the objects of a batch to the loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch

from runtime.errors import KitError
from runtime.spec import ModelSpec
from train.assign import atss, dynamic_soft
from train.geometry import Cells, box_to_distance, distance_to_box, expected_distance, iou
from train.losses import (
    BACKGROUND,
    distribution_focal_loss,
    giou_loss,
    quality_focal_loss,
)

LAST_BIN_MARGIN = 0.1


@dataclass(frozen=True)
class LossSetting:
    """Weights of the three losses, and the power of the gap in quality focal loss.

    anchor_strides: of `atss`. candidates, iou_factor: of `dynamic_soft`.
    """

    qfl_weight: float = 1.0
    box_weight: float = 2.0
    dfl_weight: float = 0.25
    qfl_beta: float = 2.0
    anchor_strides: float = 5.0
    candidates: int = 13
    iou_factor: float = 3.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value < 0:
                raise KitError(f"{name} is {value}, expected 0 or more")
        if not self.candidates:
            raise KitError("candidates is 0, expected 1 or more")


DEFAULT_LOSS = LossSetting()


class Objects(NamedTuple):
    """The objects of one picture. xyxy: (M, 4) in canvas pixels. class_id: (M,) int64.

    score: (M,), how surely each is one; None where all are annotated.
    """

    xyxy: torch.Tensor
    class_id: torch.Tensor
    score: torch.Tensor | None = None


Losses = dict[str, torch.Tensor]


def flatten(levels: Sequence[torch.Tensor]) -> torch.Tensor:
    """A tensor (B, C, h, w) a stride -> (B, cells, C)."""
    return torch.cat([level.flatten(2) for level in levels], 2).transpose(1, 2)


class Criterion:
    """The loss of a model: ATSS for NanoDet-m; NanoDet-Plus assigns by predictions."""

    def __init__(self, spec: ModelSpec, setting: LossSetting = DEFAULT_LOSS) -> None:
        self.spec, self.setting = spec, setting
        self._classes = len(spec.classes)
        self._dynamic = spec.architecture.neck == "ghost_pan"

    def __call__(
        self,
        outputs: torch.Tensor,
        objects: Sequence[Objects],
        size: tuple[int, int],
        guide: torch.Tensor | None = None,
    ) -> Losses:
        """Losses by name, their sum as `loss`.

        outputs: (B, cells, classes + 4 * bins). size: height and width of the input.
        guide: outputs of the assign guidance module, which then choose the cells and are trained
        with them.
        """
        outputs = at_least_float32(outputs)
        cells = Cells.of(self.spec, *size, outputs.device)
        if guide is None:
            assigned = self._assign(outputs.detach(), objects, cells)
            losses = self._losses(outputs, objects, cells, assigned)
        else:
            guide = at_least_float32(guide)
            assigned = self._assign(guide.detach(), objects, cells)
            quality = self._quality(guide.detach(), objects, cells, assigned)
            losses = self._losses(outputs, objects, cells, assigned, quality)
            own = self._losses(guide, objects, cells, assigned, quality)
            losses |= {f"guide_{name}": value for name, value in own.items()}
        losses["loss"] = torch.stack(list(losses.values())).sum()
        return losses

    def _assign(
        self, outputs: torch.Tensor, objects: Sequence[Objects], cells: Cells
    ) -> torch.Tensor:
        """Number of the object of each cell in its picture: (B, cells)."""
        s = self.setting
        if not self._dynamic:
            return torch.stack([atss(cells, o.xyxy, s.anchor_strides) for o in objects])
        boxes = self._boxes(outputs, cells.centre, cells.stride)
        return torch.stack(
            [
                dynamic_soft(
                    cells, out[:, : self._classes], box, *o[:2], s.candidates, s.iou_factor
                )
                for out, box, o in zip(outputs, boxes, objects, strict=True)
            ]
        )

    def _boxes(
        self, outputs: torch.Tensor, centre: torch.Tensor, stride: torch.Tensor
    ) -> torch.Tensor:
        """Outputs (..., classes + 4 * bins) of cells as xyxy (..., 4)."""
        distance = expected_distance(outputs[..., self._classes :], self.spec.num_bins)
        return distance_to_box(centre, distance * stride[:, None])

    def _quality(
        self,
        outputs: torch.Tensor,
        objects: Sequence[Objects],
        cells: Cells,
        assigned: torch.Tensor,
    ) -> torch.Tensor:
        """IoU of each assigned cell's box with its object, times the object's score; 0 elsewhere:
        (B, cells)."""
        positive = assigned != BACKGROUND
        quality = outputs.new_zeros(assigned.shape)
        boxes = self._boxes(outputs, cells.centre, cells.stride)[positive]
        targets, _, scores = of_cells(objects, assigned)
        quality[positive] = iou(boxes, targets) * scores
        return quality

    def _losses(
        self,
        outputs: torch.Tensor,
        objects: Sequence[Objects],
        cells: Cells,
        assigned: torch.Tensor,
        quality: torch.Tensor | None = None,
    ) -> Losses:
        positive = assigned != BACKGROUND
        targets, classes, _ = of_cells(objects, assigned)
        if quality is None:
            quality = self._quality(outputs.detach(), objects, cells, assigned)
        class_id = torch.full_like(assigned, BACKGROUND)
        class_id[positive] = classes
        logits = outputs[..., : self._classes]
        # Upstream counts an image without objects as one with one.
        count = positive.sum(1).clamp(min=0 if self._dynamic else 1).sum().float()
        qfl = quality_focal_loss(
            logits.flatten(0, 1), class_id.flatten(), quality.flatten(), self.setting.qfl_beta
        )

        chosen = outputs[positive]
        number = positive.nonzero()[:, 1]
        centre, stride = cells.centre[number], cells.stride[number]
        weight = chosen[:, : self._classes].detach().sigmoid().amax(1)
        distributions = chosen[:, self._classes :].unflatten(1, (4, self.spec.num_bins))
        wanted = box_to_distance(centre, targets) / stride[:, None]
        wanted = wanted.clamp(0, self.spec.architecture.reg_max - LAST_BIN_MARGIN)
        dfl = distribution_focal_loss(distributions, wanted, weight)
        boxes = self._boxes(chosen, centre, stride)
        giou = giou_loss(boxes, targets, weight)
        total = mean_over_processes(weight.sum(), 1.0 if self._dynamic else 1e-6)
        if not self._dynamic:  # Upstream learns nothing of a batch in which no cell has an object.
            qfl = qfl * (mean_over_processes(positive.sum(), 0) > 0)
        return {
            "qfl": self.setting.qfl_weight * qfl / mean_over_processes(count, 1.0),
            "giou": self.setting.box_weight * giou / total,
            "dfl": self.setting.dfl_weight * dfl / (4 * total),
        }


def of_cells(
    objects: Sequence[Objects], assigned: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Boxes (P, 4), classes (P,) and scores (P,) of the assigned cells, picture by picture.

    assigned: (B, cells), numbers of the objects.
    """
    numbers = [row[row != BACKGROUND] for row in assigned]
    pairs = list(zip(objects, numbers, strict=True))
    boxes = torch.cat([o.xyxy[n] for o, n in pairs])
    scores = [o.xyxy.new_ones(len(n)) if o.score is None else o.score[n] for o, n in pairs]
    return boxes, torch.cat([o.class_id[n] for o, n in pairs]), torch.cat(scores)


def at_least_float32(x: torch.Tensor) -> torch.Tensor:
    """Half precision -> float32; wider stays."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def mean_over_processes(value: torch.Tensor, least: float) -> torch.Tensor:
    """The mean over the processes of a distributed run of a sum that is at least `least`.

    Dividing by it makes the mean of the processes' losses that of one process with all batches.
    """
    processes = 1
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        value = value.clone()
        torch.distributed.all_reduce(value)
        processes = torch.distributed.get_world_size()
    return value.clamp(min=least) / processes
