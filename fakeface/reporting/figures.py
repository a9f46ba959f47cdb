"""Plots of results with matplotlib: the same file for the same numbers.

A figure is a PNG for MLflow and DVC, or an <svg> in a page, which takes the page's colours. Both are legible on a phone.
"""

import io
import re
import warnings
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fakeface.core.errors import FakefaceError
from fakeface.core.files import replacing
from fakeface.core.records import LABEL_NAMES, MODEL_LABELS, EpochRecord, ObjectiveName
from fakeface.photos.images import Pixels
from fakeface.reporting.names import drawn_name
from fakeface.reporting.rows import Row
from fakeface.scoring.results import ConfusionMatrix, PerturbedScores, ReliabilityBin, SliceScores

COLOURS: dict[ObjectiveName, str] = {"ce": "#0072b2", "bce": "#d55e00"}
"""Okabe & Ito 2008: distinct with any colour vision."""
PAGE_COLOURS = {"#000000": "currentColor"} | {colour: f"var(--{objective})" for objective, colour in COLOURS.items()}
"""The page's CSS variables for an SVG's colours, so that they suit its light and its dark mode."""
METADATA: dict[str, dict[str, None] | None] = {
    "png": {"Software": None},
    "jpg": None,
    "jpeg": None,
    "pdf": {"Creator": None, "Producer": None, "CreationDate": None},
    "svg": {"Creator": None, "Date": None},
}
"""Kinds of files, and what matplotlib would write into each beside the figure: its version and the date."""
CHANCE, DODGE, TITLE_PT = "#808080", 0.17, 11


def save(figure: Figure, path: Path) -> None:
    """Write a file of the kind that its name ends in. Raises FakefaceError as `kind_of`."""
    kind = kind_of(path)
    with replacing(path) as temporary, rc_context({"svg.hashsalt": ""}):
        figure.savefig(temporary, format=kind, dpi=120, metadata=METADATA[kind])


def kind_of(path: Path) -> str:
    """The kind of file that a figure's name promises. Raises FakefaceError where it is none of METADATA's."""
    kind = path.suffix[1:].lower()
    if kind not in METADATA:
        raise FakefaceError(f"{path}: a figure's name should end in .{', .'.join(METADATA)}")
    return kind


def svg(figure: Figure, name: str, description: str) -> str:
    """The figure as an <svg> element of an HTML page: text stays text, every id in it starts with `name`."""
    file = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": name}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # the browser has other fonts
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


def confusion_figure(matrix: ConfusionMatrix, title: str) -> Figure:
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


def curves_figure(histories: Mapping[ObjectiveName, Sequence[EpochRecord]], title: str) -> Figure:
    """Training and validation loss of one model or of both, with one legend; a ring marks the epoch of the checkpoint."""
    figure = Figure(figsize=(4.6, 3.8), layout="constrained")
    axes = figure.subplots()
    for objective, epochs in histories.items():
        _plot_losses(axes, objective, epochs)
    axes.set(xlabel="epoch", ylabel="loss")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _finish(axes, title)
    return figure


def _plot_losses(axes: Axes, objective: ObjectiveName, epochs: Sequence[EpochRecord]) -> None:
    numbers = [epoch.epoch for epoch in epochs]
    marker = "o" if len(epochs) == 1 else None
    colour = COLOURS[objective]
    for side, dash in (("train", "--"), ("valid", "-")):
        losses = [getattr(epoch, f"{side}_loss") for epoch in epochs]
        axes.plot(numbers, losses, dash, color=colour, marker=marker, label=f"{MODEL_LABELS[objective]}, {side}")
    best = max(epochs, key=lambda epoch: (epoch.valid_accuracy, -epoch.epoch))
    axes.scatter([best.epoch], [best.valid_loss], s=70, facecolors="none", edgecolors=colour, linewidths=1.5, zorder=3)


def roc_figure(
    curves: Mapping[ObjectiveName, Sequence[tuple[float, float]]],
    operating_points: Mapping[ObjectiveName, tuple[float, float]],
    title: str,
) -> Figure:
    """Each model's ROC curve, (false positive rate, true positive rate), and the operating point of its threshold."""
    figure = Figure(figsize=(4.4, 4.4), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], ":", color=CHANCE, label="chance")
    for objective, points in curves.items():
        if points:
            axes.plot(*zip(*points, strict=True), color=COLOURS[objective], label=MODEL_LABELS[objective])
    for objective, point in operating_points.items():
        axes.plot(*point, "o", color=COLOURS[objective], markersize=7, label=f"{MODEL_LABELS[objective]}, operating point")
    axes.set(xlabel="false positive rate", ylabel="true positive rate", aspect="equal")
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    _finish(axes, title, "lower right")
    return figure


