"""How often a photo that is no composite and comes from elsewhere than the data is called fake: what a stranger meets first."""

from collections.abc import Mapping

import numpy as np

from fakeface.core.records import ANSWER_NAMES, MODEL_LABELS, OBJECTIVE_NAMES, REAL, ObjectiveName, ThresholdName
from fakeface.scoring.answers import answer_scores, novel_share
from fakeface.scoring.intervals import interval, resample
from fakeface.scoring.predictions import Card, ElsewherePredictions
from fakeface.scoring.results import DataName, Elsewhere, ElsewhereScores
from fakeface.scoring.scores import Novelty, Probabilities, Weights, false_positive_rate, point_estimate

PHOTOS: dict[DataName, str] = {
    "sample": "pictures from elsewhere, drawn by the project and none of them a composite",
    "photos": "photos from elsewhere, none of them a composite",
}
NOT_MEASURED = "On photos from elsewhere nothing is measured: elsewhere.root in params.yaml names no folder."


def score_elsewhere(
    found: ElsewherePredictions | None, cards: Mapping[ObjectiveName, Card], threshold: ThresholdName, resamples: int, seed: int
) -> Elsewhere:
    """Both models' shares of the faces; those of a photo are drawn together."""
    if found is None:
        return Elsewhere(None, 0, 0, 0, None, None, NOT_MEASURED)
    weights = resample(found.photo_of_face, resamples, seed)
    models = {
        name: face_scores(found.p_fake[name], found.novelty[name], cards[name], threshold, weights) for name in OBJECTIVE_NAMES
    }
    faces = len(found.photo_of_face)
    sentence = elsewhere_sentence(found, models)
    return Elsewhere(found.data, found.photos, found.without_face, faces, **models, sentence=sentence)


def face_scores(
    p_fake: Probabilities, novelty: Novelty, card: Card, threshold: ThresholdName, weights: Weights
) -> ElsewhereScores:
    """Of faces (N,), all real; `weights` (B, N)."""
    labels = np.full(len(p_fake), REAL, dtype=np.int64)
    verdicts = p_fake >= card.thresholds[threshold]
    return ElsewhereScores(
        false_positive_rate=point_estimate(false_positive_rate, labels, verdicts),
        false_positive_rate_interval=interval(false_positive_rate(labels, verdicts, weights)),
        answers=answer_scores(card.answers, labels, p_fake, novelty, weights),
        novel=novel_share(novelty),
    )


def elsewhere_sentence(found: ElsewherePredictions, models: Mapping[ObjectiveName, ElsewhereScores]) -> str:
    """What share is called fake, with its interval, and of what; and how many get which of three answers."""
    faces = f"{len(found.photo_of_face):,} faces in {found.photos:,} {PHOTOS[found.data]}"
    shares = [f"{MODEL_LABELS[name]} calls {_percent(scores)}" for name, scores in models.items()]
    answers = [f"{MODEL_LABELS[name]} calls {_of_three(scores)}" for name, scores in models.items()]
    return f"Of {faces}, {' and '.join(shares)}. Where a model may also say neither, {', '.join(answers)}."


def _of_three(scores: ElsewhereScores) -> str:
    shares = {answer: scores.answers[answer].coverage for answer in reversed(ANSWER_NAMES) if answer != "real"}
    return " and ".join(f"{share:.1%} {answer}".replace("%", " %") for answer, share in shares.items() if share is not None)


def _percent(scores: ElsewhereScores) -> str:
    share, ends = scores.false_positive_rate, scores.false_positive_rate_interval
    if share is None or ends is None:
        return "an unknown share fake"
    low, high = ends
    return f"{100 * share:.1f} % fake (95 % interval {100 * low:.1f} to {100 * high:.1f} %)"
