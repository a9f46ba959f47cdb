"""Whether a model's evidence lies in the parts of a fake that were replaced, or where it always lies."""

import numpy as np

from fakeface.core.records import FAKE, PARTS, REAL
from fakeface.scoring import scores
from fakeface.scoring.comparison import difference
from fakeface.scoring.intervals import interval
from fakeface.scoring.predictions import PartEvidence
from fakeface.scoring.results import Estimate, Interval, LocalizationScores, PartScores, Score
from fakeface.scoring.scores import Labels, PartValues, Values, Weights, point_estimate


def localization_scores(labels: Labels, evidence: PartEvidence, weights: Weights) -> LocalizationScores:
    """Of one side's images: `labels` (N,), `weights` (B, N)."""
    share = evidence.replaced.mean(axis=1)
    partial = (labels == FAKE) & (share > 0) & (share < 1)
    reals = (labels == REAL) & ~np.isnan(evidence.values).all(axis=1)
    values, of_partial = evidence.values[partial], weights[:, partial]
    replaced = evidence.replaced[partial].astype(np.int64)
    accuracy = scores.within_photo_accuracy
    within_photo = interval(accuracy(replaced, values, of_partial))
    over_mean_map = difference(accuracy, replaced, values, mean_map(values), of_partial)
    threshold = median(values[replaced == 1])
    false_alarms = false_positives(evidence.values[reals], threshold, weights[:, reals])
    return LocalizationScores(
        fakes=len(values),
        parts={name: part_scores(replaced[:, part], values[:, part], of_partial) for part, name in enumerate(PARTS)},
        pairs=int(scores.part_pairs(replaced, values).sum()),
        within_photo_accuracy=point_estimate(accuracy, replaced, values),
        interval=within_photo,
        constant_map_accuracy=point_estimate(accuracy, replaced, np.where(np.isnan(values), np.nan, 0)),
        mean_map_accuracy=point_estimate(accuracy, replaced, mean_map(values)),
        over_mean_map=over_mean_map,
        beats_constant_map=lies_above(within_photo, 0.5),
        beats_mean_map=lies_above(over_mean_map.interval, 0),
        real_photos=int(reals.sum()),
        threshold=threshold,
        false_positive_rate=false_alarms.value,
        false_positive_rate_interval=false_alarms.interval,
    )


def part_scores(replaced: Labels, values: Values, weights: Weights) -> PartScores:
    """Of one part's evidence (N,), nan in fakes that do not show it; `replaced` (N,) are 1 or 0."""
    seen = ~np.isnan(values)
    replaced, values, weights = replaced[seen], values[seen], weights[:, seen]
    return PartScores(
        replaced=int((replaced == 1).sum()),
        untouched=int((replaced == 0).sum()),
        roc_auc=point_estimate(scores.roc_auc, replaced, values),
        roc_auc_interval=interval(scores.roc_auc(replaced, values, weights)) if len(values) else None,
    )


def mean_map(values: PartValues) -> PartValues:
    """Each part's mean over the images that show it, in each of those images, (N, 4)."""
    seen = ~np.isnan(values)
    means = np.nan_to_num(values).sum(axis=0) / np.maximum(seen.sum(axis=0), 1)
    return np.where(seen, means, np.nan)


def median(values: Values) -> Score:
    """Of those that are not nan."""
    seen = values[~np.isnan(values)]
    return float(np.median(seen)) if len(seen) else None


def false_positives(values: PartValues, threshold: Score, weights: Weights) -> Estimate:
    """The share of real photos (N, 4) in which some part has more than the threshold, which the interval takes as given."""
    if threshold is None:
        return Estimate(None, None)
    labels, above = np.full(len(values), REAL), np.any(values > threshold, axis=1)
    formula = scores.false_positive_rate
    return Estimate(point_estimate(formula, labels, above), interval(formula(labels, above, weights)))


def lies_above(ends: Interval, value: float) -> bool:
    """Whether the whole interval does."""
    return ends is not None and ends[0] > value
