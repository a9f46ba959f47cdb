from math import comb
from typing import Any

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st

from fakeface.core.records import Side, SplitRecord
from fakeface.scoring.comparison import compare_models, comparison_sentence, difference, mcnemar, reweighted_accuracy, shift
from fakeface.scoring.intervals import resample
from fakeface.scoring.results import Comparison, Difference, McNemar, ModelShift
from fakeface.scoring.scores import Labels, Probabilities, roc_auc
from tests.split_rows import image

LABELS = np.arange(200) % 2
GROUPS = [f"{number // 2}" for number in range(200)]
WEIGHTS = resample(GROUPS, 300, seed=0)


def noisy(strength: float, seed: int) -> Probabilities:
    """p_fake whose distance between the classes is `strength` standard deviations."""
    margins = strength * (LABELS - 0.5) + np.random.default_rng(seed).normal(size=200)
    return 1 / (1 + np.exp(-margins))


def compared(ce: Probabilities, bce: Probabilities, labels: Labels = LABELS) -> Comparison:
    return compare_models(labels, {"ce": ce, "bce": bce}, {"ce": ce >= 0.5, "bce": bce >= 0.5}, WEIGHTS)


def test_a_model_does_not_differ_from_itself() -> None:
    p_fake = noisy(1, seed=0)
    found = compared(p_fake, p_fake)
    assert found.accuracy == found.roc_auc == Difference(0.0, (0.0, 0.0))
    assert found.mcnemar == McNemar(0, 0, 1.0)
    assert found.sentence == (
        "Cross-entropy is level with BCE in AUC (95 % interval 0.000 to 0.000) and level in accuracy; "
        "McNemar p = 1.00: on these 200 images the difference means nothing."
    )


def test_the_difference_is_taken_on_the_same_resample() -> None:
    """Two models that err on the same images differ less than two that err on different ones, however good they are."""
    first = noisy(1, seed=0)
    alike, apart = np.clip(first + 0.02 * noisy(0, seed=1), 0, 1), noisy(1, seed=1)

    def width(other: Probabilities) -> float:
        ends = compared(first, other).roc_auc.interval
        assert ends is not None
        return ends[1] - ends[0]

    assert width(alike) < 0.2 * width(apart)


def test_a_difference_is_that_of_the_scores_on_each_resample_one_by_one() -> None:
    ones, others = noisy(1, seed=0), noisy(0.5, seed=1)

    def auc(p_fake: Probabilities, times: Labels) -> float:
        return float(sklearn.metrics.roc_auc_score(LABELS, p_fake, sample_weight=times))

    once = np.ones(200, dtype=np.int64)
    found = difference(roc_auc, LABELS, ones, others, WEIGHTS[:50])
    assert found.difference == pytest.approx(auc(ones, once) - auc(others, once))
    resampled = [auc(ones, times) - auc(others, times) for times in WEIGHTS[:50]]
    assert found.interval == pytest.approx(np.percentile(resampled, (2.5, 97.5)))


def test_exchanging_the_models_changes_the_sign_and_nothing_else() -> None:
    ce, bce = noisy(1, seed=0), noisy(1.3, seed=1)
    there, back = compared(ce, bce), compared(bce, ce)
    for mirrored, original in ((back.accuracy, there.accuracy), (back.roc_auc, there.roc_auc)):
        assert original.difference is not None
        assert original.interval is not None
        assert mirrored.difference == pytest.approx(-original.difference)
        assert mirrored.interval == pytest.approx([-end for end in reversed(original.interval)])
    assert back.mcnemar.p_value == there.mcnemar.p_value
    assert there.sentence.removeprefix("BCE") == back.sentence.removeprefix("Cross-entropy")


def test_a_clear_difference_is_called_more_than_chance() -> None:
    sentence = compared(noisy(4, seed=0), noisy(0.2, seed=1)).sentence
    assert sentence.startswith("Cross-entropy is ahead by ")
    assert sentence.endswith("McNemar p < 0.01: on these 200 images the difference is more than chance.")


def test_no_difference_to_speak_of_means_nothing() -> None:
    found = compared(noisy(1, seed=0), noisy(1, seed=1))
    assert found.mcnemar.p_value > 0.05
    assert found.sentence.endswith(" on these 200 images the difference means nothing.")


def test_without_one_of_the_classes_there_is_no_comparison() -> None:
    found = compared(noisy(1, seed=0), noisy(1, seed=1), labels=np.zeros(200, dtype=np.int64))
    assert found.roc_auc == Difference(None, None)
    assert found.sentence == "On these 200 images the models cannot be compared: both real and fake ones are needed."


Ends = tuple[float, float]


