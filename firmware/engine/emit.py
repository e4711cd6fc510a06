"""A plan as C: `nanodet_network` and all that it points to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from firmware.engine.layers import CONVOLUTIONS, Channels, Layer
from firmware.engine.pack import (
    GREY_ORDER,
    IMAGE_ORDER,
    LEAST_SHIFT,
    MOST_SHIFT,
    Rounding,
    pack_conv,
    pack_depthwise,
    pack_rule,
)
from firmware.engine.plan import Plan
from firmware.engine.rows import INPUT, is_pointwise
from quantize.fixed_point import multiply, quantize_multiplier
from runtime.errors import KitError

_EVERY = np.arange(-128, 128)
_ADD_BITS = 20  # By which TensorFlow Lite shifts addends to the left.


# Bytes of each type by the ABI of 32-bit Arm.
_BYTES = {
    "int32_t": 4, "int8_t": 1, "uint8_t": 1, "nanodet_run": 4, "nanodet_part": 8,
    "nanodet_piece": 20, "nanodet_layer": 32, "nanodet_buffer": 12, "nanodet_conv": 28,
    "nanodet_window": 8, "nanodet_depthwise": 16, "nanodet_add": 24, "nanodet_network": 48,
    "nanodet_gate": 16,
}  # fmt: skip
_WEIGHTS = "int32_t"  # Streams, and the addends of sums.


@dataclass(frozen=True)
class Emitted:
    """A C file, and how much of flash it takes: weights, and all else."""

    text: str
    weight_bytes: int
    plan_bytes: int


def emit(plan: Plan, symbol: str = "network") -> str:
    """The text of a C file that defines `symbol`."""
    return emit_measured(plan, symbol).text


def emit_measured(plan: Plan, symbol: str, forms: Mapping[int, int] | None = None) -> Emitted:
    """The same with its sizes. forms: pixels of a turn, where the model's choice does not count, by
    a layer's number."""
    emitter = _Emitter(plan, forms or {})
    text = emitter.text(symbol)
    return Emitted(text, emitter.bytes.pop(_WEIGHTS), sum(emitter.bytes.values()))


