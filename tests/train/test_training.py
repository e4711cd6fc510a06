"""The criterion, the guidance module, and the command."""

from __future__ import annotations

import csv
import dataclasses
import itertools
import json
import math
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
import yaml
from PIL import Image

from convert.checkpoint import load_network
from convert.network import NanoDet
from convert.training_config import read_training_config
from data import locate
from data.shapes.dataset import write_set
from data.shapes.shapes import CLASS_NAMES
from runtime.errors import KitError
from runtime.spec import ModelSpec
from tests.conftest import NANODET, photo, run_here, run_python, small
from tests.convert.test_training_config import m_config, plus_config
from tests.train.literal import literal_losses
from train.criterion import Criterion, LossSetting, Objects, flatten
from train.geometry import Cells
from train.guidance import TrainedNetwork
from train.module import Training
from train.settings import Settings, read_settings

SCHEDULE = {
    "optimizer": {"name": "SGD", "lr": 0.07, "momentum": 0.9, "weight_decay": 0.0001},
    "warmup": {"steps": 10, "ratio": 0.1},
    "total_epochs": 4,
    "lr_schedule": {"name": "MultiStepLR", "milestones": [2, 3], "gamma": 0.1},
}


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


def test_guidance_leaves_the_rest_alone_when_detached() -> None:
    spec = small(locate.model_spec("nanodet-plus-m-320"), 96, 64)
    network = TrainedNetwork(spec)
    _, guide = network.train_forward(torch.randn(1, 3, 64, 96), detach=True)
    assert guide is not None
    guide.sum().backward()
    assert all(p.grad is None for p in network.backbone.parameters())
    assert all(p.grad is None for p in network.fpn.parameters())
    assert any(p.grad is not None for p in network.aux_fpn.parameters())


def test_outputs_are_cell_by_cell(tiny: ModelSpec) -> None:
    levels = TrainedNetwork(tiny).eval()(torch.randn(1, 3, 64, 96))
    flat = flatten(levels)
    assert flat.shape == (1, 96 + 24 + 6, 112)
    torch.testing.assert_close(flat[0, 96 + 7], levels[1][0, :, 1, 1])


