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
    PARTS,
    THRESHOLD_NAMES,
    WEB,
    ElsewhereRecord,
    EvidenceRecord,
    FaceRecord,
    ObjectiveName,
    PairRecord,
    PerturbedRecord,
    PredictionRecord,
    Side,
    SplitRecord,
    ThresholdName,
)
from fakeface.detector import CARD_FILE, Answers, read_answers
from fakeface.scoring.results import DataName
from fakeface.scoring.scores import Labels, Novelty, PartValues, Positions, Probabilities, Verdicts

Rows = Sequence[PredictionRecord] | Sequence[PerturbedRecord] | Sequence[ElsewhereRecord]
SCORED_SIDES: tuple[Side, ...] = ("train", "valid", "test")
PERTURBED_SIDES: tuple[Side, ...] = ("valid", "test")


@dataclass(frozen=True)
class SidePredictions:
    """One model's predictions for the images of one side; all arrays are (N,), in the order of the images' records.

    `p_fake` is calibrated, `raw_p_fake` is not; `argmax_verdicts` are the notebook's: fake where output 1 is the larger.
    `novelty` is nan of a model that cannot tell how unlike an image is to those that it learned from.
    """

    labels: Labels
    p_fake: Probabilities
    raw_p_fake: Probabilities
    argmax_verdicts: Verdicts
    novelty: Novelty


class PerturbedPredictions(NamedTuple):
    """One model's `p_fake` and `novelty` of one side's images under one perturbation, as in SidePredictions."""

    p_fake: Probabilities
    novelty: Novelty


class LinkedPairs(NamedTuple):
    """Pairs of a real photo and a composite made from it, in `groups` of related images.

    `positions` (P, 2) are those of both among their side's images, the real one's first.
    """

    positions: Positions
    groups: int


class PartEvidence(NamedTuple):
    """One model's evidence in the parts of one side's images, and whether they are replaced; both (N, 4), a column per PARTS.

    `values` are nan where the model's crop does not show the part; `replaced` is 1 or 0, nan where it is not known.
    """

    values: PartValues
    replaced: PartValues


class ElsewherePredictions(NamedTuple):
    """Both models' `p_fake` and `novelty` (N,) of the faces in photos from elsewhere, with the path of each face's photo.

    `photos` of them could be judged, `without_face` of these have none.
    """

    data: DataName
    photos: int
    without_face: int
    photo_of_face: list[str]
    p_fake: dict[ObjectiveName, Probabilities]
    novelty: dict[ObjectiveName, Novelty]


class Card(NamedTuple):
    """The temperature, the thresholds and the band between answers that `train` chose on the valid images."""

    temperature: float
    thresholds: dict[ThresholdName, float]
    answers: Answers


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


def load_perturbed(
    path: Path, images: Mapping[Side, Sequence[SplitRecord]]
) -> dict[ObjectiveName, dict[Side, dict[str, PerturbedPredictions]]]:
    """Each model's predictions for the valid and test images under each perturbation of theirs, WEB first.

    Raises:
        FakefaceError: a perturbation is not of these images, WEB is missing, or a p_fake is no probability.
    """
    side_of = {record.path: side for side in PERTURBED_SIDES for record in images[side]}
    rows: dict[Side, dict[str, list[PerturbedRecord]]] = {side: {WEB: []} for side in PERTURBED_SIDES}
    for row in read_rows(path, PerturbedRecord):
        rows[side_of.get(row.path, "test")].setdefault(row.perturbation, []).append(row)
    for side, perturbations in rows.items():
        for members in perturbations.values():
            members.sort(key=lambda row: row.path)
            _check_same(path, [(record.path,) for record in images[side]], [(row.path,) for row in members])
    return {
        objective: {
            side: {
                name: PerturbedPredictions(_p_fake(path, f"{objective}_p_fake", members), _novelty(objective, members))
                for name, members in perturbations.items()
            }
            for side, perturbations in rows.items()
        }
        for objective in OBJECTIVE_NAMES
    }


def load_evidence(
    path: Path, images: Mapping[Side, Sequence[SplitRecord]]
) -> dict[ObjectiveName, dict[Side, PartEvidence | None]]:
    """Each model's evidence in the parts of the valid and test images, None of a model that gives none.

    Raises:
        FakefaceError: a model has rows that are not one for each of these images.
    """
    rows = sorted(read_rows(path, EvidenceRecord), key=lambda row: row.path)
    by_objective = {objective: [row for row in rows if row.objective == objective] for objective in OBJECTIVE_NAMES}
    expected = sorted((record.path,) for side in PERTURBED_SIDES for record in images[side])
    for members in filter(None, by_objective.values()):
        _check_same(path, expected, [(row.path,) for row in members])
    return {
        objective: {side: _part_evidence(members, images[side]) if members else None for side in PERTURBED_SIDES}
        for objective, members in by_objective.items()
    }


