"""Files that are no checkpoints, made as their own writers make them where those are at hand."""

from __future__ import annotations

import argparse
import gzip
import io
import json
import pickle
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from PIL import Image

from convert.checkpoint import read_weights
from runtime.errors import KitError
from tests.conftest import Build


def written(write: Callable[[Any], Any]) -> bytes:
    """What `write` puts into a file."""
    content = io.BytesIO()
    write(content)
    return content.getvalue()


def zipped(*members: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name in members:
            archive.writestr(name, b"0123456789")
    return content.getvalue()


def tar(name: str) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        archive.addfile(tarfile.TarInfo(name))
    return content.getvalue()


def picture(kind: str) -> bytes:
    return written(lambda file: Image.new("RGB", (8, 8)).save(file, kind))


def onnx_model() -> bytes:
    graph = onnx.helper.make_graph([], "g", [], [])
    return onnx.helper.make_model(graph, producer_name="pytorch").SerializeToString()


def onnx_model_without_producer() -> bytes:
    graph = onnx.helper.make_graph([], "g", [], [])
    return onnx.helper.make_model(graph).SerializeToString()


HEADER = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
STATE = {"state_dict": {"backbone.w": torch.zeros(2)}}
SAVED = written(lambda file: torch.save(STATE, file))
OLD = written(lambda file: torch.save(STATE, file, _use_new_zipfile_serialization=False))
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 9\n"


def scripted() -> bytes:
    return written(lambda file: torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), file))