def test_settings_of_upstream(tmp_path: Path) -> None:
    config = m_config() | {"schedule": SCHEDULE, "device": {"batchsize_per_gpu": 24}}
    config["data"]["train"] = {"pipeline": {"scale": [0.5, 1.5], "flip": 0.5, "normalize": []}}
    path = tmp_path / "own.yml"
    path.write_text(yaml.safe_dump(config))
    settings = read_settings(path)
    assert (settings.optimizer, settings.rate, settings.batch) == ("SGD", 0.07, 24)
    assert settings.milestones == (2, 3) and settings.augmentation.scale == (0.5, 1.5)
    training = Training(read_training_config(path), settings)
    training.steps_per_epoch = 100
    factors = [training.rate_factor(step, 0.07) for step in (0, 5, 10, 199, 200, 300)]
    assert factors == pytest.approx([0.1, 0.55, 1, 1, 0.1, 0.01])
    config["schedule"] = SCHEDULE | {"lr_schedule": {"name": "Magic"}}
    path.write_text(yaml.safe_dump(config))
    with pytest.raises(KitError, match="'Magic', this kit knows CosineAnnealingLR"):
        read_settings(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"total_epochs": 0}, "epochs is 0, expected 1 to"),
        ({"total_epochs": float("inf")}, "schedule.total_epochs: expected int, got inf"),
        ({"total_epochs": "many"}, "schedule.total_epochs: expected int, got 'many'"),
        ({"optimizer": {"name": "SGD", "lr": float("nan")}}, "optimizer.lr: nan is not finite"),
        ({"optimizer": {"name": "SGD"}}, "no training part .*no `schedule.optimizer.lr`"),
        ({"optimizer": []}, "no training part"),
        (
            {"lr_schedule": {"name": "MultiStepLR", "milestones": ["a"]}},
            "milestones: expected int, got 'a'",
        ),
    ],
)
def test_unusable_settings(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    config = m_config() | {"schedule": SCHEDULE | change}
    config["data"]["train"] = {"pipeline": {}}
    path = tmp_path / "own.yml"
    path.write_text(yaml.safe_dump(config))
    with pytest.raises(KitError, match=message):
        read_settings(path)


@pytest.mark.parametrize("value", [[1], [1, "a"], "wide", float("nan"), {}])
def test_unusable_augmentation(tmp_path: Path, value: Any) -> None:
    config = m_config() | {"schedule": SCHEDULE}
    config["data"]["train"] = {"pipeline": {"scale": value}}
    path = tmp_path / "own.yml"
    path.write_text(yaml.safe_dump(config))
    with pytest.raises(KitError, match=r"own\.yml: data\.train\.pipeline\.scale: (expected|nan)"):
        read_settings(path)


STEPS_PER_EPOCH = 7


def upstreams_rates(settings: Settings, peak: float) -> Iterator[float]:
    """Step by step as `nanodet/trainer/task.py`: torch's schedule between epochs, and warm-up,
    which overwrites it up to its last step."""
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=peak)
    schedule: Any = torch.optim.lr_scheduler.MultiStepLR(
        optimizer, list(settings.milestones), settings.gamma
    )
    if settings.schedule == "CosineAnnealingLR":
        length = settings.cosine_epochs or settings.epochs
        optimizer = torch.optim.SGD([torch.zeros(1)], lr=peak)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, length, settings.last_rate)
    (group,) = optimizer.param_groups
    for step in range(settings.epochs * STEPS_PER_EPOCH):
        if step <= settings.warmup_steps and settings.warmup_steps:
            done, ratio = step / settings.warmup_steps, settings.warmup_ratio
            kinds = {
                "constant": ratio,
                "linear": 1 - (1 - done) * (1 - ratio),
                "exp": ratio ** (1 - done),
            }
            group["lr"] = group["initial_lr"] * kinds[settings.warmup]
        yield group["lr"]
        optimizer.step()
        if step % STEPS_PER_EPOCH == STEPS_PER_EPOCH - 1:
            schedule.step()


@pytest.mark.parametrize("warmup", ["linear", "exp", "constant"])
@pytest.mark.parametrize("steps", [0, 3, 7, 24], ids="warm{}".format)
@pytest.mark.parametrize("schedule", ["cosine", "cosine of 4 epochs", "steps"])
@pytest.mark.parametrize("share", [1.0, 0.1], ids="rate*{}".format)
def test_rates_are_upstreams(
    tiny: ModelSpec, warmup: str, steps: int, schedule: str, share: float
) -> None:
    settings = Settings(
        epochs=10, rate=0.01, last_rate=1e-4, warmup=warmup, warmup_steps=steps, warmup_ratio=0.05,
        schedule="MultiStepLR" if schedule == "steps" else "CosineAnnealingLR",
        cosine_epochs=4 if "4" in schedule else 0, milestones=(2, 5), gamma=0.1,
    )  # fmt: skip
    training = Training(tiny, settings)
    training.steps_per_epoch = STEPS_PER_EPOCH
    peak = settings.rate * share
    for step, expected in enumerate(upstreams_rates(settings, peak)):
        assert training.rate_factor(step, peak) * peak == pytest.approx(expected, rel=1e-9), step


def test_rates_by_hand(tiny: ModelSpec) -> None:
    """Warm-up of 10 steps in the first epoch of 10, the cosine of 10 epochs after it."""
    training = Training(tiny, Settings(epochs=10, warmup_steps=10, warmup_ratio=0.1))
    training.steps_per_epoch = 10
    found = [training.rate_factor(step, 1e-3) for step in (0, 5, 10, 50, 59)]
    floor, half, first = 0.05, 1.0, 1 + math.cos(math.pi / 10)
    assert found == pytest.approx([0.1, 0.55, 1, *[floor + (1 - floor) * half / first] * 2])


