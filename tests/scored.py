"""Scores as `evaluate` writes them, all alike but for what a test changes."""

from dataclasses import replace
from typing import Any

from fakeface.core.records import PARTS, THRESHOLD_NAMES, Answer
from fakeface.scoring.elsewhere import NOT_MEASURED
from fakeface.scoring.results import (
    BASELINE_LABELS,
    SCORE_NAMES,
    AccuracyAndAucIntervals,
    AnswerScores,
    ArgmaxScores,
    BandScores,
    BaselineScores,
    Comparison,
    Difference,
    Elsewhere,
    ElsewhereScores,
    Interval,
    LinkedPairScores,
    LocalizationScores,
    McNemar,
    ModelScores,
    ModelShift,
    PartScores,
    PerturbedScores,
    ReliabilityBin,
    ScoreIntervals,
    Scores,
    Shift,
    SideScores,
    SliceScores,
    ThresholdScores,
    UncalibratedScores,
    WebScores,
)

MATRIX = ((3, 1), (2, 4))
ANSWERS: dict[Answer, AnswerScores] = {
    "real": AnswerScores(90, 0.3, (0.25, 0.35), 0.1, (0.05, 0.15)),
    "inconclusive": AnswerScores(150, 0.5, (0.45, 0.55), None, None),
    "fake": AnswerScores(60, 0.2, (0.15, 0.25), 0.05, (0.01, 0.1)),
}


def web(accuracy: float | None = 0.71, auc: float | None = 0.74, drop: float | None = 0.06) -> WebScores:
    """Scores after the web, with intervals."""
    return WebScores(accuracy, auc, AccuracyAndAucIntervals((0.66, 0.76), (0.69, 0.79)), Difference(drop, (0.03, 0.09)))


def elsewhere() -> Elsewhere:
    """What is found on photos from elsewhere."""
    found = ElsewhereScores(0.123, (0.08, 0.17), ANSWERS, 0.4)
    return Elsewhere("photos", 310, 17, 300, found, found, "Of photos from elsewhere an eighth is called fake.")


def model(
    accuracy: float | None = 0.75,
    auc: float | None = 0.8,
    accuracy_interval: Interval = (0.7, 0.8),
    auc_interval: Interval = (0.75, 0.85),
    **changes: Any,
) -> ModelScores:
    """A model with these scores on the test images."""
    values: dict[str, Any] = dict.fromkeys(SCORE_NAMES, 0.5) | {"accuracy": accuracy, "roc_auc": auc}
    intervals: dict[str, Any] = dict.fromkeys(SCORE_NAMES, (0.4, 0.6))
    side = SideScores(images=300, **values)
    point = ThresholdScores(0.5, 0.7, accuracy, accuracy, 0.6, 0.1, MATRIX)
    scores = ModelScores(
        temperature=1.5,
        train=side,
        valid=side,
        test=side,
        intervals=ScoreIntervals(**intervals | {"accuracy": accuracy_interval, "roc_auc": auc_interval}),
        web=web(),
        valid_web=web(0.61, 0.64, 0.02),
        linked_pairs=LinkedPairScores(19, 12, 0.85, (0.7, 0.95)),
        valid_linked_pairs=LinkedPairScores(30, 21, 0.8, (0.65, 0.9)),
        train_valid_gap=0.2,
        confusion_matrix=MATRIX,
        answers=BandScores(0.1, 0.3, 0.7, ANSWERS, ANSWERS, ANSWERS, valid_novel=0.03, test_novel=0.04, web_novel=0.05),
        thresholds=dict.fromkeys(THRESHOLD_NAMES, point),
        uncalibrated=UncalibratedScores(0.2, 0.1),
        reliability=[ReliabilityBin(0.2, 0.1, 30), ReliabilityBin(0.8, 0.9, 10)],
        slices={
            "difficulty": {"mid": SliceScores(40, 20, 0.6, 0.7, (0.6, 0.8)), "hard": SliceScores(21, 1, 0.6, None, None)},
            "part": {},
            "parts": {},
            "jpeg_table": {},
            "size": {},
        },
        perturbed={"jpeg_50": PerturbedScores(0.65, (0.6, 0.7), 0.6, 0.07)},
        argmax_rule=ArgmaxScores(0.55, MATRIX),
        localization=None,
        valid_localization=None,
    )
    return replace(scores, **changes)


def localization(accuracy: float = 0.7, *, beats_constant_map: bool = True, beats_mean_map: bool = True) -> LocalizationScores:
    """Of evidence that is in the replaced part so often."""
    return LocalizationScores(
        fakes=40,
        parts=dict.fromkeys(PARTS, PartScores(18, 22, 0.66, (0.55, 0.77))),
        pairs=130,
        within_photo_accuracy=accuracy,
        interval=(accuracy - 0.1, accuracy + 0.1),
        constant_map_accuracy=0.5,
        mean_map_accuracy=0.52,
        over_mean_map=Difference(accuracy - 0.52, (accuracy - 0.62, accuracy - 0.42)),
        beats_constant_map=beats_constant_map,
        beats_mean_map=beats_mean_map,
        real_photos=60,
        threshold=0.012,
        false_positive_rate=0.35,
        false_positive_rate_interval=(0.25, 0.45),
    )


def baseline(
    accuracy: float = 0.5, auc: float = 0.5, accuracy_interval: Interval = (0.45, 0.55), auc_interval: Interval = (0.5, 0.5)
) -> BaselineScores:
    return BaselineScores(accuracy, auc, AccuracyAndAucIntervals(accuracy_interval, auc_interval))


def scores(ce: ModelScores | None = None, bce: ModelScores | None = None, **changes: Any) -> Scores:
    shift = ModelShift(0.7, 0.7, 0.75)
    made = Scores(
        data="sample",
        pairs_across_sides=0,
        test_images=1300,
        test_groups=245,
        resamples=1000,
        threshold="half",
        ce=ce or model(),
        bce=bce or model(),
        baselines=dict.fromkeys(BASELINE_LABELS, baseline()),
        comparison=Comparison(Difference(0.0, (0.0, 0.0)), Difference(0.0, (0.0, 0.0)), McNemar(0, 0, 1.0), "They are level."),
        shift=Shift({"train": 0.5, "valid": 0.5, "test": 0.5}, shift, shift, "Valid has the same mix."),
        elsewhere=Elsewhere(None, 0, 0, 0, None, None, NOT_MEASURED),
    )
    return replace(made, **changes)
