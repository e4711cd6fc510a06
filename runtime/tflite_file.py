"""Reads what the kit needs from a `.tflite` file without an interpreter: names, shapes,
quantization and the embedded `ModelSpec`; and checks it before an interpreter gets it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from .errors import KitError
from .spec import METADATA_NAME, ModelSpec
from .tflite_check import check_graph, check_indices
from .tflite_operand import tensor_type
from .tflite_schema import FILE_IDENTIFIER, Table, read_model


@dataclass(frozen=True)
class TensorInfo:
    """One tensor: its name, shape, type and (per-tensor) quantization."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float
    zero_point: int


@dataclass(frozen=True)
class TfliteFile:
    """A model file of this kit: bytes, spec, input and outputs in the spec's order."""

    path: str
    content: bytes
    spec: ModelSpec
    input: TensorInfo
    outputs: tuple[TensorInfo, ...]

    @property
    def sha256(self) -> str:
        """Checksum of the file, hexadecimal."""
        return hashlib.sha256(self.content).hexdigest()

    @classmethod
    def read(cls, path: str | Path) -> TfliteFile:
        """Read and check a file.

        Raises `KitError` when it is no TFLite file, carries no spec of this kit, or its tensors
        contradict the spec.
        """
        try:
            content = Path(path).read_bytes()
        except OSError as error:
            raise KitError(f"{path}: cannot be read ({error.strerror})") from None
        return cls.parse(content, str(path))

    @classmethod
    def parse(cls, content: bytes, path: str) -> TfliteFile:
        """As `read`, from bytes; `path` names them in errors."""
        if content[4:8] != FILE_IDENTIFIER:
            raise KitError(f"{path}: not a TFLite file")
        try:
            model = read_model(content)
            check_indices(model)
            spec_text = _spec_text(model)
        except ValueError as error:
            raise KitError(f"{path}: damaged or truncated TFLite file ({error})") from None
        if spec_text is None:
            raise KitError(
                f"{path}: no NanoDet model spec inside; only files built by this kit's recipe.sh "
                "carry one"
            )
        spec = ModelSpec.from_json(spec_text, path)
        (graph,) = model["subgraphs"]
        inputs, outputs = (
            tuple(_tensor_info(graph["tensors"][i]) for i in graph[name])
            for name in ("inputs", "outputs")
        )
        _check_tensors(path, spec, inputs, outputs)
        _check_signature(path, model, outputs)
        try:
            check_graph(model)
        except ValueError as error:
            raise KitError(f"{path}: damaged, {error}") from None
        return cls(path, content, spec, inputs[0], outputs)


def _check_tensors(
    path: str, spec: ModelSpec, inputs: tuple[TensorInfo, ...], outputs: tuple[TensorInfo, ...]
) -> None:
    input_shapes = [t.shape for t in inputs]
    expected_input = spec.input_shape_nhwc
    if input_shapes != [expected_input]:
        problem = f"inputs {input_shapes}, its spec says {[expected_input]}"
        raise KitError(f"{path}: {problem}; build it anew with recipe.sh")
    actual = {t.name: t.shape for t in outputs}
    expected = {name: spec.output_shape_nhwc(name) for name in spec.output_names}
    if actual != expected or len(outputs) != len(expected):
        raise KitError(f"{path}: outputs {actual}, its spec says {expected}")


def _check_signature(path: str, model: Table, outputs: tuple[TensorInfo, ...]) -> None:
    """Compilers for NPUs leave none; what is there names the outputs as the tensors do."""
    (graph,) = model["subgraphs"]
    wanted = {t.name: int(i) for t, i in zip(outputs, graph["outputs"])}
    for signature in model["signature_defs"]:
        if {m["name"]: m["tensor_index"] for m in signature["outputs"]} != wanted:
            raise KitError(f"{path}: damaged, its signature names other outputs")


def _spec_text(model: Table) -> str | None:
    for entry in model["metadata"]:
        if entry["name"] == METADATA_NAME:
            text: str = model["buffers"][entry["buffer"]]["data"].tobytes().decode("utf-8")
            return text
    return None


def _tensor_info(tensor: Table) -> TensorInfo:
    quantization = tensor["quantization"] or {"scale": (), "zero_point": ()}
    scales, zero_points = quantization["scale"], quantization["zero_point"]
    return TensorInfo(
        name=tensor["name"],
        shape=tuple(int(n) for n in tensor["shape"]),
        dtype=tensor_type(tensor["type"]),
        scale=float(scales[0]) if len(scales) == 1 else 0.0,
        zero_point=int(zero_points[0]) if len(zero_points) == 1 else 0,
    )
