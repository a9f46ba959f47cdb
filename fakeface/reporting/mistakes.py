"""The most confident mistakes of a model on the test images, with thumbnails where photos may be shown."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from fakeface.core.records import ImageRecord
from fakeface.photos.images import fit, read_indexed
from fakeface.scoring.predictions import SidePredictions

THUMBNAIL_PX, THUMBNAIL_QUALITY = 144, 80


@dataclass(frozen=True)
class Mistake:
    """A wrong verdict; `thumbnail` is a data URI, "" where photos are not shown."""

    path: str
    label: int
    difficulty: str
    p_fake: float
    thumbnail: str


def confident_mistakes(
    images: Sequence[ImageRecord], predictions: SidePredictions, threshold: float, count: int, root: Path | None
) -> list[Mistake]:
    """At most `count` wrong verdicts, the most confident first; without `root`, the photos' folder, there are no thumbnails.

    Raises:
        ImageError: a photo cannot be read, or is no longer the one indexed.
    """
    chosen = [
        (images[position], float(predictions.p_fake[position])) for position in wrong_verdicts(predictions, threshold)[:count]
    ]
    return [
        Mistake(image.path, image.label, image.difficulty, p_fake, thumbnail(image, root) if root else "")
        for image, p_fake in chosen
    ]


def wrong_verdicts(predictions: SidePredictions, threshold: float) -> list[int]:
    """Positions of the wrong verdicts, the most confident first; of equals, in the images' order."""
    verdicts = predictions.p_fake >= threshold
    confidence = np.where(verdicts, predictions.p_fake, 1 - predictions.p_fake)
    order = np.argsort(-confidence, kind="stable")
    return [int(position) for position in order if verdicts[position] != predictions.labels[position]]


def thumbnail(image: ImageRecord, root: Path) -> str:
    """The square of a photo that a model sees, reduced, as a data URI. Raises ImageError."""
    file = io.BytesIO()
    Image.fromarray(fit(read_indexed(root / image.path, image.sha256), THUMBNAIL_PX)).save(
        file, "JPEG", quality=THUMBNAIL_QUALITY
    )
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
