"""The last step: rewrites of the quantized file for its target, the spec inside, the last gate."""

from __future__ import annotations

import copy
import dataclasses
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np

from quantize import flatbuffer, package, verify
from quantize.rewrites import selections, separate, shuffle, slices, space_to_depth, strips
from runtime.engines.litert import LiteRtEngine
from runtime.errors import GateFailed
from runtime.spec import ModelSpec
from runtime.tflite_file import TfliteFile


@dataclass(frozen=True)
class Deployed:
    """content: of the finished file. left_out: why rewrites that were asked for do not apply."""

    content: bytes
    operators: Counter[str]
    left_out: list[str]


def deploy(
    model: Any,
    spec: ModelSpec,
    rewrites: Collection[str],
    expected: dict[str, int],
    canvas: np.ndarray,
    path: str,
) -> Deployed:
    """Finish an int8 `ModelT`, which is changed.

    rewrites: some of `quantize.INT8_REWRITES`. expected: see `verify.verify`. canvas: a photograph
    on which the rewritten file must answer as the file before it, to the last bit. path: names the
    file in errors. Raises `GateFailed`.
    """
    package.name_tensors(model, spec)
    shuffled = copy.deepcopy(model)
    shuffle.replace_gathers(model)
    slices.use_plain_slices(model)
    plain = _finished(model, spec)
    verify.verify(plain, expected, path)
    left_out = []
    if "shuffle_by_convolutions" in rewrites:
        if selections.select_by_convolutions(shuffled):
            model = shuffled
            slices.use_plain_slices(model)
        else:
            left_out.append("shuffle_by_convolutions: no shuffle is left, or it is no int8 file")
    if "convolution_by_slice" in rewrites and not separate.convolve_by_slice(model):
        left_out.append("convolution_by_slice: no convolution is read by slices alone")
    if "stem_strips" in rewrites and strips.cut_stem(model) == 1:
        left_out.append("stem_strips: the stem is no chain of a convolution and a pool")
    if "space_to_depth" in rewrites:
        if space_to_depth.gather_blocks(model):
            graph = dataclasses.replace(spec.graph, space_to_depth=True)
            spec = dataclasses.replace(spec, graph=graph)
        else:
            left_out.append("space_to_depth: the stem is no 3x3 convolution with stride 2")
    content = _finished(model, spec)
    counts = verify.verify(content, {}, path)
    if content != plain:
        _compare(plain, content, canvas, path)
    return Deployed(content, counts, left_out)


def _finished(model: Any, spec: ModelSpec) -> bytes:
    finished = copy.deepcopy(model)
    package.embed_spec(finished, spec)
    return flatbuffer.serialize(finished)


def _compare(before: bytes, after: bytes, canvas: np.ndarray, path: str) -> None:
    one, other = (
        LiteRtEngine(TfliteFile.parse(content, path), xnnpack=False).infer_raw(canvas)
        for content in (before, after)
    )
    for name, values in one.items():
        if not np.array_equal(values, other[name]):
            raise GateFailed(f"{path}: the rewritten file answers {name} otherwise than before")
