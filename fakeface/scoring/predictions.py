"""Both models' predictions as arrays, joined to the images' records and checked against them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fakeface.core.errors import FakefaceError
from fakeface.core.files import read_json, read_rows
from fakeface.core.records import (
    OBJECTIVE_NAMES,
    THRESHOLD_NAMES,
    ObjectiveName,
    PerturbedRecord,
    PredictionRecord,
    Side,
    SplitRecord,
    ThresholdName,
)
from fakeface.detector import CARD_FILE
from fakeface.scoring.scores import Labels, Probabilities, Verdicts

SCORED_SIDES: tuple[Side, ...] = ("train", "valid", "test")


@dataclass(frozen=True)
class SidePredictions:
    """One model's predictions for the images of one side; all arrays are (N,), in the order of the images' records.

    `p_fake` is calibrated, `raw_p_fake` is not; `argmax_verdicts` are the notebook's: fake where output 1 is the larger.
    """

    labels: Labels
    p_fake: Probabilities
    raw_p_fake: Probabilities
    argmax_verdicts: Verdicts


class Card(NamedTuple):
    """The temperature and thresholds that `train` chose on the valid images."""

    temperature: float
    thresholds: dict[ThresholdName, float]


def load_images(split: Path) -> dict[Side, list[SplitRecord]]:
    """Each side's images in the order of their paths, so that no result depends on the order of rows."""
    records = sorted(read_rows(split, SplitRecord), key=lambda record: record.path)
    return {side: [record for record in records if record.side == side] for side in (*SCORED_SIDES, "excluded")}


def load_predictions(
    path: Path, images: Mapping[Side, Sequence[SplitRecord]]
) -> dict[ObjectiveName, dict[Side, SidePredictions]]:
    """Each model's predictions for each side.

    Raises:
        FakefaceError: the file is not about these images, or a p_fake is no probability.
    """
    rows: dict[Side, list[PredictionRecord]] = {side: [] for side in SCORED_SIDES}
    for row in sorted(read_rows(path, PredictionRecord), key=lambda row: row.path):
        rows.setdefault(row.side, []).append(row)
    expected = [(record.path, record.side, record.label) for side in SCORED_SIDES for record in images[side]]
    _check_same(path, expected, [(row.path, row.side, row.label) for members in rows.values() for row in members])
    return {
        objective: {side: _side_predictions(path, objective, rows[side]) for side in SCORED_SIDES}
        for objective in OBJECTIVE_NAMES
    }


def load_perturbed(path: Path, test: Sequence[SplitRecord]) -> dict[ObjectiveName, dict[str, Probabilities]]:
    """Each model's p_fake (N,) of the test images under each perturbation, in the file's order of perturbations.

    Raises:
        FakefaceError: a perturbation is not of these images, or a p_fake is no probability.
    """
    rows: dict[str, list[PerturbedRecord]] = {}
    for row in read_rows(path, PerturbedRecord):
        rows.setdefault(row.perturbation, []).append(row)
    for members in rows.values():
        members.sort(key=lambda row: row.path)
        _check_same(path, [(record.path,) for record in test], [(row.path,) for row in members])
    return {
        objective: {name: _p_fake(path, f"{objective}_p_fake", members) for name, members in rows.items()}
        for objective in OBJECTIVE_NAMES
    }


def load_card(folder: Path) -> Card:
    """Raises FakefaceError where the model's card has no temperature or thresholds."""
    card = read_json(folder / CARD_FILE)
    try:
        return Card(float(card["temperature"]), {name: float(card["thresholds"][name]) for name in THRESHOLD_NAMES})
    except (KeyError, TypeError, ValueError):
        raise FakefaceError(f"{folder / CARD_FILE}: no temperature and thresholds: train again") from None


def _side_predictions(path: Path, objective: str, rows: Sequence[PredictionRecord]) -> SidePredictions:
    raw_p_fake = _p_fake(path, f"{objective}_raw_p_fake", rows)
    # CE's p_fake is the softmax of the two outputs, of which the larger has more than half.
    argmax = np.array([row.bce_argmax for row in rows], dtype=bool) if objective == "bce" else raw_p_fake > 0.5
    labels = np.array([row.label for row in rows], dtype=np.int64)
    return SidePredictions(labels, _p_fake(path, f"{objective}_p_fake", rows), raw_p_fake, argmax)


def _p_fake(path: Path, column: str, rows: Sequence[PredictionRecord] | Sequence[PerturbedRecord]) -> Probabilities:
    values = np.array([getattr(row, column) for row in rows], dtype=np.float64)
    wrong = np.flatnonzero(~((values >= 0) & (values <= 1)))
    if len(wrong):
        raise FakefaceError(f"{path}: {column} of {rows[wrong[0]].path}: {values[wrong[0]]}: expected 0 to 1")
    return values


def _check_same(path: Path, expected: Sequence[tuple[Any, ...]], actual: Sequence[tuple[Any, ...]]) -> None:
    """Compare tuples of facts about an image, its path first."""
    if expected != actual:
        differing = (Counter(expected) - Counter(actual)) + (Counter(actual) - Counter(expected))
        raise FakefaceError(f"{path}: {min(differing)[0]}: not as in the split: run `infer` again")
