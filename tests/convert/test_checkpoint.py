from __future__ import annotations

import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from convert.checkpoint import load_network
from runtime.errors import KitError
from runtime.spec import ModelSpec
from tests.random_network import random_network

PLUS_NECK = "fpn.reduce_layers.0.conv.weight"


class RunsCode:
    """Unpickling this would create the file `marker`."""

    marker = ""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch '{self.marker}'",)


@pytest.fixture(scope="module")
def state(tiny: ModelSpec) -> dict[str, torch.Tensor]:
    return random_network(tiny).state_dict()


def test_load_restores_every_weight(
    tiny: ModelSpec, state: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    torch.save({"state_dict": state}, tmp_path / "a.ckpt")
    loaded = load_network(tmp_path / "a.ckpt", tiny).network.state_dict()
    for key, value in state.items():
        if not key.endswith("num_batches_tracked"):
            assert torch.equal(loaded[key], value), key


def test_idle_branches_may_be_left_over(
    tiny: ModelSpec, state: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    extra = {"head.gfl_reg.0.weight": torch.zeros(32, 96, 1, 1)}
    torch.save({"state_dict": state | extra}, tmp_path / "a.ckpt")
    load_network(tmp_path / "a.ckpt", tiny)


def without(key: str) -> Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]:
    return lambda state: {k: v for k, v in state.items() if k != key}


@pytest.mark.parametrize(
    ("change", "message", "reason"),
    [
        (without("fpn.lateral_convs.0.conv.bias"), "`fpn.lateral_convs.0.conv.bias` is missing",
         "the first missing key is named"),
        (lambda s: {PLUS_NECK: torch.zeros(1)} | without("fpn.lateral_convs.0.conv.weight")(s),
         "`fpn.lateral_convs.0.conv.weight` is missing", "NanoDet-Plus has another neck"),
        (lambda s: s | {"backbone.stage2.0.branch1.2.weight": torch.zeros(58, 24, 1, 1)},
         r"shape \(58, 24, 1, 1\), expected \(24, 24, 1, 1\)", "a wider backbone"),
        (lambda s: s | {PLUS_NECK: torch.zeros(1)}, f"`{PLUS_NECK}` is not part", "a surplus key"),
        (lambda s: s | {"head.gfl_cls.0.bias": torch.full((112,), torch.nan)}, "NaN",
         "training diverged"),
        (lambda s: {}, "no `state_dict`", "nothing inside"),
    ],
)  # fmt: skip
def test_wrong_content(
    tiny: ModelSpec,
    state: dict[str, torch.Tensor],
    tmp_path: Path,
    change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]],
    message: str,
    reason: str,
) -> None:
    torch.save({"state_dict": change(state)}, tmp_path / "a.ckpt")
    with pytest.raises(KitError, match=message) as error:
        load_network(tmp_path / "a.ckpt", tiny)
    assert "a.ckpt" in str(error.value)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_truncated(
    tiny: ModelSpec, state: dict[str, torch.Tensor], tmp_path: Path, share: float
) -> None:
    path = tmp_path / "a.ckpt"
    torch.save({"state_dict": state}, path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(KitError, match=r"a\.ckpt"):
        load_network(path, tiny)


@pytest.mark.parametrize("plain", [True, False], ids=["plain pickle", "torch archive"])
def test_code_is_refused_and_not_run(tiny: ModelSpec, tmp_path: Path, plain: bool) -> None:
    RunsCode.marker = str(tmp_path / "ran")
    path = tmp_path / "a.ckpt"
    if plain:
        path.write_bytes(pickle.dumps({"state_dict": RunsCode()}))
    else:
        torch.save({"state_dict": RunsCode()}, path)
    with pytest.raises(KitError, match="refused"):
        load_network(path, tiny)
    assert not (tmp_path / "ran").exists()


class Settings:
    """A class of somebody's training, such as yacs' `CfgNode`."""


@pytest.mark.parametrize("archive", [True, False])
def test_the_line_that_saves_the_weights_alone(
    tiny: ModelSpec,
    state: dict[str, torch.Tensor],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    archive: bool,
) -> None:
    """As it stands in the message, it may be pasted where the class is at hand."""
    content = {"state_dict": state, "hyper_parameters": Settings()}
    path = tmp_path / "own.ckpt"
    torch.save(content, path, _use_new_zipfile_serialization=archive)
    with pytest.raises(
        KitError, match=r"asks for `tests\.convert\.test_checkpoint\.Settings`"
    ) as error:
        load_network(path, tiny)
    line = str(error.value).split(", with ")[1]
    monkeypatch.chdir(tmp_path)
    exec(line, {"torch": torch})
    found = load_network(tmp_path / "new.ckpt", tiny).network.state_dict()
    floats = {key: value for key, value in state.items() if value.is_floating_point()}
    assert all(torch.equal(found[key], value) for key, value in floats.items())


def test_missing_file(tiny: ModelSpec, tmp_path: Path) -> None:
    with pytest.raises(KitError, match="no such checkpoint"):
        load_network(tmp_path / "nowhere.ckpt", tiny)


@pytest.mark.parametrize("key", ["data.pkl", "data/0"])
def test_a_flipped_bit_is_noticed(
    tiny: ModelSpec, state: dict[str, torch.Tensor], tmp_path: Path, key: str
) -> None:
    """PyTorch itself loads such a file and says nothing."""
    path = tmp_path / "a.ckpt"
    torch.save({"state_dict": state}, path)
    with zipfile.ZipFile(path) as archive:
        content = archive.read(f"a/{key}")
    whole = bytearray(path.read_bytes())
    whole[whole.index(content) + len(content) // 2] ^= 1
    path.write_bytes(whole)
    with pytest.raises(KitError, match=f"checksum of `a/{key}` differs"):
        load_network(path, tiny)


def test_a_compressed_archive_is_not_unpacked(
    tiny: ModelSpec, state: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    """It may hold a thousand times its size."""
    torch.save({"state_dict": state}, tmp_path / "a.ckpt")
    with (
        zipfile.ZipFile(tmp_path / "a.ckpt") as archive,
        zipfile.ZipFile(tmp_path / "b.ckpt", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for name in archive.namelist():
            packed.writestr(name, archive.read(name))
    with pytest.raises(KitError, match="not compressed"):
        load_network(tmp_path / "b.ckpt", tiny)


@pytest.mark.parametrize(
    "value", [torch.zeros(112, dtype=torch.int32), torch.zeros(112).to_sparse()], ids=str
)
def test_weights_of_another_kind(
    tiny: ModelSpec, state: dict[str, torch.Tensor], tmp_path: Path, value: torch.Tensor
) -> None:
    torch.save({"state_dict": state | {"head.gfl_cls.0.bias": value}}, tmp_path / "a.ckpt")
    with pytest.raises(KitError, match=r"`head\.gfl_cls\.0\.bias` holds torch"):
        load_network(tmp_path / "a.ckpt", tiny)
