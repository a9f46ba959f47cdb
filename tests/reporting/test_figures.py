import re
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from PIL import Image

from fakeface.core.errors import FakefaceError
from fakeface.core.records import MODEL_LABELS, OBJECTIVE_NAMES, EpochRecord, ObjectiveName
from fakeface.reporting.figures import (
    COLOURS,
    confusion_figure,
    curves_figure,
    intervals_figure,
    reliability_figure,
    roc_figure,
    save,
    svg,
    verdicts_figure,
)
from fakeface.reporting.rows import Row
from fakeface.scoring.results import Interval, PerturbedScores, ReliabilityBin
from tests.conftest import photo


def history(epochs: int, start: float) -> list[EpochRecord]:
    return [EpochRecord(epoch, start / epoch, start / epoch + 0.1, 0.5, 0.5, 1e-3) for epoch in range(1, epochs + 1)]


HISTORIES: dict[ObjectiveName, list[EpochRecord]] = {"ce": history(5, 0.7), "bce": history(3, 0.6)}
PHOTOS = [(f"{name}.jpg", np.asarray(photo(name)), "ce: fake (p_fake 0.731)\nbce: real (p_fake 0.269)") for name in range(6)]

ROC: dict[ObjectiveName, list[tuple[float, float]]] = {
    "ce": [(0.0, 0.0), (0.1, 0.7), (1.0, 1.0)],
    "bce": [(0.0, 0.0), (0.3, 0.6), (1.0, 1.0)],
}
BINS = [ReliabilityBin(0.2, 0.1, 30), ReliabilityBin(0.8, 0.9, 10)]


def row(name: str, ce: tuple[float | None, Interval], bce: tuple[float | None, Interval]) -> Row:
    return Row(name, {"ce": PerturbedScores(*ce, 0.5), "bce": PerturbedScores(*bce, 0.5)})


ROWS = [
    row("all", (0.8, (0.7, 0.9)), (0.7, (0.6, 0.8))),
    row("none", (None, None), (None, None)),
    row("one", (0.6, None), (0.5, (0.4, 0.6))),
]

FIGURES: dict[str, Callable[[], Figure]] = {
    "confusion": lambda: confusion_figure(((210, 92), (61, 241)), "cross-entropy, test set of the drawn sample"),
    "curves of one": lambda: curves_figure({"ce": HISTORIES["ce"]}, "cross-entropy"),
    "curves of both": lambda: curves_figure(HISTORIES, "Both models"),
    "ROC": lambda: roc_figure(ROC, {"ce": (0.1, 0.7)}, "ROC curves, test set of the drawn sample"),
    "ROC of one class": lambda: roc_figure({"ce": [], "bce": []}, {}, "ROC curves"),
    "reliability": lambda: reliability_figure(
        {"ce": BINS, "bce": BINS[:1]}, "Reliability diagram, test set of the drawn sample"
    ),
    "reliability of nothing": lambda: reliability_figure(
        {"ce": [], "bce": []}, "Reliability diagram, test set of the drawn sample"
    ),
    "slices": lambda: intervals_figure(ROWS, "AUC by slice"),
    "robustness": lambda: intervals_figure(ROWS[:1], "AUC after perturbations, test set of the drawn sample"),
    "one verdict": lambda: verdicts_figure(PHOTOS[:1]),
    "six verdicts": lambda: verdicts_figure(PHOTOS),
}


def points(line: Line2D) -> list[list[float]]:
    found: list[list[float]] = np.asarray(line.get_xydata()).round(2).tolist()
    return found


@pytest.mark.parametrize("name", FIGURES)
def test_the_same_numbers_give_the_same_bytes(tmp_path: Path, name: str) -> None:
    for path in (tmp_path / "one.png", tmp_path / "other.png"):
        save(FIGURES[name](), path)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "other.png").read_bytes()


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_a_png_to_look_at(tmp_path: Path, name: str) -> None:
    path = tmp_path / "folder" / "figure.png"
    save(FIGURES[name](), path)
    with Image.open(path) as image:
        assert image.format == "PNG"
        assert all(300 <= side <= 2000 for side in image.size)
        colours = image.convert("RGB").getcolors(maxcolors=2**24)
        assert colours is not None
        assert len(colours) > 50
    assert [path.name for path in path.parent.iterdir()] == ["figure.png"]


