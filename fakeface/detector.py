"""A trained classifier as it is used: an exported network and what it was made for, without torch."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fakeface.core.errors import FakefaceError
from fakeface.core.files import read_json
from fakeface.core.parallel import side_by_side
from fakeface.core.records import FRAMINGS, OBJECTIVE_NAMES, Answer, Framing
from fakeface.faces.cooccurrences import SIZE, cooccurrences
from fakeface.faces.crops import Crop, crop
from fakeface.faces.finder import Points, find_landmarks
from fakeface.faces.regions import evidence_by_part

WEIGHTS_FILE, NETWORK_FILE, CARD_FILE, RUN_FILE = "weights.safetensors", "network.onnx", "model.json", "run.json"
HELD_OUT = "held_out"
"""In a model folder, where the network was refitted on train and valid together: that of the model which has not seen valid."""
CARD_TYPES = {"objective": str, "image_px": int, "framing": str, "is_sample": bool, "thresholds": dict, "answers": dict}
BATCH_SIZE = 16
NOVEL_ABOVE = 1
"""Where 1 % of the valid images are stranger to the branch that finds an image the strangest."""


class Scores(NamedTuple):
    """Of N images: calibrated p_fake (N,), logits (N, 2), evidence (N, image_px / 8, image_px / 8), novelty (N,).

    The latter two are None where the network looks at the image as a whole. `novelty` is how unlike an image is to those that
    it learned from: above 1, less like them than almost all valid images.
    """

    p_fake: NDArray[np.float64]
    logits: NDArray[np.float64]
    evidence: NDArray[np.float64] | None = None
    novelty: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class Answers:
    """Where a model commits itself: below `real_below` it says real, from `fake_from` on fake, between them neither.

    Both are p_fake, chosen so that of valid's images called fake, and of those called real, at most `max_error` are wrong. A
    `real_below` of 0 or a `fake_from` above 1 means that no photo gets that answer. Of a `novel` photo it says neither, unless
    all may be wrong, a `max_error` of 1.
    """

    max_error: float
    real_below: float
    fake_from: float

    def answer(self, p_fake: float, *, novel: bool = False) -> Answer:
        if novel and self.max_error < 1:
            return "inconclusive"
        if p_fake >= self.fake_from:
            return "fake"
        return "real" if p_fake < self.real_below else "inconclusive"


def is_novel(novelty: float | None) -> bool:
    """Whether an image is so unlike those learned from that no score speaks of it; None is that of a model that cannot tell."""
    return novelty is not None and novelty > NOVEL_ABOVE


@dataclass(frozen=True)
class Detector:
    """One objective's network, `image_px` the side of its square images, `is_sample` whether it learned from drawn ones.

    `framing` is what of a photo its images show; `sees_regions` whether it also takes which part of a face each pixel shows,
    `sees_cooccurrences` whether those of the photo's own pixels.
    `thresholds` are the p_fake from which on an image is called fake, by the goal that each was chosen for on valid; `answers`
    are for those who may also be told that it cannot be told.
    """

    objective: str
    image_px: int
    framing: Framing
    is_sample: bool
    thresholds: dict[str, float]
    answers: Answers
    session: Any
    folder: Path

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled, it is its folder: a process that is sent it again and again loads it once."""
        return _load_once, (self.folder.absolute(), _saved_at_ns(self.folder))

    @property
    def sees_regions(self) -> bool:
        return any(value.name == "regions" for value in self.session.get_inputs())

    @property
    def sees_cooccurrences(self) -> bool:
        return any(value.name == "cooccurrences" for value in self.session.get_inputs())

    def scores(
        self,
        images: NDArray[np.uint8],
        regions: NDArray[np.uint8] | None = None,
        cooccurrences: NDArray[np.float32] | None = None,
    ) -> Scores:
        """Of uint8 images (N, image_px, image_px, 3).

        `regions` uint8 (N, image_px, image_px) and `cooccurrences` float32 (N, SIZE) are needed where the network sees them,
        and else ignored.
        """
        known = {"images": images, "regions": regions, "cooccurrences": cooccurrences}
        taken = {value.name for value in self.session.get_inputs()}
        inputs = {name: values for name, values in known.items() if name in taken and values is not None}
        given = {value.name for value in self.session.get_outputs()}
        outputs = [name for name in Scores._fields if name in given]
        batches = [
            self.session.run(
                outputs,
                {name: np.ascontiguousarray(values[first : first + BATCH_SIZE]) for name, values in inputs.items()},
            )
            for first in range(0, len(images), BATCH_SIZE)
        ]
        arrays = (np.concatenate(batch).astype(np.float64) for batch in zip(*batches, strict=True))
        return Scores(**dict(zip(outputs, arrays, strict=True)))


