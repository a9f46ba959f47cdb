"""Score both classifiers, on all sides and on slices of the test images, as distributed and as the web leaves them.

reads   SPLIT, PREDICTIONS, PERTURBED, EVIDENCE, ELSEWHERE, FACES, the pairs in RELATIONS, SPLIT_COUNTS, INDEX_COUNTS,
        ELSEWHERE_COUNTS, each model.json in MODELS; params.yaml: loss, threshold, evaluate
does    scores with 95 % intervals over groups of related images; compares the two models with each other, with baselines that
        see no face, on slices, on perturbed images, and on valid with test; composites with the very photos they are made
        from, and a composite's replaced parts with its untouched ones; how often photos from elsewhere are called fake
writes  METRICS: evaluate.json, the candidate's headline; scores.json, everything; plots/*.csv, the tables that DVC plots
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Annotated, Any

from fakeface.core.arguments import ParamsPath, parse_paths
from fakeface.core.errors import FakefaceError, run_as_command
from fakeface.core.files import read_json, write_json, write_rows
from fakeface.core.records import LABEL_NAMES, OBJECTIVE_NAMES, ObjectiveName, Side, SplitRecord, ThresholdName
from fakeface.params import EvaluateParams, load_params
from fakeface.scoring.baselines import Faces, baseline_scores
from fakeface.scoring.comparison import compare_models, shift
from fakeface.scoring.elsewhere import score_elsewhere
from fakeface.scoring.evaluation import OUT_OF_TRAINING, model_scores
from fakeface.scoring.intervals import resample
from fakeface.scoring.predictions import (
    Card,
    ElsewherePredictions,
    LinkedPairs,
    PartEvidence,
    PerturbedPredictions,
    SidePredictions,
    load_card,
    load_elsewhere,
    load_evidence,
    load_faces,
    load_images,
    load_linked_pairs,
    load_perturbed,
    load_predictions,
)
from fakeface.scoring.results import DataName, Scores
from fakeface.scoring.scores import roc_curve
from fakeface.scoring.slices import slices


@dataclasses.dataclass(frozen=True)
class Paths:
    split: Annotated[Path, "CSV to read: every image's side and group"]
    split_counts: Annotated[Path, "JSON to read: the number of related pairs across sides"]
    index_counts: Annotated[Path, "JSON to read: whether the photos are the drawn sample"]
    models: Annotated[Path, "folder to read ce/model.json and bce/model.json from"]
    predictions: Annotated[Path, "CSV to read: every image's p_fake by both models"]
    perturbed: Annotated[Path, "CSV to read: the perturbed test and valid images' p_fake by both models"]
    evidence: Annotated[Path, "CSV to read: the evidence of the models that give it in each part of valid and test images"]
    elsewhere: Annotated[Path, "CSV to read: both models' p_fake of each face in the photos from elsewhere"]
    elsewhere_counts: Annotated[Path, "JSON to read: whether those are drawn ones"]
    faces: Annotated[Path, "CSV to read: where the face is in each image"]
    relations: Annotated[Path, "folder to read pairs.csv from"]
    metrics: Annotated[Path, "folder to write evaluate.json, scores.json and plots/ to"]
    params: ParamsPath = Path("params.yaml")


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


@dataclasses.dataclass(frozen=True)
class Inputs:
    """The results of the stages before `evaluate`; arrays are in the order of each side's `images`."""

    images: Mapping[Side, Sequence[SplitRecord]]
    predictions: Mapping[ObjectiveName, Mapping[Side, SidePredictions]]
    perturbed: Mapping[ObjectiveName, Mapping[Side, Mapping[str, PerturbedPredictions]]]
    pairs: Mapping[Side, LinkedPairs]
    evidence: Mapping[ObjectiveName, Mapping[Side, PartEvidence | None]]
    faces: Faces
    cards: Mapping[ObjectiveName, Card]
    elsewhere: ElsewherePredictions | None
    data: DataName
    pairs_across_sides: int


def score_models(inputs: Inputs, threshold: ThresholdName, params: EvaluateParams) -> Scores:
    """Both models' scores, the baselines', and what the differences mean."""
    images, predictions = inputs.images, inputs.predictions
    test = images["test"]
    weights = {
        side: resample([image.group for image in images[side]], params.resamples, params.seed) for side in OUT_OF_TRAINING
    }
    masks = slices(test, [image for side in images.values() for image in side])
    models = {
        objective: model_scores(
            predictions[objective],
            inputs.perturbed[objective],
            inputs.pairs,
            inputs.evidence[objective],
            masks,
            inputs.cards[objective],
            threshold,
            weights,
        )
        for objective in OBJECTIVE_NAMES
    }
    p_fake = {objective: sides["test"].p_fake for objective, sides in predictions.items()}
    verdicts = {name: p_fake[name] >= inputs.cards[name].thresholds[threshold] for name in OBJECTIVE_NAMES}
    verdicts_at_half = {
        objective: {name: side.p_fake >= 0.5 for name, side in sides.items()} for objective, sides in predictions.items()
    }
    return Scores(
        data=inputs.data,
        pairs_across_sides=inputs.pairs_across_sides,
        test_images=len(test),
        test_groups=len({image.group for image in test}),
        resamples=params.resamples,
        threshold=threshold,
        **models,
        baselines=baseline_scores(images["train"], test, inputs.faces, weights["test"]),
        comparison=compare_models(predictions["ce"]["test"].labels, p_fake, verdicts, weights["test"]),
        shift=shift(images, verdicts_at_half),
        elsewhere=score_elsewhere(inputs.elsewhere, inputs.cards, threshold, params.resamples, params.seed),
    )