def reliability_figure(bins: Mapping[ObjectiveName, Sequence[ReliabilityBin]], title: str) -> Figure:
    """The share of fakes in each bin against its mean p_fake; a dot's area is the number of images."""
    figure = Figure(figsize=(4.4, 4.4), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], ":", color=CHANCE, label="perfect calibration")
    most = max((bin_.images for model_bins in bins.values() for bin_ in model_bins), default=1)
    for objective, model_bins in bins.items():
        p_fake, shares = [bin_.p_fake for bin_ in model_bins], [bin_.fake_share for bin_ in model_bins]
        axes.plot(p_fake, shares, color=COLOURS[objective], linewidth=1, label=MODEL_LABELS[objective])
        areas = [140 * bin_.images / most for bin_ in model_bins]
        axes.scatter(p_fake, shares, s=areas, color=COLOURS[objective], alpha=0.7, linewidths=0)
    axes.set(xlabel="mean p_fake", ylabel="share of fakes", aspect="equal")
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    _finish(axes, title, "upper left")
    return figure


def intervals_figure(rows: Sequence[Row], title: str) -> Figure:
    """Each model's AUC with its interval, a row per slice or perturbation; a thin line marks the first row's AUC."""
    figure = Figure(figsize=(4.6, 1.5 + 0.36 * max(len(rows), 3)), layout="constrained")
    axes = figure.subplots()
    axes.axvline(0.5, linestyle=":", color=CHANCE, label="chance")
    for number, objective in enumerate(COLOURS):
        _plot_intervals(axes, objective, [row.models[objective] for row in rows], (2 * number - 1) * DODGE)
    axes.set(yticks=range(len(rows)), yticklabels=[row.name for row in rows], xlabel="AUC")
    axes.set_ylim(len(rows) - 0.4, -0.6)
    _finish(axes, title, None)
    axes.grid(visible=False, axis="y")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return figure


def _plot_intervals(
    axes: Axes, objective: ObjectiveName, scores: Sequence[SliceScores | PerturbedScores], offset: float
) -> None:
    """Dots with whiskers, one row each, empty where the AUC is undefined; a thin line at the first."""
    colour, label = COLOURS[objective], MODEL_LABELS[objective]
    dots = [(at + offset, row.roc_auc, row.roc_auc_interval) for at, row in enumerate(scores) if row.roc_auc is not None]
    axes.plot([auc for _, auc, _ in dots], [at for at, *_ in dots], "o", color=colour, markersize=5, label=label)
    for at, _, interval in dots:
        if interval is not None:
            axes.plot(interval, [at, at], color=colour, linewidth=1.5, solid_capstyle="round")
    if scores and scores[0].roc_auc is not None:
        axes.axvline(scores[0].roc_auc, color=colour, linewidth=0.8, alpha=0.5)


def _finish(axes: Axes, title: str, legend: str | None = "best") -> None:
    """The title is centred over the whole figure: over the axes alone a long one would be cut at the edge."""
    axes.figure.suptitle(title, fontsize=TITLE_PT)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    if legend:
        axes.legend(loc=legend, frameon=False, fontsize=9)


def verdicts_figure(photos: Sequence[tuple[str, Pixels, str]]) -> Figure:
    """Photos (H, W, 3) in rows of three, each with its file's name above and what is said of it below."""
    columns = min(len(photos), 3)
    rows = -(-len(photos) // columns)
    figure = Figure(figsize=(3.2 * columns, 4.0 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in grid:
        axes.axis("off")
    for axes, (name, pixels, verdicts) in zip(grid, photos, strict=False):
        axes.imshow(pixels)
        title, fonts = drawn_name(name)
        axes.set_title(title, fontsize=10, fontfamily=fonts, parse_math=False)
        axes.text(0.5, -0.04, verdicts, transform=axes.transAxes, ha="center", va="top", fontsize=11, parse_math=False)
    return figure
