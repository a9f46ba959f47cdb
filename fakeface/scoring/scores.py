"""The formula of each score, for all bootstrap resamples of the images at once; `point_estimate` is of the images themselves.

`labels` (N,) are 0 for real, 1 for fake, the positive class; `p_fake` (N,) in [0, 1]; `verdicts` (N,) True for fake;
`weights` (B, N) say how often each of the N images is in each of B resamples. A score is (B,), nan where it is undefined, as in
a resample without the class that it needs. scikit-learn, called once per resample, gives the same numbers in minutes: 1.4 ms
for one AUC of 302 images.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import sklearn.metrics
from numpy.typing import NDArray

from fakeface.core.records import FAKE, REAL
from fakeface.scoring.results import ConfusionMatrix, ReliabilityBin, Score

Labels = NDArray[np.int64]
Positions = NDArray[np.int64]
Probabilities = NDArray[np.float64]
Verdicts = NDArray[np.bool_]
Novelty = NDArray[np.float64]
PartValues = NDArray[np.float64]
Weights = NDArray[np.int64]
Values = NDArray[np.float64]
Formula = Callable[[Labels, Any, Weights], Values]
Value = TypeVar("Value")

BINS = 10
"""The number of bins of p_fake, of equal width, for calibration."""


def point_estimate(formula: Formula, labels: Labels, predictions: Probabilities | Verdicts) -> Score:
    """The score of the images, each counted once; None where it is undefined, as every score of no images is."""
    if not len(labels):
        return None
    (value,) = formula(labels, predictions, np.ones((1, len(labels)), dtype=np.int64)).tolist()
    return None if np.isnan(value) else float(value)


def accuracy(labels: Labels, verdicts: Verdicts, weights: Weights) -> Values:
    return _quotient(weights @ (labels == verdicts), weights.sum(axis=1))


def balanced_accuracy(labels: Labels, verdicts: Verdicts, weights: Weights) -> Values:
    """The mean of both classes' shares of right verdicts: it does not depend on how many images are fakes."""
    reals = labels == REAL
    specificity = _quotient(weights @ (reals & ~verdicts), weights @ reals)
    return (specificity + recall(labels, verdicts, weights)) / 2


def precision(labels: Labels, verdicts: Verdicts, weights: Weights) -> Values:
    """The share of fakes among the images called fake."""
    return _quotient(weights @ ((labels == FAKE) & verdicts), weights @ verdicts)


def recall(labels: Labels, verdicts: Verdicts, weights: Weights) -> Values:
    """The share of the fakes that are called fake."""
    return _quotient(weights @ ((labels == FAKE) & verdicts), weights @ (labels == FAKE))


def false_positive_rate(labels: Labels, verdicts: Verdicts, weights: Weights) -> Values:
    """The share of the real images that are called fake."""
    return _quotient(weights @ ((labels == REAL) & verdicts), weights @ (labels == REAL))


def coverage(_: Labels, given: Verdicts, weights: Weights) -> Values:
    """The share of the images that an answer is `given` to."""
    return _quotient(weights @ given, weights.sum(axis=1))


def error(wrong: Labels, given: Verdicts, weights: Weights) -> Values:
    """The share of the images that an answer is `given` to for which it is wrong; `wrong` (N,) is 1 where it would be."""
    return _quotient(weights @ (wrong * given), weights @ given)


def f1(labels: Labels, verdicts: Verdicts, weights: Weights) -> Values:
    """The harmonic mean of precision and recall."""
    fakes = weights @ (labels == FAKE)
    harmonic_mean = _quotient(2 * weights @ ((labels == FAKE) & verdicts), weights @ verdicts + fakes)
    return np.where(fakes > 0, harmonic_mean, np.nan)


def roc_auc(labels: Labels, p_fake: Probabilities, weights: Weights) -> Values:
    """The chance that a fake has a higher p_fake than a real image, ties counted half (Hanley & McNeil 1982)."""
    fakes, reals = _counts_above(labels, p_fake, weights)
    twice_the_area = (np.diff(reals, axis=1) * (fakes[:, 1:] + fakes[:, :-1])).sum(axis=1)
    return _quotient(twice_the_area, 2 * fakes[:, -1] * reals[:, -1])


def pairwise_accuracy(pairs: Positions, p_fake: Probabilities, weights: Weights) -> Values:
    """The share of pairs, a real photo and a composite made from it, whose composite has the higher p_fake; ties count half.

    `pairs` (P, 2) are positions of both in p_fake (N,), the real one's first; `weights` (B, P) are of the pairs.
    """
    real, fake = p_fake[pairs].T
    twice_above = 2 * (fake > real).astype(np.int64) + (fake == real)
    return _quotient(weights @ twice_above, 2 * weights.sum(axis=1))


def within_photo_accuracy(replaced: Labels, evidence: PartValues, weights: Weights) -> Values:
    """The share of pairs of a replaced and an untouched part of one photo whose replaced one has more evidence; ties: half.

    `replaced` (N, 4) are 1 or 0, `evidence` (N, 4) nan for a part that the photo does not show; `weights` (B, N) are of photos.
    """
    pairs = part_pairs(replaced, evidence)
    one, other = evidence[:, :, np.newaxis], evidence[:, np.newaxis, :]
    twice_above = ((2 * (one > other) + (one == other)) * pairs).sum(axis=(1, 2))
    return _quotient(weights @ twice_above, 2 * (weights @ pairs.sum(axis=(1, 2))))