def headline(scores: Scores, loss: ObjectiveName) -> dict[str, Any]:
    """The candidate's scores of the test images, how it does on valid, and what they were computed from."""
    model = scores.models[loss]
    about = {"loss": loss, "data": scores.data, "test_images": scores.test_images}
    pairs = {"linked_pairs": model.linked_pairs.pairs, "valid_linked_pairs": model.valid_linked_pairs.pairs}
    return (
        about
        | model.headline("test")
        | model.answered()
        | {"elsewhere_false_positive_rate": scores.elsewhere.false_positive_rate(loss)}
        | {"same_table_roc_auc": model.same_table.value}
        | {"valid_pairwise_accuracy": model.valid_linked_pairs.pairwise_accuracy, "train_valid_gap": model.train_valid_gap}
        | pairs
        | {"pairs_across_sides": scores.pairs_across_sides}
    )


def roc_points(test: Mapping[ObjectiveName, SidePredictions]) -> Iterator[RocRecord]:
    for objective, side in test.items():
        yield from (RocRecord(objective, *point) for point in roc_curve(side.labels, side.p_fake))


def reliability_bins(scores: Scores) -> Iterator[ReliabilityRecord]:
    for objective, model in scores.models.items():
        yield from (ReliabilityRecord(objective, **dataclasses.asdict(bin_)) for bin_ in model.reliability)


def named_verdicts(side: SidePredictions, threshold: float) -> Iterator[ConfusionRecord]:
    for label, p_fake in zip(side.labels, side.p_fake, strict=True):
        yield ConfusionRecord(LABEL_NAMES[label], LABEL_NAMES[int(p_fake >= threshold)])


def write_plots(folder: Path, test: Mapping[ObjectiveName, SidePredictions], scores: Scores) -> None:
    """The tables that DVC plots, of each model's test images."""
    write_rows(folder / "roc.csv", RocRecord, roc_points(test))
    write_rows(folder / "reliability.csv", ReliabilityRecord, reliability_bins(scores))
    for objective, side in test.items():
        verdicts = named_verdicts(side, scores.operating_point(objective).threshold)
        write_rows(folder / f"confusion_{objective}.csv", ConfusionRecord, verdicts)


def read_inputs(paths: Paths) -> Inputs:
    images = load_images(paths.split)
    return Inputs(
        images,
        load_predictions(paths.predictions, images),
        load_perturbed(paths.perturbed, images),
        {side: load_linked_pairs(paths.relations / "pairs.csv", images[side]) for side in OUT_OF_TRAINING},
        load_evidence(paths.evidence, images),
        load_faces(paths.faces, images),
        {objective: load_card(paths.models / objective) for objective in OBJECTIVE_NAMES},
        load_elsewhere(paths.elsewhere, data_name(paths.elsewhere_counts)),
        data_name(paths.index_counts),
        _count(paths.split_counts, "related", "pairs_across_sides"),
    )


def data_name(counts: Path) -> DataName:
    """By what an earlier stage found out about the photos that it counted."""
    return "sample" if _count(counts, "is_sample") else "photos"


def _count(path: Path, *keys: str) -> int:
    """An earlier stage's count, under keys within keys."""
    try:
        return int(reduce(getitem, keys, read_json(path)))
    except (KeyError, TypeError, ValueError):
        raise FakefaceError(f"{path}: {'.'.join(keys)}: missing: run `dvc repro`") from None


def run(paths: Paths, loss: ObjectiveName, threshold: ThresholdName, params: EvaluateParams) -> None:
    inputs = read_inputs(paths)
    scores = score_models(inputs, threshold, params)
    write_json(paths.metrics / "evaluate.json", headline(scores, loss))
    write_json(paths.metrics / "scores.json", dataclasses.asdict(scores))
    test = {objective: sides["test"] for objective, sides in inputs.predictions.items()}
    write_plots(paths.metrics / "plots", test, scores)


def main(argv: list[str]) -> None:
    paths = parse_paths(Paths, argv)
    loss: ObjectiveName = load_params(paths.params, "loss", ObjectiveName)  # type: ignore[arg-type]
    threshold: ThresholdName = load_params(paths.params, "threshold", ThresholdName)  # type: ignore[arg-type]
    run(paths, loss, threshold, load_params(paths.params, "evaluate", EvaluateParams))


if __name__ == "__main__":
    run_as_command(main)
