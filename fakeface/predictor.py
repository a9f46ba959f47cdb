"""From a photo to a verdict on each face in it, for command, page and photos from elsewhere.

`infer` scores the crops of all other photos by the same function.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fakeface.core.parallel import side_by_side
from fakeface.core.records import Answer, Framing
from fakeface.detector import Detector, Score, crop_around, is_novel, score_crop
from fakeface.faces.closer_look import find_small_faces
from fakeface.faces.crops import Crop, crop_transform, detail
from fakeface.faces.finder import Face, Points, find_faces
from fakeface.photos.compression import jpeg_quality
from fakeface.photos.images import MAX_PIXELS, decode_image, read_image_bytes
from fakeface.photos.perturbations import HALF, JPEG_QUALITIES

Reservation = Literal["no_face", "cut_off", "small", "shrunk", "compressed", "map_disagrees", "novel"]
"""What speaks against relying on a verdict.

no_face: the whole picture is judged. cut_off: part of the face lies beyond the border. small: the crop has fewer px in the
photo than the network learned from. shrunk, compressed: so much that no perturbation of `evaluate` tells what it costs.
map_disagrees: what the places in the crop add to the score points the other way than the answer. novel: it is unlike the photos
that a model learned from, which then says neither real nor fake.
"""
LEAST_SHARE: Final = HALF
LEAST_QUALITY: Final = min(JPEG_QUALITIES)
SHOWN: Final = (0.01, 0.99)
"""No photo is shown to be surer than this: the validation images are too few to tell 99.9 % from 99 %."""


@dataclass(frozen=True)
class Photo:
    """An upright RGB image, and the quality by which it was compressed, where it was a JPEG."""

    image: Image.Image
    quality: int | None = None


@dataclass(frozen=True)
class Verdict:
    """One model's answer on one face: its score of what it saw of the photo, `crop`, and the crop's `corners` (4, 2).

    They are its upper left, upper right, lower right and lower left one, in px of the photo.
    """

    answer: Answer
    score: Score
    crop: Crop
    corners: NDArray[np.float64]


@dataclass(frozen=True)
class Judgement:
    """What the models, by name, make of one face, or of the whole picture, which has no `box` (left, top, right, bottom in px).

    `number` counts a photo's faces from 1, the largest first; there are `faces` of them.
    """

    number: int
    faces: int
    box: tuple[float, float, float, float] | None
    verdicts: dict[str, Verdict]
    reservations: tuple[Reservation, ...]

    @property
    def answer(self) -> Answer:
        """The one that all models give; inconclusive where they differ."""
        first, *others = {verdict.answer for verdict in self.verdicts.values()}
        return "inconclusive" if others else first


def read_photo(path: Path) -> Photo:
    """Raises ImageError where the file cannot be read, or holds no image that can be used."""
    return decode_photo(read_image_bytes(path), path)


def decode_photo(data: bytes, where: Path | str, max_pixels: int = MAX_PIXELS) -> Photo:
    """Raises ImageError, which names `where`, before an image with more pixels is decoded."""
    return Photo(decode_image(data, where, max_pixels), jpeg_quality(data))


def judge(photo: Photo, detectors: Mapping[str, Detector], *, whole: bool = False) -> list[Judgement]:
    """A judgement per face, the largest first; where there is no face one of the picture if `whole`, else none.

    Detectors that were trained on centre squares look for no face, and judge the picture's centre.
    """
    if all(detector.framing == "centre" for detector in detectors.values()):
        faces = find_faces(photo.image) if any(detector.sees_regions for detector in detectors.values()) else []
        return [_judgement(photo, detectors, faces[0].landmarks if faces else None, ())]
    faces = find_faces(photo.image) or find_small_faces(photo.image)
    if not faces and whole:
        return [_judgement(photo, detectors, None, ("no_face",))]
    return [_of_face(photo, detectors, face, number, len(faces)) for number, face in enumerate(faces, 1)]


def shown_p_fake(p_fake: float) -> float:
    """As people are told it."""
    return min(max(p_fake, SHOWN[0]), SHOWN[1])


def corners_of_crop(image: Image.Image, landmarks: Points | None, framing: Framing, px: int) -> NDArray[np.float64]:
    """Where the corners of the crop of px by px lie in the photo, (4, 2) in px, from its upper left one clockwise."""
    return crop_transform(image, landmarks, framing, px).apply(px * np.array([(0, 0), (1, 0), (1, 1), (0, 1)], np.float64))


def _of_face(photo: Photo, detectors: Mapping[str, Detector], face: Face, number: int, faces: int) -> Judgement:
    left, top, right, bottom = (float(value) for value in face.box)
    is_inside = left >= 0 and top >= 0 and right <= photo.image.width and bottom <= photo.image.height
    judged = _judgement(photo, detectors, face.landmarks, [] if is_inside else ["cut_off"])
    return replace(judged, number=number, faces=faces, box=(left, top, right, bottom))


def _judgement(
    photo: Photo, detectors: Mapping[str, Detector], landmarks: Points | None, reservations: Sequence[Reservation]
) -> Judgement:
    """Of one face, or of the picture where there are no landmarks; with the reservations that size, JPEG and maps add."""
    crops = crop_around(photo.image, landmarks, detectors)
    judging = [partial(_verdict, photo.image, landmarks, detectors[name], crop) for name, crop in crops.items()]
    verdicts = dict(zip(crops, side_by_side(judging), strict=True))
    share = min(detail(photo.image, landmarks, detector.framing, detector.image_px) for detector in detectors.values())
    added: dict[Reservation, bool] = {
        "small": LEAST_SHARE <= share < 1,
        "shrunk": share < LEAST_SHARE,
        "compressed": photo.quality is not None and photo.quality < LEAST_QUALITY,
        "map_disagrees": any(map_disagrees(verdict) for verdict in verdicts.values()),
        "novel": any(is_novel(verdict.score.novelty) for verdict in verdicts.values()),
    }
    return Judgement(1, 0, None, verdicts, (*reservations, *(name for name, applies in added.items() if applies)))


def _verdict(image: Image.Image, landmarks: Points | None, detector: Detector, crop: Crop) -> Verdict:
    score = score_crop(crop, detector)
    corners = corners_of_crop(image, landmarks, detector.framing, detector.image_px)
    return Verdict(detector.answers.answer(score.p_fake, novel=is_novel(score.novelty)), score, crop, corners)


def map_disagrees(verdict: Verdict) -> bool:
    """Whether the places of a crop together speak for fake where the answer is real, or for real where it is fake.

    Their sum is the log-odds of p_fake but for the network's bias, which no place can show.
    """
    if verdict.score.evidence is None or verdict.answer == "inconclusive":
        return False
    return bool((verdict.score.evidence.sum() > 0) != (verdict.answer == "fake"))
