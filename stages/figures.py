"""Pictures of results, drawn with matplotlib: the same file for the same numbers."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from stages.images import Pixels
from stages.records import LABEL_NAMES, EpochRecord, replacing

COLOURS = {"ce": "#0072b2", "bce": "#d55e00"}
"""Okabe & Ito 2008: told apart with any colour vision."""
FONTS = ("DejaVu Sans", "Noto Sans CJK KR", "Noto Sans KR", "NanumGothic", "Malgun Gothic", "Apple SD Gothic Neo")
"""Matplotlib's own, and those that bring Korean names where they are installed."""
NAMES = {"ce": "cross-entropy", "bce": "BCE on output 1"}


def save(figure: Figure, path: Path) -> None:
    with replacing(path) as temporary, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # a box stands for a letter that no font has
        figure.savefig(temporary, format="png", dpi=120, metadata={"Software": None})


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
    axes.set(xlabel="verdict", ylabel="label", title=title)
    return figure


def curves_figure(histories: Mapping[str, Sequence[EpochRecord]], title: str) -> Figure:
    """Train and validation loss of one model, or of several over each other, with one legend."""
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.subplots()
    for objective, epochs in histories.items():
        _draw_losses(axes, objective, epochs)
    axes.set(xlabel="epoch", ylabel="loss", title=title)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    axes.legend()
    return figure


def _draw_losses(axes: Axes, objective: str, epochs: Sequence[EpochRecord]) -> None:
    numbers = [epoch.epoch for epoch in epochs]
    marker = "o" if len(epochs) == 1 else None
    colour = COLOURS[objective]
    axes.plot(
        numbers, [epoch.train_loss for epoch in epochs], "--", color=colour, marker=marker, label=f"{NAMES[objective]}, train"
    )
    axes.plot(
        numbers, [epoch.valid_loss for epoch in epochs], "-", color=colour, marker=marker, label=f"{NAMES[objective]}, valid"
    )


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
