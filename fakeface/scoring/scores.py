"""What is measured on predictions: `labels` (N,) 0 real, 1 fake; `p_fake` (N,) in [0, 1]; `verdicts` (N,) True for fake.

Each function is one number, None where it is not defined (no image of one of the classes). Fake is the positive class.
"""

from collections.abc import Callable

import numpy as np
import sklearn.metrics
from numpy.typing import NDArray

from fakeface.core.records import FAKE, REAL

Labels = NDArray[np.int64]
Probabilities = NDArray[np.float64]
Verdicts = NDArray[np.bool_]

BINS = 10
"""Of equal width, for the reliability of p_fake."""


def accuracy(labels: Labels, verdicts: Verdicts) -> float | None:
    return float(sklearn.metrics.accuracy_score(labels, verdicts)) if len(labels) else None


def balanced_accuracy(labels: Labels, verdicts: Verdicts) -> float | None:
    """The mean of both classes' shares of right verdicts: it does not depend on how many images are fakes."""
    return float(sklearn.metrics.balanced_accuracy_score(labels, verdicts)) if _has_both(labels) else None


def precision(labels: Labels, verdicts: Verdicts) -> float | None:
    """The share of fakes among the images called fake."""
    return float(sklearn.metrics.precision_score(labels, verdicts)) if verdicts.any() else None


def recall(labels: Labels, verdicts: Verdicts) -> float | None:
    """The share of the fakes that are called fake."""
    return float(sklearn.metrics.recall_score(labels, verdicts)) if (labels == FAKE).any() else None


def false_positive_rate(labels: Labels, verdicts: Verdicts) -> float | None:
    """The share of the real images that are called fake: false alarms."""
    return float(verdicts[labels == REAL].mean()) if (labels == REAL).any() else None


def f1(labels: Labels, verdicts: Verdicts) -> float | None:
    """The harmonic mean of precision and recall."""
    return float(sklearn.metrics.f1_score(labels, verdicts)) if (labels == FAKE).any() else None


def roc_auc(labels: Labels, p_fake: Probabilities) -> float | None:
    """The chance that a fake scores above a real one, ties counted half (Hanley & McNeil 1982)."""
    return float(sklearn.metrics.roc_auc_score(labels, p_fake)) if _has_both(labels) else None


def average_precision(labels: Labels, p_fake: Probabilities) -> float | None:
    return float(sklearn.metrics.average_precision_score(labels, p_fake)) if (labels == FAKE).any() else None


def equal_error_rate(labels: Labels, p_fake: Probabilities) -> float | None:
    """The share of errors at the threshold where it is the same in both classes, read off straight lines between ROC points."""
    if not _has_both(labels):
        return None
    false_rate, true_rate, _ = sklearn.metrics.roc_curve(labels, p_fake)
    return float(np.interp(0.0, false_rate - (1 - true_rate), false_rate))


def brier(labels: Labels, p_fake: Probabilities) -> float | None:
    """The mean squared distance of p_fake from the label (Brier 1950): 0.25 for p_fake 0.5 everywhere."""
    return float(sklearn.metrics.brier_score_loss(labels, p_fake, labels=[REAL, FAKE])) if len(labels) else None


def ece(labels: Labels, p_fake: Probabilities) -> float | None:
    """Expected calibration error: the distance of mean p_fake from the fakes' share, averaged over images by bin of p_fake.

    Naeini et al., "Obtaining well calibrated probabilities using Bayesian binning", 2015.
    """
    gaps = [images * abs(mean - share) for mean, share, images in reliability(labels, p_fake)]
    return sum(gaps) / len(labels) if len(labels) else None


def reliability(labels: Labels, p_fake: Probabilities) -> list[tuple[float, float, int]]:
    """(mean p_fake, share of fakes, images) of each bin that is not empty."""
    bins = bins_of(p_fake)
    return [
        (float(p_fake[inside].mean()), float(labels[inside].mean()), int(inside.sum()))
        for number in range(BINS)
        if (inside := bins == number).any()
    ]


def bins_of(p_fake: Probabilities) -> NDArray[np.int64]:
    """The bin, 0 to BINS - 1, of each p_fake; each holds its upper end, as in sklearn.calibration.calibration_curve."""
    return np.searchsorted(np.linspace(0, 1, BINS + 1)[1:-1], p_fake)


def confusion_matrix(labels: Labels, verdicts: Verdicts) -> list[list[int]]:
    """Counts, a row per label and a column per verdict, real first."""
    return [[int(((labels == label) & (verdicts == verdict)).sum()) for verdict in (REAL, FAKE)] for label in (REAL, FAKE)]


def roc_curve(labels: Labels, p_fake: Probabilities) -> list[tuple[float, float]]:
    """(false positive rate, true positive rate) at every threshold, from (0, 0) to (1, 1)."""
    if not _has_both(labels):
        return []
    false_rate, true_rate, _ = sklearn.metrics.roc_curve(labels, p_fake)
    return list(zip(false_rate.tolist(), true_rate.tolist(), strict=True))


OF_P_FAKE: dict[str, Callable[[Labels, Probabilities], float | None]] = {
    "roc_auc": roc_auc,
    "average_precision": average_precision,
    "equal_error_rate": equal_error_rate,
    "brier": brier,
    "ece": ece,
}
OF_VERDICTS: dict[str, Callable[[Labels, Verdicts], float | None]] = {
    "accuracy": accuracy,
    "precision": precision,
    "recall": recall,
    "f1": f1,
}
HEADLINE = ("accuracy", *OF_P_FAKE)
NAMES = (*HEADLINE, "precision", "recall", "f1")


def all_scores(labels: Labels, p_fake: Probabilities, verdicts: Verdicts) -> dict[str, float | None]:
    """Each of NAMES."""
    found = {name: score(labels, p_fake) for name, score in OF_P_FAKE.items()}
    found |= {name: score(labels, verdicts) for name, score in OF_VERDICTS.items()}
    return {name: found[name] for name in NAMES}


def _has_both(labels: Labels) -> bool:
    return bool((labels == REAL).any() and (labels == FAKE).any())
