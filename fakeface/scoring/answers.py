"""How often a model commits itself to real or fake, and how often it is wrong when it does."""

from collections.abc import Mapping

import numpy as np

from fakeface.core.records import ANSWER_NAMES, LABEL_NAMES, Answer, Side
from fakeface.detector import Answers
from fakeface.scoring.intervals import interval
from fakeface.scoring.predictions import SidePredictions
from fakeface.scoring.results import AnswerScores, BandScores
from fakeface.scoring.scores import Labels, Probabilities, Weights, coverage, error, point_estimate


def band_scores(
    band: Answers, sides: Mapping[Side, SidePredictions], web_p_fake: Probabilities, weights: Mapping[Side, Weights]
) -> BandScores:
    """Of the valid images, on which the band was chosen, of the test images, and of these by their p_fake after the web."""
    valid, test = sides["valid"], sides["test"]
    return BandScores(
        max_error=band.max_error,
        real_below=band.real_below,
        fake_from=band.fake_from,
        valid=answer_scores(band, valid.labels, valid.p_fake, weights["valid"]),
        test=answer_scores(band, test.labels, test.p_fake, weights["test"]),
        web=answer_scores(band, test.labels, web_p_fake, weights["test"]),
    )


def answer_scores(band: Answers, labels: Labels, p_fake: Probabilities, weights: Weights) -> dict[Answer, AnswerScores]:
    """Coverage and error of each answer to images with these labels (N,) and p_fake (N,); `weights` (B, N)."""
    answers = np.array([band.answer(value) for value in p_fake.tolist()])
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