class Score(NamedTuple):
    """What one model makes of one image: its calibrated p_fake, its logits (2,), and what it goes by.

    `evidence` (image_px / 8, image_px / 8) is what each place of the crop adds to the log-odds of p_fake, `parts` its mean
    inside each part, as in `evidence_by_part`; both are None where the network gives no evidence, and `novelty`, as in Scores,
    where it gives none.
    """

    p_fake: float
    logits: NDArray[np.float64]
    evidence: NDArray[np.float64] | None
    parts: dict[str, float | None] | None
    novelty: float | None


def score_image(image: Image.Image, detectors: Mapping[str, Detector]) -> dict[str, Score]:
    """Each detector's score of an RGB image of any size, by the detectors' names: the one way from a photo to a verdict.

    A network sees one image at a time, so no score depends on an image's neighbours; larger batches are no faster on CPUs.
    """
    crops = crop_photo(image, detectors)
    return {name: score_crop(crops[name], detector) for name, detector in detectors.items()}


def score_crop(crop: Crop, detector: Detector) -> Score:
    """Of what the detector sees of one photo."""
    values = None if crop.cooccurrences is None else crop.cooccurrences[np.newaxis]
    scores = detector.scores(crop.pixels[np.newaxis], crop.regions[np.newaxis], values)
    evidence = None if scores.evidence is None else scores.evidence[0]
    parts = None if evidence is None else evidence_by_part(evidence, crop.regions)
    novelty = None if scores.novelty is None else float(scores.novelty[0])
    return Score(float(scores.p_fake[0]), scores.logits[0], evidence, parts, novelty)


def crop_photo(image: Image.Image, detectors: Mapping[str, Detector]) -> dict[str, Crop]:
    """What each detector sees of an RGB image, as `pack` cropped it for training; faces are found once, if any needs them."""
    needs_face = any(
        detector.framing != "centre" or detector.sees_regions or detector.sees_cooccurrences for detector in detectors.values()
    )
    return crop_around(image, find_landmarks(image) if needs_face else None, detectors)


def crop_around(image: Image.Image, landmarks: Points | None, detectors: Mapping[str, Detector]) -> dict[str, Crop]:
    """What each detector sees of one face in an RGB image, or of the image where there are no landmarks."""
    wanted = {(detector.framing, detector.image_px) for detector in detectors.values()}
    values = cooccurrences(image, landmarks) if any(detector.sees_cooccurrences for detector in detectors.values()) else None
    crops = {(framing, px): crop(image, landmarks, framing, px)._replace(cooccurrences=values) for framing, px in wanted}
    return {name: crops[detector.framing, detector.image_px] for name, detector in detectors.items()}


def load_detectors(models: Path) -> dict[str, Detector]:
    """The detectors in the folders ce and bce of `models`, by objective.

    Raises:
        FakefaceError: as `load_detector`, and where a folder holds the other objective's model.
    """
    loading = {name: partial(load_detector, models / name) for name in OBJECTIVE_NAMES}
    detectors: dict[str, Detector] = dict(zip(loading, side_by_side(loading.values()), strict=True))
    for name, detector in detectors.items():
        if detector.objective != name:
            raise FakefaceError(f"{models / name / CARD_FILE}: objective: {detector.objective!r}: expected {name!r}")
    return detectors


def load_held_out(detectors: Mapping[str, Detector]) -> dict[str, Detector]:
    """The detectors, but of one that was refitted that which has not seen the valid images. Raises as `load_detector`."""
    folders = {name: detector.folder / HELD_OUT for name, detector in detectors.items()}
    refitted = {name: load_detector(folder) for name, folder in folders.items() if folder.is_dir()}
    return {**detectors, **refitted}


