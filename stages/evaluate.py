"""Score both classifiers, on all sides and on what the test images differ in.

reads   SPLIT, PREDICTIONS, PERTURBED, SPLIT_COUNTS, INDEX_COUNTS, the cards in MODELS; params.yaml: loss, threshold, evaluate
does    scores with 95 % intervals over groups of related images; the two models against each other, against what files alone
        tell, on slices, on perturbed images, and on valid against test
writes  METRICS: evaluate.json, the candidate's headline; scores.json, everything; plots/*.csv, the tables that DVC draws
"""

import argparse
import dataclasses
from collections.abc import Mapping, Sequence
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import Field
from pydantic.dataclasses import dataclass

from fakeface.core.errors import FakefaceError, run_as_command
from fakeface.core.files import read_json, write_json, write_rows
from fakeface.core.params import STRICT, load_params
from fakeface.core.records import FAKE, LABEL_NAMES, OBJECTIVE_NAMES, ObjectiveName, Side, SplitRecord, ThresholdName
from fakeface.scoring import intervals, scores
from fakeface.scoring.baselines import baseline_scores
from fakeface.scoring.comparison import comparison, shift
from fakeface.scoring.intervals import Weights
from fakeface.scoring.predictions import JUDGED_SIDES, Card, Judged, load_card, load_images, load_perturbed, load_predictions
from fakeface.scoring.scores import Labels, Probabilities
from fakeface.scoring.slices import Mask, slices


@dataclass(frozen=True, kw_only=True, config=STRICT)
class EvaluateParams:
    """Section `evaluate`."""

    seed: int = Field(ge=0)
    resamples: int = Field(ge=100)


@dataclasses.dataclass(frozen=True)
class RocRecord:
    """One point of one model's ROC curve."""

    objective: str
    false_positive_rate: float
    true_positive_rate: float


@dataclasses.dataclass(frozen=True)
class ConfusionRecord:
    """One test image's label and verdict by name, for DVC's confusion plot."""

    label: str
    verdict: str


@dataclasses.dataclass(frozen=True)
class ReliabilityRecord:
    """One bin of p_fake: its mean, and the share of fakes among its test images."""

    objective: str
    p_fake: float
    fake_share: float
    images: int


class Paths(NamedTuple):
    split: Path
    split_counts: Path
    index_counts: Path
    models: Path
    predictions: Path
    perturbed: Path
    metrics: Path


def model_scores(
    sides: Mapping[Side, Judged],
    perturbed: Mapping[str, Probabilities],
    masks: Mapping[str, Mapping[str, Mask]],
    card: Card,
    chosen: ThresholdName,
    weights: Weights,
) -> dict[str, Any]:
    """Everything about one model; verdicts are those of the threshold `chosen`, argmax_rule is the notebook's."""
    test, threshold = sides["test"], card.thresholds[chosen]
    verdicts = test.p_fake >= threshold
    return {
        "temperature": card.temperature,
        **{
            side: {"images": len(sides[side].labels)}
            | scores.all_scores(sides[side].labels, sides[side].p_fake, sides[side].p_fake >= threshold)
            for side in JUDGED_SIDES
        },
        "intervals": intervals.all_intervals(test.labels, test.p_fake, verdicts, weights),
        "confusion_matrix": scores.confusion_matrix(test.labels, verdicts),
        "thresholds": {name: threshold_scores(sides["valid"], test, at) for name, at in card.thresholds.items()},
        "uncalibrated": {
            "brier": scores.brier(test.labels, test.raw_p_fake),
            "ece": scores.ece(test.labels, test.raw_p_fake),
        },
        "reliability": [
            {"p_fake": mean, "fake_share": share, "images": images}
            for mean, share, images in scores.reliability(test.labels, test.p_fake)
        ],
        "slices": {
            dimension: {name: slice_scores(test.labels, test.p_fake, threshold, mask, weights) for name, mask in named.items()}
            for dimension, named in masks.items()
        },
        "perturbed": {name: perturbed_scores(test.labels, p_fake, threshold, weights) for name, p_fake in perturbed.items()},
        "argmax_rule": {
            "accuracy": scores.accuracy(test.labels, test.argmax_verdicts),
            "confusion_matrix": scores.confusion_matrix(test.labels, test.argmax_verdicts),
        },
    }


def threshold_scores(valid: Judged, test: Judged, threshold: float) -> dict[str, Any]:
    """What a threshold chosen on valid gives there, and on test."""
    verdicts = test.p_fake >= threshold
    return {
        "threshold": threshold,
        "valid_accuracy": scores.accuracy(valid.labels, valid.p_fake >= threshold),
        "accuracy": scores.accuracy(test.labels, verdicts),
        "balanced_accuracy": scores.balanced_accuracy(test.labels, verdicts),
        "recall": scores.recall(test.labels, verdicts),
        "false_positive_rate": scores.false_positive_rate(test.labels, verdicts),
        "confusion_matrix": scores.confusion_matrix(test.labels, verdicts),
    }


def slice_scores(labels: Labels, p_fake: Probabilities, threshold: float, mask: Mask, weights: Weights) -> dict[str, Any]:
    inside, inside_p_fake = labels[mask], p_fake[mask]
    return {
        "images": len(inside),
        "fakes": int((inside == FAKE).sum()),
        "recall": scores.recall(inside, inside_p_fake >= threshold),
        "roc_auc": scores.roc_auc(inside, inside_p_fake),
        "roc_auc_interval": intervals.interval(intervals.roc_auc(inside, inside_p_fake, weights[:, mask])),
    }


