from itertools import product
from math import comb, isnan, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakeface.scoring import intervals, scores
from fakeface.scoring.intervals import all_intervals, interval, mcnemar, resample

TENTHS = st.integers(0, 10).map(lambda tenth: tenth / 10)
"""Few values, so that ties are common."""
COUNTED_IMAGES = st.lists(st.tuples(st.integers(0, 1), TENTHS, st.integers(0, 3)), min_size=1, max_size=20)
"""Label, p_fake, and how often the image is in a resample."""


@pytest.mark.parametrize("name", scores.NAMES)
@given(images=COUNTED_IMAGES)
def test_a_weighted_score_is_scikit_learns_on_images_repeated(name: str, images: list[tuple[int, float, int]]) -> None:
    labels = np.array([label for label, _, _ in images], dtype=np.int64)
    p_fake = np.array([score for _, score, _ in images])
    weights = np.array([count for _, _, count in images])
    judged = p_fake if name in scores.OF_P_FAKE else p_fake >= 0.5
    expected = getattr(scores, name)(np.repeat(labels, weights), np.repeat(judged, weights))
    (found,) = intervals.SCORES[name](labels, judged, weights[np.newaxis])
    assert isnan(found) if expected is None else found == pytest.approx(expected)


def test_every_score_has_a_weighted_twin_of_its_name() -> None:
    assert tuple(intervals.SCORES) == scores.NAMES


@given(groups=st.lists(st.sampled_from("abcde"), min_size=1, max_size=12), seed=st.integers(0, 100))
def test_a_resample_draws_whole_groups_as_many_as_there_are(groups: list[str], seed: int) -> None:
    weights = resample(groups, 20, seed)
    assert weights.shape == (20, len(groups))
    for drawn in weights:
        times = dict(zip(groups, drawn.tolist(), strict=True))
        assert [times[group] for group in groups] == drawn.tolist(), "the images of a group come together"
        assert sum(times.values()) == len(set(groups))


def test_a_resample_is_the_same_for_any_order_of_the_images() -> None:
    groups, order = list("aabccd"), [5, 1, 3, 0, 4, 2]
    shuffled = resample([groups[position] for position in order], 50, seed=0)
    assert (resample(groups, 50, seed=0)[:, order] == shuffled).all()
    assert (resample(groups, 50, seed=1)[:, order] != shuffled).any()


def test_intervals_are_those_of_a_bootstrap_one_resample_at_a_time() -> None:
    """Brute force: repeat the images of each resample, score them with scikit-learn, take percentiles."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 40)
    p_fake = np.clip(0.5 + 0.2 * (labels - 0.5) + 0.2 * rng.normal(size=40), 0, 1).round(2)
    verdicts = p_fake >= 0.5
    weights = resample([f"{number // 2}" for number in range(40)], 200, seed=0)
    repeated = [np.repeat(np.arange(40), drawn) for drawn in weights]
    one_by_one = [scores.all_scores(labels[rows], p_fake[rows], verdicts[rows]) for rows in repeated]
    for name, found in all_intervals(labels, p_fake, verdicts, weights).items():
        known = [value for of in one_by_one if (value := of[name]) is not None]
        assert found == pytest.approx(np.percentile(known, [2.5, 97.5]).tolist()), name


def test_resamples_follow_the_law_of_drawing_groups() -> None:
    """All 256 equally likely draws of four groups, against many random ones: the share of each accuracy."""
    groups = ["a", "a", "a", "b", "c", "c", "d"]
    right = np.array([1, 1, 0, 1, 0, 0, 1])
    of_group = [(right[np.array(groups) == name].sum(), groups.count(name)) for name in "abcd"]
    exact = [sum(of[0] for of in draw) / sum(of[1] for of in draw) for draw in product(of_group, repeat=4)]
    drawn = intervals.accuracy(np.ones(7, dtype=np.int64), right.astype(bool), resample(groups, 20_000, seed=0))
    for accuracy in sorted(set(exact)):
        assert np.mean(np.isclose(drawn, accuracy)) == pytest.approx(exact.count(accuracy) / 256, abs=0.012)


def test_images_of_one_group_are_one_draw() -> None:
    """302 independent images, then each of them four times in a group: as sure as 302, not as 1208."""
    right = np.random.default_rng(0).random(302) < 0.8
    labels, groups = np.ones(302, dtype=np.int64), [f"{number}" for number in range(302)]

    def width(times: int, names: list[str]) -> float:
        found = interval(intervals.accuracy(labels.repeat(times), right.repeat(times), resample(names, 4000, seed=0)))
        assert found is not None
        return found[1] - found[0]

    textbook = 2 * 1.96 * sqrt(right.mean() * (1 - right.mean()) / 302)
    assert width(1, groups) == pytest.approx(textbook, rel=0.1)
    assert width(4, [name for name in groups for _ in range(4)]) == pytest.approx(textbook, rel=0.1)
    assert width(4, [f"{number}" for number in range(1208)]) == pytest.approx(textbook / 2, rel=0.1)


def test_with_all_images_in_one_group_there_is_one_resample_and_no_width() -> None:
    labels, p_fake = np.array([0, 1, 0, 1]), np.array([0.2, 0.3, 0.6, 0.9])
    weights = resample(["all"] * 4, 100, seed=0)
    assert (weights == 1).all()
    for name, found in all_intervals(labels, p_fake, p_fake >= 0.5, weights).items():
        exact = scores.all_scores(labels, p_fake, p_fake >= 0.5)[name]
        assert found == pytest.approx([exact, exact]), name


def test_a_resample_without_one_of_the_classes_is_left_out() -> None:
    labels, p_fake = np.array([0, 1]), np.array([0.2, 0.9])
    weights = np.array([[2, 0], [1, 1], [0, 2], [1, 1]])
    found = intervals.roc_auc(labels, p_fake, weights)
    assert np.isnan(found).tolist() == [True, False, True, False]
    assert interval(found) == [1.0, 1.0]
    assert interval(found[[0, 2]]) is None


BINARY = st.lists(st.tuples(st.booleans(), st.booleans()), max_size=40)


@given(images=BINARY)
def test_mcnemar_is_the_binomial_test_of_the_textbook(images: list[tuple[bool, bool]]) -> None:
    """Twice the chance that of n fair coins at most the smaller count falls on one side, 1 at most."""
    one_right, other_right = (np.array([image[model] for image in images], dtype=bool) for model in (0, 1))
    found = mcnemar(one_right, other_right)
    assert found.only_one_right == images.count((True, False))
    assert found.only_other_right == images.count((False, True))
    disagreements = found.only_one_right + found.only_other_right
    tail = sum(comb(disagreements, count) for count in range(min(found[:2]) + 1)) / 2**disagreements
    assert found.p_value == pytest.approx(min(1.0, 2 * tail))


def test_mcnemar_of_nine_against_one() -> None:
    """11 of the 1024 ways in which ten coins fall have at most one head."""
    one_right = np.array([True] * 9 + [False] + [True] * 90)
    other_right = np.array([False] * 9 + [True] + [True] * 90)
    found = mcnemar(one_right, other_right)
    assert (found.only_one_right, found.only_other_right) == (9, 1)
    assert found.p_value == pytest.approx(22 / 1024)