def test_the_average_begins_as_upstreams(tiny: ModelSpec) -> None:
    """After the first step the new weights count 0.9998 * exp(-2 / 2000) + 0.0002."""
    training = Training(tiny, Settings())
    assert training.avg_model is not None
    old = training.avg_model.state_dict()["head.gfl_cls.0.weight"].clone()
    with torch.no_grad():
        dict(training.model.named_parameters())["head.gfl_cls.0.weight"].add_(1)
    training._trainer = SimpleNamespace(global_step=1)  # type: ignore[assignment]
    training.on_train_batch_end()
    moved = training.avg_model.state_dict()["head.gfl_cls.0.weight"] - old
    share = 0.9998 * math.exp(-2 / 2000) + 0.0002
    torch.testing.assert_close(moved, torch.full_like(moved, share), atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("name", "weight", "deviation", "reason"),
    [
        ("nanodet-m-0.5x", "backbone.conv1.0.weight", 1 / 3, "the stem"),
        ("nanodet-m-0.5x", "backbone.stage3.0.branch2.0.weight", 1 / 48, "1 / inputs"),
        ("nanodet-m-0.5x", "backbone.stage3.0.branch2.3.weight", 1, "depthwise: one input"),
        ("nanodet-m-0.5x", "fpn.lateral_convs.0.conv.weight", (2 / (48 + 96)) ** 0.5, "Xavier"),
        ("nanodet-m-0.5x", "head.cls_convs.0.0.pointwise.weight", 0.01, "the head"),
        ("nanodet-plus-m-320", "fpn.reduce_layers.0.conv.weight", (2 / 96) ** 0.5, "He, fan out"),
        (
            "nanodet-plus-m-320",
            "fpn.downsamples.0.depthwise.weight",
            (2 / (96 * 25)) ** 0.5,
            "fan out of all channels",
        ),
        (
            "nanodet-plus-m-320",
            "fpn.top_down_blocks.0.blocks.0.ghost1.primary_conv.0.weight",
            (1 / 192 / 3) ** 0.5,
            "PyTorch's own, uniform within 1 / sqrt(inputs)",
        ),
        ("nanodet-plus-m-320", "aux_fpn.reduce_layers.0.conv.weight", (2 / 96) ** 0.5, "a copy"),
        ("nanodet-plus-m-320", "aux_head.cls_convs.0.conv.weight", 0.01, "the guidance"),
    ],
)
def test_weights_begin_as_upstreams(name: str, weight: str, deviation: float, reason: str) -> None:
    torch.manual_seed(0)
    network = TrainedNetwork(small(locate.model_spec(name), 96, 64))
    values = network.state_dict()[weight]
    error = 4 / (2 * values.numel()) ** 0.5  # Four standard errors of a deviation.
    assert float(values.std()) == pytest.approx(deviation, rel=error), reason
    assert float(values.mean()) == pytest.approx(0, abs=4 * deviation / values.numel() ** 0.5)


def test_biases_begin_as_upstreams(tiny: ModelSpec) -> None:
    state = TrainedNetwork(tiny).state_dict()
    for name, expected in {
        "backbone.conv1.1.bias": 1e-4,
        "backbone.stage4.3.branch2.6.bias": 1e-4,
        "fpn.lateral_convs.0.conv.bias": 0,
        "head.cls_convs.0.0.dwnorm.bias": 0,
        "head.gfl_cls.2.bias": -4.595,
    }.items():
        torch.testing.assert_close(state[name], torch.full_like(state[name], expected))


