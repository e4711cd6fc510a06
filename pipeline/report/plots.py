"""The plots as SVG text to stand in a page.

They are as wide as a phone, so that their text is not scaled down there, and tell things apart by
lightness and hatching, not by hue.
"""

from __future__ import annotations

import html
import io
import re
from collections.abc import Callable, Sequence

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.arena import Placed
from pipeline.report.contract import Accuracy, ArenaMap, ClassScore, EngineRun, Noise

_WIDTH_IN = 4.6  # 331 points: a phone's 330 pixels show each point as one pixel.
_DARK, _MIDDLE, _LIGHT, _LOSS = "#17456b", "#6d9cc4", "#c9dbea", "#a8441e"
_KIB = 1024
CLASSES = 24
_CLASS_LETTERS, _TENSOR_LETTERS = 16, 24
_NAMED_TENSORS = 4
_STYLE = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 11.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#5c6b78",
    "axes.labelcolor": "#1b2733",
    "text.color": "#1b2733",
    "xtick.color": "#44525e",
    "ytick.color": "#1b2733",
    "hatch.color": "white",
    "legend.frameon": False,
    "svg.fonttype": "none",
}


def svg(draw: Callable[[Axes], None], height_in: float, name: str, title: str) -> str:
    """What `draw` puts on axes, as an `<svg>` element; the same figures give the same text.

    name: of letters, in front of all its ids. title: what it shows, for who cannot see it.
    """
    with mpl.rc_context({**_STYLE, "svg.hashsalt": name}):
        figure = Figure(figsize=(_WIDTH_IN, height_in), layout="constrained")
        draw(figure.subplots())
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None}, transparent=True)
    content = re.sub(r"\s*<metadata>.*?</metadata>", "", text.getvalue(), flags=re.DOTALL)
    content = content[content.index("<svg") :]
    content = re.sub(r'\bid="', f'id="{name}-', content)
    content = re.sub(r'(url\(|href=")#', rf"\1#{name}-", content)
    label = html.escape(title)
    return re.sub(
        r'<svg(.*?) width="[^"]*"(.*?) height="[^"]*"|<svg(.*?) height="[^"]*"(.*?) width="[^"]*"',
        lambda m: "<svg" + "".join(part or "" for part in m.groups()) + _labelled(label),
        content,
        count=1,
        flags=re.DOTALL,
    )


def _labelled(label: str) -> str:
    return f' role="img" aria-label="{label}"'


def waterfall(accuracy: Accuracy) -> str:
    """What each step leaves, takes or gives."""
    steps = accuracy.steps
    most = max(1.0, *(step.ap for step in steps))

    def draw(axes: Axes) -> None:
        for row, step in enumerate(steps):
            before = steps[row - 1].ap if row else step.ap
            low, high = sorted((step.ap, before))
            axes.barh(row, low, 0.42, color=_DARK if not row else _LIGHT)
            lost = step.ap < before
            colour, hatch = (_LOSS, "////") if lost else (_DARK, "")
            axes.barh(row, high - low, 0.42, left=low, color=colour, hatch=hatch, linewidth=0)
            change = f"  ({step.ap - before:+.2f})".replace("-", "\N{MINUS SIGN}") if row else ""
            axes.text(high + 0.015 * most, row, f"{step.ap:.2f}{change}", va="center")
            axes.text(0, row - 0.27, step.name, va="bottom")
        axes.set_xlim(0, 1.42 * most)
        axes.set_ylim(len(steps) - 0.6, -0.8)
        axes.set_yticks([])
        axes.set_xlabel("AP, %")
        axes.spines["left"].set_visible(False)

    listed = ", ".join(f"{step.name} {step.ap:.2f}" for step in steps)
    return svg(draw, 0.62 * len(steps) + 0.7, "waterfall", f"AP after each step: {listed}")


def classes(accuracy: Accuracy) -> str:
    """AP of the most frequent classes that are found at all, float and quantized."""
    shown = accuracy.found_classes[:CLASSES]

    def draw(axes: Axes) -> None:
        places = range(len(shown))
        exact = [c.float_ap for c in shown]
        axes.barh([p - 0.2 for p in places], exact, 0.38, color=_LIGHT, label="float")
        quantized = [c.ap for c in shown]
        axes.barh([p + 0.2 for p in places], quantized, 0.38, color=_DARK, label="quantized")
        axes.set_yticks(places, [_class_label(c) for c in shown], parse_math=False)
        axes.set_ylim(len(shown) - 0.5, -0.5)
        axes.set_xlim(left=0)
        axes.set_xlabel("AP, %")
        axes.tick_params(axis="y", length=0)
        axes.legend(loc="lower center", bbox_to_anchor=(0.4, 1.0), ncols=2)

    title = "AP by class: " + ", ".join(f"{c.name} {c.ap:.1f}" for c in shown)
    return svg(draw, 0.34 * len(shown) + 1.1, "classes", title)


def _class_label(score: ClassScore) -> str:
    return f"{_short(score.name, _CLASS_LETTERS)} ({score.boxes})"


def _short(name: str, longest: int) -> str:
    return name if len(name) <= longest else name[: longest - 1] + "\N{HORIZONTAL ELLIPSIS}"


