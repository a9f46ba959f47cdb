"""One model's predictions turned into all of its scores."""

from collections.abc import Mapping

from fakeface.core.records import FAKE, WEB, Side, ThresholdName
from fakeface.scoring import scores
from fakeface.scoring.answers import band_scores, novel_share
from fakeface.scoring.comparison import difference
from fakeface.scoring.intervals import interval
from fakeface.scoring.localization import localization_scores
from fakeface.scoring.predictions import Card, LinkedPairs, PartEvidence, PerturbedPredictions, SidePredictions
from fakeface.scoring.results import (
    AccuracyAndAucIntervals,
    ArgmaxScores,
    DimensionName,
    LinkedPairScores,
    ModelScores,
    PerturbedScores,
    Score,
    ScoreIntervals,
    SideScores,
    SliceScores,
    ThresholdScores,
    UncalibratedScores,
    WebScores,
)
from fakeface.scoring.scores import Labels, Probabilities, Verdicts, Weights, point_estimate
from fakeface.scoring.slices import Mask

OUT_OF_TRAINING: tuple[Side, ...] = ("valid", "test")


def model_scores(
    sides: Mapping[Side, SidePredictions],
    perturbed: Mapping[Side, Mapping[str, PerturbedPredictions]],
    pairs: Mapping[Side, LinkedPairs],
    evidence: Mapping[Side, PartEvidence | None],
    masks: Mapping[DimensionName, Mapping[str, Mask]],
    card: Card,
    threshold_name: ThresholdName,
    weights_by_side: Mapping[Side, Weights],
) -> ModelScores:
    """Everything about one model; `masks` are of the test images, the rest is by side, as in `stages.evaluate`."""
    test, threshold = sides["test"], card.thresholds[threshold_name]
    weights = weights_by_side["test"]
    verdicts = test.p_fake >= threshold
    valid_web, web = (
        web_scores(sides[side].labels, sides[side].p_fake, perturbed[side][WEB].p_fake, threshold, weights_by_side[side])
        for side in OUT_OF_TRAINING
    )
    valid_linked_pairs, linked_pairs = (
        linked_pair_scores(pairs[side], sides[side].p_fake, weights_by_side[side]) for side in OUT_OF_TRAINING
    )
    valid_localization, localization = (
        None if (parts := evidence[side]) is None else localization_scores(sides[side].labels, parts, weights_by_side[side])
        for side in OUT_OF_TRAINING
    )
    train, valid, test_scores = (
        side_scores(side.labels, side.p_fake, side.p_fake >= threshold) for side in (sides["train"], sides["valid"], test)
    )
    return ModelScores(
        temperature=card.temperature,
        train=train,
        valid=valid,
        test=test_scores,
        intervals=score_intervals(test.labels, test.p_fake, verdicts, weights),
        web=web,
        valid_web=valid_web,
        linked_pairs=linked_pairs,
        valid_linked_pairs=valid_linked_pairs,
        train_valid_gap=gap(train.accuracy, valid.accuracy),
        confusion_matrix=scores.confusion_matrix(test.labels, verdicts),
        answers=band_scores(card.answers, sides, perturbed["test"][WEB], weights_by_side),
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
        perturbed={
            name: perturbed_scores(test.labels, predictions, threshold, weights)
            for name, predictions in perturbed["test"].items()
            if name != WEB
        },
        argmax_rule=ArgmaxScores(
            accuracy=point_estimate(scores.accuracy, test.labels, test.argmax_verdicts),
            confusion_matrix=scores.confusion_matrix(test.labels, test.argmax_verdicts),
        ),
        localization=localization,
        valid_localization=valid_localization,
    )


def side_scores(labels: Labels, p_fake: Probabilities, verdicts: Verdicts) -> SideScores:
    values = scores.for_each_score(lambda formula, predictions: point_estimate(formula, labels, predictions), p_fake, verdicts)
    return SideScores(images=len(labels), **values)


def score_intervals(labels: Labels, p_fake: Probabilities, verdicts: Verdicts, weights: Weights) -> ScoreIntervals:
    return ScoreIntervals(
        **scores.for_each_score(lambda formula, predictions: interval(formula(labels, predictions, weights)), p_fake, verdicts)
    )


def web_scores(
    labels: Labels, p_fake: Probabilities, web_p_fake: Probabilities, threshold: float, weights: Weights
) -> WebScores:
    """Scores by the p_fake (N,) of images as the web leaves them, and how far they fall short of those as distributed."""
    verdicts = web_p_fake >= threshold
    return WebScores(
        accuracy=point_estimate(scores.accuracy, labels, verdicts),
        roc_auc=point_estimate(scores.roc_auc, labels, web_p_fake),
        intervals=AccuracyAndAucIntervals(
            accuracy=interval(scores.accuracy(labels, verdicts, weights)),
            roc_auc=interval(scores.roc_auc(labels, web_p_fake, weights)),
        ),
        drop=difference(scores.roc_auc, labels, p_fake, web_p_fake, weights),
    )


def linked_pair_scores(pairs: LinkedPairs, p_fake: Probabilities, weights: Weights) -> LinkedPairScores:
    """How often a side's composites have a higher p_fake (N,) than the photos they are made from; `weights` (B, N)."""
    of_pairs = weights[:, pairs.positions[:, 1]]  # both images of a pair are in one group, and come equally often
    return LinkedPairScores(
        pairs=len(pairs.positions),
        groups=pairs.groups,
        pairwise_accuracy=point_estimate(scores.pairwise_accuracy, pairs.positions, p_fake),
        interval=interval(scores.pairwise_accuracy(pairs.positions, p_fake, of_pairs)),
    )


def gap(train: Score, valid: Score) -> Score:
    return None if train is None or valid is None else train - valid


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


def perturbed_scores(labels: Labels, predictions: PerturbedPredictions, threshold: float, weights: Weights) -> PerturbedScores:
    p_fake = predictions.p_fake
    return PerturbedScores(
        roc_auc=point_estimate(scores.roc_auc, labels, p_fake),
        roc_auc_interval=interval(scores.roc_auc(labels, p_fake, weights)),
        accuracy=point_estimate(scores.accuracy, labels, p_fake >= threshold),
        novel=novel_share(predictions.novelty),
    )
