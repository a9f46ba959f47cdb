"""Rows of tables and figures: both models' scores on the same images, with a name in words."""

from collections.abc import Mapping
from dataclasses import dataclass

from fakeface.core.records import WEB, ObjectiveName
from fakeface.scoring.results import DimensionName, PerturbedScores, Scores, SliceScores

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


def web_row(scores: Scores) -> Row:
    """All test images, as the web leaves them."""
    return Row(
        PERTURBATION_LABELS[WEB],
        {
            objective: PerturbedScores(model.web.roc_auc, model.web.intervals.roc_auc, model.web.accuracy)
            for objective, model in scores.models.items()
        },
    )


def unperturbed_row(scores: Scores, name: str) -> Row:
    """All test images, unchanged."""
    return Row(
        name,
        {
            objective: PerturbedScores(model.test.roc_auc, model.intervals.roc_auc, model.test.accuracy)
            for objective, model in scores.models.items()
        },
    )