def perturbed_scores(labels: Labels, p_fake: Probabilities, threshold: float, weights: Weights) -> dict[str, Any]:
    return {
        "roc_auc": scores.roc_auc(labels, p_fake),
        "roc_auc_interval": intervals.interval(intervals.roc_auc(labels, p_fake, weights)),
        "accuracy": scores.accuracy(labels, p_fake >= threshold),
    }


def all_scores(
    images: Mapping[Side, Sequence[SplitRecord]],
    judged: Mapping[str, Mapping[Side, Judged]],
    perturbed: Mapping[str, Mapping[str, Probabilities]],
    cards: Mapping[str, Card],
    chosen: ThresholdName,
    params: EvaluateParams,
) -> dict[str, Any]:
    """Both models' scores, the baselines', and what the differences mean."""
    test = images["test"]
    labels = judged["ce"]["test"].labels
    weights = intervals.resample([image.group for image in test], params.resamples, params.seed)
    masks = slices(test, [image for side in images.values() for image in side])
    p_fake = {objective: sides["test"].p_fake for objective, sides in judged.items()}
    verdicts = {objective: p_fake[objective] >= cards[objective].thresholds[chosen] for objective in judged}
    return {
        "test_images": len(test),
        "test_groups": len({image.group for image in test}),
        "resamples": params.resamples,
        "threshold": chosen,
        **{
            objective: model_scores(sides, perturbed[objective], masks, cards[objective], chosen, weights)
            for objective, sides in judged.items()
        },
        "baselines": baseline_scores(images["train"], test, weights),
        "comparison": comparison(labels, p_fake, verdicts, weights),
        "shift": shift(
            images,
            {objective: {side: of.p_fake >= 0.5 for side, of in sides.items()} for objective, sides in judged.items()},
        ),
    }


def write_plots(folder: Path, judged: Mapping[str, Judged], found: Mapping[str, Any]) -> None:
    """The tables that DVC draws, of each model's test images."""
    points = [
        RocRecord(objective, *point) for objective, of in judged.items() for point in scores.roc_curve(of.labels, of.p_fake)
    ]
    write_rows(folder / "roc.csv", RocRecord, points)
    bins = [ReliabilityRecord(objective, **of_bin) for objective in judged for of_bin in found[objective]["reliability"]]
    write_rows(folder / "reliability.csv", ReliabilityRecord, bins)
    for objective, of in judged.items():
        threshold = found[objective]["thresholds"][found["threshold"]]["threshold"]
        verdicts = (of.p_fake >= threshold).astype(int)
        rows = (
            ConfusionRecord(LABEL_NAMES[label], LABEL_NAMES[verdict])
            for label, verdict in zip(of.labels, verdicts, strict=True)
        )
        write_rows(folder / f"confusion_{objective}.csv", ConfusionRecord, rows)


def run(paths: Paths, loss: ObjectiveName, threshold: ThresholdName, params: EvaluateParams) -> None:
    images = load_images(paths.split)
    judged = load_predictions(paths.predictions, images)
    perturbed = load_perturbed(paths.perturbed, images["test"])
    cards = {objective: load_card(paths.models / objective) for objective in OBJECTIVE_NAMES}
    data = "sample" if _count(paths.index_counts, "is_sample") else "photos"
    pairs = _count(paths.split_counts, "related", "pairs_across_sides")
    found = all_scores(images, judged, perturbed, cards, threshold, params)
    headline = {name: found[loss]["test"][name] for name in scores.HEADLINE}
    about = {"loss": loss, "data": data, "test_images": found["test_images"]}
    write_json(paths.metrics / "evaluate.json", about | headline | {"pairs_across_sides": pairs})
    write_json(paths.metrics / "scores.json", {"data": data, "pairs_across_sides": pairs} | found)
    write_plots(paths.metrics / "plots", {objective: sides["test"] for objective, sides in judged.items()}, found)


def _count(path: Path, *keys: str) -> int:
    """What an earlier stage counted, under keys within keys."""
    try:
        return int(reduce(getitem, keys, read_json(path)))
    except (KeyError, TypeError, ValueError):
        raise FakefaceError(f"{path}: {'.'.join(keys)}: missing: run `dvc repro`") from None


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m stages.evaluate", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--split", type=Path, required=True, help="CSV to read: every image's side and group")
    parser.add_argument("--split-counts", type=Path, required=True, help="JSON to read: related pairs across sides")
    parser.add_argument(
        "--index-counts", type=Path, required=True, help="JSON to read: whether the photos are the drawn sample"
    )
    parser.add_argument("--models", type=Path, required=True, help="folder to read ce and bce's model.json of")
    parser.add_argument("--predictions", type=Path, required=True, help="CSV to read: every image's p_fake by both models")
    parser.add_argument("--perturbed", type=Path, required=True, help="CSV to read: the same of test images, changed")
    parser.add_argument("--metrics", type=Path, required=True, help="folder to write evaluate.json, scores.json and plots/ to")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="YAML to read loss, threshold and evaluate of")
    arguments = vars(parser.parse_args(argv))
    params: Path = arguments.pop("params")
    loss: ObjectiveName = load_params(params, "loss", ObjectiveName)  # type: ignore[arg-type]
    threshold: ThresholdName = load_params(params, "threshold", ThresholdName)  # type: ignore[arg-type]
    run(Paths(**arguments), loss, threshold, load_params(params, "evaluate", EvaluateParams))


if __name__ == "__main__":
    run_as_command(main)
