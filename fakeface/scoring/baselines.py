"""Baselines that see no face: a model that is no better may know files and framing, not faces."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier

from fakeface.core.records import FAKE, FaceRecord, SplitRecord
from fakeface.scoring.intervals import interval
from fakeface.scoring.results import AccuracyAndAucIntervals, BaselineName, BaselineScores
from fakeface.scoring.scores import Labels, Probabilities, Weights, accuracy, point_estimate, roc_auc

MAX_DEPTH = 3
NO_TABLE = NO_FACE = -1
FOREST_TREES, FOREST_DEPTH, FOREST_LEAF = 300, 5, 5

Faces = Mapping[str, FaceRecord]
"""The largest face of each image, by path."""
Classifier: TypeAlias = DummyClassifier | DecisionTreeClassifier | RandomForestClassifier


@dataclass(frozen=True)
class Baseline:
    """Numbers known of each file or of where its face is, and a classifier that sees nothing else."""

    features: Callable[[SplitRecord, FaceRecord], tuple[float, ...]]
    classifier: Callable[[], Classifier]


def _tree() -> DecisionTreeClassifier:
    """A tree with at most eight leaves: it separates sizes or tables and does not memorise single files."""
    return DecisionTreeClassifier(max_depth=MAX_DEPTH, random_state=0)


def _forest() -> RandomForestClassifier:
    """Shallow trees, for numbers that say something only together; chosen beforehand, tuned on nothing."""
    return RandomForestClassifier(FOREST_TREES, max_depth=FOREST_DEPTH, min_samples_leaf=FOREST_LEAF, random_state=0)


def _luma_table(record: SplitRecord) -> int:
    return NO_TABLE if record.luma_quantisation_sum is None else record.luma_quantisation_sum


def face_box(record: SplitRecord, face: FaceRecord) -> tuple[float, ...]:
    """Left, top, right and bottom of the largest face as shares of the photo's sides, all NO_FACE where there is none.

    A clue that is none: where the set's composites are framed differently from its real photos, that says how the set was
    made and nothing of whether a face is composited. It is shown, as something to beat, and used by no model as such.
    """
    left, top, right, bottom = face.left, face.top, face.right, face.bottom
    if left is None or top is None or right is None or bottom is None:
        return (NO_FACE,) * 4
    return left / record.width, top / record.height, right / record.width, bottom / record.height


BASELINES: Mapping[BaselineName, Baseline] = {
    "majority_class": Baseline(lambda _record, _face: (0,), lambda: DummyClassifier(strategy="most_frequent")),
    "jpeg_header": Baseline(lambda record, _face: (_luma_table(record),), _tree),
    "file_size": Baseline(lambda record, _face: (record.bytes,), _tree),
    "face_box": Baseline(face_box, _forest),
}


def baseline_scores(
    train: Sequence[SplitRecord], test: Sequence[SplitRecord], faces: Faces, weights: Weights
) -> dict[BaselineName, BaselineScores]:
    """Each baseline fitted on the train images and scored on the test images; `weights` (B, N) for the intervals."""
    labels = np.array([record.label for record in test], dtype=np.int64)
    return {name: _scores(labels, baseline_p_fake(name, train, test, faces), weights) for name in BASELINES}


def _scores(labels: Labels, p_fake: Probabilities, weights: Weights) -> BaselineScores:
    verdicts = p_fake >= 0.5
    return BaselineScores(
        accuracy=point_estimate(accuracy, labels, verdicts),
        roc_auc=point_estimate(roc_auc, labels, p_fake),
        intervals=AccuracyAndAucIntervals(
            accuracy=interval(accuracy(labels, verdicts, weights)), roc_auc=interval(roc_auc(labels, p_fake, weights))
        ),
    )


def baseline_p_fake(
    name: BaselineName, train: Sequence[SplitRecord], test: Sequence[SplitRecord], faces: Faces
) -> Probabilities:
    """p_fake (N,) of the test images by that baseline, fitted on the train images."""
    baseline = BASELINES[name]

    def features(records: Sequence[SplitRecord]) -> NDArray[np.float64]:
        return np.array([baseline.features(record, faces[record.path]) for record in records], dtype=np.float64)

    classifier = baseline.classifier().fit(features(train), [record.label for record in train])
    return np.asarray(classifier.predict_proba(features(test))[:, list(classifier.classes_).index(FAKE)], dtype=np.float64)
