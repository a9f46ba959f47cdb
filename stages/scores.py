"""What is measured on predictions: `labels` (N,) 0 real, 1 fake; `p_fake` (N,) in [0, 1]; `verdicts` (N,) True for fake.

Each function is one number, None where it is not defined (no image of one of the classes). Fake is the positive class.
"""

from collections.abc import Callable, Sequence

import numpy as np
import sklearn.metrics
from numpy.typing import NDArray

from stages.records import FAKE, REAL

Labels = NDArray[np.int64]
Probabilities = NDArray[np.float64]
Verdicts = NDArray[np.bool_]


def accuracy(labels: Labels, verdicts: Verdicts) -> float | None:
    return float(sklearn.metrics.accuracy_score(labels, verdicts)) if len(labels) else None


def precision(labels: Labels, verdicts: Verdicts) -> float | None:
    """The share of fakes among the images called fake."""
    return float(sklearn.metrics.precision_score(labels, verdicts)) if verdicts.any() else None


def recall(labels: Labels, verdicts: Verdicts) -> float | None:
    """The share of the fakes that are called fake."""
    return float(sklearn.metrics.recall_score(labels, verdicts)) if (labels == FAKE).any() else None


def f1(labels: Labels, verdicts: Verdicts) -> float | None:
    """The harmonic mean of precision and recall."""
    return float(sklearn.metrics.f1_score(labels, verdicts)) if (labels == FAKE).any() else None


def roc_auc(labels: Labels, p_fake: Probabilities) -> float | None:
    """The chance that a fake scores above a real one, ties counted half (Hanley & McNeil 1982)."""
    return float(sklearn.metrics.roc_auc_score(labels, p_fake)) if len(set(labels.tolist())) == 2 else None


def average_precision(labels: Labels, p_fake: Probabilities) -> float | None:
    return float(sklearn.metrics.average_precision_score(labels, p_fake)) if (labels == FAKE).any() else None


def confusion_matrix(labels: Labels, verdicts: Verdicts) -> list[list[int]]:
    """Counts, a row per label and a column per verdict, real first."""
    return [[int(((labels == label) & (verdicts == verdict)).sum()) for verdict in (REAL, FAKE)] for label in (REAL, FAKE)]


def roc_curve(labels: Labels, p_fake: Probabilities) -> list[tuple[float, float]]:
    """(false positive rate, true positive rate) at every threshold, from (0, 0) to (1, 1)."""
    if len(set(labels.tolist())) < 2:
        return []
    false_rate, true_rate, _ = sklearn.metrics.roc_curve(labels, p_fake)
    return list(zip(false_rate.tolist(), true_rate.tolist(), strict=True))


HEADLINE: dict[str, Callable[..., float | None]] = {
    "accuracy": accuracy,
    "roc_auc": roc_auc,
    "precision": precision,
    "recall": recall,
    "f1": f1,
    "average_precision": average_precision,
}
_FROM_P_FAKE = {"roc_auc", "average_precision"}


def headline(labels: Labels, p_fake: Probabilities, verdicts: Verdicts) -> dict[str, float | None]:
    """Each of HEADLINE by name."""
    return {name: score(labels, p_fake if name in _FROM_P_FAKE else verdicts) for name, score in HEADLINE.items()}


def by_difficulty(
    labels: Labels, difficulties: Sequence[str], p_fake: Probabilities, verdicts: Verdicts
) -> dict[str, dict[str, float | int | None]]:
    """For the fakes of each difficulty: how many, the share called fake, and the ROC AUC against all the real images."""
    names = np.array(difficulties)
    return {
        name: {
            "images": int((fakes := (labels == FAKE) & (names == name)).sum()),
            "recall": recall(labels[fakes], verdicts[fakes]),
            "roc_auc": roc_auc(labels[fakes | (labels == REAL)], p_fake[fakes | (labels == REAL)]),
        }
        for name in sorted(set(names[labels == FAKE].tolist()) - {""}, key=_by_rank)
    }


def _by_rank(difficulty: str) -> tuple[int, str]:
    order = ("easy", "mid", "hard")
    return (order.index(difficulty) if difficulty in order else len(order), difficulty)
