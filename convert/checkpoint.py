"""Checkpoint file -> `NanoDet` in evaluation mode."""

from __future__ import annotations

import pickle
import re
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from convert.checkpoint_layout import UNUSED_SUFFIX, NetworkWeights, network_weights
from convert.foreign_file import asked_class, is_onnx, refuse_foreign, saved_by_torch
from convert.network import NanoDet
from convert.onnx_weights import read_state
from runtime.errors import KitError, OtherNetwork
from runtime.spec import ModelSpec

# How PyTorch names what a pickle asks for and `weights_only` forbids.
_FORBIDDEN = re.compile(r"GLOBAL ([\w.]+)")
_STATE = b"X\x0a\x00\x00\x00state_dict"  # As a string in a pickle of torch.save.
_SAVE_AGAIN = 'torch.save({"state_dict": model.state_dict()}, "new.ckpt")'


@dataclass(frozen=True)
class LoadedNetwork:
    """A network in evaluation mode, and what loading left out, in words."""

    network: NanoDet
    notes: tuple[str, ...]


def load_network(path: Path, spec: ModelSpec) -> LoadedNetwork:
    """Build the network of `spec` and load `path` strictly, from any layout upstream writes.

    Raises `KitError` when the file is no checkpoint or would run code on loading, `OtherNetwork`
    when it belongs to another architecture (the first missing or mismatched key is named).
    """
    found = read_weights(path)
    weights = found.weights
    network = NanoDet(spec)
    expected = {
        key: value for key, value in network.state_dict().items() if not key.endswith(UNUSED_SUFFIX)
    }
    for key in expected:
        if key not in weights:
            raise _mismatch(path, spec, f"key `{key}` is missing")
    for key, value in expected.items():
        tensor = weights[key]
        if tensor.shape != value.shape:
            shapes = f"has shape {tuple(tensor.shape)}, expected {tuple(value.shape)}"
            raise _mismatch(path, spec, f"key `{key}` {shapes}")
        if tensor.layout != torch.strided or not tensor.is_floating_point():
            raise _mismatch(path, spec, f"key `{key}` holds {tensor.dtype}")
        if not torch.isfinite(tensor).all():
            raise KitError(f"{path}: key `{key}` holds NaN or infinity; train again or re-export")
    surplus = sorted(set(weights) - set(expected))
    if surplus:
        raise _mismatch(path, spec, f"key `{surplus[0]}` is not part of that network")
    network.load_state_dict(weights, strict=False)  # Only batch counters are left out.
    return LoadedNetwork(network.eval(), found.notes)


def read_weights(path: Path) -> NetworkWeights:
    """The network's weights in a checkpoint, from any layout upstream writes.

    Raises `KitError` when the file is no checkpoint or would run code on loading.
    """
    refuse_foreign(path)
    loaded = {"state_dict": read_state(path)} if is_onnx(path) else _load(path)
    state = loaded.get("state_dict", loaded) if isinstance(loaded, dict) else None
    if not isinstance(state, dict) or not state or not all(isinstance(key, str) for key in state):
        raise KitError(f"{path}: holds no `state_dict`; is it a NanoDet checkpoint?")
    found = network_weights(state)
    return NetworkWeights(found.weights, (*found.notes, *_left_aside(loaded, state)))


def _left_aside(loaded: dict[Any, Any], state: dict[str, Any]) -> list[str]:
    """Further sets of weights in a checkpoint, such as `state_dict_ema`."""
    others = {
        key: sum(isinstance(v, torch.Tensor) for v in value.values())
        for key, value in loaded.items()
        if isinstance(value, dict) and value is not state
    }
    return [f"leaves `{key}` aside ({count} tensors)" for key, count in others.items() if count]


def _load(path: Path) -> Any:
    """The content of a checkpoint. Raises `KitError`; nothing in the file runs."""
    try:
        _check_archive(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # An odd pickle is refused below, in one line.
            return torch.load(path, map_location="cpu", weights_only=True)
    except KitError:
        raise
    except Exception as error:  # Damaged bytes lead the unpickler anywhere.
        raise KitError(f"{path}: {_problem(path, error)}") from None


def _problem(path: Path, error: Exception) -> str:
    """Why PyTorch's restricted unpickler gave up."""
    forbidden = None
    if isinstance(error, pickle.UnpicklingError):
        found = _FORBIDDEN.search(str(error))
        forbidden = found[1] if found else None
    foreign = not saved_by_torch(path)
    if foreign and forbidden is None:
        forbidden = asked_class(path)
    if forbidden is not None:
        again = _SAVE_AGAIN
        if not foreign and _STATE in _pickle_of(path):
            loaded = f'torch.load("{path.name}", map_location="cpu", weights_only=False)'
            again = f'torch.save({{"state_dict": {loaded}["state_dict"]}}, "new.ckpt")'
        return (
            f"refused, the pickle asks for `{forbidden}` and could run code; save the weights "
            f"alone where it was made, with {again}"
        )
    if foreign:
        return f"a pickle that torch.save did not write; save it again with {_SAVE_AGAIN}"
    return "truncated or damaged checkpoint; download or copy it again"


def _pickle_of(path: Path) -> bytes:
    """The pickle in a sound checkpoint, without its tensors where they are apart."""
    if not zipfile.is_zipfile(path):
        return path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        return archive.read(next(n for n in archive.namelist() if n.endswith("/data.pkl")))


def _check_archive(path: Path) -> None:
    """PyTorch's reader of archives skips the checksums in them, and unpacks whatever is packed.

    Raises `KitError`; files of PyTorch before 1.6 are no archives and pass.
    """
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
            raise KitError(f"{path}: refused, a checkpoint is not compressed; save it with torch")
        if damaged := archive.testzip():
            raise KitError(
                f"{path}: damaged checkpoint, the checksum of `{damaged}` differs; download or "
                "copy it again"
            )


def _mismatch(path: Path, spec: ModelSpec, problem: str) -> OtherNetwork:
    return OtherNetwork(f"{path}: not a {spec.name} checkpoint, {problem}")