@pytest.mark.parametrize(
    ("auc", "auc_interval", "accuracy", "accuracy_interval", "p_value", "sentence"),
    [
        pytest.param(
            0.010,
            (-0.021, 0.041),
            0.010,
            (-0.03, 0.05),
            0.74,
            "Cross-entropy is ahead by 0.010 in AUC (95 % interval -0.021 to 0.041) and 0.010 in accuracy; "
            "McNemar p = 0.74: on these 302 images the difference means nothing.",
            id="nothing",
        ),
        pytest.param(
            -0.050,
            (-0.080, -0.020),
            0.003,
            (-0.02, 0.03),
            0.9,
            "BCE is ahead by 0.050 in AUC (95 % interval 0.020 to 0.080) and behind by 0.003 in accuracy; "
            "McNemar p = 0.90: on these 302 images the difference in AUC is more than chance, that in accuracy is not.",
            id="only AUC, BCE's",
        ),
        pytest.param(
            0.0001,
            (-0.0002, 0.0004),
            0.040,
            (0.01, 0.07),
            0.02,
            "Cross-entropy is level with BCE in AUC (95 % interval 0.000 to 0.000) and ahead by 0.040 in accuracy; "
            "McNemar p = 0.02: on these 302 images the difference in accuracy is more than chance, that in AUC is not.",
            id="only accuracy",
        ),
        pytest.param(
            0.010,
            (-0.021, 0.041),
            0.040,
            (-0.01, 0.09),
            0.02,
            "Cross-entropy is ahead by 0.010 in AUC (95 % interval -0.021 to 0.041) and 0.040 in accuracy; "
            "McNemar p = 0.02: on these 302 images the difference means nothing.",
            id="McNemar alone, which does not know of groups, is not enough",
        ),
    ],
)
def test_sentences(
    auc: float, auc_interval: Ends, accuracy: float, accuracy_interval: Ends, p_value: float, sentence: str
) -> None:
    differences = Difference(accuracy, accuracy_interval), Difference(auc, auc_interval)
    assert comparison_sentence(*differences, p_value, 302) == sentence


BINARY = st.lists(st.tuples(st.booleans(), st.booleans()), max_size=40)


@given(images=BINARY)
def test_mcnemar_is_the_binomial_test_of_the_textbook(images: list[tuple[bool, bool]]) -> None:
    """Twice the chance that of n fair coins at most the smaller count falls on one side, 1 at most."""
    ce_right, bce_right = (np.array([image[model] for image in images], dtype=bool) for model in (0, 1))
    found = mcnemar(ce_right, bce_right)
    assert found.only_ce_right == images.count((True, False))
    assert found.only_bce_right == images.count((False, True))
    disagreements = found.only_ce_right + found.only_bce_right
    tail = (
        sum(comb(disagreements, count) for count in range(min(found.only_ce_right, found.only_bce_right) + 1))
        / 2**disagreements
    )
    assert found.p_value == pytest.approx(min(1.0, 2 * tail))


def test_mcnemar_of_nine_against_one() -> None:
    """11 of the 1024 ways in which ten coins fall have at most one head."""
    ce_right = np.array([True] * 9 + [False] + [True] * 90)
    bce_right = np.array([False] * 9 + [True] + [True] * 90)
    found = mcnemar(ce_right, bce_right)
    assert (found.only_ce_right, found.only_bce_right) == (9, 1)
    assert found.p_value == pytest.approx(22 / 1024)


EASY, MID = {"difficulty": "easy"}, {"difficulty": "mid"}


def valid_images() -> tuple[list[SplitRecord], list[bool]]:
    """Right are 3 of 4 reals, 4 of 4 easy fakes, 1 of 2 mid ones: 8 of 10."""
    rows = [image(number, 0) for number in range(4)]
    rows += [image(number, 1, **EASY) for number in range(4, 8)]
    rows += [image(number, 1, **MID) for number in range(8, 10)]
    return rows, [False] * 3 + [True] + [True] * 4 + [True, False]


def test_reweighting_by_hand() -> None:
    """Half reals and half mid fakes: (3/4 + 1/2) / 2."""
    rows, verdicts = valid_images()
    others = [image(number, number % 2, **(MID if number % 2 else {})) for number in range(10, 20)]
    assert reweighted_accuracy(rows, np.array(verdicts), others) == pytest.approx(0.625)
    assert reweighted_accuracy(rows, np.array(verdicts), rows) == pytest.approx(0.8)


def test_shift_says_what_the_mix_does() -> None:
    valid, verdicts = valid_images()
    test = [image(number, number % 2, **(MID if number % 2 else {})) for number in range(10, 20)]
    images: dict[Side, list[SplitRecord]] = {"train": valid, "valid": valid, "test": test, "excluded": []}
    verdicts_by_side: dict[Side, Any] = {
        "train": np.array(verdicts),
        "valid": np.array(verdicts),
        "test": np.zeros(10, dtype=bool),
    }
    found = shift(images, {"ce": verdicts_by_side, "bce": verdicts_by_side | {"valid": ~np.array(verdicts)}})
    assert found.fake_share == {"train": 0.6, "valid": 0.6, "test": 0.5}
    assert found.ce == ModelShift(valid_accuracy=0.8, valid_accuracy_with_test_mix=0.625, test_accuracy=0.5)
    assert found.sentence == (
        "Of valid's images 60 % are fakes, of test's 50 %; with test's mix of real images and difficulties, accuracy on valid "
        "at threshold 0.5 would be 0.625 instead of 0.800 for cross-entropy (on test 0.500) and 0.375 instead of 0.200 for BCE "
        "(on test 0.500)."
    )


def test_what_valid_does_not_have_cannot_be_weighted() -> None:
    valid, verdicts = valid_images()
    test = [image(10, 0), image(11, 1, difficulty="hard")]
    assert reweighted_accuracy(valid, np.array(verdicts), test) is None
    images: dict[Side, list[SplitRecord]] = {"train": valid, "valid": valid, "test": test, "excluded": []}
    verdicts_by_side: dict[Side, Any] = {
        "train": np.array(verdicts),
        "valid": np.array(verdicts),
        "test": np.zeros(2, dtype=bool),
    }
    found = shift(images, {"ce": verdicts_by_side, "bce": verdicts_by_side})
    assert found.ce.valid_accuracy_with_test_mix is None
    assert found.sentence.endswith("difficulties are not on valid, so the two accuracies cannot be compared.")