@pytest.mark.parametrize(
    ("name", "extra"),
    [
        (
            "nanodet-m-0.5x",
            {f"head.gfl_reg.{i}.{part}" for i in range(3) for part in ("weight", "bias")},
        ),
        ("nanodet-plus-m-320", set()),
    ],
)
def test_checkpoints_hold_what_upstream_asks_for(name: str, extra: set[str]) -> None:
    """The keys of upstream's modules, which it loads strictly, beyond those that are deployed."""
    spec = locate.model_spec(name)
    training = Training(spec, Settings())
    deployed = set(NanoDet(spec).state_dict())
    for prefix in ("model.", "avg_model."):
        state = {
            key.removeprefix(prefix): value
            for key, value in training.state_dict().items()
            if key.startswith(prefix)
        }
        more = {key for key in set(state) - deployed if not key.startswith("aux_")}
        assert more == extra | {"head.distribution_project.project"}
        assert state["head.distribution_project.project"].tolist() == list(range(8))
        assert all(state[key].shape[0] == 32 for key in extra)


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


def upstreams_groups(
    network: torch.nn.Module, settings: Settings
) -> dict[str, tuple[float, float]]:
    """`nanodet/optim/builder.py` word for word: name -> rate and decay."""
    found = {n: [settings.rate, settings.weight_decay] for n, _ in network.named_parameters()}
    for name in found:
        for part, rate, decay in settings.factors:
            if part in name:
                found[name] = [settings.rate * rate, settings.weight_decay * decay]
                break
    norms = torch.nn.GroupNorm, torch.nn.modules.batchnorm._BatchNorm
    for name, module in network.named_modules():
        if isinstance(module, norms) and not settings.decayed_norms:
            found[f"{name}.weight"][1] = found[f"{name}.bias"][1] = 0
        if getattr(module, "bias", None) is not None and not settings.decayed_biases:
            found[f"{name}.bias"][1] = 0
    return {name: (rate, decay) for name, (rate, decay) in found.items()}


