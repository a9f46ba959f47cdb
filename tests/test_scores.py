from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages import scores
from stages.scores import Labels, Probabilities, Verdicts

TENTHS = st.integers(0, 10).map(lambda tenth: tenth / 10)
"""Few values, so that ties are common."""
IMAGES = st.lists(st.tuples(st.integers(0, 1), TENTHS), max_size=30)


def arrays(images: list[tuple[int, float]]) -> tuple[Labels, Probabilities, Verdicts]:
    p_fake = np.array([score for _, score in images], dtype=np.float64)
    return np.array([label for label, _ in images], dtype=np.int64), p_fake, p_fake >= 0.5


@given(images=IMAGES)
def test_roc_auc_is_the_share_of_pairs_in_the_right_order(images: list[tuple[int, float]]) -> None:
    labels, p_fake, _ = arrays(images)
    pairs = [
        1.0 if fake > real else 0.5 if fake == real else 0.0
        for label, fake in images
        if label == 1
        for other, real in images
        if other == 0
    ]
    assert scores.roc_auc(labels, p_fake) == (pytest.approx(sum(pairs) / len(pairs)) if pairs else None)


@given(images=IMAGES)
def test_roc_auc_is_the_area_under_the_roc_curve(images: list[tuple[int, float]]) -> None:
    labels, p_fake, _ = arrays(images)
    points = scores.roc_curve(labels, p_fake)
    area = scores.roc_auc(labels, p_fake)
    if area is None:
        assert points == []
    else:
        assert (points[0], points[-1]) == ((0.0, 0.0), (1.0, 1.0))
        trapezoids = ((x1 - x0) * (y0 + y1) / 2 for (x0, y0), (x1, y1) in pairwise(points))
        assert sum(trapezoids) == pytest.approx(area)


@given(images=IMAGES)
def test_scores_of_verdicts_follow_from_the_confusion_matrix(images: list[tuple[int, float]]) -> None:
    labels, _, verdicts = arrays(images)
    (true_real, false_fake), (false_real, true_fake) = scores.confusion_matrix(labels, verdicts)
    assert true_real + false_fake + false_real + true_fake == len(images)

    def share(part: int, whole: int) -> object:
        return pytest.approx(part / whole) if whole else None

    fakes = true_fake + false_real
    assert scores.accuracy(labels, verdicts) == share(true_real + true_fake, len(images))
    assert scores.precision(labels, verdicts) == share(true_fake, true_fake + false_fake)
    assert scores.recall(labels, verdicts) == share(true_fake, fakes)
    assert scores.f1(labels, verdicts) == (share(2 * true_fake, 2 * true_fake + false_fake + false_real) if fakes else None)


@given(images=IMAGES)
def test_average_precision_is_the_mean_precision_where_recall_rises(images: list[tuple[int, float]]) -> None:
    labels, p_fake, _ = arrays(images)
    fakes = int(labels.sum())
    expected = 0.0
    for threshold in sorted(set(p_fake.tolist()), reverse=True):
        called = p_fake >= threshold
        found_here = int(labels[p_fake == threshold].sum())
        expected += found_here / max(fakes, 1) * labels[called].mean()
    assert scores.average_precision(labels, p_fake) == (pytest.approx(expected) if fakes else None)


def test_confusion_matrix_has_a_row_per_label_and_a_column_per_verdict() -> None:
    labels = np.array([0, 0, 0, 1, 1, 1, 1])
    verdicts = np.array([False, False, True, True, True, True, False])
    assert scores.confusion_matrix(labels, verdicts) == [[2, 1], [1, 3]]


NOBODY: tuple[list[int], list[float]] = ([], [])
ONLY_REAL = ([0, 0], [0.2, 0.4])
ONLY_FAKE = ([1, 1], [0.2, 0.9])


@pytest.mark.parametrize(
    ("score", "undefined"),
    [
        (scores.accuracy, [NOBODY]),
        (scores.precision, [NOBODY, ONLY_REAL]),
        (scores.recall, [NOBODY, ONLY_REAL]),
        (scores.f1, [NOBODY, ONLY_REAL]),
        (scores.roc_auc, [NOBODY, ONLY_REAL, ONLY_FAKE]),
        (scores.average_precision, [NOBODY, ONLY_REAL]),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_a_score_that_is_not_defined_is_none(
    score: Callable[..., float | None], undefined: list[tuple[list[int], list[float]]]
) -> None:
    """ONLY_REAL has no verdict fake either, so nothing to be precise about."""
    for images in (NOBODY, ONLY_REAL, ONLY_FAKE):
        labels, p_fake, verdicts = arrays(list(zip(*images, strict=True)))
        judged = p_fake if score in (scores.roc_auc, scores.average_precision) else verdicts
        assert (score(labels, judged) is None) == (images in undefined)


def test_headline_names_are_names_of_functions() -> None:
    labels, p_fake, verdicts = arrays([(0, 0.1), (1, 0.4), (0, 0.6), (1, 0.9)])
    found = scores.headline(labels, p_fake, verdicts)
    assert all(getattr(scores, name) is score for name, score in scores.HEADLINE.items())
    assert found == {
        "accuracy": 0.5,
        "roc_auc": 0.75,
        "precision": 0.5,
        "recall": 0.5,
        "f1": 0.5,
        "average_precision": pytest.approx((1 + 2 / 3) / 2),
    }


def test_each_difficulty_is_judged_against_all_real_images() -> None:
    rows = [
        (0, "", 0.1),
        (0, "", 0.6),
        (1, "hard", 0.3),
        (1, "hard", 0.7),
        (1, "easy", 0.9),
        (1, "", 0.2),
        (1, "odd", 0.05),
        (1, "mid", 0.8),
    ]
    labels, p_fake, verdicts = arrays([(label, score) for label, _, score in rows])
    found = scores.by_difficulty(labels, [name for _, name, _ in rows], p_fake, verdicts)
    assert list(found) == ["easy", "mid", "hard", "odd"]
    assert found["hard"] == {"images": 2, "recall": 0.5, "roc_auc": 0.75}
    assert found["odd"] == {"images": 1, "recall": 0.0, "roc_auc": 0.0}


def test_without_real_images_a_difficulty_has_no_roc_auc() -> None:
    labels, p_fake, verdicts = arrays([(1, 0.9)])
    assert scores.by_difficulty(labels, ["mid"], p_fake, verdicts) == {"mid": {"images": 1, "recall": 1.0, "roc_auc": None}}
