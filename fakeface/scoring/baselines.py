"""Baselines that do not look at the picture: a model that is no better may know files, not faces."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.dummy import DummyClassifier
from sklearn.tree import DecisionTreeClassifier

from fakeface.core.records import FAKE, SplitRecord
from fakeface.scoring.intervals import interval
from fakeface.scoring.results import BaselineIntervals, BaselineName, BaselineScores
from fakeface.scoring.scores import Labels, Probabilities, Weights, accuracy, point_estimate, roc_auc

MAX_DEPTH = 3
NO_TABLE = -1


@dataclass(frozen=True)
class Baseline:
    """A number known of each file, and a classifier that sees nothing else."""

    feature: Callable[[SplitRecord], int]
    classifier: Callable[[], DummyClassifier | DecisionTreeClassifier]


def _tree() -> DecisionTreeClassifier:
    """A tree with at most eight leaves: it separates sizes or tables and does not memorise single files."""
    return DecisionTreeClassifier(max_depth=MAX_DEPTH, random_state=0)


def _luma_table(record: SplitRecord) -> int:
    return NO_TABLE if record.luma_quantisation_sum is None else record.luma_quantisation_sum


BASELINES: Mapping[BaselineName, Baseline] = {
    "majority_class": Baseline(lambda _: 0, lambda: DummyClassifier(strategy="most_frequent")),
    "jpeg_header": Baseline(_luma_table, _tree),
    "file_size": Baseline(lambda record: record.bytes, _tree),
}


def baseline_scores(
    train: Sequence[SplitRecord], test: Sequence[SplitRecord], weights: Weights
) -> dict[BaselineName, BaselineScores]:
    """Each baseline fitted on the train images and scored on the test images; `weights` (B, N) for the intervals."""
    labels = np.array([record.label for record in test], dtype=np.int64)
    return {name: _scores(labels, baseline_p_fake(name, train, test), weights) for name in BASELINES}


def _scores(labels: Labels, p_fake: Probabilities, weights: Weights) -> BaselineScores:
    verdicts = p_fake >= 0.5
    return BaselineScores(
        accuracy=point_estimate(accuracy, labels, verdicts),
        roc_auc=point_estimate(roc_auc, labels, p_fake),
        intervals=BaselineIntervals(
            accuracy=interval(accuracy(labels, verdicts, weights)), roc_auc=interval(roc_auc(labels, p_fake, weights))
        ),
    )


def baseline_p_fake(name: BaselineName, train: Sequence[SplitRecord], test: Sequence[SplitRecord]) -> Probabilities:
    """p_fake (N,) of the test images by that baseline, fitted on the train images."""
    baseline = BASELINES[name]

    def features(records: Sequence[SplitRecord]) -> NDArray[np.float64]:
        return np.array([[baseline.feature(record)] for record in records], dtype=np.float64)

    classifier = baseline.classifier().fit(features(train), [record.label for record in train])
    return np.asarray(classifier.predict_proba(features(test))[:, list(classifier.classes_).index(FAKE)], dtype=np.float64)