@pytest.mark.parametrize("name", ["figure", "figure.", "figure.webp", ".png", "png"])
def test_a_name_that_promises_no_kind_of_figure_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(FakefaceError, match=rf"/{re.escape(name)}: a figure's name should end in \.png, \.jpg"):
        save(FIGURES["curves of one"](), tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", [name for name in FIGURES if "verdict" not in name])
def test_no_title_is_cut_at_the_edge(name: str) -> None:
    figure = FIGURES[name]()
    figure.draw_without_rendering()
    (title,) = figure.texts
    box = title.get_window_extent()
    assert 0 <= box.x0 < box.x1 <= figure.bbox.width


def test_both_models_curves_share_one_legend() -> None:
    (axes,) = curves_figure(HISTORIES, "Both models").axes
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == [
        "cross-entropy, train",
        "cross-entropy, valid",
        "BCE, train",
        "BCE, valid",
    ]
    curves = {line.get_label(): line.get_xydata() for line in axes.get_lines()}
    np.testing.assert_array_equal(curves["BCE, valid"], [(epoch.epoch, epoch.valid_loss) for epoch in HISTORIES["bce"]])
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
    assert tuple(MODEL_LABELS) == tuple(COLOURS) == OBJECTIVE_NAMES


def test_the_confusion_matrix_reads_label_by_row_and_verdict_by_column() -> None:
    (axes,) = confusion_figure(((3, 1), (0, 0)), "four images, no fake").axes
    cells = {text.get_position(): text.get_text() for text in axes.texts}
    assert cells == {(0, 0): "3\n75%", (1, 0): "1\n25%", (0, 1): "0\n0%", (1, 1): "0\n0%"}
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("label", "verdict")
    assert [label.get_text() for label in axes.get_xticklabels()] == ["real", "fake"]


def picture_of(name: str, path: Path) -> bytes:
    save(verdicts_figure([(name, np.asarray(photo(0)), "ce: fake (p_fake 0.731)")]), path)
    return path.read_bytes()


@pytest.mark.parametrize("letters", ["가나", "写真", "中文", "صو", "ทด", "👨👩", "жд", "\udce8\udce9", "\a\b"])
def test_two_names_are_two_pictures(tmp_path: Path, letters: str) -> None:
    """A letter that no font has is a box, the same for all of its kind."""
    one, other = (picture_of(f"{letter}.jpg", tmp_path / "figure.png") for letter in letters)
    assert one != other


@pytest.mark.parametrize("ending", ["png", "jpg", "pdf", "svg"])
def test_any_name_can_be_drawn_in_any_kind_of_file(tmp_path: Path, ending: str) -> None:
    """Without a warning of a letter that is missing."""
    for name in ("가족 사진 日本語の写真", "صورة ทดสอบ 🙂", "$x^2$ \\frac", "long " * 20, "tab\there", "caf\udce9"):
        assert picture_of(name, tmp_path / f"figure.{ending}")


def test_a_ring_marks_the_first_epoch_with_the_best_accuracy() -> None:
    epochs = [EpochRecord(number, 0.5, 0.6 + number, 0.5, accuracy, 1e-3) for number, accuracy in enumerate((0.5, 0.9, 0.9), 1)]
    (axes,) = curves_figure({"bce": epochs}, "three epochs").axes
    (ring,) = axes.collections
    assert isinstance(ring, PathCollection)
    np.testing.assert_array_equal(ring.get_offsets(), [(2, 2.6)])


def test_a_roc_figure_shows_each_curve_and_its_operating_point() -> None:
    (axes,) = FIGURES["ROC"]().axes
    lines = {line.get_label(): points(line) for line in axes.get_lines()}
    assert lines == {
        "chance": [[0, 0], [1, 1]],
        "cross-entropy": [list(point) for point in ROC["ce"]],
        "BCE": [list(point) for point in ROC["bce"]],
        "cross-entropy, operating point": [[0.1, 0.7]],
    }


def test_a_reliability_dot_is_as_large_as_its_bin() -> None:
    (axes,) = FIGURES["reliability"]().axes
    ce_dots, bce_dots = (dots for dots in axes.collections if isinstance(dots, PathCollection))
    large, small = ce_dots.get_sizes()
    assert large == pytest.approx(3 * small)
    assert bce_dots.get_sizes().tolist() == [large]
    np.testing.assert_array_equal(ce_dots.get_offsets(), [(0.2, 0.1), (0.8, 0.9)])


def test_slices_have_a_row_each_with_a_dot_and_its_interval() -> None:
    """An undefined AUC leaves its row empty; the row's name stays."""
    (axes,) = FIGURES["slices"]().axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["all", "none", "one"]
    lines = axes.get_lines()
    dots = {line.get_label(): points(line) for line in lines if line.get_marker() == "o"}
    assert dots == {"cross-entropy": [[0.8, -0.17], [0.6, 1.83]], "BCE": [[0.7, 0.17], [0.5, 2.17]]}
    whiskers = [points(line) for line in lines if line.get_solid_capstyle() == "round"]
    assert whiskers == [[[0.7, -0.17], [0.9, -0.17]], [[0.6, 0.17], [0.8, 0.17]], [[0.4, 2.17], [0.6, 2.17]]]


@pytest.mark.parametrize("name", FIGURES)
def test_the_same_numbers_give_the_same_svg(name: str) -> None:
    assert svg(FIGURES[name](), "one", "words") == svg(FIGURES[name](), "one", "words")


@pytest.mark.parametrize("name", FIGURES)
def test_an_svg_fits_into_a_page(name: str) -> None:
    """Well-formed, its ids and what refers to them its own, no font and no ink but the page's."""
    text = svg(FIGURES[name](), "mine", 'what is "seen" & where <it> is')
    element = ElementTree.fromstring(text.replace("<svg", '<svg xmlns:xlink="http://www.w3.org/1999/xlink"', 1))  # noqa: S314
    assert element.tag == "svg"
    assert element.get("aria-label") == 'what is "seen" & where <it> is'
    ids = re.findall(r' id="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    assert all(name.startswith("mine-") for name in ids)
    assert set(re.findall(r'(?:href="|url\()#([^")]+)', text)) <= set(ids)
    assert not re.search(r"font-family|<style|<metadata|<\?xml|<!DOCTYPE|https?:", text)
    assert not any(colour in text for colour in (*COLOURS.values(), "#000000"))
    if "verdict" not in name:  # a photo is a picture in a picture
        assert "<text" in text


def test_words_in_an_svg_stay_words() -> None:
    assert ">a &lt;b&gt; &amp; 가<" in svg(curves_figure(HISTORIES, "a <b> & 가"), "curves", "words")
