"""Rows of tables and figures: both models' scores on the same images, with a name in words."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from fakeface.core.records import PARTS, WEB, ObjectiveName, Side
from fakeface.scoring.results import (
    DimensionName,
    Interval,
    LocalizationScores,
    PerturbedScores,
    Score,
    Scores,
    SliceScores,
)

DIMENSION_LABELS: dict[DimensionName, str] = {
    "difficulty": "difficulty",
    "part": "replaced part",
    "parts": "number of replaced parts",
    "jpeg_table": "JPEG table",
    "size": "image size",
}
SLICE_LABELS: dict[DimensionName, dict[str, str]] = {
    "part": {"left_eye": "left eye", "right_eye": "right eye"},
    "parts": {"1": "1 part", "2": "2 parts", "3": "3 parts", "4": "4 parts"},
    "jpeg_table": {"same": "JPEG table of real photos", "other": "another JPEG table"},
}
PERTURBATION_LABELS = {
    "jpeg_95": "JPEG, quality 95",
    "jpeg_75": "JPEG, quality 75",
    "jpeg_50": "JPEG, quality 50",
    "half_size": "half the size",
    "blur": "blurred",
    "noise": "with noise",
    "web": "as the web leaves it",
}


@dataclass(frozen=True)
class Row:
    name: str
    models: Mapping[ObjectiveName, SliceScores | PerturbedScores]


class Counted(NamedTuple):
    """A score with its interval, and what it was counted on, in words."""

    value: Score
    interval: Interval
    counts: str


@dataclass(frozen=True)
class LocalizationRow:
    """A score of where the evidence lies, of each model that gives evidence."""

    name: str
    gloss: str
    models: Mapping[ObjectiveName, Counted]


def slice_rows(scores: Scores) -> dict[str, list[Row]]:
    """Each dimension's slices by its label; a dimension with a single slice says nothing and is left out."""
    return {
        label: [
            Row(
                SLICE_LABELS.get(dimension, {}).get(name, name),
                {objective: model.slices[dimension][name] for objective, model in scores.models.items()},
            )
            for name in scores.ce.slices[dimension]
        ]
        for dimension, label in DIMENSION_LABELS.items()
        if len(scores.ce.slices[dimension]) > 1
    }


def robustness_rows(scores: Scores) -> list[Row]:
    """The test images without a perturbation, as the web leaves them, and after each of the others."""
    perturbed = [
        Row(
            PERTURBATION_LABELS.get(name, name),
            {objective: model.perturbed[name] for objective, model in scores.models.items()},
        )
        for name in scores.ce.perturbed
    ]
    return [unperturbed_row(scores, "unchanged"), web_row(scores), *perturbed]


def localization_rows(scores: Scores) -> list[LocalizationRow]:
    """What says where the models' evidence lies; no rows where no model gives any."""
    test = {name: model.localization for name, model in scores.models.items() if model.localization}
    valid = {name: model.valid_localization for name, model in scores.models.items() if model.valid_localization}
    if not test:
        return []
    sides = [*within_photo_rows("test", test), *within_photo_rows("valid", valid)]
    return [*sides, *(part_row(part, test) for part in PARTS), false_positives_row(test)]


def within_photo_rows(side: Side, models: Mapping[ObjectiveName, LocalizationScores]) -> list[LocalizationRow]:
    """The share of pairs in which a model is right, and how far that is above the mean map's."""
    return [
        LocalizationRow(
            f"within a photo, {side}",
            "share of the pairs of a replaced and an untouched part of one fake whose replaced part has more evidence; "
            "a map that is the same everywhere has 0.5",
            {
                name: Counted(model.within_photo_accuracy, model.interval, f"{model.pairs:,} pairs in {model.fakes:,} fakes")
                for name, model in models.items()
            },
        ),
        LocalizationRow(
            f"above the mean map, {side}",
            "that share less the mean map's, which gives each part its mean evidence over all these fakes",
            {
                name: Counted(
                    model.over_mean_map.difference,
                    model.over_mean_map.interval,
                    f"mean map {model.mean_map_accuracy:.3f}" if model.mean_map_accuracy is not None else "no pairs",
                )
                for name, model in models.items()
            },
        ),
    ]


def part_row(part: str, models: Mapping[ObjectiveName, LocalizationScores]) -> LocalizationRow:
    parts = {name: model.parts[part] for name, model in models.items()}
    return LocalizationRow(
        f"AUC of the evidence in the {SLICE_LABELS['part'].get(part, part)}, test",
        "fakes in which it is replaced against fakes in which it is not",
        {
            name: Counted(scores.roc_auc, scores.roc_auc_interval, f"{scores.replaced:,} against {scores.untouched:,}")
            for name, scores in parts.items()
        },
    )


def false_positives_row(models: Mapping[ObjectiveName, LocalizationScores]) -> LocalizationRow:
    return LocalizationRow(
        "false positive rate, test",
        "share of the real photos in which some part has more evidence than half of the replaced parts",
        {
            name: Counted(model.false_positive_rate, model.false_positive_rate_interval, f"{model.real_photos:,} real photos")
            for name, model in models.items()
        },
    )


def web_row(scores: Scores) -> Row:
    """All test images, as the web leaves them."""
    return Row(
        PERTURBATION_LABELS[WEB],
        {
            objective: PerturbedScores(
                model.web.roc_auc, model.web.intervals.roc_auc, model.web.accuracy, model.answers.web_novel
            )
            for objective, model in scores.models.items()
        },
    )


def unperturbed_row(scores: Scores, name: str) -> Row:
    """All test images, unchanged."""
    return Row(
        name,
        {
            objective: PerturbedScores(
                model.test.roc_auc, model.intervals.roc_auc, model.test.accuracy, model.answers.test_novel
            )
            for objective, model in scores.models.items()
        },
    )
