import random
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from math import isnan

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve

from fakeface.scoring import scores
from fakeface.scoring.results import ReliabilityBin
from fakeface.scoring.scores import (
    PROBABILITY_SCORES,
    VERDICT_SCORES,
    Formula,
    Labels,
    Probabilities,
    Verdicts,
    for_each_score,
    point_estimate,
)

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
    assert point_estimate(scores.roc_auc, labels, p_fake) == (pytest.approx(sum(pairs) / len(pairs)) if pairs else None)


PAIRS = st.lists(st.tuples(TENTHS, TENTHS), max_size=12)


@given(pairs=PAIRS, shuffle=st.randoms(use_true_random=False))
def test_pairwise_accuracy_is_the_share_of_linked_pairs_in_the_right_order(
    pairs: list[tuple[float, float]], shuffle: random.Random
) -> None:
    """Wherever both stand among the images; and a resample that has a pair twice counts it twice."""
    order = list(range(2 * len(pairs)))
    shuffle.shuffle(order)
    positions = np.array(order, dtype=np.int64).reshape(-1, 2)
    p_fake = np.zeros(2 * len(pairs))
    p_fake[positions] = np.array(pairs, dtype=np.float64).reshape(-1, 2)
    right = [1.0 if fake > real else 0.5 if fake == real else 0.0 for real, fake in pairs]
    expected = pytest.approx(sum(right) / len(right)) if right else None
    assert point_estimate(scores.pairwise_accuracy, positions, p_fake) == expected
    times = [shuffle.randrange(3) for _ in pairs]
    (resampled,) = scores.pairwise_accuracy(positions, p_fake, np.array([times], dtype=np.int64))
    again = [value for value, count in zip(right, times, strict=True) for _ in range(count)]
    assert isnan(resampled) if not again else resampled == pytest.approx(sum(again) / len(again))


@given(images=IMAGES)
def test_roc_auc_is_the_area_under_the_roc_curve(images: list[tuple[int, float]]) -> None:
    labels, p_fake, _ = arrays(images)
    points = scores.roc_curve(labels, p_fake)
    area = point_estimate(scores.roc_auc, labels, p_fake)
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

    def share(part: float, whole: float) -> object:
        return pytest.approx(part / whole) if whole else None

    reals, fakes = true_real + false_fake, true_fake + false_real
    assert point_estimate(scores.accuracy, labels, verdicts) == share(true_real + true_fake, len(images))
    assert point_estimate(scores.precision, labels, verdicts) == share(true_fake, true_fake + false_fake)
    assert point_estimate(scores.recall, labels, verdicts) == share(true_fake, fakes)
    assert point_estimate(scores.false_positive_rate, labels, verdicts) == share(false_fake, reals)
    assert point_estimate(scores.f1, labels, verdicts) == (
        share(2 * true_fake, 2 * true_fake + false_fake + false_real) if fakes else None
    )
    assert point_estimate(scores.balanced_accuracy, labels, verdicts) == share(
        true_fake * reals + true_real * fakes, 2 * fakes * reals
    )


@given(images=IMAGES)
def test_average_precision_is_the_mean_precision_where_recall_rises(images: list[tuple[int, float]]) -> None:
    labels, p_fake, _ = arrays(images)
    fakes = int(labels.sum())
    expected = 0.0
    for threshold in sorted(set(p_fake.tolist()), reverse=True):
        called = p_fake >= threshold
        found_here = int(labels[p_fake == threshold].sum())
        expected += found_here / max(fakes, 1) * labels[called].mean()
    assert point_estimate(scores.average_precision, labels, p_fake) == (pytest.approx(expected) if fakes else None)


def error_rates(images: list[tuple[int, float]], threshold: float) -> tuple[Fraction, Fraction]:
    """The share of reals called fake and of fakes called real, by counting."""
    reals, fakes = ([score for label, score in images if label == wanted] for wanted in (0, 1))
    return (
        Fraction(sum(score >= threshold for score in reals), len(reals)),
        Fraction(sum(score < threshold for score in fakes), len(fakes)),
    )


@given(images=IMAGES)
def test_equal_error_rate_is_where_both_classes_err_alike(images: list[tuple[int, float]]) -> None:
    """From the strictest threshold on, until false alarms outweigh misses: between these two thresholds, on straight lines."""
    labels, p_fake, _ = arrays(images)
    if len(set(labels.tolist())) < 2:
        assert point_estimate(scores.equal_error_rate, labels, p_fake) is None
        return
    rates = [error_rates(images, threshold) for threshold in (2.0, *sorted(set(p_fake.tolist()), reverse=True))]
    alarms_before, misses_before, alarms, misses = next(
        (*before, *after) for before, after in pairwise(rates) if after[0] >= after[1]
    )
    way = (misses_before - alarms_before) / ((alarms - alarms_before) + (misses_before - misses))
    expected = alarms_before + way * (alarms - alarms_before)
    assert expected == misses_before + way * (misses - misses_before)
    assert point_estimate(scores.equal_error_rate, labels, p_fake) == pytest.approx(float(expected))


