"""The loss of a network that learns from a teacher's detections, which are not certain.

An object goes to the cells that ATSS gives it; where these are none, to the cell that holds its
centre, if that has no other. Such a cell is to answer with the teacher's score. All others are to
answer as the student did at the start, unless it saw there what the teacher does not see.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F

from quantize.loss import Logits, distillation_loss
from runtime.spec import ModelSpec
from train.assign import atss
from train.criterion import DEFAULT_LOSS, LAST_BIN_MARGIN, Objects, of_cells
from train.geometry import Cells, box_to_distance, distance_to_box, expected_distance, iou
from train.losses import BACKGROUND, distribution_focal_loss, giou_loss
from train.teacher import SEEN

_SAME_BOX = 0.5  # IoU.
_LEAST = 1e-6  # Score.
# Without it a network forgets faster than it learns, see docs/fine-tuning.md.
_KEPT_WEIGHT = 4.0


class SoftLabels:
    """spec: of the student's graph."""

    def __init__(self, spec: ModelSpec) -> None:
        self._spec, self._classes = spec, len(spec.classes)

    def __call__(
        self, outputs: torch.Tensor, start: torch.Tensor, objects: Sequence[Objects]
    ) -> torch.Tensor:
        """The loss. outputs, start: (B, cells, classes + 4 * bins), now and before it learned."""
        spec, bins = self._spec, self._spec.num_bins
        cells = Cells.of(spec, spec.input.height, spec.input.width, outputs.device)
        objects = [
            Objects(*(part.to(outputs.device) for part in o if part is not None)) for o in objects
        ]
        assigned = torch.stack([self.assign(cells, o.xyxy) for o in objects])
        target = self.targets(cells, start, objects, assigned)
        boxes, _, score = of_cells(objects, assigned)
        logits = outputs[..., : self._classes]
        gap = (target - logits.sigmoid()).abs() ** DEFAULT_LOSS.qfl_beta
        cross = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
        total = score.sum().clamp(min=1.0)
        positive = assigned != BACKGROUND
        number = positive.nonzero()[:, 1]
        centre, stride = cells.centre[number], cells.stride[number, None]
        sides = outputs[positive][:, self._classes :]
        wanted = box_to_distance(centre, boxes) / stride
        wanted = wanted.clamp(0, spec.architecture.reg_max - LAST_BIN_MARGIN)
        found = distance_to_box(centre, expected_distance(sides, bins) * stride)
        dfl = distribution_focal_loss(sides.unflatten(1, (4, bins)), wanted, score) / 4
        giou = giou_loss(found, boxes, score)
        setting = DEFAULT_LOSS
        parts = setting.qfl_weight * (cross * gap).sum() + setting.dfl_weight * dfl
        return (
            parts + setting.box_weight * giou + self._kept(outputs, start, target, positive)
        ) / total

    def _kept(
        self,
        outputs: torch.Tensor,
        start: torch.Tensor,
        target: torch.Tensor,
        positive: torch.Tensor,
    ) -> torch.Tensor:
        """What it costs that cells without an object answer otherwise than they are to."""
        wanted = start.clone()
        wanted[..., : self._classes] = torch.logit(target, eps=_LEAST)
        own = torch.where(positive[..., None], wanted, outputs)
        mean = distillation_loss(self._grids(own), self._grids(wanted), self._spec.num_bins)
        return _KEPT_WEIGHT * mean * len(outputs)

    def _grids(self, cells: torch.Tensor) -> Logits:
        """(B, cells, C) as one level of logits by name."""
        count = self._classes
        parts = {"cls_0": cells[..., :count], "reg_0": cells[..., count:]}
        return {name: values.transpose(1, 2)[..., None] for name, values in parts.items()}

    @staticmethod
    def assign(cells: Cells, boxes: torch.Tensor) -> torch.Tensor:
        """Number of the object of each cell: (cells,)."""
        assigned = atss(cells, boxes)
        if not len(boxes):
            return assigned
        middle = (boxes[:, :2] + boxes[:, 2:]) / 2
        finest = cells.centre[: cells.counts[0]]
        away = (finest[:, None] - middle[None]).square().sum(-1)
        for number, cell in enumerate(away.argmin(0).tolist()):
            if not (assigned == number).any() and assigned[cell] == BACKGROUND:
                assigned[cell] = number
        return assigned

    def targets(
        self,
        cells: Cells,
        start: torch.Tensor,
        objects: Sequence[Objects],
        assigned: torch.Tensor,
    ) -> torch.Tensor:
        """Scores that each cell is to give: (B, cells, classes)."""
        target = start[..., : self._classes].sigmoid()
        distance = expected_distance(start[..., self._classes :], self._spec.num_bins)
        boxes = distance_to_box(cells.centre, distance * cells.stride[:, None])
        for own, box, seen, numbers in zip(target, boxes, objects, assigned, strict=True):
            same = (iou(box[:, None], seen.xyxy[None]) >= _SAME_BOX).float()
            agreed = same @ F.one_hot(seen.class_id, self._classes).float() > 0
            own[(own >= SEEN) & ~agreed] = 0.0
            inside = numbers != BACKGROUND
            assert seen.score is not None
            own[inside, seen.class_id[numbers[inside]]] = seen.score[numbers[inside]]
        return target
