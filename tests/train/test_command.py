"""`./nanodet train`, as a user runs it."""

from __future__ import annotations

import csv
import itertools
import json
import subprocess
from pathlib import Path

import pytest
import torch
import yaml
from PIL import Image

from convert.checkpoint import load_network
from convert.training_config import read_training_config
from data.shapes.dataset import write_set
from data.shapes.shapes import CLASS_NAMES
from tests.conftest import NANODET, photo, run_here, run_python
from tests.convert.test_training_config import m_config, plus_config
from tests.train.test_settings import SCHEDULE
from train.guidance import TrainedNetwork


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