@pytest.mark.parametrize(
    ("real", "fake", "expected"),
    [
        pytest.param([0.1, 0.2], [0.8, 0.9], 0, id="perfect"),
        pytest.param([0.8, 0.9], [0.1, 0.2], 1, id="the wrong way round"),
        pytest.param([0.5, 0.5], [0.5, 0.5, 0.5], 0.5, id="all alike"),
        pytest.param([0.1, 0.2, 0.3, 0.9], [0.2, 0.7, 0.8, 0.95], 0.25, id="one of four in each"),
    ],
)
def test_equal_error_rates_known_beforehand(real: list[float], fake: list[float], expected: float) -> None:
    labels, p_fake, _ = arrays([*((0, score) for score in real), *((1, score) for score in fake)])
    assert point_estimate(scores.equal_error_rate, labels, p_fake) == pytest.approx(expected)


@given(images=IMAGES)
def test_brier_is_the_mean_squared_distance_from_the_label(images: list[tuple[int, float]]) -> None:
    labels, p_fake, _ = arrays(images)
    squares = [(score - label) ** 2 for label, score in images]
    assert point_estimate(scores.brier, labels, p_fake) == (pytest.approx(sum(squares) / len(squares)) if squares else None)


INSIDE_BINS = st.integers(0, 99).map(lambda percent: (percent + 0.5) / 100)


@given(images=st.lists(st.tuples(st.integers(0, 1), INSIDE_BINS), max_size=30))
def test_ece_is_the_mean_gap_between_promise_and_outcome(images: list[tuple[int, float]]) -> None:
    """Each image counts with the gap of its bin, the tenth that its p_fake is in."""
    labels, p_fake, _ = arrays(images)
    gaps = []
    for _, score in images:
        together = [(label, other) for label, other in images if int(other * 10) == int(score * 10)]
        promised = sum(other for _, other in together) / len(together)
        happened = sum(label for label, _ in together) / len(together)
        gaps.append(abs(promised - happened))
    assert point_estimate(scores.ece, labels, p_fake) == (pytest.approx(sum(gaps) / len(gaps)) if gaps else None)


def test_reliability_is_sklearns_calibration_curve_with_counts() -> None:
    rng = np.random.default_rng(0)
    p_fake = np.round(rng.random(500) ** 2, 2)
    labels = (rng.random(500) < p_fake).astype(np.int64)
    found = scores.reliability(labels, p_fake)
    shares, means = calibration_curve(labels, p_fake, n_bins=scores.BINS)
    assert [bin_.p_fake for bin_ in found] == pytest.approx(means.tolist())
    assert [bin_.fake_share for bin_ in found] == pytest.approx(shares.tolist())
    assert sum(bin_.images for bin_ in found) == 500


def test_p_fake_of_0_and_of_1_have_a_bin() -> None:
    labels, p_fake, _ = arrays([(0, 0.0), (1, 1.0), (1, 1.0)])
    assert scores.reliability(labels, p_fake) == [ReliabilityBin(0.0, 0.0, 1), ReliabilityBin(1.0, 1.0, 2)]
    assert point_estimate(scores.ece, labels, p_fake) == 0


def test_confusion_matrix_has_a_row_per_label_and_a_column_per_verdict() -> None:
    labels = np.array([0, 0, 0, 1, 1, 1, 1])
    verdicts = np.array([False, False, True, True, True, True, False])
    assert scores.confusion_matrix(labels, verdicts) == ((2, 1), (1, 3))


NOBODY: tuple[list[int], list[float]] = ([], [])
ONLY_REAL = ([0, 0], [0.2, 0.4])
ONLY_FAKE = ([1, 1], [0.2, 0.9])