def load_elsewhere(path: Path, data: DataName) -> ElsewherePredictions | None:
    """None where there are no rows, as no photos from elsewhere are named. Raises FakefaceError for a p_fake that is none."""
    rows = sorted(read_rows(path, ElsewhereRecord), key=lambda row: (row.path, row.face))
    faces = [row for row in rows if row.face]
    if not faces:
        return None
    p_fake = {objective: _p_fake(path, f"{objective}_p_fake", faces) for objective in OBJECTIVE_NAMES}
    photos, without_face = len({row.path for row in rows}), len(rows) - len(faces)
    novelty = {objective: _novelty(objective, faces) for objective in OBJECTIVE_NAMES}
    return ElsewherePredictions(data, photos, without_face, [row.path for row in faces], p_fake, novelty)


def load_faces(path: Path, images: Mapping[Side, Sequence[SplitRecord]]) -> dict[str, FaceRecord]:
    """The largest face of each train, valid and test image, by path. Raises FakefaceError where an image has no row."""
    faces = {row.path: row for row in read_rows(path, FaceRecord)}
    missing = [record.path for side in SCORED_SIDES for record in images[side] if record.path not in faces]
    if missing:
        raise FakefaceError(f"{path}: {min(missing)}: missing: run `find_faces` again")
    return faces


def load_linked_pairs(path: Path, images: Sequence[SplitRecord]) -> LinkedPairs:
    """Related pairs of a real and a fake image among those of one side, as RELATIONS/pairs.csv has them, each pair once."""
    positions = {record.path: position for position, record in enumerate(images)}
    pairs = set()
    for row in read_rows(path, PairRecord):
        both = [positions[name] for name in (row.path_a, row.path_b) if name in positions]
        if len(both) == 2 and images[both[0]].label != images[both[1]].label:
            pairs.add(tuple(sorted(both, key=lambda position: images[position].label)))
    groups = {images[real].group for real, _ in pairs}
    return LinkedPairs(np.array(sorted(pairs), dtype=np.int64).reshape(-1, 2), len(groups))


def load_card(folder: Path) -> Card:
    """Raises FakefaceError where the model's card lacks one of them."""
    path = folder / CARD_FILE
    card = read_json(path)
    try:
        thresholds: dict[ThresholdName, float] = {name: float(card["thresholds"][name]) for name in THRESHOLD_NAMES}
        return Card(float(card["temperature"]), thresholds, read_answers(card["answers"], path))
    except (AttributeError, KeyError, TypeError, ValueError):
        raise FakefaceError(f"{path}: no temperature, thresholds and answers: train again") from None


def _side_predictions(path: Path, objective: str, rows: Sequence[PredictionRecord]) -> SidePredictions:
    raw_p_fake = _p_fake(path, f"{objective}_raw_p_fake", rows)
    # CE's p_fake is the softmax of the two outputs, of which the larger has more than half.
    argmax = np.array([row.bce_argmax for row in rows], dtype=bool) if objective == "bce" else raw_p_fake > 0.5
    labels = np.array([row.label for row in rows], dtype=np.int64)
    return SidePredictions(labels, _p_fake(path, f"{objective}_p_fake", rows), raw_p_fake, argmax, _novelty(objective, rows))


def _part_evidence(rows: Sequence[EvidenceRecord], images: Sequence[SplitRecord]) -> PartEvidence:
    by_path = {row.path: row for row in rows}
    return PartEvidence(_by_part([by_path[image.path] for image in images]), _by_part(images))


def _by_part(rows: Sequence[EvidenceRecord] | Sequence[SplitRecord]) -> PartValues:
    """A row's values of PARTS, (N, 4), nan for None."""
    return np.array([[getattr(row, part) for part in PARTS] for row in rows], dtype=np.float64).reshape(-1, len(PARTS))


def _novelty(objective: str, rows: Rows) -> Novelty:
    return np.array([getattr(row, f"{objective}_novelty") for row in rows], dtype=np.float64)


def _p_fake(path: Path, column: str, rows: Rows) -> Probabilities:
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
