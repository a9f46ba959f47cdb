from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from stages.figures import COLOURS, NAMES, confusion_figure, curves_figure, save, verdicts_figure
from stages.records import OBJECTIVE_NAMES, EpochRecord
from tests.conftest import photo


def history(epochs: int, start: float) -> list[EpochRecord]:
    return [EpochRecord(epoch, start / epoch, start / epoch + 0.1, 0.5, 0.5, 1e-3) for epoch in range(1, epochs + 1)]


HISTORIES = {"ce": history(5, 0.7), "bce": history(3, 0.6)}
PHOTOS = [(f"{name}.jpg", np.asarray(photo(name)), "ce: fake (p_fake 0.731)\nbce: real (p_fake 0.269)") for name in range(6)]

FIGURES: dict[str, Callable[[], Figure]] = {
    "confusion": lambda: confusion_figure([[210, 92], [61, 241]], "cross-entropy, test set"),
    "curves of one": lambda: curves_figure({"ce": HISTORIES["ce"]}, "cross-entropy"),
    "curves of both": lambda: curves_figure(HISTORIES, "Both models"),
    "one verdict": lambda: verdicts_figure(PHOTOS[:1]),
    "six verdicts": lambda: verdicts_figure(PHOTOS),
}


@pytest.mark.parametrize("name", FIGURES)
def test_the_same_numbers_give_the_same_bytes(tmp_path: Path, name: str) -> None:
    for path in (tmp_path / "one.png", tmp_path / "other.png"):
        save(FIGURES[name](), path)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "other.png").read_bytes()


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_a_png_to_look_at(tmp_path: Path, name: str) -> None:
    path = tmp_path / "folder" / "figure"
    save(FIGURES[name](), path)
    with Image.open(path) as image:
        assert image.format == "PNG"
        assert all(300 <= side <= 2000 for side in image.size)
        colours = image.convert("RGB").getcolors(maxcolors=2**24)
        assert colours is not None
        assert len(colours) > 50
    assert [path.name for path in path.parent.iterdir()] == ["figure"]


def test_both_models_curves_share_one_legend() -> None:
    (axes,) = curves_figure(HISTORIES, "Both models").axes
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == [
        "cross-entropy, train",
        "cross-entropy, valid",
        "BCE on output 1, train",
        "BCE on output 1, valid",
    ]
    curves = {line.get_label(): line.get_xydata() for line in axes.get_lines()}
    np.testing.assert_array_equal(
        curves["BCE on output 1, valid"], [(epoch.epoch, epoch.valid_loss) for epoch in HISTORIES["bce"]]
    )
    np.testing.assert_array_equal(
        curves["cross-entropy, train"], [(epoch.epoch, epoch.train_loss) for epoch in HISTORIES["ce"]]
    )


def test_a_model_has_one_colour_and_a_side_one_dash() -> None:
    (axes,) = curves_figure(HISTORIES, "Both models").axes
    styles = [(line.get_color(), line.get_linestyle()) for line in axes.get_lines()]
    assert styles == [(COLOURS[name], dash) for name in OBJECTIVE_NAMES for dash in ("--", "-")]


def test_a_single_epoch_is_seen() -> None:
    (axes,) = curves_figure({"ce": history(1, 0.7)}, "one epoch").axes
    assert [line.get_marker() for line in axes.get_lines()] == ["o", "o"]


def test_each_objective_has_a_name_and_a_colour() -> None:
    assert tuple(NAMES) == tuple(COLOURS) == OBJECTIVE_NAMES


def test_the_confusion_matrix_reads_label_by_row_and_verdict_by_column() -> None:
    (axes,) = confusion_figure([[3, 1], [0, 0]], "four images, no fake").axes
    cells = {text.get_position(): text.get_text() for text in axes.texts}
    assert cells == {(0, 0): "3\n75%", (1, 0): "1\n25%", (0, 1): "0\n0%", (1, 1): "0\n0%"}
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("label", "verdict")
    assert [label.get_text() for label in axes.get_xticklabels()] == ["real", "fake"]


@pytest.mark.parametrize("name", ["가족 사진.jpg", "$x^2$ \\frac.jpg", "long " * 20, "🙂.png", "tab\there.png"])
def test_any_file_name_can_be_drawn(tmp_path: Path, name: str) -> None:
    figure = verdicts_figure([(name, np.asarray(photo(0)), "ce: fake (p_fake 0.731)")])
    save(figure, tmp_path / "figure.png")
    title = figure.axes[0].get_title()
    assert title == name or (len(title) == 32 and name.endswith(title.removeprefix("…")))