@pytest.mark.parametrize(
    ("formula", "undefined"),
    [
        (scores.accuracy, [NOBODY]),
        (scores.balanced_accuracy, [NOBODY, ONLY_REAL, ONLY_FAKE]),
        (scores.precision, [NOBODY, ONLY_REAL]),
        (scores.recall, [NOBODY, ONLY_REAL]),
        (scores.false_positive_rate, [NOBODY, ONLY_FAKE]),
        (scores.f1, [NOBODY, ONLY_REAL]),
        (scores.roc_auc, [NOBODY, ONLY_REAL, ONLY_FAKE]),
        (scores.average_precision, [NOBODY, ONLY_REAL]),
        (scores.equal_error_rate, [NOBODY, ONLY_REAL, ONLY_FAKE]),
        (scores.brier, [NOBODY]),
        (scores.ece, [NOBODY]),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_a_score_that_is_not_defined_is_none(formula: Formula, undefined: list[tuple[list[int], list[float]]]) -> None:
    """ONLY_REAL has no verdict fake either, so precision has nothing to divide by."""
    for images in (NOBODY, ONLY_REAL, ONLY_FAKE):
        labels, p_fake, verdicts = arrays(list(zip(*images, strict=True)))
        predictions = p_fake if formula in PROBABILITY_SCORES else verdicts
        assert (point_estimate(formula, labels, predictions) is None) == (images in undefined)


def test_scores_of_four_images_by_hand() -> None:
    labels, p_fake, verdicts = arrays([(0, 0.1), (1, 0.4), (0, 0.6), (1, 0.9)])
    assert for_each_score(lambda formula, predictions: point_estimate(formula, labels, predictions), p_fake, verdicts) == {
        "accuracy": 0.5,
        "roc_auc": 0.75,
        "average_precision": pytest.approx((1 + 2 / 3) / 2),
        "equal_error_rate": 0.5,
        "brier": pytest.approx((0.01 + 0.36 + 0.36 + 0.01) / 4),
        "ece": pytest.approx((0.1 + 0.6 + 0.6 + 0.1) / 4),
        "precision": 0.5,
        "recall": 0.5,
        "f1": 0.5,
    }


def sklearn_equal_error_rate(labels: Labels, p_fake: Probabilities) -> float:
    false_positives, true_positives, _ = sklearn.metrics.roc_curve(labels, p_fake)
    return float(np.interp(0.0, false_positives - (1 - true_positives), false_positives))


def sklearn_ece(labels: Labels, p_fake: Probabilities) -> float:
    shares, means = calibration_curve(labels, p_fake, n_bins=scores.BINS)
    images = np.bincount(scores.bins_of(p_fake), minlength=scores.BINS)
    return float((images[images > 0] * np.abs(means - shares)).sum() / len(labels))


NEEDS_FAKES, NEEDS_BOTH = {1}, {0, 1}
ORACLES: dict[Formula, tuple[Callable[..., float], set[int]]] = {
    scores.accuracy: (sklearn.metrics.accuracy_score, set()),
    scores.balanced_accuracy: (sklearn.metrics.balanced_accuracy_score, NEEDS_BOTH),
    scores.precision: (sklearn.metrics.precision_score, set()),
    scores.recall: (sklearn.metrics.recall_score, NEEDS_FAKES),
    scores.false_positive_rate: (lambda labels, verdicts: sklearn.metrics.recall_score(1 - labels, verdicts), {0}),
    scores.f1: (sklearn.metrics.f1_score, NEEDS_FAKES),
    scores.roc_auc: (sklearn.metrics.roc_auc_score, NEEDS_BOTH),
    scores.average_precision: (sklearn.metrics.average_precision_score, NEEDS_FAKES),
    scores.equal_error_rate: (sklearn_equal_error_rate, NEEDS_BOTH),
    scores.brier: (lambda labels, p_fake: sklearn.metrics.brier_score_loss(labels, p_fake, labels=[0, 1]), set()),
    scores.ece: (sklearn_ece, set()),
}
"""scikit-learn's score, or one put together from its curves, and the labels without which it is undefined."""


def by_sklearn(formula: Formula, labels: Labels, predictions: Probabilities | Verdicts) -> float | None:
    score, needed = ORACLES[formula]
    no_verdict_is_fake = formula is scores.precision and not predictions.any()
    if not len(labels) or not needed <= set(labels.tolist()) or no_verdict_is_fake:
        return None
    return float(score(labels, predictions))


def test_every_formula_has_an_oracle() -> None:
    assert ORACLES.keys() == {*PROBABILITY_SCORES, *VERDICT_SCORES, scores.balanced_accuracy, scores.false_positive_rate}


@pytest.mark.parametrize("formula", ORACLES, ids=lambda formula: formula.__name__)
@given(images=IMAGES)
def test_a_score_is_scikit_learns(formula: Formula, images: list[tuple[int, float]]) -> None:
    labels, p_fake, verdicts = arrays(images)
    predictions = p_fake if formula in PROBABILITY_SCORES else verdicts
    expected = by_sklearn(formula, labels, predictions)
    assert point_estimate(formula, labels, predictions) == (None if expected is None else pytest.approx(expected))


COUNTED_IMAGES = st.lists(st.tuples(st.integers(0, 1), TENTHS, st.integers(0, 3)), min_size=1, max_size=20)
"""Label, p_fake, and how often the image is in a resample."""


@pytest.mark.parametrize("formula", ORACLES, ids=lambda formula: formula.__name__)
@given(images=COUNTED_IMAGES)
def test_a_weighted_score_is_scikit_learns_on_images_repeated(formula: Formula, images: list[tuple[int, float, int]]) -> None:
    labels, p_fake, verdicts = arrays([image[:2] for image in images])
    weights = np.array([count for _, _, count in images])
    predictions = p_fake if formula in PROBABILITY_SCORES else verdicts
    repeated = np.repeat(np.arange(len(labels)), weights)
    expected = by_sklearn(formula, labels[repeated], predictions[repeated])
    (value,) = formula(labels, predictions, weights[np.newaxis])
    assert isnan(value) if expected is None else value == pytest.approx(expected)