def load_detector(folder: Path) -> Detector:
    """The detector that `train` left in a folder.

    Raises:
        FakefaceError: the folder or a file in it is missing or damaged.
    """
    if not ((folder / NETWORK_FILE).is_file() and (folder / CARD_FILE).is_file()):
        raise FakefaceError(f"{folder}: no trained model; expected {NETWORK_FILE} and {CARD_FILE}, which `dvc repro` makes")
    card = read_json(folder / CARD_FILE)
    check_card(card, folder / CARD_FILE)
    session = load_network(folder / NETWORK_FILE)
    check_network(session, card["image_px"], folder / NETWORK_FILE)
    answers = read_answers(card["answers"], folder / CARD_FILE)
    framing, thresholds = card["framing"], card["thresholds"]
    return Detector(card["objective"], card["image_px"], framing, card["is_sample"], thresholds, answers, session, folder)


@cache
def _load_once(folder: Path, saved_at_ns: int) -> Detector:
    if not folder.is_dir() or _saved_at_ns(folder) != saved_at_ns:
        raise FakefaceError(f"{folder}: not the model that was sent: expected the same folder on all machines")
    return load_detector(folder)


def _saved_at_ns(folder: Path) -> int:
    return (folder / NETWORK_FILE).stat().st_mtime_ns


def load_network(path: Path) -> Any:
    """An onnxruntime session, of one thread: photos and networks run beside each other, and so give the same everywhere.

    Raises:
        FakefaceError: the file holds no network that it can run.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # from 1.29 on it reports each session to Microsoft, as it is imported
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # noqa: BLE001 - onnxruntime's errors share no public base
        raise FakefaceError(f"{path}: not a network: {' '.join(str(error).split())[:200]}") from None


def check_card(card: Any, path: Path) -> None:
    """Raises FakefaceError where a model.json, of another version perhaps, does not say what a detector needs."""
    for key, kind in CARD_TYPES.items():
        if not isinstance(card, dict) or key not in card:
            raise FakefaceError(f"{path}: {key}: missing")
        if type(card[key]) is not kind:
            raise FakefaceError(f"{path}: {key}: {card[key]!r}: expected {kind.__name__}")
    if card["framing"] not in FRAMINGS:
        raise FakefaceError(f"{path}: framing: {card['framing']!r}: expected {' or '.join(FRAMINGS)}")
    for name, threshold in card["thresholds"].items():
        if type(threshold) not in (int, float):
            raise FakefaceError(f"{path}: thresholds.{name}: {threshold!r}: expected a number")


def read_answers(values: Mapping[str, Any], path: Path) -> Answers:
    """Of the model.json at `path`. Raises FakefaceError where a number is missing, is none, or they do not fit together."""
    for name in (field.name for field in fields(Answers)):
        if type(values.get(name)) not in (int, float):
            raise FakefaceError(f"{path}: answers.{name}: {values.get(name)!r}: expected a number")
    answers = Answers(**{field.name: float(values[field.name]) for field in fields(Answers)})
    if not answers.real_below <= answers.fake_from:
        expected = f"expected at most answers.fake_from, {answers.fake_from}"
        raise FakefaceError(f"{path}: answers.real_below: {answers.real_below}: {expected}")
    return answers


def check_network(session: Any, image_px: int, path: Path) -> None:
    """Raises FakefaceError where a network does not give p_fake and logits of images of that size, and maybe more."""
    inputs = {value.name: value.shape[1:] for value in session.get_inputs()}
    outputs = {value.name for value in session.get_outputs()}
    known = {"images": [image_px, image_px, 3], "regions": [image_px, image_px], "cooccurrences": [SIZE]}
    is_known = "images" in inputs and all(known.get(name) == shape for name, shape in inputs.items())
    if not is_known or not outputs >= {"p_fake", "logits"}:
        found = f"{', '.join(sorted(outputs))} of {', '.join(f'{name} {shape}' for name, shape in inputs.items())}"
        raise FakefaceError(f"{path}: {found}: expected p_fake and logits of images [{image_px}, {image_px}, 3]")
