"""The test images that a model judges wrong and is surest about, with small pictures of them where these may be shown."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from fakeface.core.records import ImageRecord
from fakeface.photos.images import fit, read_indexed
from fakeface.scoring.predictions import Judged

THUMBNAIL_PX, THUMBNAIL_QUALITY = 144, 80


@dataclass(frozen=True)
class Mistake:
    """A wrong verdict; `thumbnail` is a data URI, "" where photos are not to be shown."""

    path: str
    label: int
    difficulty: str
    p_fake: float
    thumbnail: str


def confident_mistakes(judged: Judged, threshold: float) -> list[int]:
    """Positions of the wrong verdicts, those first whose p_fake speaks most for them; of equals, in the images' order."""
    verdicts = judged.p_fake >= threshold
    certainty = np.where(verdicts, judged.p_fake, 1 - judged.p_fake)
    order = np.argsort(-certainty, kind="stable")
    return [int(position) for position in order if verdicts[position] != judged.labels[position]]


def shown(images: Sequence[ImageRecord], judged: Judged, positions: Sequence[int], root: Path | None) -> list[Mistake]:
    """The images at these positions; without the photos' folder there are no thumbnails.

    Raises:
        ImageError: a photo cannot be read, or is no longer the one indexed.
    """
    return [
        Mistake(image.path, image.label, image.difficulty, float(p_fake), thumbnail(image, root) if root else "")
        for image, p_fake in ((images[position], judged.p_fake[position]) for position in positions)
    ]


def thumbnail(image: ImageRecord, root: Path) -> str:
    """The square that a model sees of a photo, small, as a data URI. Raises ImageError."""
    file = io.BytesIO()
    Image.fromarray(fit(read_indexed(root / image.path, image.sha256), THUMBNAIL_PX)).save(
        file, "JPEG", quality=THUMBNAIL_QUALITY
    )
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
