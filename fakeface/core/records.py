"""The schemas of the tables (CSV) that the stages exchange, a dataclass per kind of row, and the names that labels go by.

The listing's is in `listing.py`.
"""

from dataclasses import dataclass
from typing import Final, Literal

REAL: Final = 0
FAKE: Final = 1
Answer = Literal["real", "inconclusive", "fake"]
ANSWER_NAMES: tuple[Answer, ...] = ("real", "inconclusive", "fake")
LABEL_NAMES: tuple[Answer, Answer] = ("real", "fake")
DIFFICULTIES = ("easy", "mid", "hard")
PARTS = ("left_eye", "right_eye", "nose", "mouth")
"""In the order of the bits in a composite's name; left and right are those of the photo, not of the person.

Measured on 27 composites of one eye and the photos they are made from, both aligned by `faces`: in 25 of them the eye on the
named side of the photo differs more from the original, by 30.1 grey levels in the mean, the other eye by 11.6 (docs/log.md).
"""

ObjectiveName = Literal["ce", "bce"]
OBJECTIVE_NAMES: tuple[ObjectiveName, ...] = ("ce", "bce")
MODEL_LABELS: dict[ObjectiveName, str] = {"ce": "cross-entropy", "bce": "BCE"}
"""What the two models are called in text and figures."""
ThresholdName = Literal["half", "balanced_accuracy", "few_false_alarms"]
THRESHOLD_NAMES: tuple[ThresholdName, ...] = ("half", "balanced_accuracy", "few_false_alarms")

Framing = Literal["face", "native", "centre"]
FRAMINGS: tuple[Framing, ...] = ("face", "native", "centre")
"""What of a photo is looked at: the largest face in it, aligned; that face as it stands, px for px; the centre square."""

Bit = Literal[0, 1]
Side = Literal["train", "valid", "test", "excluded"]
PackedName = Literal["train", "valid", "refit"]
"""Of packed arrays: those of the sides, and valid's photos as training sees them."""
RelationKind = Literal["bytes", "pixels", "photo", "mirrored"]

WEB: Final = "web"
"""The perturbation whose scores stand beside those of the photos as distributed, on valid too."""

SAMPLE_MARKER: Final = "THE-DRAWN-SAMPLE.txt"
"""The file by which a folder of photos says that the project drew them, wherever it is copied and however it is named."""


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """One usable image, as `index` found it.

    `path` is relative to data.root, with forward slashes. `label` is 0 for real, 1 for fake. The bits of a composite
    say which parts come from another photo; None where the file's name does not tell. `luma_quantisation_sum` is the
    sum of the 64 entries of the JPEG's luma table, None where the file is not a JPEG. `subset` is where the user's
    folders put the image: "training", "test", or "" where they do not tell.
    """

    path: str
    sha256: str
    label: Bit
    difficulty: str
    left_eye: Bit | None
    right_eye: Bit | None
    nose: Bit | None
    mouth: Bit | None
    width: int
    height: int
    bytes: int
    luma_quantisation_sum: int | None
    subset: Literal["training", "test", ""]


@dataclass(frozen=True)
class RejectedRecord:
    """One file that `index` could not use, and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class FaceRecord:
    """How many faces `find_faces` found in an image, and the largest: its box in px of the upright image.

    `score` is in [0, 1]; it and the box are None where no face is found.
    """

    path: str
    faces: int
    score: float | None
    left: float | None
    top: float | None
    right: float | None
    bottom: float | None


@dataclass(frozen=True)
class PairRecord:
    """Two related images, path_a < path_b; `points` is how many keypoints match, 0 where the kind needs none."""

    path_a: str
    path_b: str
    kind: RelationKind
    points: int


@dataclass(frozen=True, slots=True)
class GroupRecord:
    """An image and its group, all images related to it directly or through others, named by the smallest sha256 in it."""

    path: str
    group: str


@dataclass(frozen=True, slots=True)
class SplitRecord(ImageRecord):
    """One usable image, the side that `split` put it on and the group that `relate` found it in."""

    side: Side
    group: str


@dataclass(frozen=True)
class EpochRecord:
    """One epoch of one training; losses and accuracies are means over images, train ones measured while training."""

    epoch: int
    train_loss: float
    valid_loss: float
    train_accuracy: float
    valid_accuracy: float
    learning_rate: float


@dataclass(frozen=True)
class PredictionRecord:
    """One image and each model's p_fake of it.

    `p_fake` is calibrated, `raw_p_fake` is what the loss trained (temperature 1); `bce_argmax` is the notebook's verdict on
    BCE's two outputs, 1 for fake. `novelty` is how unlike the image is to those that the model learned from, here and below:
    more than almost all valid images above 1, None of a model that cannot tell.
    """

    path: str
    side: Side
    label: Bit
    ce_p_fake: float
    bce_p_fake: float
    ce_raw_p_fake: float
    bce_raw_p_fake: float
    bce_argmax: Bit
    ce_novelty: float | None = None
    bce_novelty: float | None = None


@dataclass(frozen=True)
class EvidenceRecord:
    """One valid or test image and one model that gives evidence: its mean per place inside each part, in log-odds of p_fake.

    None for a part that the model's crop does not show.
    """

    path: str
    objective: ObjectiveName
    left_eye: float | None
    right_eye: float | None
    nose: float | None
    mouth: float | None


@dataclass(frozen=True)
class ElsewhereRecord:
    """One face in a photo from elsewhere, and each model's calibrated p_fake of it; a photo without a face has a row of 0.

    `face` counts a photo's faces from 1, the largest first. Models that look for no face judge the photo's centre, as 1.
    """

    path: str
    face: int
    ce_p_fake: float | None
    bce_p_fake: float | None
    ce_novelty: float | None = None
    bce_novelty: float | None = None


@dataclass(frozen=True)
class PerturbedRecord:
    """One image after one change, JPEG compression say, and each model's calibrated p_fake of it.

    Test images come under every change, valid images under WEB alone.
    """

    path: str
    perturbation: str
    ce_p_fake: float
    bce_p_fake: float
    ce_novelty: float | None = None
    bce_novelty: float | None = None
