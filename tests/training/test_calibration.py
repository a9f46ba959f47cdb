import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fakeface.detector import Answers
from fakeface.training.calibration import (
    LEAST_LIMIT,
    apply_temperature,
    choose_answers,
    choose_thresholds,
    fit_temperature,
    novelty_limits,
)

SEEDS = st.integers(0, 2**32 - 1)


def scores(seed: int, count: int, temperature: float) -> tuple[np.ndarray, np.ndarray]:
    """Labels, and p_fake that would be true if their log-odds were divided by `temperature`."""
    rng = np.random.default_rng(seed)
    log_odds = rng.normal(0, 2, count)
    labels = (rng.random(count) < 1 / (1 + np.exp(-log_odds))).astype(np.int64)
    return labels, 1 / (1 + np.exp(-log_odds * temperature))


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_of_scores_that_are_too_sure_or_too_shy_is_found(temperature: float) -> None:
    labels, p_fake = scores(0, 20_000, temperature)
    assert fit_temperature(labels, p_fake) == pytest.approx(temperature, rel=0.05)


@given(seed=SEEDS)
def test_no_temperature_on_a_grid_is_likelier(seed: int) -> None:
    labels, p_fake = scores(seed, 200, 2.0)

    def log_loss(temperature: float) -> float:
        log_odds = np.log(p_fake / (1 - p_fake)) / temperature
        return float(np.logaddexp(0, np.where(labels == 1, -log_odds, log_odds)).mean())

    best = log_loss(fit_temperature(labels, p_fake))
    assert all(best <= log_loss(temperature) + 1e-6 for temperature in np.geomspace(0.3, 19, 60))


def test_certain_scores_do_no_harm() -> None:
    labels = np.array([0, 1, 0, 1])
    assert 0.05 <= fit_temperature(labels, np.array([0.0, 1.0, 1.0, 1.0])) <= 20.001
    assert np.isfinite(apply_temperature(np.array([0.0, 0.5, 1.0]), 2.0)).all()


@given(seed=SEEDS, temperature=st.floats(0.1, 10))
def test_a_temperature_keeps_the_order_and_the_verdicts_at_one_half(seed: int, temperature: float) -> None:
    _, p_fake = scores(seed, 50, 1.0)
    found = apply_temperature(p_fake, temperature)
    assert (np.diff(found[np.argsort(p_fake)]) >= 0).all()
    assert ((found >= 0.5) == (p_fake >= 0.5)).all()


@given(seed=SEEDS, count=st.integers(2, 60))
def test_thresholds_are_what_a_search_over_all_finds(seed: int, count: int) -> None:
    labels, p_fake = scores(seed, count, 1.0)
    p_fake = p_fake.round(2)
    assume(0 < labels.sum() < count)
    real, fake = p_fake[labels == 0], p_fake[labels == 1]
    found = choose_thresholds(labels, p_fake)

    def balanced_accuracy(threshold: float) -> float:
        return float(((fake >= threshold).mean() + (real < threshold).mean()) / 2)

    grid = np.linspace(0, 1.001, 1002)
    assert found["half"] == 0.5
    assert balanced_accuracy(found["balanced_accuracy"]) == pytest.approx(max(map(balanced_accuracy, grid)))
    assert (real >= found["few_false_alarms"]).mean() <= 0.05
    lower = p_fake[p_fake < found["few_false_alarms"]]
    assert len(lower) == 0 or (real >= lower.max()).mean() > 0.05


def test_of_equally_good_thresholds_the_one_nearest_to_one_half_is_taken() -> None:
    found = choose_thresholds(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.9, 0.95]))
    assert found == {"half": 0.5, "balanced_accuracy": pytest.approx(0.65), "few_false_alarms": pytest.approx(0.65)}


def test_a_real_image_that_is_surely_fake_is_called_so_by_no_careful_threshold() -> None:
    found = choose_thresholds(np.array([0, 0, 1]), np.array([1.0, 1.0, 0.4]))
    assert found["few_false_alarms"] > 1


@given(seed=SEEDS, count=st.integers(1, 60), max_error=st.sampled_from([0.02, 0.1, 0.3]))
def test_the_band_is_the_narrowest_that_a_search_over_all_finds(seed: int, count: int, max_error: float) -> None:
    labels, p_fake = scores(seed, count, 1.0)
    p_fake = p_fake.round(2)
    found = choose_answers(labels, p_fake, max_error)

    def is_kept(called: np.ndarray, label: int) -> bool:
        return bool(called.any()) and (labels[called] != label).mean() <= max_error

    cuts = np.append(np.arange(0.005, 1, 0.01), 0.5)
    fakes = [(p_fake >= cut).sum() for cut in cuts[cuts >= 0.5] if is_kept(p_fake >= cut, 1)]
    reals = [(p_fake < cut).sum() for cut in cuts[cuts <= 0.5] if is_kept(p_fake < cut, 0)]
    assert (p_fake >= found.fake_from).sum() == max(fakes, default=0)
    assert (p_fake < found.real_below).sum() == max(reals, default=0)
    assert 0 <= found.real_below <= 0.5 <= found.fake_from


def test_where_few_enough_are_wrong_anyway_every_image_is_called_real_or_fake() -> None:
    found = choose_answers(np.array([0] * 9 + [1] * 11), np.array([0.1] * 10 + [0.9] * 10), max_error=0.1)
    assert (found.real_below, found.fake_from) == (0.5, 0.5)


def test_an_answer_that_would_be_wrong_too_often_is_never_given() -> None:
    found = choose_answers(np.array([0, 1, 0, 1]), np.array([0.0, 0.0, 1.0, 1.0]), max_error=0.1)
    assert [found.answer(p_fake) for p_fake in (0.0, 0.5, 1.0)] == ["inconclusive"] * 3


@pytest.mark.parametrize("label", [0, 1])
def test_of_images_of_one_kind_only_that_answer_is_given(label: int) -> None:
    found = choose_answers(np.full(4, label), np.array([0.0, 0.3, 0.7, 1.0]), max_error=0.1)
    other = "inconclusive"
    assert [found.answer(p_fake) for p_fake in (0.2, 0.8)] == (["real", other] if label == 0 else [other, "fake"])


def test_the_answers_at_the_ends_of_the_band() -> None:
    found = Answers(0.1, real_below=0.3, fake_from=0.7)
    expected = {0.0: "real", 0.29: "real", 0.3: "inconclusive", 0.69: "inconclusive", 0.7: "fake", 1.0: "fake"}
    assert {p_fake: found.answer(p_fake) for p_fake in expected} == expected
    assert {found.answer(p_fake, novel=True) for p_fake in expected} == {"inconclusive"}


def test_one_in_a_hundred_images_is_novel_to_each_branch() -> None:
    distances = np.random.default_rng(0).uniform(size=(1000, 2)) * np.array([1, 50])
    limits = novelty_limits(distances)
    assert (distances > limits).sum(axis=0).tolist() == [10, 10]
    assert novelty_limits(np.zeros((3, 2))) == [LEAST_LIMIT] * 2