class _Emitter:
    def __init__(self, plan: Plan, forms: Mapping[int, int]) -> None:
        self.plan, self.network, self.storage = plan, plan.network, plan.storage
        self.forms = forms
        self.parts: list[str] = []
        self.bytes = dict.fromkeys(_BYTES, 0)
        self.any_shift = False  # Of the newest depthwise convolution.

    def text(self, symbol: str) -> str:
        """The whole file."""
        layers = [self._layer(n, layer) for n, layer in enumerate(self.network.layers)]
        buffers = [
            f"{{{b.offset}, {b.row_bytes}, {b.rows}, {b.pitch}}}" for b in self.storage.buffers
        ]
        steps = [len(layers) if n == INPUT else n for n, _ in self.plan.schedule.steps]
        self._array("nanodet_buffer", "buffers", buffers)
        self._array("nanodet_layer", "layers", layers)
        self._array("uint8_t", "steps", steps)
        image = self.network.values[0]
        fields = (
            "buffers", "layers", "steps", len(steps), self.storage.arena_bytes, len(layers),
            len(buffers), self.storage.buffer[0], len(buffers) - 1, image.zero_point, image.width,
            image.height, "NULL",
        )  # fmt: skip
        self.parts.append(f"const nanodet_network {symbol} = {{{', '.join(map(str, fields))}}};\n")
        for part in self.parts:
            kind, name = part.partition("const ")[2].split()[:2]
            if not name.endswith("[]"):
                self.bytes[kind] += _BYTES[kind]
        headers = '#include "nanodet/network.h"\n#include "nanodet/placement.h"\n\n'
        return headers + "\n".join(self.parts)

    def _array(self, kind: str, name: str, items: Iterable[object]) -> str:
        texts = list(map(str, items))
        self.bytes[kind] += _BYTES[kind] * len(texts)
        place = "NANODET_WEIGHTS " if kind == _WEIGHTS else ""
        self.parts.append(f"{place}static const {kind} {name}[] = {{{','.join(texts)}}};\n")
        return name

    def _layer(self, number: int, layer: Layer) -> str:
        source = self.network.values[layer.sources[0][0][0]]
        target = self.network.values[layer.value]
        sources, pieces, about = "NULL", "NULL", "NULL"
        part_count = piece_count = 0
        kind = layer.kind
        if kind in CONVOLUTIONS:
            sources, part_count, about = self._conv(number, layer)
        else:
            made = self._pieces(number, layer)
            pieces, piece_count = self._array("nanodet_piece", f"pieces_{number}", made), len(made)
            if kind == "depthwise":
                about = self._depthwise(number, layer)
            elif kind == "add":
                about = self._add(number, layer)
            elif kind == "gate":
                about = self._gate(number, layer)
        table = (
            "NULL"
            if layer.activation is None or layer.kind != "max"
            else self._table(number, layer)
        )
        fields = (
            f"NANODET_{kind.upper()}", layer.kernel, layer.stride, layer.above, layer.left,
            part_count, piece_count, self.storage.buffer.get(layer.value, 0), source.height,
            source.width, target.height, target.width, sources, pieces, about, table,
        )  # fmt: skip
        return f"{{{', '.join(map(str, fields))}}}"

    def _table(self, number: int, layer: Layer) -> str:
        if layer.activation is None:
            return "NULL"
        return self._array("int8_t", f"activation_{number}", layer.activation.tolist())

    def _place(self, channel: tuple[int, int]) -> tuple[int, int]:
        value, index = channel
        return self.storage.buffer[value], int(self.storage.columns[value][index])

    def _part(self, name: str, buffer: int, runs: Sequence[tuple[int, int]]) -> list[str]:
        """Runs of bytes of a buffer's pixels."""
        self._array("nanodet_run", name, (f"{{{at}, {count}}}" for at, count in runs))
        return [f"{{{name}, {len(runs)}, {buffer}}}"]

    def _runs(self, name: str, places: Sequence[tuple[int, int]]) -> list[str]:
        """A part for the places of each buffer."""
        found: list[str] = []
        for buffer, group in groupby(places, key=lambda place: place[0]):
            runs: list[tuple[int, int]] = []
            for _, at in group:
                if runs and sum(runs[-1]) == at:
                    runs[-1] = runs[-1][0], runs[-1][1] + 1
                else:
                    runs.append((at, 1))
            found += self._part(f"{name}_{len(found)}", buffer, runs)
        return found

    def _rounding(self, layer: Layer) -> Rounding:
        assert layer.weight_scales is not None
        target = self.network.values[layer.value]
        outputs = layer.weight.shape[0 if layer.kind in CONVOLUTIONS else -1]  # type: ignore[union-attr]
        scales = np.broadcast_to(layer.weight_scales, outputs)
        rules = [quantize_multiplier(layer.scales[0] * s / target.scale) for s in scales]
        multiplier, shift = np.array(rules).T
        return Rounding(multiplier, shift, layer.zero_points[0], target.zero_point)

    def _conv(self, number: int, layer: Layer) -> tuple[str, int, str]:
        weight, bias = layer.weight, layer.bias
        assert weight is not None and bias is not None
        outputs, inputs = weight.shape[0], weight[0].size
        form, how = self.plan.convolution(layer), self.plan.convolution(layer).how
        targets = np.array([self._place((layer.value, c))[1] for c in range(outputs)])
        if layer.kind == "stem":
            sources, order = [], IMAGE_ORDER if inputs == len(IMAGE_ORDER) else GREY_ORDER
            flat = weight.reshape(outputs, -1)[:, order]
        else:
            places = [self._place(channel) for channel in layer.sources[0]]
            order = tuple(sorted(range(len(places)), key=places.__getitem__))
            sources = self._runs(f"source_{number}", [places[i] for i in order])
            flat = weight[..., order].reshape(outputs, -1)
        rounding = self._rounding(layer)
        packed = pack_conv(flat, bias, rounding, form.inputs, targets, form.narrow)
        stream = self._array("int32_t", f"stream_{number}", packed.stream.tolist())
        table = self._table(number, layer)
        turn = self.forms.get(number, how.turn)
        sizes = packed.stream.size, form.inputs, form.outputs, how.pixels, how.block, turn
        flags = int(packed.any_shift), int(form.narrow), how.rows
        window = "NULL" if layer.kind == "stem" else self._window(number, layer)
        fields = ", ".join(map(str, (stream, table, *sizes, *flags, window)))
        self.parts.append(f"static const nanodet_conv conv_{number} = {{{fields}}};\n")
        parts = self._array("nanodet_part", f"parts_{number}", sources) if sources else "NULL"
        return parts, len(sources), f"&conv_{number}"

    def _window(self, number: int, layer: Layer) -> str:
        if is_pointwise(layer):
            return "NULL"
        width = self.network.values[layer.sources[0][0][0]].width
        about = width, len(layer.sources[0]), layer.kernel, layer.stride, layer.left
        fields = ", ".join(map(str, (*about, layer.zero_points[0])))
        self.parts.append(f"static const nanodet_window window_{number} = {{{fields}}};\n")
        return f"&window_{number}"

    def _split(self, layer: Layer) -> list[list[int]]:
        """Output channels whose bytes, and those of their sources, follow each other."""
        channels: list[Channels] = list(layer.sources)
        if layer.kind != "decode":
            count = len(layer.sources[0])
            channels.append(tuple((layer.value, c) for c in range(count)))
        places = [[self._place(c) for c in one] for one in channels]
        if layer.kind == "decode":
            return [[0]]
        order = sorted(range(len(places[-1])), key=places[-1].__getitem__)
        runs: list[list[int]] = []
        for index in order:
            last = runs[-1][-1] if runs else None
            if last is not None and all(
                one[index] == (one[last][0], one[last][1] + 1) for one in places
            ):
                runs[-1].append(index)
            else:
                runs.append([index])
        return runs

    def _pieces(self, number: int, layer: Layer) -> list[str]:
        made = []
        packed = [] if layer.kind != "depthwise" else self._streams(number, layer)
        for position, run in enumerate(self._split(layer)):
            first = self._place(layer.sources[0][run[0]])
            second = self._place(layer.sources[1][run[0]]) if len(layer.sources) > 1 else (0, 0)
            if layer.kind == "decode":
                out = int(layer.name.split()[1])
            else:
                out = self._place((layer.value, run[0]))[1]
            stream, words = packed[position] if packed else ("NULL", 0)
            fields = first[0], second[0], first[1], second[1], out, len(run), stream, words
            made.append(f"{{{', '.join(map(str, fields))}}}")
        return made

    def _streams(self, number: int, layer: Layer) -> list[tuple[str, int]]:
        """Name and words of each run's."""
        assert layer.weight is not None and layer.bias is not None
        rounding = self._rounding(layer)
        found: list[tuple[str, int]] = []
        self.any_shift = False
        for position, run in enumerate(self._split(layer)):
            part = Rounding(
                rounding.multiplier[run], rounding.shift[run], rounding.input_zero_point,
                rounding.output_zero_point,
            )  # fmt: skip
            packed = pack_depthwise(layer.weight[..., run], layer.bias[run], part, layer.stride)
            self.any_shift |= packed.any_shift
            name = f"stream_{number}_{position}"
            array = self._array("int32_t", name, packed.stream.tolist())
            found.append((array, packed.stream.size))
        return found

    def _depthwise(self, number: int, layer: Layer) -> str:
        table = self._table(number, layer)
        fields = f"NULL, {table}, 0, {layer.kernel}, {layer.stride}, {layer.zero_points[0]}"
        fields += f", {int(self.any_shift)}, {int(layer.repeats)}"
        self.parts.append(f"static const nanodet_depthwise depthwise_{number} = {{{fields}}};\n")
        return f"&depthwise_{number}"

    def _add(self, number: int, layer: Layer) -> str:
        target = self.network.values[layer.value]
        most = 2 * max(layer.scales)
        tables = []
        for place, (scale, zero) in enumerate(zip(layer.scales, layer.zero_points, strict=True)):
            doubled = 2 * multiply((_EVERY - zero) << _ADD_BITS, *quantize_multiplier(scale / most))
            tables.append(self._array("int32_t", f"addend_{number}_{place}", doubled.tolist()))
        multiplier, shift = quantize_multiplier(most / ((1 << _ADD_BITS) * target.scale))
        rule = pack_rule(multiplier, shift, target.zero_point)
        table = self._table(number, layer)
        fields = f"{', '.join(tables)}, {table}, {{{', '.join(map(str, rule))}}}"
        self.parts.append(f"static const nanodet_add add_{number} = {{{fields}}};\n")
        return f"&add_{number}"

    def _gate(self, number: int, layer: Layer) -> str:
        target = self.network.values[layer.value]
        real = layer.scales[0] * layer.scales[1] / target.scale
        rule = pack_rule(*quantize_multiplier(real), target.zero_point)
        if not LEAST_SHIFT <= rule[2] <= MOST_SHIFT:
            raise KitError(f"{layer.name}: scales a product by {real:g}; use --engine tflm")
        zeros = ", ".join(map(str, layer.zero_points))
        fields = f"{{{', '.join(map(str, rule))}}}, {zeros}"
        self.parts.append(f"static const nanodet_gate gate_{number} = {{{fields}}};\n")
        return f"&gate_{number}"
