"""Two models on the same images, one model on two sides: whether a difference means anything, in numbers and in a sentence."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fakeface.core.records import FAKE, SHORT_NAMES, Side, SplitRecord
from fakeface.scoring import intervals, scores
from fakeface.scoring.intervals import Weights
from fakeface.scoring.scores import Labels, Probabilities, Verdicts

SIGNIFICANT = 0.05


def comparison(
    labels: Labels, p_fake: Mapping[str, Probabilities], verdicts: Mapping[str, Verdicts], weights: Weights
) -> dict[str, Any]:
    """CE's scores less BCE's, with the interval of the difference on the same resamples, and McNemar's test."""
    found: dict[str, Any] = {}
    for name, judged in (("accuracy", verdicts), ("roc_auc", p_fake)):
        score, resampled = getattr(scores, name), intervals.SCORES[name]
        difference = resampled(labels, judged["ce"], weights) - resampled(labels, judged["bce"], weights)
        found[name] = {
            "difference": score(labels, judged["ce"]) - score(labels, judged["bce"]),
            "interval": intervals.interval(difference),
        }
    right = {objective: verdict == labels for objective, verdict in verdicts.items()}
    only_ce, only_bce, p_value = intervals.mcnemar(right["ce"], right["bce"])
    found["mcnemar"] = {"only_ce_right": only_ce, "only_bce_right": only_bce, "p_value": p_value}
    return found | {"sentence": comparison_sentence(found, len(labels))}


def comparison_sentence(found: Mapping[str, Any], images: int) -> str:
    """Who is ahead, by how much, and whether that is more than chance."""
    auc, accuracy, p_value = found["roc_auc"], found["accuracy"], found["mcnemar"]["p_value"]
    one, other, sign = ("bce", "ce", -1) if auc["difference"] < 0 else ("ce", "bce", 1)
    low, high = sorted(sign * end for end in auc["interval"])
    in_auc, in_accuracy = _standing(sign * auc["difference"]), _standing(sign * accuracy["difference"])
    if in_auc == "level":
        in_auc = f"level with {SHORT_NAMES[other]}"
    if in_auc.startswith("ahead"):
        in_accuracy = in_accuracy.removeprefix("ahead by ")
    name = SHORT_NAMES[one][0].upper() + SHORT_NAMES[one][1:]
    p = "p < 0.01" if p_value < 0.01 else f"p = {p_value:.2f}"
    return (
        f"{name} is {in_auc} in AUC (95 % interval {low:z.3f} to {high:z.3f}) and {in_accuracy} in accuracy; "
        f"McNemar {p}: on these {images} images {_verdict(found)}."
    )


def _standing(difference: float) -> str:
    if f"{abs(difference):.3f}" == "0.000":
        return "level"
    return f"ahead by {difference:.3f}" if difference > 0 else f"behind by {-difference:.3f}"


def _verdict(found: Mapping[str, Any]) -> str:
    in_auc = _without_zero(found["roc_auc"]["interval"])
    # McNemar's test does not know that related images are right or wrong together; the interval does.
    in_accuracy = found["mcnemar"]["p_value"] < SIGNIFICANT and _without_zero(found["accuracy"]["interval"])
    if in_auc and in_accuracy:
        return "the difference is more than chance"
    if in_auc:
        return "the difference in AUC is more than chance, that in accuracy is not"
    if in_accuracy:
        return "the difference in accuracy is more than chance, that in AUC is not"
    return "the difference means nothing"


def _without_zero(interval: list[float]) -> bool:
    return interval[0] > 0 or interval[1] < 0


def shift(images: Mapping[Side, Sequence[SplitRecord]], verdicts: Mapping[str, Mapping[Side, Verdicts]]) -> dict[str, Any]:
    """What valid's other mix of real images and difficulties does to accuracy; `verdicts` by model and side."""
    labels = {side: np.array([image.label for image in found], dtype=np.int64) for side, found in images.items()}
    fake_share = {side: float((labels[side] == FAKE).mean()) for side in ("train", "valid", "test")}
    found = {
        objective: {
            "valid_accuracy": scores.accuracy(labels["valid"], of_side["valid"]),
            "valid_accuracy_with_test_mix": reweighted_accuracy(images["valid"], of_side["valid"], images["test"]),
            "test_accuracy": scores.accuracy(labels["test"], of_side["test"]),
        }
        for objective, of_side in verdicts.items()
    }
    return {"fake_share": fake_share} | found | {"sentence": shift_sentence(fake_share, found)}


def reweighted_accuracy(images: Sequence[SplitRecord], verdicts: Verdicts, others: Sequence[SplitRecord]) -> float | None:
    """The accuracy on `images` if each stratum, real or a difficulty, had its share of `others`; None where one is missing."""
    right = Counter(_stratum(image) for image, verdict in zip(images, verdicts, strict=True) if image.label == verdict)
    all_, wanted = Counter(map(_stratum, images)), Counter(map(_stratum, others))
    if not wanted.keys() <= all_.keys():
        return None
    return sum(count * right[stratum] / all_[stratum] for stratum, count in wanted.items()) / len(others)


def shift_sentence(fake_share: Mapping[str, float], found: Mapping[str, Mapping[str, float | None]]) -> str:
    """What the sides' mix alone makes of the accuracy at threshold 0.5."""
    sides = f"Of valid's images {100 * fake_share['valid']:.0f} % are fakes, of test's {100 * fake_share['test']:.0f} %"
    if any(of_model["valid_accuracy_with_test_mix"] is None for of_model in found.values()):
        return f"{sides}; some of test's difficulties are not on valid, so the two accuracies cannot be compared."
    parts = [
        f"{of_model['valid_accuracy_with_test_mix']:.3f} instead of {of_model['valid_accuracy']:.3f} "
        f"for {SHORT_NAMES[objective]} (on test {of_model['test_accuracy']:.3f})"
        for objective, of_model in found.items()
    ]
    return (
        f"{sides}; with test's mix of real images and difficulties, accuracy on valid at threshold 0.5 would be "
        f"{' and '.join(parts)}."
    )


def _stratum(image: SplitRecord) -> tuple[int, str]:
    return image.label, image.difficulty
