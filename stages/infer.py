"""Score every image with both classifiers, test images once more under each perturbation, valid images as the web leaves them.

reads   SPLIT, the side of each photo; the photos in data.root; MODELS/{ce,bce}; params.yaml: data
does    sees each photo as `fakeface predict` does, a perturbed one changed at full size before that; on all cores
writes  PREDICTIONS, a row per train, valid and test image in SPLIT's order; PERTURBED, a row per test image and
        perturbation, and per valid image under `web`; EVIDENCE, a row per valid and test image and model that gives evidence,
        what the parts of the face add to p_fake
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fakeface.core.arguments import ParamsPath, parse_paths
from fakeface.core.errors import run_as_command
from fakeface.core.files import read_rows, write_rows
from fakeface.core.parallel import on_all_machines
from fakeface.core.records import (
    OBJECTIVE_NAMES,
    WEB,
    EvidenceRecord,
    PerturbedRecord,
    PredictionRecord,
    Side,
    SplitRecord,
)
from fakeface.detector import Detector, Score, load_detectors, score_image
from fakeface.params import DataParams, load_params
from fakeface.photos.images import read_indexed
from fakeface.photos.perturbations import PERTURBATIONS


@dataclass(frozen=True)
class Paths:
    split: Annotated[Path, "CSV to read: every image's side"]
    models: Annotated[Path, "folder to read the model folders ce and bce from"]
    predictions: Annotated[Path, "CSV to write: both models' p_fake of every image"]
    perturbed: Annotated[Path, "CSV to write: both models' p_fake of perturbed test and valid images"]
    evidence: Annotated[Path, "CSV to write: the evidence of the models that give it in each part of valid and test images"]
    params: ParamsPath = Path("params.yaml")


class ImageScores(NamedTuple):
    """The rows of one image: its own, one per perturbation of its side, and one per model that gives evidence."""

    prediction: PredictionRecord
    perturbed: list[PerturbedRecord]
    evidence: list[EvidenceRecord]


def sigmoid(logit: float) -> float:
    """As scipy.special.expit, whose import takes as long as that of everything else here."""
    return (1 + math.tanh(logit / 2)) / 2


PERTURBATIONS_OF: dict[Side, tuple[str, ...]] = {"train": (), "valid": (WEB,), "test": tuple(PERTURBATIONS)}

RAW_P_FAKE: dict[str, Callable[[NDArray[np.float64]], float]] = {
    "ce": lambda logits: sigmoid(logits[1] - logits[0]),
    "bce": lambda logits: sigmoid(logits[1]),
}
"""What each loss makes of logits (2,) in training, where there is no temperature yet."""


def score_record(record: SplitRecord, root: Path, detectors: Mapping[str, Detector]) -> ImageScores:
    """Raises ImageError, also where the file is no longer the one indexed."""
    image = read_indexed(root / record.path, record.sha256)
    scores = score_image(image, detectors)
    ce, bce = scores["ce"], scores["bce"]
    prediction = PredictionRecord(
        path=record.path,
        side=record.side,
        label=record.label,
        ce_p_fake=ce.p_fake,
        bce_p_fake=bce.p_fake,
        ce_raw_p_fake=RAW_P_FAKE["ce"](ce.logits),
        bce_raw_p_fake=RAW_P_FAKE["bce"](bce.logits),
        bce_argmax=1 if bce.logits[1] > bce.logits[0] else 0,
    )
    evidence = evidence_rows(record.path, scores) if record.side != "train" else []
    perturbed = []
    for name in PERTURBATIONS_OF[record.side]:
        scores = score_image(PERTURBATIONS[name](image), detectors)
        perturbed.append(PerturbedRecord(record.path, name, scores["ce"].p_fake, scores["bce"].p_fake))
    return ImageScores(prediction, perturbed, evidence)


def evidence_rows(path: str, scores: Mapping[str, Score]) -> list[EvidenceRecord]:
    return [
        EvidenceRecord(path, objective, **parts)
        for objective in OBJECTIVE_NAMES
        if (parts := scores[objective].parts) is not None
    ]


def run(paths: Paths, root: Path) -> None:
    detectors = load_detectors(paths.models, threads=1)
    records = [record for record in read_rows(paths.split, SplitRecord) if record.side != "excluded"]
    images = list(on_all_machines(partial(score_record, root=root, detectors=detectors), records, "infer"))
    write_rows(paths.predictions, PredictionRecord, (image.prediction for image in images))
    write_rows(paths.perturbed, PerturbedRecord, (row for image in images for row in image.perturbed))
    write_rows(paths.evidence, EvidenceRecord, (row for image in images for row in image.evidence))


def main(argv: list[str]) -> None:
    paths = parse_paths(Paths, argv)
    run(paths, load_params(paths.params, "data", DataParams).root)


if __name__ == "__main__":
    run_as_command(main)
