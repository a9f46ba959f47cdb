"""A run's scores beside the published ones: whether another machine reproduces them."""

from fakeface.core.records import MODEL_LABELS
from fakeface.reporting.terminal import number
from fakeface.scoring.results import Estimate, ModelScores, Score, Scores


def published_lines(own: Scores, published: Scores, *, same_split: bool) -> list[str]:
    """A line per model, or one that says why the scores cannot be compared.

    `same_split` is whether both runs have the same images on the same sides: an equal `split_sha256` in metrics/split.json.
    """
    if not same_split:
        return ["The published scores are of other images or another split: they cannot be compared with these."]
    if own.threshold != published.threshold:
        return [f"The published verdicts are by threshold `{published.threshold}`: they cannot be compared with these."]
    return [
        f"{MODEL_LABELS[objective]}: {_comparison(model, published.models[objective])}"
        for objective, model in own.models.items()
    ]


def _comparison(own: ModelScores, published: ModelScores) -> str:
    accuracy, auc = published.estimate("accuracy"), published.estimate("roc_auc")
    places = _place(own.test.accuracy, accuracy), _place(own.test.roc_auc, auc)
    both = f"both {places[0]}".replace("interval", "intervals")
    conclusion = both if places[0] == places[1] else f"accuracy {places[0]}, AUC {places[1]}"
    return (
        f"accuracy {number(own.test.accuracy)}, AUC {number(own.test.roc_auc)}; "
        f"published {number(*accuracy)}, {number(*auc)}: {conclusion}"
    )


def _place(value: Score, published: Estimate) -> str:
    if value is None or published.interval is None:
        return "not comparable"
    low, high = published.interval
    return f"{'inside' if low <= value <= high else 'outside'} the published 95 % interval"
