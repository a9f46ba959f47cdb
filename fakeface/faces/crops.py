"""The part of a photo that a network sees, in training as for a verdict, and which part of a face each of its pixels shows."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fakeface.core.records import Framing
from fakeface.faces.alignment import align
from fakeface.faces.finder import Points
from fakeface.faces.regions import Region, RegionMap, region_map
from fakeface.faces.warp import Transform, warp
from fakeface.photos.images import fit

LARGEST_FACE = 4 / 3
"""In framing "native", of the crop's side: a larger face is reduced to this, so that three quarters of it are seen."""
NATIVE_FACE = 2 / 3
"""In framing "native", of the crop's side: the smallest that training sees much of (1 % of 1,739 real photos are below)."""


class Crop(NamedTuple):
    """`pixels` uint8 (P, P, 3), `regions` uint8 (P, P): a Region per pixel.

    `cooccurrences` float32 (SIZE,) are of the photo's own pixels, where they are wanted.
    """

    pixels: NDArray[np.uint8]
    regions: RegionMap
    cooccurrences: NDArray[np.float32] | None = None


def crop(image: Image.Image, landmarks: Points | None, framing: Framing, px: int, margin_px: int = 0) -> Crop:
    """A square crop of an RGB image with P = px + 2 * margin_px; without landmarks it is the centre, all of it Region.REST.

    In framings "face" and "native" the face is as large as in px by px, and more around it is seen. In "centre" a larger P
    shows the same in more pixels.
    """
    side = px + 2 * margin_px
    if landmarks is None:
        return Crop(fit(image, side), np.full((side, side), Region.REST, np.uint8))
    if framing == "centre":
        return Crop(fit(image, side), region_map(crop_transform(image, landmarks, framing, side).invert(landmarks), side))
    transform = _with_border(crop_transform(image, landmarks, framing, px), margin_px)
    return Crop(warp(image, transform, side, mirrored=True), region_map(transform.invert(landmarks), side, margin_px))


def crop_transform(image: Image.Image, landmarks: Points | None, framing: Framing, px: int) -> Transform:
    """From the crop of px by px to the photo."""
    if landmarks is None or framing == "centre":  # as `fit` does
        side = min(image.size)
        return Transform(np.eye(2) * side / px, (np.array(image.size) - side) / 2)
    return align(landmarks, px) if framing == "face" else _native(landmarks, px)


def detail(image: Image.Image, landmarks: Points | None, framing: Framing, px: int) -> float:
    """How many px the photo has along a side of the crop, as a share of those that training needs: below 1 it is coarser."""
    if framing == "native" and landmarks is not None:
        return _longer_side(landmarks) / (NATIVE_FACE * px)
    return crop_transform(image, landmarks, framing, px).scale


def scale_landmarks(landmarks: Points | None, before: Any, after: Any) -> Points | None:
    """Landmarks in an image of size `before` (width, height) as they lie once it is resized to `after`."""
    return None if landmarks is None else (landmarks * np.divide(after, before)).astype(np.float32)


def _with_border(transform: Transform, margin_px: int) -> Transform:
    """The transform of the same crop with a border around it."""
    return Transform(transform.matrix, transform.apply(np.full((1, 2), -float(margin_px)))[0])


def _native(landmarks: Points, px: int) -> Transform:
    """The face in the middle, as it stands in the photo, px for px: to turn or resize it would take its noise away."""
    scale = max(1.0, _longer_side(landmarks) / (LARGEST_FACE * px))
    middle = (landmarks.min(axis=0) + landmarks.max(axis=0)).astype(np.float64) / 2
    return Transform(np.eye(2) * scale, np.rint(middle - scale * px / 2))


def _longer_side(landmarks: Points) -> float:
    """Of the face's box, in px of the photo."""
    return float((landmarks.max(axis=0) - landmarks.min(axis=0)).max())
