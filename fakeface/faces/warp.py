"""Square crops of a photo at any place, turn and scale."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image


@dataclass(frozen=True)
class Transform:
    """From points of a crop to points of a photo, in px: `matrix` (2, 2) @ point + `origin` (2,)."""

    matrix: NDArray[np.float64]
    origin: NDArray[np.float64]

    def apply(self, points: Any) -> NDArray[np.float64]:
        """Points (N, 2) of the crop as points of the photo."""
        return np.asarray(points @ self.matrix.T + self.origin)

    def invert(self, points: Any) -> NDArray[np.float64]:
        """Points (N, 2) of the photo as points of the crop."""
        return np.asarray((points - self.origin) @ np.linalg.inv(self.matrix).T)

    @property
    def scale(self) -> float:
        """Px of the photo per px of the crop."""
        return float(np.sqrt(abs(np.linalg.det(self.matrix))))


def warp(image: Image.Image, transform: Transform, px: int, *, mirrored: bool = False) -> NDArray[np.uint8]:
    """The crop (px, px, 3) of an RGB image, bilinear, antialiased where it is reduced.

    Beyond the image's border it is black, or the image `mirrored` there, which tells less of how the photo was framed.
    """
    corners = transform.apply(np.array([(0, 0), (px, 0), (px, px), (0, px)], np.float64))
    margin = 2 * max(transform.scale, 1)
    first, last = np.floor(corners.min(axis=0) - margin), np.ceil(corners.max(axis=0) + margin)
    left, top = np.clip(first, 0, (image.width - 1, image.height - 1)).astype(int).tolist()
    right, bottom = np.clip(last, (left + 1, top + 1), image.size).astype(int).tolist()
    reduction = max(transform.scale, 1)
    size = (max(1, round((right - left) / reduction)), max(1, round((bottom - top) / reduction)))
    part = image.resize(size, Image.Resampling.BILINEAR, (left, top, right, bottom))
    shrink = np.array(size) / (right - left, bottom - top)
    matrix, origin = transform.matrix * shrink[:, np.newaxis], (transform.origin - (left, top)) * shrink
    if mirrored:
        before = np.ceil(np.maximum((left, top) - first, 0) / reduction).astype(int)
        after = np.ceil(np.maximum(last - (right, bottom), 0) / reduction).astype(int)
        padding = [(before[1], after[1]), (before[0], after[0]), (0, 0)]
        part, origin = Image.fromarray(np.pad(np.asarray(part), padding, "symmetric")), origin + before
    coefficients = (*matrix[0], origin[0], *matrix[1], origin[1])
    return np.asarray(
        part.transform((px, px), Image.Transform.AFFINE, tuple(map(float, coefficients)), Image.Resampling.BILINEAR)
    )
