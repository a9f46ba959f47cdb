"""What can be told without looking at the picture: rows to beat, as a model no better than these may know files, not faces."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.dummy import DummyClassifier
from sklearn.tree import DecisionTreeClassifier

from fakeface.core.records import FAKE, SplitRecord
from fakeface.scoring import intervals, scores
from fakeface.scoring.intervals import Weights
from fakeface.scoring.scores import Probabilities

DEPTH = 3
NO_TABLE = -1


@dataclass(frozen=True)
class Baseline:
    """A number known of each file, and a classifier that sees nothing else."""

    feature: Callable[[SplitRecord], int]
    classifier: Callable[[], DummyClassifier | DecisionTreeClassifier]


def _tree() -> DecisionTreeClassifier:
    """Of at most eight ranges, so that it tells sizes or tables apart and does not learn single files by heart."""
    return DecisionTreeClassifier(max_depth=DEPTH, random_state=0)


def _table(record: SplitRecord) -> int:
    return NO_TABLE if record.luma_quantisation_sum is None else record.luma_quantisation_sum


BASELINES: Mapping[str, Baseline] = {
    "majority_class": Baseline(lambda _: 0, lambda: DummyClassifier(strategy="most_frequent")),
    "jpeg_header": Baseline(_table, _tree),
    "file_size": Baseline(lambda record: record.bytes, _tree),
}


def baseline_scores(train: Sequence[SplitRecord], test: Sequence[SplitRecord], weights: Weights) -> dict[str, Any]:
    """Each baseline's accuracy and ROC AUC on the test images with their intervals; `weights` (B, N) as in `intervals`."""
    labels = np.array([record.label for record in test], dtype=np.int64)
    found = {}
    for name in BASELINES:
        p_fake = baseline_p_fake(name, train, test)
        verdicts = p_fake >= 0.5
        found[name] = {
            "accuracy": scores.accuracy(labels, verdicts),
            "roc_auc": scores.roc_auc(labels, p_fake),
            "intervals": {
                "accuracy": intervals.interval(intervals.accuracy(labels, verdicts, weights)),
                "roc_auc": intervals.interval(intervals.roc_auc(labels, p_fake, weights)),
            },
        }
    return found


def baseline_p_fake(name: str, train: Sequence[SplitRecord], test: Sequence[SplitRecord]) -> Probabilities:
    """p_fake (N,) of the test images by the baseline of that name, fitted on the train images."""
    baseline = BASELINES[name]

    def features(records: Sequence[SplitRecord]) -> NDArray[np.float64]:
        return np.array([[baseline.feature(record)] for record in records], dtype=np.float64)

    classifier = baseline.classifier().fit(features(train), [record.label for record in train])
    return np.asarray(classifier.predict_proba(features(test))[:, list(classifier.classes_).index(FAKE)], dtype=np.float64)
