"""The losses of a batch."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from data import locate
from tests.conftest import small
from tests.train.literal import literal_losses
from train.criterion import Criterion, LossSetting, Objects
from train.geometry import Cells
from train.guidance import TrainedNetwork


def objects() -> list[Objects]:
    return [
        Objects(torch.tensor([[10.0, 8, 60, 50], [40, 20, 95, 64]]), torch.tensor([3, 7])),
        Objects(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64)),
    ]


@pytest.mark.parametrize("name", ["nanodet-m-0.5x", "nanodet-plus-m-320"])
def test_loss_falls(name: str) -> None:
    torch.manual_seed(0)
    spec = small(locate.model_spec(name), 96, 64)
    network, criterion = TrainedNetwork(spec).train(), Criterion(spec)
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3)
    pixels = torch.randn(2, 3, 64, 96)
    seen = []
    for _ in range(40):
        outputs, guide = network.train_forward(pixels, detach=False)
        assert (guide is not None) == (name == "nanodet-plus-m-320")
        losses = criterion(outputs, objects(), (64, 96), guide)
        parts = [value for part, value in losses.items() if part != "loss"]
        assert float(losses["loss"]) == pytest.approx(float(sum(parts)), rel=1e-5)
        optimizer.zero_grad()
        losses["loss"].backward()
        optimizer.step()
        seen.append(float(losses["loss"].detach()))
    assert seen[-1] < 0.5 * seen[0], seen


@pytest.mark.parametrize("name", ["nanodet-m-0.5x", "nanodet-plus-m-320"])
def test_losses_and_gradients_are_the_literal_ones(name: str) -> None:
    """In float64, of outputs that know something of the objects."""
    spec = small(locate.model_spec(name), 96, 64)
    cells = Cells.of(spec, 64, 96, torch.device("cpu"))
    generator = torch.Generator().manual_seed(0)
    shape = 2, len(cells.stride), len(spec.classes) + 4 * spec.num_bins
    outputs, guide = (
        (2 * torch.randn(shape, generator=generator, dtype=torch.float64) - 1).requires_grad_()
        for _ in range(2)
    )
    chosen = guide if spec.architecture.neck == "ghost_pan" else None
    annotated = [Objects(o.xyxy.double(), o.class_id) for o in objects()]
    found = Criterion(spec)(outputs, annotated, (64, 96), chosen)
    total = found.pop("loss")
    expected = literal_losses(spec, outputs, annotated, cells, chosen)
    assert found.keys() == expected.keys()
    for term, value in expected.items():
        assert float(found[term]) == pytest.approx(float(value), rel=1e-12), term
        assert float(value) > 0.01
    whole: torch.Tensor = sum(expected.values(), torch.zeros(()))
    inputs = [outputs] if chosen is None else [outputs, guide]
    pairs = zip(*(torch.autograd.grad(loss, inputs) for loss in (total, whole)), strict=True)
    for own, literal in pairs:
        assert float((own - literal).abs().max()) < 1e-12 < 1e-3 < float(literal.abs().max())


@pytest.mark.parametrize("boxes", [[], [[96.0, 10, 96, 30]]], ids=["none", "nothing left of it"])
@pytest.mark.parametrize(
    ("name", "learns"), [("nanodet-m-0.5x", False), ("nanodet-plus-m-320", True)]
)
def test_a_batch_without_objects(name: str, learns: bool, boxes: list[list[float]]) -> None:
    """NanoDet-m learns nothing of it; NanoDet-Plus learns that there is background."""
    spec = small(locate.model_spec(name), 96, 64)
    outputs = torch.randn(2, sum(Cells.of(spec, 64, 96, torch.device("cpu")).counts), 112)
    outputs.requires_grad_()
    nothing = Objects(torch.tensor(boxes).reshape(-1, 4), torch.zeros(len(boxes)).long())
    losses = Criterion(spec)(outputs, [nothing] * 2, (64, 96))
    losses["loss"].backward()
    assert outputs.grad is not None
    expected = 0.0
    if learns:
        logits = outputs.detach()[..., :80].double()
        expected = float((F.softplus(logits) * logits.sigmoid() ** 2).sum())
    assert float(losses["loss"].detach()) == pytest.approx(expected, rel=1e-5)
    assert bool(outputs.grad.any()) == learns


def test_loss_weights_weigh() -> None:
    spec = small(locate.model_spec("nanodet-m-0.5x"), 96, 64)
    torch.manual_seed(0)
    network = TrainedNetwork(spec).train()
    with torch.no_grad():
        outputs, _ = network.train_forward(torch.randn(2, 3, 64, 96), detach=False)
    plain = Criterion(spec)(outputs, objects(), (64, 96))
    setting = LossSetting(qfl_weight=3.0, box_weight=5.0, dfl_weight=1.0)
    weighed = Criterion(spec, setting)(outputs, objects(), (64, 96))
    for name, factor in (("qfl", 3), ("giou", 2.5), ("dfl", 4)):
        assert float(weighed[name]) == pytest.approx(factor * float(plain[name]), rel=1e-5)
    harder = Criterion(spec, LossSetting(qfl_beta=1.0))(outputs, objects(), (64, 96))
    assert float(harder["qfl"]) > float(plain["qfl"]), "gaps are below 1"