def part_pairs(replaced: Labels, evidence: PartValues) -> NDArray[np.bool_]:
    """(N, 4, 4): whether the first part is replaced, the second is not, and the photo shows both."""
    seen = ~np.isnan(evidence)
    edited, untouched = seen & (replaced == 1), seen & (replaced == 0)
    return np.asarray(edited[:, :, np.newaxis] & untouched[:, np.newaxis, :], dtype=np.bool_)


def average_precision(labels: Labels, p_fake: Probabilities, weights: Weights) -> Values:
    fakes, reals = _counts_above(labels, p_fake, weights)
    precisions = np.nan_to_num(_quotient(fakes, fakes + reals))
    return _quotient((np.diff(fakes, axis=1) * precisions[:, 1:]).sum(axis=1), fakes[:, -1])


def equal_error_rate(labels: Labels, p_fake: Probabilities, weights: Weights) -> Values:
    """The share of errors at the threshold where it is the same in both classes, read off straight lines between ROC points."""
    fakes, reals = _counts_above(labels, p_fake, weights)
    false_positives = _quotient(reals, reals[:, -1:])
    excess = false_positives - (1 - _quotient(fakes, fakes[:, -1:]))  # from -1 to 1, and never falling
    after = np.maximum((excess >= 0).argmax(axis=1), 1)
    rows = np.arange(len(weights))
    before = after - 1
    share = _quotient(-excess[rows, before], excess[rows, after] - excess[rows, before])
    between: Values = false_positives[rows, before] + share * (false_positives[rows, after] - false_positives[rows, before])
    return between


def brier(labels: Labels, p_fake: Probabilities, weights: Weights) -> Values:
    """The mean squared distance of p_fake from the label (Brier 1950): 0.25 for p_fake 0.5 everywhere."""
    return _quotient(weights @ (p_fake - labels) ** 2, weights.sum(axis=1))


def ece(labels: Labels, p_fake: Probabilities, weights: Weights) -> Values:
    """Expected calibration error: the distance of mean p_fake from the share of fakes, averaged over images by bin of p_fake.

    A bin's share of the images times its distance is the sum of its p_fake less its labels, by the number of images.
    Naeini et al., "Obtaining well calibrated probabilities using Bayesian binning", 2015.
    """
    in_bin = bins_of(p_fake)[:, np.newaxis] == np.arange(BINS)
    distances = weights @ (in_bin * (p_fake - labels)[:, np.newaxis])
    return _quotient(np.abs(distances).sum(axis=1), weights.sum(axis=1))


PROBABILITY_SCORES: tuple[Formula, ...] = (roc_auc, average_precision, equal_error_rate, brier, ece)
VERDICT_SCORES: tuple[Formula, ...] = (accuracy, precision, recall, f1)


def for_each_score(
    compute: Callable[[Formula, Probabilities | Verdicts], Value], p_fake: Probabilities, verdicts: Verdicts
) -> dict[str, Value]:
    """`compute(formula, predictions)` by the name of each score of PROBABILITY_SCORES and VERDICT_SCORES."""
    by_name = {formula.__name__: compute(formula, p_fake) for formula in PROBABILITY_SCORES}
    return by_name | {formula.__name__: compute(formula, verdicts) for formula in VERDICT_SCORES}


def reliability(labels: Labels, p_fake: Probabilities) -> list[ReliabilityBin]:
    """The bins that are not empty, the reliability diagram's points."""
    bins = bins_of(p_fake)
    return [
        ReliabilityBin(float(p_fake[inside].mean()), float(labels[inside].mean()), int(inside.sum()))
        for number in range(BINS)
        if (inside := bins == number).any()
    ]


def bins_of(p_fake: Probabilities) -> NDArray[np.int64]:
    """The bin, 0 to BINS - 1, of each p_fake; each holds its upper end, as in sklearn.calibration.calibration_curve."""
    return np.searchsorted(np.linspace(0, 1, BINS + 1)[1:-1], p_fake)


def confusion_matrix(labels: Labels, verdicts: Verdicts) -> ConfusionMatrix:
    def count(label: int, verdict: int) -> int:
        return int(((labels == label) & (verdicts == verdict)).sum())

    return (count(REAL, REAL), count(REAL, FAKE)), (count(FAKE, REAL), count(FAKE, FAKE))


def roc_curve(labels: Labels, p_fake: Probabilities) -> list[tuple[float, float]]:
    """(false positive rate, true positive rate) from (0, 0) to (1, 1), without points on straight lines; [] for one class."""
    if len(np.unique(labels)) < 2:
        return []
    false_positives, true_positives, _ = sklearn.metrics.roc_curve(labels, p_fake)
    return list(zip(false_positives.tolist(), true_positives.tolist(), strict=True))


def _counts_above(labels: Labels, p_fake: Probabilities, weights: Weights) -> tuple[Weights, Weights]:
    """Fakes and reals (B, T + 1) that reach each threshold: one above all, then each of T distinct p_fake, highest first."""
    order = np.argsort(-p_fake)
    first = np.flatnonzero(np.diff(p_fake[order], prepend=np.inf))

    def counts(label: int) -> Weights:
        steps = np.add.reduceat(weights[:, order] * (labels[order] == label), first, axis=1)
        return np.pad(steps.cumsum(axis=1), ((0, 0), (1, 0)))

    return counts(FAKE), counts(REAL)


def _quotient(part: NDArray[np.int64] | Values, whole: NDArray[np.int64] | Values) -> Values:
    """The quotient, nan where the whole is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(whole == 0, np.nan, part / whole), dtype=np.float64)
