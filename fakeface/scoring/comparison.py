"""Two models on the same images, one model on two sides: whether a difference means anything, in numbers and in a sentence."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from scipy.stats import binomtest

from fakeface.core.records import FAKE, MODEL_LABELS, OBJECTIVE_NAMES, ObjectiveName, Side, SplitRecord
from fakeface.scoring.intervals import interval
from fakeface.scoring.results import Comparison, Difference, Interval, McNemar, ModelShift, Shift
from fakeface.scoring.scores import Formula, Labels, Probabilities, Verdicts, Weights, accuracy, point_estimate, roc_auc

SIGNIFICANT = 0.05


def compare_models(
    labels: Labels,
    p_fake: Mapping[ObjectiveName, Probabilities],
    verdicts: Mapping[ObjectiveName, Verdicts],
    weights: Weights,
) -> Comparison:
    """CE's scores less BCE's, with the interval of the difference on the same resamples, and McNemar's test."""
    in_accuracy = difference(accuracy, labels, verdicts["ce"], verdicts["bce"], weights)
    in_auc = difference(roc_auc, labels, p_fake["ce"], p_fake["bce"], weights)
    test = mcnemar(verdicts["ce"] == labels, verdicts["bce"] == labels)
    return Comparison(in_accuracy, in_auc, test, comparison_sentence(in_accuracy, in_auc, test.p_value, len(labels)))


def difference(
    formula: Formula, labels: Labels, ones: Probabilities | Verdicts, others: Probabilities | Verdicts, weights: Weights
) -> Difference:
    """The score of some predictions (N,) less that of others of the same images, with its interval on the same resamples."""
    one, other = (point_estimate(formula, labels, predictions) for predictions in (ones, others))
    resampled = formula(labels, ones, weights) - formula(labels, others, weights)
    return Difference(None if one is None or other is None else one - other, interval(resampled))


def mcnemar(ce_right: Verdicts, bce_right: Verdicts) -> McNemar:
    """McNemar's exact test (1947): where just one of two is right, each is so half the time if they are equally good.

    It takes images for independent, which those of a group are not.
    """
    only_ce, only_bce = int((ce_right & ~bce_right).sum()), int((bce_right & ~ce_right).sum())
    disagreements = only_ce + only_bce
    return McNemar(only_ce, only_bce, float(binomtest(only_ce, disagreements).pvalue) if disagreements else 1.0)


def comparison_sentence(in_accuracy: Difference, in_auc: Difference, p_value: float, images: int) -> str:
    """Who is ahead, by how much, and whether that is more than chance."""
    if in_accuracy.difference is None or in_auc.difference is None or in_auc.interval is None:
        return f"On these {images} images the models cannot be compared: both real and fake ones are needed."
    ce, bce = (MODEL_LABELS[objective] for objective in OBJECTIVE_NAMES)
    ahead, behind, sign = (bce, ce, -1) if in_auc.difference < 0 else (ce, bce, 1)
    low, high = sorted(sign * end for end in in_auc.interval)
    auc_words, accuracy_words = _lead(sign * in_auc.difference), _lead(sign * in_accuracy.difference)
    if auc_words == "level":
        auc_words = f"level with {behind}"
    if auc_words.startswith("ahead"):
        accuracy_words = accuracy_words.removeprefix("ahead by ")
    p = "p < 0.01" if p_value < 0.01 else f"p = {p_value:.2f}"
    name = ahead[0].upper() + ahead[1:]
    return (
        f"{name} is {auc_words} in AUC (95 % interval {low:z.3f} to {high:z.3f}) and {accuracy_words} in accuracy; "
        f"McNemar {p}: on these {images} images {_conclusion(in_accuracy, in_auc, p_value)}."
    )


def _lead(difference: float) -> str:
    if f"{abs(difference):.3f}" == "0.000":
        return "level"
    return f"ahead by {difference:.3f}" if difference > 0 else f"behind by {-difference:.3f}"


def _conclusion(in_accuracy: Difference, in_auc: Difference, p_value: float) -> str:
    auc_differs = _excludes_zero(in_auc.interval)
    # McNemar's test does not know that related images are right or wrong together; the interval does.
    accuracy_differs = p_value < SIGNIFICANT and _excludes_zero(in_accuracy.interval)
    if auc_differs and accuracy_differs:
        return "the difference is more than chance"
    if auc_differs:
        return "the difference in AUC is more than chance, that in accuracy is not"
    if accuracy_differs:
        return "the difference in accuracy is more than chance, that in AUC is not"
    return "the difference means nothing"


def _excludes_zero(interval: Interval) -> bool:
    return interval is not None and (interval[0] > 0 or interval[1] < 0)


def shift(images: Mapping[Side, Sequence[SplitRecord]], verdicts: Mapping[ObjectiveName, Mapping[Side, Verdicts]]) -> Shift:
    """What valid's other mix of real images and difficulties does to accuracy; `verdicts` by model and side."""
    sides: tuple[Side, ...] = ("train", "valid", "test")
    labels = {side: np.array([image.label for image in images[side]], dtype=np.int64) for side in sides}
    fake_share: dict[str, float] = {side: float((labels[side] == FAKE).mean()) for side in sides}
    models = {
        objective: ModelShift(
            point_estimate(accuracy, labels["valid"], verdicts[objective]["valid"]),
            reweighted_accuracy(images["valid"], verdicts[objective]["valid"], images["test"]),
            point_estimate(accuracy, labels["test"], verdicts[objective]["test"]),
        )
        for objective in OBJECTIVE_NAMES
    }
    return Shift(fake_share, **models, sentence=shift_sentence(fake_share, models))


def reweighted_accuracy(images: Sequence[SplitRecord], verdicts: Verdicts, others: Sequence[SplitRecord]) -> float | None:
    """The accuracy on `images` if each stratum, real or a difficulty, had its share of `others`; None where one is missing."""
    right = Counter(_stratum(image) for image, verdict in zip(images, verdicts, strict=True) if image.label == verdict)
    counts, other_counts = Counter(map(_stratum, images)), Counter(map(_stratum, others))
    if not other_counts.keys() <= counts.keys():
        return None
    return sum(count * right[stratum] / counts[stratum] for stratum, count in other_counts.items()) / len(others)


def shift_sentence(fake_share: Mapping[str, float], models: Mapping[ObjectiveName, ModelShift]) -> str:
    """What the sides' mix alone makes of the accuracy at threshold 0.5."""
    sides = f"Of valid's images {100 * fake_share['valid']:.0f} % are fakes, of test's {100 * fake_share['test']:.0f} %"
    if any(model.valid_accuracy_with_test_mix is None for model in models.values()):
        return f"{sides}; some of test's difficulties are not on valid, so the two accuracies cannot be compared."
    parts = [
        f"{model.valid_accuracy_with_test_mix:.3f} instead of {model.valid_accuracy:.3f} "
        f"for {MODEL_LABELS[objective]} (on test {model.test_accuracy:.3f})"
        for objective, model in models.items()
    ]
    return (
        f"{sides}; with test's mix of real images and difficulties, accuracy on valid at threshold 0.5 would be "
        f"{' and '.join(parts)}."
    )


def _stratum(image: SplitRecord) -> tuple[int, str]:
    return image.label, image.difficulty
