"""From what a network says to probabilities and verdicts: a temperature and thresholds, chosen on valid images only.

`labels` (N,) 0 real, 1 fake; `p_fake` (N,) in [0, 1].
"""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import expit, logit

from fakeface.core.records import FAKE, REAL, ThresholdName

Labels = NDArray[np.int64]
Probabilities = NDArray[np.float64]

HALF = 0.5
FALSE_ALARMS = 0.05
"""The share of real images that may be called fake by `few_false_alarms`."""
TEMPERATURES = (0.05, 20.0)
CERTAIN = 1e-12
NEVER = float(np.nextafter(1, 2))
"""A threshold that no p_fake reaches, 1 included."""


def fitted_temperature(labels: Labels, p_fake: Probabilities) -> float:
    """What log-odds are divided by to be likeliest (Guo et al., "On calibration of modern neural networks", ICML 2017)."""
    margins = logit(np.clip(p_fake, CERTAIN, 1 - CERTAIN)) * np.where(labels == FAKE, 1, -1)

    def negative_log_likelihood(log_temperature: float) -> float:
        return float(np.logaddexp(0, -margins / np.exp(log_temperature)).mean())

    return float(np.exp(minimize_scalar(negative_log_likelihood, bounds=np.log(TEMPERATURES), method="bounded").x))


def tempered(p_fake: Probabilities, temperature: float) -> Probabilities:
    """The probabilities whose log-odds are those of `p_fake` divided by the temperature."""
    return np.asarray(expit(logit(np.clip(p_fake, CERTAIN, 1 - CERTAIN)) / temperature))


def chosen_thresholds(labels: Labels, p_fake: Probabilities) -> dict[ThresholdName, float]:
    """From which p_fake on an image is called fake, by goal; each lies midway between two images' p_fake, or is NEVER.

    `balanced_accuracy`: the mean of both classes' shares of right verdicts is highest; of equals the one nearest to 0.5.
    `few_false_alarms`: the lowest at which at most FALSE_ALARMS of the real images are called fake.
    """
    steps = np.unique(np.concatenate([[0.0], p_fake, [1.0]]))
    candidates = np.append((steps[1:] + steps[:-1]) / 2, NEVER)
    false_alarms = _share_from(p_fake[labels == REAL], candidates)
    balanced = (_share_from(p_fake[labels == FAKE], candidates) + 1 - false_alarms) / 2
    best = np.flatnonzero(np.isclose(balanced, balanced.max()))
    nearest = best[np.abs(candidates[best] - HALF).argmin()]
    few = np.argmax(false_alarms <= FALSE_ALARMS)
    return {
        "half": HALF,
        "balanced_accuracy": float(candidates[nearest]),
        "few_false_alarms": float(candidates[few]),
    }


def _share_from(p_fake: Probabilities, candidates: Probabilities) -> Probabilities:
    """For each candidate the share of p_fake that reaches it."""
    return (len(p_fake) - np.searchsorted(np.sort(p_fake), candidates, side="left")) / len(p_fake)
