"""Teachers of a network without labels: what they detect are its objects."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from convert.engines import by_name
from convert.network import NanoDet
from quantize.loss import Logits
from runtime.decode import decode
from runtime.detector import IOU_THRESHOLD, MAX_DETECTIONS
from runtime.nms import nms_per_class
from runtime.spec import InputSpec, ModelSpec, as_trained
from train.criterion import Objects

SEEN = 0.2  # Score of a detection that is an object.


class Teacher:
    """A float network that shows what is in the student's pictures.

    network: as trained, and as `spec` says. student: whose pictures and classes these are. Raises
    `KitError` where the network lacks a class of the student.
    """

    def __init__(
        self, network: NanoDet, spec: ModelSpec, student: ModelSpec, device: torch.device
    ) -> None:
        whole = as_trained(spec).with_strides(spec.architecture.strides)
        self.spec, self._student = whole.with_classes(student.classes), student
        self._network = network.eval().requires_grad_(False).to(device)
        names = student.classes
        self._class_id = torch.tensor([names.index(name) for name in self.spec.classes])

    @torch.no_grad()
    def logits(self, pixels: torch.Tensor) -> Logits:
        """By output name. pixels: (B, 3, H, W), normalised for the student."""
        own, theirs = self.spec.input, self._student.input
        if _seen(own) != _seen(theirs):
            pixels = pixels * _values(theirs.std, pixels) + _values(theirs.mean, pixels)
            if own.colour_order != theirs.colour_order:
                pixels = pixels.flip(1)
            size = own.height, own.width
            pixels = F.interpolate(pixels, size, mode="bilinear", antialias=True)
            pixels = (pixels - _values(own.mean, pixels)) / _values(own.std, pixels)
        levels = self._network(pixels.contiguous(memory_format=torch.channels_last))
        return by_name(levels, self.spec)

    def objects(self, logits: Logits) -> list[Objects]:
        """What is in each picture, in the student's pixels, with its scores."""
        grids = {name: values.permute(0, 2, 3, 1).cpu().numpy() for name, values in logits.items()}
        own, theirs = self.spec.input, self._student.input
        scale = torch.tensor([theirs.width / own.width, theirs.height / own.height]).repeat(2)
        found = []
        for i in range(len(next(iter(grids.values())))):
            candidates = decode({n: g[i] for n, g in grids.items()}, self.spec, SEEN)
            kept = nms_per_class(candidates, IOU_THRESHOLD, MAX_DETECTIONS)
            xyxy, class_id, score = map(
                torch.from_numpy, (kept.xyxy, kept.class_id, kept.confidence)
            )
            found.append(Objects(xyxy * scale, self._class_id[class_id], score))
        return found


def _seen(size: InputSpec) -> tuple[object, ...]:
    """What decides the normalised pixels, but for where the picture lies."""
    return size.width, size.height, size.colour_order, size.mean, size.std


def _values(by_channel: tuple[float, ...], like: torch.Tensor) -> torch.Tensor:
    return torch.tensor(by_channel, device=like.device)[:, None, None]
