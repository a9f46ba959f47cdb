"""One model's predictions turned into all of its scores."""

from collections.abc import Mapping

from fakeface.core.records import FAKE, Side, ThresholdName
from fakeface.scoring import scores
from fakeface.scoring.intervals import interval
from fakeface.scoring.predictions import Card, SidePredictions
from fakeface.scoring.results import (
    ArgmaxScores,
    DimensionName,
    ModelScores,
    PerturbedScores,
    ScoreIntervals,
    SideScores,
    SliceScores,
    ThresholdScores,
    UncalibratedScores,
)
from fakeface.scoring.scores import Labels, Probabilities, Verdicts, Weights, point_estimate
from fakeface.scoring.slices import Mask


def model_scores(
    sides: Mapping[Side, SidePredictions],
    perturbed: Mapping[str, Probabilities],
    masks: Mapping[DimensionName, Mapping[str, Mask]],
    card: Card,
    threshold_name: ThresholdName,
    weights: Weights,
) -> ModelScores:
    """Everything about one model; `perturbed`, `masks` and `weights` are of the test images, as in `stages.evaluate`."""
    test, threshold = sides["test"], card.thresholds[threshold_name]
    verdicts = test.p_fake >= threshold
    train, valid, test_scores = (
        side_scores(side.labels, side.p_fake, side.p_fake >= threshold) for side in (sides["train"], sides["valid"], test)
    )
    return ModelScores(
        temperature=card.temperature,
        train=train,
        valid=valid,
        test=test_scores,
        intervals=score_intervals(test.labels, test.p_fake, verdicts, weights),
        confusion_matrix=scores.confusion_matrix(test.labels, verdicts),
        thresholds={name: threshold_scores(sides["valid"], test, value) for name, value in card.thresholds.items()},
        uncalibrated=UncalibratedScores(
            brier=point_estimate(scores.brier, test.labels, test.raw_p_fake),
            ece=point_estimate(scores.ece, test.labels, test.raw_p_fake),
        ),
        reliability=scores.reliability(test.labels, test.p_fake),
        slices={
            dimension: {
                name: slice_scores(test.labels[mask], test.p_fake[mask], threshold, weights[:, mask])
                for name, mask in named.items()
            }
            for dimension, named in masks.items()
        },
        perturbed={name: perturbed_scores(test.labels, p_fake, threshold, weights) for name, p_fake in perturbed.items()},
        argmax_rule=ArgmaxScores(
            accuracy=point_estimate(scores.accuracy, test.labels, test.argmax_verdicts),
            confusion_matrix=scores.confusion_matrix(test.labels, test.argmax_verdicts),
        ),
    )


def side_scores(labels: Labels, p_fake: Probabilities, verdicts: Verdicts) -> SideScores:
    values = scores.for_each_score(lambda formula, predictions: point_estimate(formula, labels, predictions), p_fake, verdicts)
    return SideScores(images=len(labels), **values)


def score_intervals(labels: Labels, p_fake: Probabilities, verdicts: Verdicts, weights: Weights) -> ScoreIntervals:
    return ScoreIntervals(
        **scores.for_each_score(lambda formula, predictions: interval(formula(labels, predictions, weights)), p_fake, verdicts)
    )


def threshold_scores(valid: SidePredictions, test: SidePredictions, threshold: float) -> ThresholdScores:
    verdicts = test.p_fake >= threshold
    return ThresholdScores(
        threshold=threshold,
        valid_accuracy=point_estimate(scores.accuracy, valid.labels, valid.p_fake >= threshold),
        accuracy=point_estimate(scores.accuracy, test.labels, verdicts),
        balanced_accuracy=point_estimate(scores.balanced_accuracy, test.labels, verdicts),
        recall=point_estimate(scores.recall, test.labels, verdicts),
        false_positive_rate=point_estimate(scores.false_positive_rate, test.labels, verdicts),
        confusion_matrix=scores.confusion_matrix(test.labels, verdicts),
    )


def slice_scores(labels: Labels, p_fake: Probabilities, threshold: float, weights: Weights) -> SliceScores:
    return SliceScores(
        images=len(labels),
        fakes=int((labels == FAKE).sum()),
        recall=point_estimate(scores.recall, labels, p_fake >= threshold),
        roc_auc=point_estimate(scores.roc_auc, labels, p_fake),
        roc_auc_interval=interval(scores.roc_auc(labels, p_fake, weights)),
    )


def perturbed_scores(labels: Labels, p_fake: Probabilities, threshold: float, weights: Weights) -> PerturbedScores:
    return PerturbedScores(
        roc_auc=point_estimate(scores.roc_auc, labels, p_fake),
        roc_auc_interval=interval(scores.roc_auc(labels, p_fake, weights)),
        accuracy=point_estimate(scores.accuracy, labels, p_fake >= threshold),
    )
