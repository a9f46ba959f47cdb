"""How far a score might be off by chance: 95 % intervals from resampling whole groups of related images.

`weights` (B, N) say how often each of N images is in each of B resamples. The scores below are those of `scores` of the same
name for all resamples at once, nan where a resample lacks the class that the score needs. scikit-learn, called B times, gives
the same numbers in minutes: 1.4 ms for one AUC of 302 images.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from fakeface.core.records import FAKE, REAL
from fakeface.scoring.scores import BINS, NAMES, OF_P_FAKE, Labels, Probabilities, Verdicts, bins_of

Weights = NDArray[np.int64]
Values = NDArray[np.float64]
Interval = list[float] | None
"""Low and high, None where no resample has the score."""

PERCENTILES = (2.5, 97.5)


def resample(groups: Sequence[str], count: int, seed: int) -> Weights:
    """Draw as many groups as there are, with replacement, `count` times: weights (count, N) (Efron & Tibshirani 1993).

    The images of a group come together, as related images are right or wrong together; so a resample's size and its
    share of fakes vary. Groups are drawn in the order of their names: the same for any order of the images.
    """
    names, group_of = np.unique(np.array(groups), return_inverse=True)
    drawn = np.random.default_rng(seed).multinomial(len(names), np.full(len(names), 1 / len(names)), size=count)
    return np.asarray(drawn[:, group_of], dtype=np.int64)


def interval(values: Values) -> Interval:
    """The percentile interval of a score (B,); resamples where it is not defined, nan, are left out."""
    known = values[~np.isnan(values)]
    return [float(end) for end in np.percentile(known, PERCENTILES)] if len(known) else None


def all_intervals(labels: Labels, p_fake: Probabilities, verdicts: Verdicts, weights: Weights) -> dict[str, Interval]:
    """The interval of each of `scores.NAMES`; ECE's lies too high, as a resample's bins are less even than the images'."""
    return {name: interval(SCORES[name](labels, p_fake if name in OF_P_FAKE else verdicts, weights)) for name in NAMES}


class McNemar(NamedTuple):
    """On how many images only the one and only the other is right, and the chance of a difference as large between equals."""

    only_one_right: int
    only_other_right: int
    p_value: float


def mcnemar(one_right: Verdicts, other_right: Verdicts) -> McNemar:
    """McNemar's exact test (1947): where just one of two is right, each is so half the time if they are equally good.

    It takes images for independent, which those of a group are not.
    """
    only_one, only_other = int((one_right & ~other_right).sum()), int((other_right & ~one_right).sum())
    disagreements = only_one + only_other
    p_value = float(binomtest(only_one, disagreements).pvalue) if disagreements else 1.0
    return McNemar(only_one, only_other, p_value)


def accuracy(labels: Labels, verdicts: Verdicts, weights: Weights) -> Values:
    return _divided(weights @ (labels == verdicts), weights.sum(axis=1))


def precision(labels: Labels, verdicts: Verdicts, weights: Weights) -> Values:
    return _divided(weights @ ((labels == FAKE) & verdicts), weights @ verdicts)


def recall(labels: Labels, verdicts: Verdicts, weights: Weights) -> Values:
    return _divided(weights @ ((labels == FAKE) & verdicts), weights @ (labels == FAKE))


def f1(labels: Labels, verdicts: Verdicts, weights: Weights) -> Values:
    fakes = weights @ (labels == FAKE)
    found = _divided(2 * weights @ ((labels == FAKE) & verdicts), weights @ verdicts + fakes)
    return np.where(fakes > 0, found, np.nan)


def roc_auc(labels: Labels, p_fake: Probabilities, weights: Weights) -> Values:
    fakes, reals = _called_fake(labels, p_fake, weights)
    twice_the_area = (np.diff(reals, axis=1) * (fakes[:, 1:] + fakes[:, :-1])).sum(axis=1)
    return _divided(twice_the_area, 2 * fakes[:, -1] * reals[:, -1])


def average_precision(labels: Labels, p_fake: Probabilities, weights: Weights) -> Values:
    fakes, reals = _called_fake(labels, p_fake, weights)
    precisions = np.nan_to_num(_divided(fakes, fakes + reals))
    return _divided((np.diff(fakes, axis=1) * precisions[:, 1:]).sum(axis=1), fakes[:, -1])


def equal_error_rate(labels: Labels, p_fake: Probabilities, weights: Weights) -> Values:
    fakes, reals = _called_fake(labels, p_fake, weights)
    false_rate = _divided(reals, reals[:, -1:])
    excess = false_rate - (1 - _divided(fakes, fakes[:, -1:]))  # from -1 to 1, and never falling
    after = np.maximum((excess >= 0).argmax(axis=1), 1)
    rows = np.arange(len(weights))
    before = after - 1
    share = _divided(-excess[rows, before], excess[rows, after] - excess[rows, before])
    between: Values = false_rate[rows, before] + share * (false_rate[rows, after] - false_rate[rows, before])
    return between


def brier(labels: Labels, p_fake: Probabilities, weights: Weights) -> Values:
    return _divided(weights @ (p_fake - labels) ** 2, weights.sum(axis=1))


def ece(labels: Labels, p_fake: Probabilities, weights: Weights) -> Values:
    """A bin's share of the images times its gap is the sum of its p_fake less its labels, by the number of images."""
    in_bin = bins_of(p_fake)[:, np.newaxis] == np.arange(BINS)
    gaps = weights @ (in_bin * (p_fake - labels)[:, np.newaxis])
    return _divided(np.abs(gaps).sum(axis=1), weights.sum(axis=1))


SCORES: dict[str, Callable[..., Values]] = {
    score.__name__: score
    for score in (accuracy, roc_auc, average_precision, equal_error_rate, brier, ece, precision, recall, f1)
}


def _called_fake(labels: Labels, p_fake: Probabilities, weights: Weights) -> tuple[Weights, Weights]:
    """Fakes and reals (B, T + 1) that reach each threshold: one above all, then each of T distinct p_fake, highest first."""
    order = np.argsort(-p_fake)
    first = np.flatnonzero(np.diff(p_fake[order], prepend=np.inf))

    def called(label: int) -> Weights:
        steps = np.add.reduceat(weights[:, order] * (labels[order] == label), first, axis=1)
        return np.pad(steps.cumsum(axis=1), ((0, 0), (1, 0)))

    return called(FAKE), called(REAL)


def _divided(part: NDArray[np.int64] | Values, whole: NDArray[np.int64] | Values) -> Values:
    """The quotient, nan where the whole is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(whole == 0, np.nan, part / whole), dtype=np.float64)