@pytest.mark.parametrize("norms", [True, False])
@pytest.mark.parametrize("biases", [True, False])
@pytest.mark.parametrize("factors", [(), (("fpn", 0.1, 2.0), ("backbone", 0.5, 0.0))])
def test_rates_and_decays_are_upstreams(
    norms: bool, biases: bool, factors: tuple[tuple[str, float, float], ...]
) -> None:
    spec = small(locate.model_spec("nanodet-plus-m-320"), 96, 64)
    settings = dataclasses.replace(
        Settings(), decayed_norms=norms, decayed_biases=biases, factors=factors
    )
    training = Training(spec, settings)
    names = {id(p): n for n, p in training.model.named_parameters()}
    found = {
        names[id(p)]: (group["lr"], group["weight_decay"])
        for group in training._parameter_groups()
        for p in group["params"]
    }
    assert found == upstreams_groups(training.model, settings)


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


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with scenes, and configurations of both networks for them."""
    folder = tmp_path_factory.mktemp("own")
    write_set(folder / "scenes", 8, 96, 64, seed=0)
    for name, config in (("plus.yml", plus_config()), ("m.yml", m_config())):
        config |= {"schedule": SCHEDULE, "device": {"batchsize_per_gpu": 4}}
        config["data"]["train"] = {"pipeline": {"flip": 0.5}}
        config["data"]["val"]["input_size"] = [192, 128]
        config["model"]["arch"]["head"]["num_classes"] = len(CLASS_NAMES)
        config["class_names"] = list(CLASS_NAMES)
        (folder / name).write_text(yaml.safe_dump(config))
    return folder


@pytest.fixture(scope="module", autouse=True)
def broken_sets(own: Path) -> None:
    """Sets that cannot be trained on, by the fault they have."""
    for name in ("missing", "page", "cut", "empty"):
        write_set(own / name, 4, 96, 64, seed=0)
        annotations = own / name / "annotations.json"
        content = json.loads(annotations.read_text())
        last = own / name / "images" / content["images"][-1]["file_name"]
        if name == "missing":
            last.unlink()
        elif name == "page":
            last.write_text("<!DOCTYPE html><html></html>")
        elif name == "cut":
            last = last.with_suffix(".jpg")
            Image.fromarray(photo(0, 96, 64)).save(last)
            last.write_bytes(last.read_bytes()[:-400])
            content["images"][-1]["file_name"] = last.name
            annotations.write_text(json.dumps(content))
        else:
            annotations.write_text(json.dumps(content | {"annotations": []}))


@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_picture_that_is_cut_off_ends_training_in_one_line(own: Path, workers: str) -> None:
    """Nobody sees it before it is decoded, in a loading process or not."""
    done = train(own, "plus.yml", "--data", "cut", "--out", "cut-out", "--workers", workers)
    assert done.returncode == 2
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1 and "Traceback" not in done.stderr
    assert ".jpg: damaged or not an image" in errors[0] and "KitError" not in errors[0]


def train(own: Path, config: str, *options: str) -> subprocess.CompletedProcess[str]:
    given = ("--config", config, "--data", "scenes", "--workers", "0")
    pairs = set(itertools.pairwise(options))
    several = pairs & {("--devices", "2"), ("--workers", "1")}  # They start from a fresh one.
    return (run_python if several else run_here)(own, NANODET, "train", *given, *options)


@pytest.mark.parametrize(
    "workers", ["0", pytest.param("1", marks=pytest.mark.full(reason="starts three processes"))]
)
def test_resumed_training_is_the_uninterrupted_one(own: Path, workers: str) -> None:
    """Loading processes look ahead, and must do so in the right epoch."""
    for arguments in (
        ("--out", "whole", "--epochs", "3"),
        ("--out", "halves", "--epochs", "3", "--stop-after-epoch", "2"),
        ("--out", "halves", "--epochs", "3", "--resume"),
    ):
        done = train(own, "plus.yml", *arguments, "--workers", workers)
        assert done.returncode == 0, done.stderr
    spec = read_training_config(own / "plus.yml")
    whole, halves = (load_network(own / f / "last.ckpt", spec) for f in ("whole", "halves"))
    assert "uses the averaged weights (avg_model.*)" in whole.notes
    other = halves.network.state_dict()
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, other[name]), name


def test_upstream_resumes(own: Path) -> None:
    """Its optimizer has a group for each parameter, in this order; its schedule counts epochs;
    Lightning 1.9, which it needs, finds its step."""
    done = train(own, "m.yml", "--out", "for-upstream", "--epochs", "3", "--stop-after-epoch", "2")
    assert done.returncode == 0, done.stderr
    saved = torch.load(own / "for-upstream" / "last.ckpt", weights_only=False)
    names = [
        name for name, _ in TrainedNetwork(read_training_config(own / "m.yml")).named_parameters()
    ]
    (optimizer,) = saved["optimizer_states"]
    assert [group["params"] for group in optimizer["param_groups"]] == [
        [i] for i in range(len(names))
    ]
    trained = {names[i] for i in optimizer["state"]}
    assert trained == {name for name in names if ".gfl_reg." not in name}
    at = names.index("head.cls_convs.0.0.depthwise.weight")
    assert names[at + 1 : at + 3] == [
        "head.cls_convs.0.0.pointwise.weight", "head.cls_convs.0.0.dwnorm.weight"
    ]  # fmt: skip
    (schedule,) = saved["lr_schedulers"]
    assert (schedule["last_epoch"], saved["global_step"]) == (2, 4)
    progress = saved["loops"]["fit_loop"]["epoch_loop.batch_loop.optimizer_loop.optim_progress"]
    assert progress["optimizer"]["step"]["total"]["completed"] == 4
    assert progress["optimizer_position"] == 0


def test_two_processes_lose_what_one_with_twice_the_batch_loses(own: Path) -> None:
    """NanoDet-m, whose assignment does not hang on predictions; in float64, for the gradients of
    an untrained network with batch norm magnify rounding a thousandfold. However many there are,
    unused keys are named once."""
    config = yaml.safe_load((own / "m.yml").read_text())
    config |= {"save_dir": "w", "log": {"interval": 10}, "surprise": 1}
    (own / "more.yml").write_text(yaml.safe_dump(config))
    found = []
    for out, *options in (("one", "--batch", "4"), ("two", "--batch", "2", "--devices", "2")):
        more = ("--out", out, "--epochs", "2", "--rate", "0.01", "--precision", "64-true", *options)
        done = train(own, "more.yml", *more)
        assert done.returncode == 0, done.stderr
        lines = [line for line in done.stderr.splitlines() if "not used" in line]
        assert len(lines) == 1 and lines[0].startswith("--config more.yml: not used: ")
        assert all(name in lines[0] for name in ("save_dir (--out)", "log", "surprise"))
        with (own / out / "log" / "metrics.csv").open() as file:
            found.append([float(row["train/loss"]) for row in csv.DictReader(file)])
    one, two = found
    assert len(one) == 4
    assert two == pytest.approx(one, abs=1e-4)


@pytest.mark.parametrize(
    ("options", "message", "reason"),
    [
        (("--resume", "--out", "none"), "--resume: none/last.ckpt is not there", "nothing yet"),
        (("--batch", "9"), "8 images are less than one batch", "too few"),
        (("--weights", "m.yml"), "m.yml: this is text that begins", "no checkpoint"),
        (("--strides", "32"), "chosen when converting", "all strides are trained"),
        (("--devices", "x"), "--devices: x: expected auto", "no number"),
        (("--devices", "0"), "--devices: 0: expected auto", "no process"),
        (("--devices", "0,0"), "--devices: 0,0: expected auto", "one GPU twice"),
        (("--accelerator", "cpu", "--devices", "0,1"), "--devices [0, 1]", "a CPU has no list"),
        (("--precision", "foo"), "--precision: invalid choice: 'foo'", "unknown"),
        (("--accelerator", "tpux"), "--accelerator: invalid choice: 'tpux'", "unknown"),
        (("--accelerator", "tpu"), "--accelerator tpu", "not on this machine"),
        (("--workers", "-1"), "--workers: -1: must be a whole number of 0 or more", "negative"),
        (("--workers", "1.5"), "--workers: 1.5: must be a whole number", "broken"),
        (("--seed", "-1"), "--seed: -1", "NumPy takes none"),
        (("--seed", str(2**32)), "--seed 4294967296: must be at most", "NumPy takes none"),
        (("--rate", "nan"), "rate is nan", "no number"),
        (("--out", "m.yml"), "--out m.yml: cannot be written", "a file"),
        (("--data", "nowhere"), "nowhere: no annotated pictures found", "no set"),
        (("--train-images", "x"), "--train-images belongs to --train", "half"),
        (("--train", "nowhere.json"), "nowhere.json: no annotated", "no file"),
        (("--data", "missing"), "missing/images/00000003.jpg: no such image, 1 of 4 are", "a hole"),
        (("--data", "page"), "page/images/00000003.jpg: damaged or not an image", "no picture"),
        (("--data", "empty"), "annotations.json has no box to learn from", "no boxes"),
    ],
)
def test_bad_input(own: Path, options: tuple[str, ...], message: str, reason: str) -> None:
    done = train(own, "plus.yml", *options)
    assert done.returncode == 2, reason
    assert message in done.stderr and len(done.stderr.splitlines()) == 1, done.stderr


def test_half_weights(tiny: ModelSpec, tmp_path: Path) -> None:
    """What is deployed survives, the same bytes each time."""
    training = Training(tiny, Settings())
    torch.save({"state_dict": training.state_dict()}, tmp_path / "last.ckpt")
    for name in ("a.ckpt", "b.ckpt"):
        done = run_here(tmp_path, "-m", "train.export", "last.ckpt", name)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "a.ckpt").read_bytes() == (tmp_path / "b.ckpt").read_bytes()
    whole, half = (load_network(tmp_path / n, tiny).network for n in ("last.ckpt", "a.ckpt"))
    pixels = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        for wanted, found in zip(whole(pixels), half(pixels), strict=True):
            torch.testing.assert_close(found, wanted, atol=0.02, rtol=0.02)
