"""Score every image with both classifiers, and the test images once more under each perturbation.

reads   ROOT, the folder of photos; SPLIT, the side of each; MODELS/{ce,bce}
does    sees each photo as `predict` does, a perturbed one changed at full size before that; on all cores
writes  PREDICTIONS, a row per train, valid and test image in SPLIT's order; PERTURBED, a row per test image and perturbation
"""

import argparse
import math
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fakeface.core.errors import run_as_command
from fakeface.core.files import read_rows, write_rows
from fakeface.core.parallel import on_all_cores
from fakeface.core.records import OBJECTIVE_NAMES, PerturbedRecord, PredictionRecord, SplitRecord
from fakeface.detector import Detector, load_detector
from fakeface.photos.images import fit, read_indexed
from fakeface.photos.perturbations import PERTURBATIONS

Logits = NDArray[np.float64]


class Score(NamedTuple):
    """What one model makes of one image: its calibrated p_fake and its logits (2,)."""

    p_fake: float
    logits: Logits


class Scored(NamedTuple):
    """One image's row, and where it is a test image those of its perturbations."""

    prediction: PredictionRecord
    perturbed: list[PerturbedRecord]


def sigmoid(logit: float) -> float:
    """As scipy.special.expit, whose import takes as long as that of everything else here."""
    return (1 + math.tanh(logit / 2)) / 2


RAW_P_FAKE: dict[str, Callable[[Logits], float]] = {
    "ce": lambda logits: sigmoid(logits[1] - logits[0]),
    "bce": lambda logits: sigmoid(logits[1]),
}
"""What each loss makes of logits (2,) in training, where there is no temperature yet."""


def scores(image: Image.Image, detectors: Mapping[str, Detector]) -> dict[str, Score]:
    """Each model's score of an image of any size.

    A network sees one image at a time, so no score depends on an image's neighbours; larger batches are no faster on CPUs.
    """
    fitted = {px: fit(image, px)[np.newaxis] for px in {detector.image_px for detector in detectors.values()}}
    found = {name: detector.scores(fitted[detector.image_px]) for name, detector in detectors.items()}
    return {name: Score(float(p_fake[0]), logits[0]) for name, (p_fake, logits) in found.items()}


def scored(record: SplitRecord, root: Path, detectors: Mapping[str, Detector]) -> Scored:
    """Raises ImageError, also where the file is no longer the one indexed."""
    image = read_indexed(root / record.path, record.sha256)
    of_model = scores(image, detectors)
    ce, bce = of_model["ce"], of_model["bce"]
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
    perturbed = []
    for name, change in PERTURBATIONS.items() if record.side == "test" else ():
        of_model = scores(change(image), detectors)
        perturbed.append(PerturbedRecord(record.path, name, of_model["ce"].p_fake, of_model["bce"].p_fake))
    return Scored(prediction, perturbed)


def run(root: Path, split: Path, models: Path, predictions: Path, perturbed: Path) -> None:
    detectors: dict[str, Detector] = {name: load_detector(models / name, threads=1) for name in OBJECTIVE_NAMES}
    records = [record for record in read_rows(split, SplitRecord) if record.side != "excluded"]
    found = list(on_all_cores(partial(scored, root=root, detectors=detectors), records, "infer"))
    write_rows(predictions, PredictionRecord, (image.prediction for image in found))
    write_rows(perturbed, PerturbedRecord, (row for image in found for row in image.perturbed))


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m stages.infer", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("root", type=Path, help="folder of photos that was indexed")
    parser.add_argument("--split", type=Path, required=True, help="CSV to read: every image's side")
    parser.add_argument("--models", type=Path, required=True, help="folder with the model folders ce and bce")
    parser.add_argument("--predictions", type=Path, required=True, help="CSV to write: both models' p_fake of every image")
    parser.add_argument("--perturbed", type=Path, required=True, help="CSV to write: p_fake of the test images, perturbed")
    args = parser.parse_args(argv)
    run(args.root, args.split, args.models, args.predictions, args.perturbed)


if __name__ == "__main__":
    run_as_command(main)
