"""The content of metrics/scores.json: a dataclass per JSON object, a field per key.

A score has the name of its formula in `scores.py`; it is None where it is undefined. Imports no NumPy, for the commands' sake.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, get_args

from pydantic import AfterValidator, TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

from fakeface.core.errors import FakefaceError
from fakeface.core.records import THRESHOLD_NAMES, ObjectiveName, ThresholdName

Score = float | None
Interval = tuple[float, float] | None
"""The ends of a 95 % interval, None where no resample has the score."""
ConfusionMatrix = tuple[tuple[int, int], tuple[int, int]]
"""Counts, a row per label and a column per verdict, real first."""
DataName = Literal["sample", "photos"]
DimensionName = Literal["difficulty", "part", "parts", "jpeg_table", "size"]
BaselineName = Literal["majority_class", "jpeg_header", "file_size"]
BASELINE_LABELS: dict[BaselineName, str] = {
    "majority_class": "majority class",
    "jpeg_header": "JPEG header alone",
    "file_size": "file size alone",
}
THRESHOLD_LABELS: dict[ThresholdName, str] = {
    "half": "fixed at 0.5",
    "balanced_accuracy": "best balanced accuracy on valid",
    "few_false_alarms": "false positive rate of at most 5 % on valid",
}


def _complete(names: Sequence[str]) -> Callable[[dict[Any, Any]], dict[Any, Any]]:
    def check(values: dict[Any, Any]) -> dict[Any, Any]:
        if missing := [name for name in names if name not in values]:
            raise PydanticCustomError("incomplete", "{name}: missing", {"name": missing[0]})
        return values

    return check


class Estimate(NamedTuple):
    """A score of the test images with its 95 % interval."""

    value: Score
    interval: Interval


@dataclass(frozen=True)
class SideScores:
    """One model's scores on the images of one side."""

    images: int
    accuracy: Score
    roc_auc: Score
    average_precision: Score
    equal_error_rate: Score
    brier: Score
    ece: Score
    precision: Score
    recall: Score
    f1: Score


@dataclass(frozen=True)
class ScoreIntervals:
    """The interval of each score of the test images; ECE's lies too high, as bins are less even in a resample."""

    accuracy: Interval
    roc_auc: Interval
    average_precision: Interval
    equal_error_rate: Interval
    brier: Interval
    ece: Interval
    precision: Interval
    recall: Interval
    f1: Interval


SCORE_NAMES = tuple(field.name for field in fields(ScoreIntervals))
HEADLINE = SCORE_NAMES[:6]
"""The scores in metrics/evaluate.json."""


@dataclass(frozen=True)
class ThresholdScores:
    """What a threshold gives on the test images, and its accuracy on the valid images that it was chosen on."""

    threshold: float
    valid_accuracy: Score
    accuracy: Score
    balanced_accuracy: Score
    recall: Score
    false_positive_rate: Score
    confusion_matrix: ConfusionMatrix


@dataclass(frozen=True)
class UncalibratedScores:
    """Scores of the test images' p_fake before the temperature."""

    brier: Score
    ece: Score


@dataclass(frozen=True)
class ReliabilityBin:
    """The mean p_fake of the test images in one bin, and the share of fakes among them."""

    p_fake: float
    fake_share: float
    images: int


@dataclass(frozen=True)
class SliceScores:
    """Scores on one slice of the test images."""

    images: int
    fakes: int
    recall: Score
    roc_auc: Score
    roc_auc_interval: Interval


@dataclass(frozen=True)
class PerturbedScores:
    """Scores on the test images after one perturbation."""

    roc_auc: Score
    roc_auc_interval: Interval
    accuracy: Score


@dataclass(frozen=True)
class ArgmaxScores:
    """Scores of the test images by the notebook's rule, the larger of two outputs."""

    accuracy: Score
    confusion_matrix: ConfusionMatrix


@dataclass(frozen=True)
class ModelScores:
    """Everything about one model; verdicts are by the threshold in use, but those of `argmax_rule`."""

    temperature: float
    train: SideScores
    valid: SideScores
    test: SideScores
    intervals: ScoreIntervals
    confusion_matrix: ConfusionMatrix
    thresholds: Annotated[dict[ThresholdName, ThresholdScores], AfterValidator(_complete(THRESHOLD_NAMES))]
    uncalibrated: UncalibratedScores
    reliability: list[ReliabilityBin]
    slices: Annotated[dict[DimensionName, dict[str, SliceScores]], AfterValidator(_complete(get_args(DimensionName)))]
    perturbed: dict[str, PerturbedScores]
    argmax_rule: ArgmaxScores

    def estimate(self, score: str) -> Estimate:
        """That score of the test images."""
        return Estimate(getattr(self.test, score), getattr(self.intervals, score))


@dataclass(frozen=True)
class BaselineIntervals:
    accuracy: Interval
    roc_auc: Interval


@dataclass(frozen=True)
class BaselineScores:
    """A baseline's scores on the test images."""

    accuracy: Score
    roc_auc: Score
    intervals: BaselineIntervals

    def estimate(self, score: str) -> Estimate:
        return Estimate(getattr(self, score), getattr(self.intervals, score))


@dataclass(frozen=True)
class Difference:
    """CE's score less BCE's on the test images; the interval is of the difference on the same resamples."""

    difference: Score
    interval: Interval


@dataclass(frozen=True)
class McNemar:
    """On how many images only one of the models is right, and the chance of a difference as large between equals."""

    only_ce_right: int
    only_bce_right: int
    p_value: float


@dataclass(frozen=True)
class Comparison:
    """The two models on the test images, in numbers and in a sentence."""

    accuracy: Difference
    roc_auc: Difference
    mcnemar: McNemar
    sentence: str


@dataclass(frozen=True)
class ModelShift:
    """One model's accuracy at threshold 0.5 on valid, on valid with test's mix of strata, and on test."""

    valid_accuracy: Score
    valid_accuracy_with_test_mix: Score
    test_accuracy: Score


@dataclass(frozen=True)
class Shift:
    """What the sides' different mixes of real images and difficulties do to accuracy."""

    fake_share: dict[str, float]
    ce: ModelShift
    bce: ModelShift
    sentence: str


@dataclass(frozen=True)
class Scores:
    """All that `evaluate` writes to metrics/scores.json."""

    data: DataName
    pairs_across_sides: int
    test_images: int
    test_groups: int
    resamples: int
    threshold: ThresholdName
    ce: ModelScores
    bce: ModelScores
    baselines: Annotated[dict[BaselineName, BaselineScores], AfterValidator(_complete(tuple(BASELINE_LABELS)))]
    comparison: Comparison
    shift: Shift

    @property
    def models(self) -> dict[ObjectiveName, ModelScores]:
        return {"ce": self.ce, "bce": self.bce}

    def operating_point(self, objective: ObjectiveName) -> ThresholdScores:
        """The threshold in use for that model, and what it gives."""
        return self.models[objective].thresholds[self.threshold]


def read_scores(path: Path) -> Scores:
    """What `evaluate` wrote. Raises FakefaceError, naming the first key that is missing or wrong."""
    try:
        return TypeAdapter(Scores).validate_json(path.read_bytes(), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        if first["type"] == "json_invalid":
            raise FakefaceError(f"{path}: not JSON: {first['msg']}") from None
        key = "".join(f"{part}: " for part in (".".join(map(str, first["loc"])),) if part)
        problem = "missing" if first["type"] == "missing" else first["msg"]
        raise FakefaceError(f"{path}: {key}{problem}; `dvc repro evaluate` writes it anew") from None