@pytest.mark.parametrize(
    ("content", "kind", "way_out"),
    [
        (b"", "empty", "download the file itself again"),
        (b"<!DOCTYPE html><html><head></head></html>", "a web page", "download the file itself"),
        (b"\xef\xbb\xbf\n  <HTML lang=en>", "a web page", "not the page that offers it"),
        (b"<!-- made by hand --><html>", "a web page", "download the file itself"),
        ('<?xml version="1.0"?><!DOCTYPE html SYSTEM "x">'.encode("utf-16"), "a web page", ""),
        ("<html><title>Téléchargement</title>".encode("latin-1"), "a web page", ""),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "an XML document", ""),
        (b'{"error": "not found"}', "JSON", "download the file itself"),
        (b"model:\n  arch: x\n", "text that begins `model: arch: x`", "check the name"),
        (b"Not Found", "text that begins `Not Found`", "check the name"),
        (LFS, "a Git LFS pointer", "git lfs pull"),
        (b"/annex/objects/SHA256E-s1--00.ckpt\n", "a git-annex pointer", "git annex get"),
        (b"7767517\n75 83\nInput data 0 1 data\n", "an ncnn file", "it was made from"),
        (onnx_model(), "an ONNX file without convolutions", "it was made from"),
        (onnx_model_without_producer(), "an ONNX file without", "it was made from"),
        (onnx_model() + b"\xff", "no ONNX file, or a damaged one", ""),
        (b"\x08\x01\x12\x8c\x0b\x0a\x05", "a TensorFlow SavedModel", "it was made from"),
        (b"\x0a\x29\x0a\x05input\x12\x0bPlaceholder", "a protobuf", "it was made from"),
        (zipped("weights/nanodet.ckpt"), "a zip archive that holds `weights/nanodet.ckpt`",
         "unpack it"),
        (zipped(), "a zip archive that holds nothing", ""),
        (zipped("a.npy", "b.npy"), "a NumPy archive", ""),
        (scripted(), "a TorchScript archive", "torch.jit.load(path).state_dict()"),
        (SAVED[: len(SAVED) // 2], "truncated, the end of the archive is missing", "copy it again"),
        (gzip.compress(SAVED), "a gzip archive", "unpack it"),
        (tar("nanodet.ckpt"), "a tar archive", "unpack it"),
        (b"\xfd7zXZ\x00\x00\x04", "an xz archive", "unpack it"),
        (struct.pack("<Q", len(HEADER)) + HEADER + bytes(4), "a safetensors file",
         'torch.save({"state_dict": safetensors.torch.load_file(path)}'),
        (written(lambda file: np.save(file, np.zeros(3))), "a NumPy array", ""),
        (b"\x89HDF\r\n\x1a\n" + bytes(8), "an HDF5 file", ""),
        (picture("PNG"), "a PNG picture", "check the name"),
        (picture("JPEG"), "a JPEG picture", "check the name"),
        (bytes(range(200, 255)), "begins with the bytes c8 c9", "check the name"),
        (bytes(64), "begins with the bytes 00 00", "check the name"),
    ],
)  # fmt: skip
def test_named_by_its_first_bytes(tmp_path: Path, content: bytes, kind: str, way_out: str) -> None:
    path = tmp_path / "model.ckpt"
    path.write_bytes(content)
    with pytest.raises(KitError) as error:
        read_weights(path)
    message = str(error.value)
    assert kind in message and way_out in message and str(path) in message
    assert "code" not in message and "pickle" not in message


def test_a_tflite_file(build: Build, tmp_path: Path) -> None:
    path = tmp_path / "model.ckpt"
    path.write_bytes(build.float_model)
    with pytest.raises(KitError, match="a TFLite file, not a checkpoint"):
        read_weights(path)


@pytest.mark.parametrize("content", [SAVED, OLD], ids=["archive", "before PyTorch 1.6"])
def test_checkpoints_are_read(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.ckpt").write_bytes(content)
    assert list(read_weights(tmp_path / "a.ckpt").weights) == ["backbone.w"]


@pytest.mark.parametrize("how", ["archive", "before PyTorch 1.6", *range(2, 6)])
@pytest.mark.parametrize(
    ("value", "name"),
    [
        (argparse.Namespace(lr=1), "argparse.Namespace"),
        (torch.nn.Linear(1, 1), "torch.nn.modules.linear.Linear"),
        (Path("a"), "PosixPath"),
        (np.float64(1), "numpy"),
        (print, "print"),
    ],
)
def test_a_pickle_that_asks_for_a_class(
    tmp_path: Path, how: str | int, value: object, name: str
) -> None:
    path = tmp_path / "a.ckpt"
    state = {"state_dict": {"w": torch.zeros(1)}, "hyper_parameters": value}
    if isinstance(how, int):
        path.write_bytes(pickle.dumps({"a": value}, protocol=how))
    else:
        torch.save(state, path, _use_new_zipfile_serialization=how == "archive")
    with pytest.raises(KitError) as error:
        read_weights(path)
    message = str(error.value)
    assert "refused, the pickle asks for `" in message and name in message
    saved = "model.state_dict()"
    if not isinstance(how, int):  # Where it can be told from the pickle that weights are in it.
        saved = 'torch.load("a.ckpt", map_location="cpu", weights_only=False)["state_dict"]'
    assert f'torch.save({{"state_dict": {saved}}}, "new.ckpt")' in message


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_a_harmless_pickle_of_others(tmp_path: Path, protocol: int) -> None:
    path = tmp_path / "a.ckpt"
    path.write_bytes(pickle.dumps({"state_dict": {"w": [1.0]}}, protocol=protocol))
    with pytest.raises(KitError, match=r"a pickle that torch\.save did not write") as error:
        read_weights(path)
    assert "code" not in str(error.value)


def test_a_folder(tmp_path: Path) -> None:
    with pytest.raises(KitError, match="cannot be read"):
        read_weights(tmp_path)


def test_a_second_set_of_weights_is_named(tmp_path: Path) -> None:
    torch.save(STATE | {"state_dict_ema": dict(STATE["state_dict"])}, tmp_path / "a.ckpt")
    assert read_weights(tmp_path / "a.ckpt").notes == ("leaves `state_dict_ema` aside (1 tensors)",)
