"""Score every image with both classifiers, test images once more under each perturbation, valid images as the web leaves them.

reads   SPLIT, the side of each photo; the photos in data.root; ELSEWHERE_LISTING, the files in elsewhere.root, and
        those; MODELS/{ce,bce}; params.yaml: data, elsewhere
does    sees each photo as `fakeface predict` does, a perturbed one changed at full size before that, and of one from elsewhere
        each face; on all cores; a valid photo by the networks that have not seen it, where the models were refitted
writes  PREDICTIONS, a row per train, valid and test image in SPLIT's order; PERTURBED, a row per test image and
        perturbation, and per valid image under `web`; EVIDENCE, a row per valid and test image and model that gives evidence,
        what the parts of the face add to p_fake; ELSEWHERE, a row per face in a photo from elsewhere, and METRICS, counts of
        those
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fakeface.core.arguments import ParamsPath, parse_paths
from fakeface.core.console import printable
from fakeface.core.errors import FakefaceError, run_as_command
from fakeface.core.files import read_rows, write_json, write_rows
from fakeface.core.listing import FileRecord
from fakeface.core.parallel import on_all_machines
from fakeface.core.records import (
    OBJECTIVE_NAMES,
    WEB,
    ElsewhereRecord,
    EvidenceRecord,
    PerturbedRecord,
    PredictionRecord,
    RejectedRecord,
    Side,
    SplitRecord,
)
from fakeface.detector import Detector, Score, load_detectors, load_held_out, score_image
from fakeface.params import DataParams, ElsewhereParams, load_params
from fakeface.photos.folders import is_sample
from fakeface.photos.images import ImageError, read_indexed, read_unchanged
from fakeface.photos.perturbations import PERTURBATIONS
from fakeface.predictor import decode_photo, judge


@dataclass(frozen=True)
class Paths:
    split: Annotated[Path, "CSV to read: every image's side"]
    elsewhere_listing: Annotated[Path, "CSV to read: the files in elsewhere.root"]
    models: Annotated[Path, "folder to read the model folders ce and bce from"]
    predictions: Annotated[Path, "CSV to write: both models' p_fake of every image"]
    perturbed: Annotated[Path, "CSV to write: both models' p_fake of perturbed test and valid images"]
    evidence: Annotated[Path, "CSV to write: the evidence of the models that give it in each part of valid and test images"]
    elsewhere: Annotated[Path, "CSV to write: both models' p_fake of each face in the photos from elsewhere"]
    metrics: Annotated[Path, "JSON to write: counts of the photos from elsewhere"]
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

NOTHING_FROM_ELSEWHERE = {"photos": 0, "without_face": 0, "faces": 0, "rejected": 0}


def score_record(
    record: SplitRecord, root: Path, detectors: Mapping[str, Detector], held_out: Mapping[str, Detector]
) -> ImageScores:
    """By the detectors; of a valid image by those `held_out`, which have not seen it.

    Raises:
        ImageError: the image cannot be read, or the file is no longer the one indexed.
    """
    image = read_indexed(root / record.path, record.sha256)
    detectors = held_out if record.side == "valid" else detectors
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
        ce_novelty=ce.novelty,
        bce_novelty=bce.novelty,
    )
    evidence = evidence_rows(record.path, scores) if record.side != "train" else []
    perturbed = []
    for name in PERTURBATIONS_OF[record.side]:
        scores = score_image(PERTURBATIONS[name](image), detectors)
        perturbed.append(PerturbedRecord(record.path, name, *p_fake_and_novelty(scores)))
    return ImageScores(prediction, perturbed, evidence)


def p_fake_and_novelty(scores: Mapping[str, Score]) -> tuple[float, float, float | None, float | None]:
    """Both models' p_fake, then both models' novelty, as rows have them."""
    ce, bce = (scores[name] for name in OBJECTIVE_NAMES)
    return ce.p_fake, bce.p_fake, ce.novelty, bce.novelty


def evidence_rows(path: str, scores: Mapping[str, Score]) -> list[EvidenceRecord]:
    return [
        EvidenceRecord(path, objective, **parts)
        for objective in OBJECTIVE_NAMES
        if (parts := scores[objective].parts) is not None
    ]


def judge_file(file: FileRecord, root: Path, detectors: Mapping[str, Detector]) -> list[ElsewhereRecord] | RejectedRecord:
    """A row per face as `fakeface predict` finds and judges them, one of a photo without; or why the file cannot be used.

    Raises:
        ImageError: it is not the file listed any more.
    """
    if file.reason:
        return RejectedRecord(file.path, file.reason)
    data = read_unchanged(root / file.path, file.sha256)
    try:
        faces = judge(decode_photo(data, file.path), detectors)
    except ImageError as error:
        return RejectedRecord(file.path, error.reason)
    if not faces:
        return [ElsewhereRecord(file.path, 0, None, None, None, None)]
    return [
        ElsewhereRecord(file.path, face.number, *p_fake_and_novelty({name: of.score for name, of in face.verdicts.items()}))
        for face in faces
    ]


def judge_elsewhere(
    files: Sequence[FileRecord], root: Path, detectors: Mapping[str, Detector]
) -> tuple[list[ElsewhereRecord], dict[str, int]]:
    """The rows of the photos in elsewhere.root, and counts of them. Raises FakefaceError where there is no face in any."""
    judged = list(on_all_machines(partial(judge_file, root=root, detectors=detectors), files, "infer elsewhere"))
    rejected = [file for file in judged if isinstance(file, RejectedRecord)]
    rows = [row for of_photo in judged if not isinstance(of_photo, RejectedRecord) for row in of_photo]
    without_face = sum(not row.face for row in rows)
    photos, faces = len(judged) - len(rejected), len(rows) - without_face
    told = f"{faces:,} faces in {photos:,} photos, {len(rejected):,} files cannot be used"
    reasons = [printable(f"{file.path}: {file.reason}") for file in rejected[:3]]
    if not faces:
        raise FakefaceError(f"{root}: elsewhere.root should name photos of faces: {'; '.join([told, *reasons])}")
    print("\n  ".join([f"from elsewhere: {told}", *reasons]))
    return rows, {"photos": photos, "without_face": without_face, "faces": faces, "rejected": len(rejected)}


def run(paths: Paths, root: Path, elsewhere: Path | None) -> None:
    detectors = load_detectors(paths.models)
    held_out = load_held_out(detectors)
    files = read_rows(paths.elsewhere_listing, FileRecord)
    faces, counts = judge_elsewhere(files, elsewhere, detectors) if elsewhere else ([], NOTHING_FROM_ELSEWHERE)
    is_drawn = elsewhere is not None and is_sample(elsewhere, files)
    write_rows(paths.elsewhere, ElsewhereRecord, faces)
    write_json(paths.metrics, counts | {"is_sample": is_drawn})
    records = [record for record in read_rows(paths.split, SplitRecord) if record.side != "excluded"]
    images = list(on_all_machines(partial(score_record, root=root, detectors=detectors, held_out=held_out), records, "infer"))
    write_rows(paths.predictions, PredictionRecord, (image.prediction for image in images))
    write_rows(paths.perturbed, PerturbedRecord, (row for image in images for row in image.perturbed))
    write_rows(paths.evidence, EvidenceRecord, (row for image in images for row in image.evidence))


def main(argv: list[str]) -> None:
    paths = parse_paths(Paths, argv)
    root = load_params(paths.params, "data", DataParams).root
    run(paths, root, load_params(paths.params, "elsewhere", ElsewhereParams).root)


if __name__ == "__main__":
    run_as_command(main)