def precision_recall(accuracy: Accuracy) -> str:
    """Precision over recall, mean over the classes, float and quantized."""

    def draw(axes: Axes) -> None:
        for step, colour, dash, kind in (
            (accuracy.exact, _MIDDLE, "-", "float"),
            (accuracy.quantized, _DARK, (0, (4, 1.6)), "quantized"),
        ):
            for iou, short, width in (("0.50", ".50", 2.6), ("0.50 to 0.95", ".50 to .95", 1.3)):
                curve, label = step.scores.curves[iou], f"{kind}, {short}"
                axes.plot(range(len(curve)), curve, color=colour, ls=dash, lw=width, label=label)
        axes.set(xlim=(0, 100), ylim=(0, None), xlabel="recall, %", ylabel="precision, %")
        place = {"loc": "lower center", "bbox_to_anchor": (0.44, 1.0), "ncols": 2}
        axes.legend(handlelength=2.2, columnspacing=1.0, handletextpad=0.5, **place)

    title = "Precision over recall of the float and the quantized network, mean over the classes"
    return svg(draw, 3.6, "curves", title)


def noise(tensors: Sequence[Noise]) -> str:
    """Signal to noise along the network."""

    def draw(axes: Axes) -> None:
        places = range(len(tensors))
        own, total = [t.own_db for t in tensors], [t.total_db for t in tensors]
        axes.plot(places, own, "o", ms=4, mfc="white", mec=_MIDDLE, label="its own rounding")
        axes.plot(places, total, color=_DARK, lw=1.6, label="all before it rounded, too")
        axes.set(xlabel="tensor, in the network's order", ylabel="signal to noise, dB")
        axes.set_ylim(bottom=min(0, *total))
        axes.legend(loc="lower center", bbox_to_anchor=(0.45, 1.0))

    return svg(draw, 3.6, "noise", "Signal to noise of each rounded tensor, in dB")


def operators(counts: dict[str, int], instructions: dict[str, int]) -> str:
    """Predicted instructions by kind of operator; how often each occurs where none are.
    The most first."""
    found = {k: n / 1e6 for k, n in instructions.items()} or counts
    figures = dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))
    unit = "million instructions on a Cortex-M7" if instructions else "operators"

    def draw(axes: Axes) -> None:
        places = range(len(figures))
        axes.barh(places, list(figures.values()), 0.42, color=_DARK)
        for place, (kind, value) in enumerate(figures.items()):
            shown = f"{value:.1f}" if instructions else f"{value:.0f}"
            axes.text(0, place - 0.24, kind, va="bottom")
            axes.annotate(shown, (value, place), (4, 0), textcoords="offset points", va="center")
        _unlabelled_rows(axes, len(figures))
        axes.set_xlim(0, 1.16 * max(figures.values()))
        axes.set_xlabel(unit)

    listed = ", ".join(f"{kind} {value:.1f}" for kind, value in figures.items())
    return svg(draw, 0.5 * len(figures) + 0.7, "operators", f"{unit}: {listed}")


def _unlabelled_rows(axes: Axes, rows: int) -> None:
    axes.set_ylim(rows - 0.6, -0.8)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)


def memory_map(arena: ArenaMap) -> str:
    """Tensors as rectangles, operators from left to right, bytes upwards."""
    peak = set(arena.peak_tensors)
    shades = (_LIGHT, "#dfe9f2", "#b4cde1")

    def draw(axes: Axes) -> None:
        for index, p in enumerate(arena.placed):
            fill, edge = (_DARK, _DARK) if p in peak else (shades[index % len(shades)], "white")
            width, height = _end(p, arena) - p.first, p.bytes / _KIB
            bottom = p.offset / _KIB
            axes.bar(p.first, height, width, bottom, align="edge", color=fill, ec=edge, lw=0.5)
        axes.axvline(arena.peak + 0.5, color=_LOSS, ls=(0, (4, 2)), lw=1.4)
        _name_peak(axes, arena)
        axes.set(xlim=(0, arena.operators), xlabel="operator", ylabel="KiB")
        axes.set_ylim(0, 1.16 * arena.planned_bytes / _KIB)

    title = f"The arena over time; peak {arena.peak_bytes:,} bytes at {arena.peak_at}"
    return svg(draw, 4.4, "arena", title)


def engine(run: EngineRun) -> str:
    """Bytes in use upwards, instructions to the right."""
    ends = [n / 1e6 for n in run.instructions]
    used = [n / _KIB for n in run.used_bytes]

    def draw(axes: Axes) -> None:
        axes.fill_between([0, *ends], [used[0], *used], step="pre", color=_LIGHT, ec=_DARK, lw=0.8)
        axes.axhline(run.arena_bytes / _KIB, color=_LOSS, ls=(0, (4, 2)), lw=1.4)
        axes.set(xlim=(0, ends[-1] or 1), xlabel="million instructions on a Cortex-M7")
        axes.set(ylim=(0, 1.1 * run.arena_bytes / _KIB), ylabel="KiB")

    title = f"Memory in use over instructions; arena {run.arena_bytes:,} bytes"
    return svg(draw, 3.2, "engine", title)


def _end(placed: Placed, arena: ArenaMap) -> int:
    return min(placed.last + 1, arena.operators)


def _name_peak(axes: Axes, arena: ArenaMap) -> None:
    """The peak, and its largest tensors, beside the line on the emptier side."""
    right = arena.peak < arena.operators / 2
    x = arena.operators * (0.3 if right else 0.7)
    side = "left" if right else "right"
    axes.text(
        arena.peak + (0.02 if right else -0.02) * arena.operators,
        1.14 * arena.planned_bytes / _KIB,
        f"peak {arena.peak_bytes:,} bytes at {arena.peak_at}",
        color=_LOSS,
        ha=side,
        va="top",
    )
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 1.5}
    for p in arena.peak_tensors[:_NAMED_TENSORS]:
        edge = _end(p, arena) if right else p.first
        y = (p.offset + p.bytes / 2) / _KIB
        axes.annotate(
            _short(p.name, _TENSOR_LETTERS),
            (edge, y),
            (x, y),
            ha=side,
            va="center",
            bbox=box,
            parse_math=False,
            arrowprops={"arrowstyle": "-", "color": "#1b2733", "lw": 0.8},
        )
