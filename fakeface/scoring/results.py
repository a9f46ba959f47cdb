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
from fakeface.core.records import ANSWER_NAMES, LABEL_NAMES, PARTS, THRESHOLD_NAMES, Answer, ObjectiveName, ThresholdName

Score = float | None
Interval = tuple[float, float] | None
"""The ends of a 95 % interval, None where no resample has the score."""
ConfusionMatrix = tuple[tuple[int, int], tuple[int, int]]
"""Counts, a row per label and a column per verdict, real first."""
DataName = Literal["sample", "photos"]
DimensionName = Literal["difficulty", "part", "parts", "jpeg_table", "size"]
BaselineName = Literal["majority_class", "jpeg_header", "file_size", "face_box"]
BASELINE_LABELS: dict[BaselineName, str] = {
    "majority_class": "majority class",
    "jpeg_header": "JPEG header alone",
    "file_size": "file size alone",
    "face_box": "face position and size",
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
"""The scores of the images as distributed in metrics/evaluate.json."""
WEB_HEADLINE = ("accuracy", "roc_auc")
"""Those of them that stand there after the web too, as `web_accuracy` and `web_roc_auc`."""


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
    """Scores on the test images after one perturbation, and the share that is `novel`, as in BandScores."""

    roc_auc: Score
    roc_auc_interval: Interval
    accuracy: Score
    novel: Score = None


@dataclass(frozen=True)
class AccuracyAndAucIntervals:
    accuracy: Interval
    roc_auc: Interval


@dataclass(frozen=True)
class Difference:
    """One score less another of the same images; the interval is of the difference on the same resamples."""

    difference: Score
    interval: Interval


@dataclass(frozen=True)
class WebScores:
    """Scores on one side's images as the web leaves them; `drop` is the AUC as distributed less the one after the web."""

    accuracy: Score
    roc_auc: Score
    intervals: AccuracyAndAucIntervals
    drop: Difference

    def estimate(self, score: str) -> Estimate:
        return Estimate(getattr(self, score), getattr(self.intervals, score))


@dataclass(frozen=True)
class AnswerScores:
    """`coverage` is the share of the images that get this answer, `error` the share of them for which it is wrong.

    "inconclusive" is never wrong: its error is None, as is that of an answer that no image gets.
    """

    images: int
    coverage: Score
    coverage_interval: Interval
    error: Score
    error_interval: Interval


ByAnswer = Annotated[dict[Answer, AnswerScores], AfterValidator(_complete(ANSWER_NAMES))]


@dataclass(frozen=True)
class BandScores:
    """Each answer of the three on valid, where the band between them was chosen, on test, and on test after the web.

    What is `novel` is unlike what the model learned from, and inconclusive: its share, None of a model that cannot tell.
    """

    max_error: float
    real_below: float
    fake_from: float
    valid: ByAnswer
    test: ByAnswer
    web: ByAnswer
    valid_novel: Score = None
    test_novel: Score = None
    web_novel: Score = None


@dataclass(frozen=True)
class LinkedPairScores:
    """`pairs` of a real photo and a composite made from it, both on one side, in `groups` of related images."""

    pairs: int
    groups: int
    pairwise_accuracy: Score
    interval: Interval


@dataclass(frozen=True)
class PartScores:
    """How well the evidence inside one part tells fakes in which it is replaced from fakes in which it is untouched."""

    replaced: int
    untouched: int
    roc_auc: Score
    roc_auc_interval: Interval


@dataclass(frozen=True)
class LocalizationScores:
    """Whether evidence lies where a fake was edited, on the `fakes` of which some parts are replaced and others untouched.

    `within_photo_accuracy`, with its `interval`, is the share of `pairs` of a replaced and an untouched part of one fake whose
    replaced one has more. So it is of a map that is the same everywhere, and of the mean map, which gives each part its mean
    evidence over all these fakes, the same in all of them; `over_mean_map` is what the model has more. A model that `beats`
    either has an interval clear of it. `threshold` is the evidence that half of the replaced parts exceed, and the false
    positive rate is the share of `real_photos` in which some part exceeds it.
    """

    fakes: int
    parts: Annotated[dict[str, PartScores], AfterValidator(_complete(PARTS))]
    pairs: int
    within_photo_accuracy: Score
    interval: Interval
    constant_map_accuracy: Score
    mean_map_accuracy: Score
    over_mean_map: Difference
    beats_constant_map: bool
    beats_mean_map: bool
    real_photos: int
    threshold: Score
    false_positive_rate: Score
    false_positive_rate_interval: Interval

    @property
    def shows_edits(self) -> bool:
        """Whether the evidence may be read as what was edited."""
        return self.beats_constant_map and self.beats_mean_map


@dataclass(frozen=True)
class ArgmaxScores:
    """Scores of the test images by the notebook's rule, the larger of two outputs."""

    accuracy: Score
    confusion_matrix: ConfusionMatrix


@dataclass(frozen=True)
class ModelScores:
    """Everything about one model; verdicts are by the threshold in use, but those of `argmax_rule`.

    `web`, `linked_pairs` and `localization` are of the test images, those with `valid_` before it of the valid ones. A network
    that gives no evidence has no `localization`.
    """

    temperature: float
    train: SideScores
    valid: SideScores
    test: SideScores
    intervals: ScoreIntervals
    web: WebScores
    valid_web: WebScores
    linked_pairs: LinkedPairScores
    valid_linked_pairs: LinkedPairScores
    train_valid_gap: Score
    confusion_matrix: ConfusionMatrix
    answers: BandScores
    thresholds: Annotated[dict[ThresholdName, ThresholdScores], AfterValidator(_complete(THRESHOLD_NAMES))]
    uncalibrated: UncalibratedScores
    reliability: list[ReliabilityBin]
    slices: Annotated[dict[DimensionName, dict[str, SliceScores]], AfterValidator(_complete(get_args(DimensionName)))]
    perturbed: dict[str, PerturbedScores]
    argmax_rule: ArgmaxScores
    localization: LocalizationScores | None
    valid_localization: LocalizationScores | None

    def estimate(self, score: str) -> Estimate:
        """That score of the test images."""
        return Estimate(getattr(self.test, score), getattr(self.intervals, score))

    def headline(self, side: Literal["valid", "test"]) -> dict[str, Score]:
        """A side's scores by their keys in metrics/evaluate.json, as distributed and after the web beside each other."""
        if side == "test":
            plain, web, pairs = self.test, self.web, self.linked_pairs
        else:
            plain, web, pairs = self.valid, self.valid_web, self.valid_linked_pairs
        values: dict[str, Score] = {}
        for name in WEB_HEADLINE:
            values |= {name: getattr(plain, name), f"web_{name}": getattr(web, name)}
        values["web_drop"] = web.drop.difference
        values |= {name: getattr(plain, name) for name in HEADLINE}
        return values | {"pairwise_accuracy": pairs.pairwise_accuracy}

    def answered(self) -> dict[str, Score]:
        """Coverage and error of the two answers that say something, by their keys in metrics/evaluate.json."""
        values: dict[str, Score] = {}
        for prefix, scores in (("", self.answers.test), ("web_", self.answers.web)):
            for answer in LABEL_NAMES:
                values[f"{prefix}{answer}_coverage"] = scores[answer].coverage
                values[f"{prefix}{answer}_error"] = scores[answer].error
        return values

    @property
    def same_table(self) -> Estimate:
        """The AUC of the real test images against the fakes that have the JPEG table of most real ones."""
        scores = self.slices["jpeg_table"].get("same")
        return Estimate(scores.roc_auc, scores.roc_auc_interval) if scores else Estimate(None, None)


@dataclass(frozen=True)
class BaselineScores:
    """A baseline's scores on the test images."""

    accuracy: Score
    roc_auc: Score
    intervals: AccuracyAndAucIntervals

    def estimate(self, score: str) -> Estimate:
        return Estimate(getattr(self, score), getattr(self.intervals, score))


@dataclass(frozen=True)
class McNemar:
    """On how many images only one of the models is right, and the chance of a difference as large between equals."""

    only_ce_right: int
    only_bce_right: int
    p_value: float


@dataclass(frozen=True)
class Comparison:
    """CE's scores less BCE's on the test images, in numbers and in a sentence."""

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
class ElsewhereScores:
    """One model on faces that are no composites: shares called fake by the threshold in use, given each answer, `novel`."""

    false_positive_rate: Score
    false_positive_rate_interval: Interval
    answers: ByAnswer
    novel: Score = None


@dataclass(frozen=True)
class Elsewhere:
    """What the models make of photos that are no composites and not of the data: shares of `faces`, intervals over `photos`.

    Where no such photos are named, `data` and both models are None.
    """

    data: DataName | None
    photos: int
    without_face: int
    faces: int
    ce: ElsewhereScores | None
    bce: ElsewhereScores | None
    sentence: str

    @property
    def models(self) -> dict[ObjectiveName, ElsewhereScores]:
        found: dict[ObjectiveName, ElsewhereScores | None] = {"ce": self.ce, "bce": self.bce}
        return {objective: scores for objective, scores in found.items() if scores}

    def false_positive_rate(self, objective: ObjectiveName) -> Score:
        """None where no photos from elsewhere are named."""
        scores = self.models.get(objective)
        return scores.false_positive_rate if scores else None


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
    elsewhere: Elsewhere

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
