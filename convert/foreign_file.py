"""What a file is that is no PyTorch checkpoint, told by its bytes. Nothing in it runs."""

from __future__ import annotations

import pickletools
import re
import zipfile
from pathlib import Path

from runtime.errors import KitError
from runtime.tflite_schema import FILE_IDENTIFIER

_FIRST = 1024  # Bytes that are looked at.
_AGAIN = "download the file itself"
_SOURCE = "give the checkpoint that it was made from"
_UNPACK = "unpack it and give the checkpoint in it"

# Offset, bytes, what begins so, the way out.
_MAGIC: tuple[tuple[int, bytes, str, str], ...] = (
    (0, b"version https://git-lfs", "a Git LFS pointer", "fetch the file with `git lfs pull`"),
    (0, b"/annex/objects/", "a git-annex pointer", "fetch the file with `git annex get`"),
    (4, FILE_IDENTIFIER, "a TFLite file", _SOURCE),
    (0, b"7767517", "an ncnn file", _SOURCE),
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file, as Keras writes", _SOURCE),
    (0, b"\x93NUMPY", "a NumPy array", _SOURCE),
    (0, b"\x1f\x8b", "a gzip archive", _UNPACK),
    (0, b"BZh", "a bzip2 archive", _UNPACK),
    (0, b"\xfd7zXZ\x00", "an xz archive", _UNPACK),
    (0, b"\x28\xb5\x2f\xfd", "a Zstandard archive", _UNPACK),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive", _UNPACK),
    (0, b"Rar!", "a RAR archive", _UNPACK),
    (257, b"ustar", "a tar archive", _UNPACK),
    (0, b"\x89PNG\r\n", "a PNG picture", "check the name"),
    (0, b"\xff\xd8\xff", "a JPEG picture", "check the name"),
    (0, b"%PDF-", "a PDF document", "check the name"),
)
_WEB_PAGE = re.compile(rb"<(!doctype\s+html|html|head|body|script|meta|title)\b", re.IGNORECASE)
_SAFETENSORS = 'torch.save({"state_dict": safetensors.torch.load_file(path)}, "new.ckpt")'
_SAVED_MODEL = b"\x08\x01\x12"
# Of an ONNX file: a version, then a field that is a string or a message.
_ONNX = re.compile(rb"\x08[\x01-\x3f][\x12\x1a\x22\x2a\x32\x3a\x42]")
# How a file begins, what that is, the way out.
_PATTERNS: tuple[tuple[bytes, str, str], ...] = (
    (_SAVED_MODEL, "a TensorFlow SavedModel", _SOURCE),
    # A node, which begins with its name.
    (rb"\x0a[\x80-\xff]*[\x00-\x7f]\x0a[\x01-\x7f][!-~]",
     "a protobuf, as a frozen TensorFlow graph is", _SOURCE),
    (rb".{8}\{\s*\"", "a safetensors file", f"save it again with {_SAFETENSORS}"),
)  # fmt: skip
_ZIP = b"PK"
_TORCH = 0x1950A86A20F9469CFC6C.to_bytes(10, "little")  # Begins files of PyTorch before 1.6.
_PICKLE = re.compile(rb"\x80[\x02-\x05]")  # Its protocols with a mark; PyTorch writes 2.


def refuse_foreign(path: Path) -> None:
    """Raise `KitError` for a file that is missing or that neither PyTorch nor its exporter to ONNX
    can have made."""
    try:
        problem = _problem(path)
    except FileNotFoundError:
        raise KitError(f"{path}: no such checkpoint") from None
    except OSError as error:
        raise KitError(f"{path}: cannot be read ({error.strerror})") from None
    if problem:
        raise KitError(f"{path}: {problem}")


def is_onnx(path: Path) -> bool:
    """Whether the file begins as ONNX files do."""
    with path.open("rb") as file:
        first = file.read(3)
    return bool(_ONNX.match(first)) and not first.startswith(_SAVED_MODEL)


def _problem(path: Path) -> str | None:
    with path.open("rb") as file:
        first = file.read(_FIRST)
    if not first:
        return f"this is empty; {_AGAIN} again"
    if first.startswith(_ZIP):
        return _archive(path)
    if _PICKLE.match(first) or is_onnx(path):
        return None
    for offset, magic, kind, way_out in _MAGIC:
        if first.startswith(magic, offset):
            return _not_one(kind, way_out)
    return _text(first) or _binary(first)


def _not_one(kind: str, way_out: str) -> str:
    return f"this is {kind}, not a checkpoint; {way_out}"


def saved_by_torch(path: Path) -> bool:
    """Whether `torch.save` wrote the file, by its first bytes."""
    with path.open("rb") as file:
        first = file.read(32)
    return first.startswith(_ZIP) or _TORCH in first


def asked_class(path: Path) -> str | None:
    """The first class or function that a bare pickle asks for, but for `OrderedDict`."""
    strings = ["", ""]
    try:
        with path.open("rb") as file:
            for opcode, argument, _ in pickletools.genops(file):
                if isinstance(argument, str) and "GLOBAL" not in opcode.name:
                    strings = [strings[1], argument]
                name = {
                    "GLOBAL": str(argument).replace(" ", "."),
                    "STACK_GLOBAL": ".".join(strings),
                }.get(opcode.name)
                if name is not None and name != "collections.OrderedDict":
                    return name
    except Exception:  # Whatever damaged bytes lead to.
        return None
    return None


def _archive(path: Path) -> str | None:
    if not zipfile.is_zipfile(path):
        return "truncated, the end of the archive is missing; download or copy it again"
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return "damaged, the archive cannot be listed; download or copy it again"
    if any(name.endswith("/constants.pkl") for name in names):
        again = 'torch.save({"state_dict": torch.jit.load(path).state_dict()}, "new.ckpt")'
        return _not_one("a TorchScript archive", f"save its weights with {again}")
    if any(name.endswith("/data.pkl") for name in names):
        return None
    if names and all(name.endswith(".npy") for name in names):
        return _not_one("a NumPy archive", _SOURCE)
    held = f"holds `{names[0]}`" if names else "holds nothing"
    return _not_one(f"a zip archive that {held}", _UNPACK)


def _text(first: bytes) -> str | None:
    """Text of any kind; UTF-16, which web servers rarely send, by its mark."""
    encoding = "utf-16" if first[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    text = first.decode(encoding, "replace").lstrip()
    control = sum(c < " " and c not in "\t\n\r\f" for c in text)
    # One broken letter may come of cutting the first bytes off; markup tells its encoding late.
    if not text or control or (text.count("\ufffd") > 1 and not text.startswith("<")):
        return None
    if text.startswith("<") and _WEB_PAGE.search(text.encode()):
        return _not_one("a web page", f"{_AGAIN}, not the page that offers it")
    if text.startswith("<"):
        return _not_one("an XML document, as servers answer errors with", _AGAIN)
    if text.startswith(("{", "[")):
        return _not_one("JSON, as servers answer errors with", _AGAIN)
    return _not_one(f"text that begins `{' '.join(text[:40].split())}`", "check the name")


def _binary(first: bytes) -> str:
    for pattern, kind, way_out in _PATTERNS:
        if re.match(pattern, first, re.DOTALL):
            return _not_one(kind, way_out)
    shown = first[:8].hex(" ")
    return f"this is no PyTorch checkpoint, it begins with the bytes {shown}; check the name"
