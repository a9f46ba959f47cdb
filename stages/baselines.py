"""What can be told without looking at the picture: rows to beat, as a model no better than these may know files, not faces."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.dummy import DummyClassifier
from sklearn.tree import DecisionTreeClassifier

from stages.records import FAKE, SplitRecord
from stages.scores import Probabilities

DEPTH = 3
NO_TABLE = -1


@dataclass(frozen=True)
class Baseline:
    """A number known of each file, and a classifier that sees nothing else."""

    feature: Callable[[SplitRecord], int]
    classifier: Callable[[], DummyClassifier | DecisionTreeClassifier]


def _tree() -> DecisionTreeClassifier:
    """Of at most eight ranges, so that a few sizes or tables can be told apart and single files cannot."""
    return DecisionTreeClassifier(max_depth=DEPTH, min_samples_leaf=5, random_state=0)


def _table(record: SplitRecord) -> int:
    return NO_TABLE if record.luma_quantisation_sum is None else record.luma_quantisation_sum


BASELINES: Mapping[str, Baseline] = {
    "majority_class": Baseline(lambda _: 0, lambda: DummyClassifier(strategy="most_frequent")),
    "jpeg_header": Baseline(_table, _tree),
    "file_size": Baseline(lambda record: record.bytes, _tree),
}


def baseline_p_fake(name: str, train: Sequence[SplitRecord], test: Sequence[SplitRecord]) -> Probabilities:
    """p_fake (N,) of the test images by the baseline of that name, fitted on the train images."""
    baseline = BASELINES[name]

    def features(records: Sequence[SplitRecord]) -> NDArray[np.float64]:
        return np.array([[baseline.feature(record)] for record in records], dtype=np.float64)

    classifier = baseline.classifier().fit(features(train), [record.label for record in train])
    return np.asarray(classifier.predict_proba(features(test))[:, list(classifier.classes_).index(FAKE)], dtype=np.float64)
