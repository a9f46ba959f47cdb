"""Pictures of results, drawn with matplotlib: the same file for the same numbers.

A figure is a PNG for MLflow and DVC, or an <svg> in a page, which takes the page's colours. Both are legible on a phone.
"""

import io
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import font_manager, rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fakeface.core.files import replacing
from fakeface.core.records import LABEL_NAMES, EpochRecord
from fakeface.photos.images import Pixels

COLOURS = {"ce": "#0072b2", "bce": "#d55e00"}
"""Okabe & Ito 2008: told apart with any colour vision."""
FONTS = ("DejaVu Sans", "Noto Sans CJK KR", "Noto Sans KR", "NanumGothic", "Malgun Gothic", "Apple SD Gothic Neo")
"""Matplotlib's own, and those that bring Korean names where they are installed."""
NAMES = {"ce": "cross-entropy", "bce": "BCE on output 1"}
PAGE_COLOURS = {"#000000": "currentColor"} | {colour: f"var(--{objective})" for objective, colour in COLOURS.items()}
"""What a page calls the colours of an SVG, so that they suit its light and its dark side."""
METADATA: dict[str, dict[str, None] | None] = {
    "png": {"Software": None},
    "jpg": None,
    "jpeg": None,
    "pdf": {"Creator": None, "Producer": None, "CreationDate": None},
    "svg": {"Creator": None, "Date": None},
}
"""Kinds of files, and what matplotlib would write into each beside the figure: its version and the date."""
CHANCE, DODGE, TITLE_PT = "#808080", 0.17, 11

Row = Mapping[str, Any]
"""A name, and each model's `roc_auc` with its `roc_auc_interval`; None where they are not defined."""


def save(figure: Figure, path: Path) -> None:
    """Write a file of the kind that its name ends in, a PNG where that is none of METADATA's."""
    ending = path.suffix[1:].lower()
    kind = ending if ending in METADATA else "png"
    with replacing(path) as temporary, rc_context({"svg.hashsalt": ""}), _any_letter():
        figure.savefig(temporary, format=kind, dpi=120, metadata=METADATA[kind])


def svg(figure: Figure, name: str, description: str) -> str:
    """The figure as an <svg> element of an HTML page: text stays text, every id in it starts with `name`."""
    file = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": name}), _any_letter():
        figure.savefig(file, format="svg", transparent=True, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    text = file.getvalue()
    drawing = text[text.index(">", text.index("<svg")) + 1 :]
    drawing = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", drawing, flags=re.DOTALL)
    drawing = re.sub(r'(?<= id=")|(?<=href="#)|(?<=url\(#)', f"{name}-", drawing)
    drawing = re.sub(r"font-family: [^;\"]+;? ?", "", drawing)
    for colour, variable in PAGE_COLOURS.items():
        drawing = drawing.replace(colour, variable)
    width, height = 72 * figure.get_size_inches()
    opening = f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(description)}" fill="currentColor">'
    return opening + drawing.strip()


@contextmanager
def _any_letter() -> Iterator[None]:
    """A letter that no font has is a box in a PNG, and left to the browser in a page."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        yield


def confusion_figure(matrix: Sequence[Sequence[int]], title: str) -> Figure:
    """A confusion matrix, a row per label and a column per verdict, with each count's share of its row."""
    counts = np.array(matrix)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure = Figure(figsize=(4.6, 4.2), layout="constrained")
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row in range(2):
        for column in range(2):
            text = f"{counts[row, column]}\n{shares[row, column]:.0%}"
            colour = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=15)
    axes.set(xticks=(0, 1), yticks=(0, 1), xticklabels=LABEL_NAMES, yticklabels=LABEL_NAMES)
    axes.set(xlabel="verdict", ylabel="label")
    figure.suptitle(title, fontsize=TITLE_PT)
    return figure


def curves_figure(histories: Mapping[str, Sequence[EpochRecord]], title: str) -> Figure:
    """Train and validation loss of one model, or of several over each other, with one legend; a ring is the epoch kept."""
    figure = Figure(figsize=(4.6, 3.8), layout="constrained")
    axes = figure.subplots()
    for objective, epochs in histories.items():
        _draw_losses(axes, objective, epochs)
    axes.set(xlabel="epoch", ylabel="loss")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _finish(axes, title)
    return figure


def _draw_losses(axes: Axes, objective: str, epochs: Sequence[EpochRecord]) -> None:
    numbers = [epoch.epoch for epoch in epochs]
    marker = "o" if len(epochs) == 1 else None
    colour = COLOURS[objective]
    for side, dash in (("train", "--"), ("valid", "-")):
        losses = [getattr(epoch, f"{side}_loss") for epoch in epochs]
        axes.plot(numbers, losses, dash, color=colour, marker=marker, label=f"{NAMES[objective]}, {side}")
    kept = max(epochs, key=lambda epoch: (epoch.valid_accuracy, -epoch.epoch))
    axes.scatter([kept.epoch], [kept.valid_loss], s=70, facecolors="none", edgecolors=colour, linewidths=1.5, zorder=3)


