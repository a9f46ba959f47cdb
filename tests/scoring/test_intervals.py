from dataclasses import asdict
from itertools import product
from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakeface.scoring.evaluation import score_intervals, side_scores
from fakeface.scoring.intervals import interval, resample
from fakeface.scoring.scores import accuracy, roc_auc


@given(groups=st.lists(st.sampled_from("abcde"), min_size=1, max_size=12), seed=st.integers(0, 100))
def test_a_resample_draws_whole_groups_as_many_as_there_are(groups: list[str], seed: int) -> None:
    weights = resample(groups, 20, seed)
    assert weights.shape == (20, len(groups))
    for row in weights:
        times = dict(zip(groups, row.tolist(), strict=True))
        assert [times[group] for group in groups] == row.tolist(), "the images of a group come together"
        assert sum(times.values()) == len(set(groups))


def test_a_resample_is_the_same_for_any_order_of_the_images() -> None:
    groups, order = list("aabccd"), [5, 1, 3, 0, 4, 2]
    shuffled = resample([groups[position] for position in order], 50, seed=0)
    assert (resample(groups, 50, seed=0)[:, order] == shuffled).all()
    assert (resample(groups, 50, seed=1)[:, order] != shuffled).any()


def test_intervals_are_those_of_a_bootstrap_one_resample_at_a_time() -> None:
    """Brute force: repeat the images of each resample, score them one by one, take percentiles."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 40)
    p_fake = np.clip(0.5 + 0.2 * (labels - 0.5) + 0.2 * rng.normal(size=40), 0, 1).round(2)
    verdicts = p_fake >= 0.5
    weights = resample([f"{number // 2}" for number in range(40)], 200, seed=0)
    repeated = [np.repeat(np.arange(40), times) for times in weights]
    one_by_one = [asdict(side_scores(labels[rows], p_fake[rows], verdicts[rows])) for rows in repeated]
    for name, ends in asdict(score_intervals(labels, p_fake, verdicts, weights)).items():
        defined = [value for scores in one_by_one if (value := scores[name]) is not None]
        assert ends == pytest.approx(np.percentile(defined, [2.5, 97.5]).tolist()), name


def test_resamples_follow_the_law_of_drawing_groups() -> None:
    """All 256 equally likely draws of four groups, against many random ones: the share of each accuracy."""
    groups = ["a", "a", "a", "b", "c", "c", "d"]
    right = np.array([1, 1, 0, 1, 0, 0, 1])
    counts = [(right[np.array(groups) == name].sum(), groups.count(name)) for name in "abcd"]
    exact = [sum(right for right, _ in draw) / sum(images for _, images in draw) for draw in product(counts, repeat=4)]
    resampled = accuracy(np.ones(7, dtype=np.int64), right.astype(bool), resample(groups, 20_000, seed=0))
    for value in sorted(set(exact)):
        assert np.mean(np.isclose(resampled, value)) == pytest.approx(exact.count(value) / 256, abs=0.012)


def test_images_of_one_group_are_one_draw() -> None:
    """302 independent images, then each of them four times in a group: as sure as 302, not as 1208."""
    right = np.random.default_rng(0).random(302) < 0.8
    labels, groups = np.ones(302, dtype=np.int64), [f"{number}" for number in range(302)]

    def width(times: int, names: list[str]) -> float:
        found = interval(accuracy(labels.repeat(times), right.repeat(times), resample(names, 4000, seed=0)))
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
    exact = asdict(side_scores(labels, p_fake, p_fake >= 0.5))
    for name, ends in asdict(score_intervals(labels, p_fake, p_fake >= 0.5, weights)).items():
        assert ends == pytest.approx([exact[name]] * 2), name


def test_a_resample_without_one_of_the_classes_is_left_out() -> None:
    labels, p_fake = np.array([0, 1]), np.array([0.2, 0.9])
    weights = np.array([[2, 0], [1, 1], [0, 2], [1, 1]])
    values = roc_auc(labels, p_fake, weights)
    assert np.isnan(values).tolist() == [True, False, True, False]
    assert interval(values) == (1.0, 1.0)
    assert interval(values[[0, 2]]) is None
