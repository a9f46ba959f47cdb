"""How often a model commits itself to real or fake, and how often it is wrong when it does."""

from collections.abc import Mapping

import numpy as np

from fakeface.core.records import ANSWER_NAMES, LABEL_NAMES, Answer, Side
from fakeface.detector import Answers, is_novel
from fakeface.scoring.intervals import interval
from fakeface.scoring.predictions import PerturbedPredictions, SidePredictions
from fakeface.scoring.results import AnswerScores, BandScores, Score
from fakeface.scoring.scores import Labels, Novelty, Probabilities, Weights, coverage, error, point_estimate


def band_scores(
    band: Answers, sides: Mapping[Side, SidePredictions], web: PerturbedPredictions, weights: Mapping[Side, Weights]
) -> BandScores:
    """Of the valid images, on which the band was chosen, of the test images, and of these by what they are after the web."""
    valid, test = sides["valid"], sides["test"]
    return BandScores(
        max_error=band.max_error,
        real_below=band.real_below,
        fake_from=band.fake_from,
        valid=answer_scores(band, valid.labels, valid.p_fake, valid.novelty, weights["valid"]),
        test=answer_scores(band, test.labels, test.p_fake, test.novelty, weights["test"]),
        web=answer_scores(band, test.labels, web.p_fake, web.novelty, weights["test"]),
        valid_novel=novel_share(valid.novelty),
        test_novel=novel_share(test.novelty),
        web_novel=novel_share(web.novelty),
    )


def novel_share(novelty: Novelty) -> Score:
    """The share of images (N,) unlike those that the model learned from; None where it cannot tell, or there are no images."""
    return float(np.mean(_are_novel(novelty))) if len(novelty) and not np.isnan(novelty).any() else None


def answer_scores(
    band: Answers, labels: Labels, p_fake: Probabilities, novelty: Novelty, weights: Weights
) -> dict[Answer, AnswerScores]:
    """Coverage and error of each answer to images with these labels, p_fake and novelty (N,); `weights` (B, N)."""
    pairs = zip(p_fake.tolist(), _are_novel(novelty), strict=True)
    answers = np.array([band.answer(value, novel=novel) for value, novel in pairs])
    found = {}
    for answer in ANSWER_NAMES:
        given = answers == answer
        wrong = (labels != LABEL_NAMES.index(answer)).astype(np.int64) if answer in LABEL_NAMES else None
        found[answer] = AnswerScores(
            images=int(given.sum()),
            coverage=point_estimate(coverage, labels, given),
            coverage_interval=interval(coverage(labels, given, weights)),
            error=None if wrong is None else point_estimate(error, wrong, given),
            error_interval=None if wrong is None else interval(error(wrong, given, weights)),
        )
    return found


def _are_novel(novelty: Novelty) -> list[bool]:
    return [is_novel(value) for value in novelty.tolist()]