def roc_figure(
    curves: Mapping[str, Sequence[tuple[float, float]]], marks: Mapping[str, tuple[float, float]], title: str
) -> Figure:
    """Each model's (false positive rate, true positive rate), and where its threshold lies on it."""
    figure = Figure(figsize=(4.4, 4.4), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], ":", color=CHANCE, label="chance")
    for objective, points in curves.items():
        if points:
            axes.plot(*zip(*points, strict=True), color=COLOURS[objective], label=NAMES[objective])
    for objective, mark in marks.items():
        axes.plot(*mark, "o", color=COLOURS[objective], markersize=7, label=f"{NAMES[objective]}, its threshold")
    axes.set(xlabel="real images called fake", ylabel="fakes found", aspect="equal")
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    _finish(axes, title, "lower right")
    return figure


def reliability_figure(bins: Mapping[str, Sequence[Mapping[str, Any]]], title: str) -> Figure:
    """The share of fakes among images of about the same p_fake; a dot's area is the number of images."""
    figure = Figure(figsize=(4.4, 4.4), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], ":", color=CHANCE, label="p_fake means what it says")
    most = max((of_bin["images"] for of_model in bins.values() for of_bin in of_model), default=1)
    for objective, of_model in bins.items():
        p_fake, shares = ([of_bin[name] for of_bin in of_model] for name in ("p_fake", "fake_share"))
        axes.plot(p_fake, shares, color=COLOURS[objective], linewidth=1, label=NAMES[objective])
        areas = [140 * of_bin["images"] / most for of_bin in of_model]
        axes.scatter(p_fake, shares, s=areas, color=COLOURS[objective], alpha=0.7, linewidths=0)
    axes.set(xlabel="p_fake as predicted", ylabel="share that is fake", aspect="equal")
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    _finish(axes, title, "upper left")
    return figure


def slices_figure(rows: Sequence[Row], title: str) -> Figure:
    """Each model's AUC on each slice of the test images; the first row is all of them."""
    return _intervals_figure(rows, title)


def robustness_figure(rows: Sequence[Row], title: str) -> Figure:
    """Each model's AUC on the test images after each change to them; the first row is without a change."""
    return _intervals_figure(rows, title)


def _intervals_figure(rows: Sequence[Row], title: str) -> Figure:
    figure = Figure(figsize=(4.6, 1.5 + 0.36 * max(len(rows), 3)), layout="constrained")
    axes = figure.subplots()
    axes.axvline(0.5, linestyle=":", color=CHANCE, label="chance")
    for number, objective in enumerate(COLOURS):
        _draw_intervals(axes, objective, [row[objective] for row in rows], (2 * number - 1) * DODGE)
    axes.set(yticks=range(len(rows)), yticklabels=[row["name"] for row in rows], xlabel="AUC")
    axes.set_ylim(len(rows) - 0.4, -0.6)
    _finish(axes, title, None)
    axes.grid(visible=False, axis="y")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return figure


def _draw_intervals(axes: Axes, objective: str, measured: Sequence[Mapping[str, Any]], offset: float) -> None:
    """Dots with whiskers, one row each, those without a value empty; a thin line at the first."""
    colour = COLOURS[objective]
    rows = [(row + offset, of["roc_auc"], of["roc_auc_interval"]) for row, of in enumerate(measured)]
    known = [row for row in rows if row[1] is not None]
    axes.plot([auc for _, auc, _ in known], [row for row, *_ in known], "o", color=colour, markersize=5, label=NAMES[objective])
    for row, _, interval in known:
        if interval is not None:
            axes.plot(interval, [row, row], color=colour, linewidth=1.5, solid_capstyle="round")
    if measured and measured[0]["roc_auc"] is not None:
        axes.axvline(measured[0]["roc_auc"], color=colour, linewidth=0.8, alpha=0.5)


def _finish(axes: Axes, title: str, legend: str | None = "best") -> None:
    """The title is centred over the whole figure: over the axes alone a long one would be cut at the edge."""
    axes.figure.suptitle(title, fontsize=TITLE_PT)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    if legend:
        axes.legend(loc=legend, frameon=False, fontsize=9)


def verdicts_figure(photos: Sequence[tuple[str, Pixels, str]]) -> Figure:
    """Photos (px, px, 3) as they were judged, the name above and the verdicts below each."""
    columns = min(len(photos), 4)
    rows = -(-len(photos) // columns)
    figure = Figure(figsize=(3.2 * columns, 4.0 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in grid:
        axes.axis("off")
    fonts = [font for font in FONTS if font in font_manager.get_font_names()]
    for axes, (name, pixels, verdicts) in zip(grid, photos, strict=False):
        axes.imshow(pixels)
        axes.set_title(name if len(name) <= 32 else f"…{name[-31:]}", fontsize=10, fontfamily=fonts, parse_math=False)
        axes.text(0.5, -0.04, verdicts, transform=axes.transAxes, ha="center", va="top", fontsize=11, parse_math=False)
    return figure
