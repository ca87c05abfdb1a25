"""Pictures of a summary: a histogram for each column of numbers, bars for labels, a map of sizes."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from tools.base.packages import require_package
from tools.report.summary.numbers import Histogram
from tools.report.summary.render import compact
from tools.report.summary.results import Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_FILL, _EDGE, _MARK = "#9ecae1", "#3182bd", "#d94801"
_LABELS_SHOWN = 25
_BUBBLES = 60  # more sizes than this are drawn as a density
_NAMED_SIZES = 8
_MAP_BINS = 60


def require_matplotlib() -> None:
    """Check that pictures can be drawn.

    Raises:
        UserError: matplotlib is not installed.
    """
    require_package("matplotlib", "plots")


def draw_plots(summary: Summary, prefix: str) -> Iterator[tuple[str, bytes]]:
    """Draw everything that a summary has.

    Args:
        summary: Of rows of one kind.
        prefix: Their kind, such as ``video``; begins the names.

    Yields:
        File name such as ``video_aes.png``, and the PNG.
    """
    taken: set[str] = set()
    numbers = dict(summary.numbers)
    if summary.text:
        numbers["text_characters"] = summary.text.characters
    for column, described in numbers.items():
        if described.histogram and described.quantiles:
            figure = _histogram(column, described.count, described.histogram, described.quantiles)
            yield _name(prefix, column, taken), _png(figure)
    for column, counts in summary.labels.items():
        yield _name(prefix, column, taken), _png(_bars(column, counts))
    if summary.sizes:
        yield _name(prefix, "sizes", taken), _png(_map(summary.sizes))


def _name(prefix: str, column: str, taken: set[str]) -> str:
    stem = f"{prefix}_{re.sub(r'[^A-Za-z0-9_-]+', '_', column)[:80]}"
    name, number = stem, 1
    while name.lower() in taken:
        number += 1
        name = f"{stem}-{number}"
    taken.add(name.lower())
    return f"{name}.png"


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    # Not pyplot: it keeps every figure, and picks a window system.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message="Glyph"
        )  # labels may be in a script that the font does not have
        figure.savefig(buffer, format="png", dpi=100)
    return buffer.getvalue()


def _histogram(column: str, rows: int, histogram: Histogram, quantiles: dict[float, float]) -> Figure:
    figure, axes = _figure(6, 3.2)
    axes.stairs(histogram.counts, histogram.edges, fill=True, facecolor=_FILL, edgecolor=_EDGE, linewidth=0.6)
    for q, style in ((0.05, ":"), (0.5, "-"), (0.95, ":")):
        place = quantiles[q]
        if histogram.edges[0] <= place <= histogram.edges[-1]:
            axes.axvline(place, color=_MARK, linestyle=style, linewidth=1)
    middle = ", ".join(f"{q:.0%} {compact(quantiles[q])}" for q in (0.05, 0.5, 0.95))
    axes.set_title(column, loc="left", fontweight="bold", parse_math=False)
    axes.set_title(f"{rows:,} rows; {middle}", loc="right", fontsize=8, parse_math=False)
    axes.set_ylabel("rows")
    axes.set_ylim(bottom=0)
    beyond = [
        f"{count:,} rows {where} {compact(edge)}"
        for count, where, edge in (
            (histogram.below, "below", histogram.edges[0]),
            (histogram.above, "above", histogram.edges[-1]),
        )
        if count
    ]
    if beyond:
        axes.set_xlabel(f"not drawn: {', '.join(beyond)}", fontsize=8)
    return figure


def _bars(column: str, counts: dict[str | None, int]) -> Figure:
    shown = list(counts.items())[:_LABELS_SHOWN]
    figure, axes = _figure(6, 1.2 + 0.24 * len(shown))
    names = [
        "(empty)" if value is None else value if len(value) <= 32 else value[:31] + "…" for value, _ in shown
    ]
    rows = [number for _, number in shown]
    places = range(len(shown))
    bars = axes.barh(places, rows, color=_FILL, edgecolor=_EDGE, linewidth=0.6)
    axes.bar_label(bars, [f"{number:,}" for number in rows], padding=3, fontsize=8)
    axes.set_yticks(places, names, parse_math=False)
    axes.invert_yaxis()
    axes.margins(x=0.15)
    axes.set_xlabel("rows")
    axes.set_title(column, loc="left", fontweight="bold", parse_math=False)
    if len(counts) > len(shown):
        axes.set_title(f"{len(counts) - len(shown)} more values are not drawn", loc="right", fontsize=8)
    return figure


def _map(sizes: list[tuple[int, int, int]]) -> Figure:
    """Rows by aspect ratio and by pixels, both on a logarithmic scale."""
    width, height, rows = np.array(sizes, dtype=np.float64).T
    ratio, pixels = height / width, height * width
    figure, axes = _figure(6, 4)
    if len(sizes) <= _BUBBLES:
        axes.scatter(ratio, pixels, 600 * rows / rows.max(), color=_FILL, edgecolor=_EDGE, alpha=0.7)
        axes.set_title(f"{len(sizes)} sizes, areas by rows", loc="right", fontsize=8)
        axes.margins(0.15)
        for place in range(min(len(sizes), _NAMED_SIZES)):  # the most frequent come first
            name = f"{width[place]:.0f} x {height[place]:.0f}"
            axes.annotate(name, (ratio[place], pixels[place]), ha="center", va="center", fontsize=8)
    else:
        _mesh(figure, axes, ratio, pixels, rows)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.axvline(1, color="#888888", linewidth=0.6)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda value, _: compact(value))
        axis.set_minor_formatter("")
    axes.set_xlabel("aspect ratio, height / width")
    axes.set_ylabel("resolution, height x width")
    axes.set_title("aspect ratio and resolution", loc="left", fontweight="bold")
    return figure


def _mesh(figure: Figure, axes: Axes, ratio: np.ndarray, pixels: np.ndarray, rows: np.ndarray) -> None:
    from matplotlib.colors import LogNorm

    edges = [_log_edges(ratio), _log_edges(pixels)]
    counts = np.histogram2d(ratio, pixels, bins=edges, weights=rows)[0].T
    norm = LogNorm(1, max(2.0, counts.max()))
    mesh = axes.pcolormesh(*edges, np.ma.masked_equal(counts, 0), cmap="viridis", norm=norm)
    figure.colorbar(mesh, ax=axes, label="rows")


def _log_edges(values: np.ndarray) -> np.ndarray:
    margin = 1.1
    return np.geomspace(values.min() / margin, values.max() * margin, _MAP_BINS + 1)
