"""How far a score might be off by chance: 95 % intervals from resampling whole groups of related images."""

from collections.abc import Sequence

import numpy as np

from fakeface.scoring.results import Interval
from fakeface.scoring.scores import Values, Weights

PERCENTILES = (2.5, 97.5)


def resample(groups: Sequence[str], count: int, seed: int) -> Weights:
    """Draw as many groups as there are, with replacement, `count` times: weights (count, N) (Efron & Tibshirani 1993).

    The images of a group come together, as related images are right or wrong together; so a resample's size and its
    share of fakes vary. Groups are drawn in the order of their names: the same for any order of the images.
    """
    names, group_of = np.unique(np.array(groups), return_inverse=True)
    times = np.random.default_rng(seed).multinomial(len(names), np.full(len(names), 1 / len(names)), size=count)
    return np.asarray(times[:, group_of], dtype=np.int64)


def interval(values: Values) -> Interval:
    """The percentile interval of a score (B,); resamples where it is undefined, nan, are left out."""
    defined = values[~np.isnan(values)]
    if not len(defined):
        return None
    low, high = np.percentile(defined, PERCENTILES)
    return float(low), float(high)
