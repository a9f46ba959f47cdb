"""Calibration on the valid images: a temperature, so that p_fake is a probability, thresholds, and where no answer is given.

`labels` (N,) 0 real, 1 fake; `p_fake` (N,) in [0, 1].
"""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import expit, logit

from fakeface.core.records import FAKE, REAL, ThresholdName
from fakeface.detector import Answers

Labels = NDArray[np.int64]
Probabilities = NDArray[np.float64]
Distances = NDArray[np.float64]

HALF = 0.5
FALSE_ALARMS = 0.05
"""The largest share of real images that the operating point `few_false_alarms` may call fake."""
NOVEL = 0.01
"""The share of valid images of which one branch says that they are unlike what it learned from."""
LEAST_LIMIT = 1e-6
TEMPERATURES = (0.05, 20.0)
"""The range that is searched."""
CERTAIN = 1e-12
"""p_fake is kept this far from 0 and 1, whose log-odds are infinite."""
NEVER = float(np.nextafter(1, 2))
"""A threshold that no p_fake reaches, 1 included."""
NONE_BELOW = 0.0
"""A threshold that no p_fake is below."""


def fit_temperature(labels: Labels, p_fake: Probabilities) -> float:
    """The divisor of log-odds with the least log loss (Guo et al., "On calibration of modern neural networks", ICML 2017)."""
    margins = logit(np.clip(p_fake, CERTAIN, 1 - CERTAIN)) * np.where(labels == FAKE, 1, -1)

    def negative_log_likelihood(log_temperature: float) -> float:
        return float(np.logaddexp(0, -margins / np.exp(log_temperature)).mean())

    return float(np.exp(minimize_scalar(negative_log_likelihood, bounds=np.log(TEMPERATURES), method="bounded").x))


def apply_temperature(p_fake: Probabilities, temperature: float) -> Probabilities:
    """p_fake with its log-odds divided by the temperature."""
    return np.asarray(expit(logit(np.clip(p_fake, CERTAIN, 1 - CERTAIN)) / temperature))


def choose_thresholds(labels: Labels, p_fake: Probabilities) -> dict[ThresholdName, float]:
    """A threshold per operating point; each lies midway between the p_fake of two images, or is NEVER.

    `balanced_accuracy`: the one with the highest mean of both classes' recall; among equals the one nearest to 0.5.
    `few_false_alarms`: the lowest at which at most FALSE_ALARMS of the real images are called fake.
    """
    steps = np.unique(np.concatenate([[0.0], p_fake, [1.0]]))
    candidates = np.append((steps[1:] + steps[:-1]) / 2, NEVER)
    false_alarms = _share_at_or_above(p_fake[labels == REAL], candidates)
    balanced = (_share_at_or_above(p_fake[labels == FAKE], candidates) + 1 - false_alarms) / 2
    best = np.flatnonzero(np.isclose(balanced, balanced.max()))
    nearest = best[np.abs(candidates[best] - HALF).argmin()]
    lowest = np.argmax(false_alarms <= FALSE_ALARMS)
    return {
        "half": HALF,
        "balanced_accuracy": float(candidates[nearest]),
        "few_false_alarms": float(candidates[lowest]),
    }


def choose_answers(labels: Labels, p_fake: Probabilities, max_error: float) -> Answers:
    """The narrowest band around 0.5 outside which, on either side, at most the share `max_error` of the answers is wrong.

    The ends are found apart: `fake_from` is the lowest p_fake of at least 0.5, `real_below` the highest of at most 0.5, each
    0.5 or midway between the p_fake of two images. Where none will do, `fake_from` is NEVER or `real_below` NONE_BELOW: no
    image gets that answer. The shares are of images mixed as these are: where fakes are rarer, more of "fake" is wrong.
    """
    steps = np.unique(p_fake)
    between = (steps[1:] + steps[:-1]) / 2
    from_half_up = [HALF, *between[between > HALF]]
    from_half_down = [HALF, *between[between < HALF][::-1]]
    return Answers(
        max_error,
        real_below=next((float(cut) for cut in from_half_down if _holds(labels[p_fake < cut], REAL, max_error)), NONE_BELOW),
        fake_from=next((float(cut) for cut in from_half_up if _holds(labels[p_fake >= cut], FAKE, max_error)), NEVER),
    )


def novelty_limits(distances: Distances) -> list[float]:
    """For each branch the distance (N, B) that NOVEL of the images exceed."""
    return [max(float(limit), LEAST_LIMIT) for limit in np.quantile(distances, 1 - NOVEL, axis=0)]


def _holds(labels: Labels, answer: int, max_error: float) -> bool:
    """Whether an answer to images with these labels is wrong for at most that share of them; not if there are none."""
    return len(labels) > 0 and bool((labels != answer).mean() <= max_error)


def _share_at_or_above(p_fake: Probabilities, candidates: Probabilities) -> Probabilities:
    """For each candidate threshold, the share of images whose p_fake reaches it."""
    return (len(p_fake) - np.searchsorted(np.sort(p_fake), candidates, side="left")) / len(p_fake)
