"""What noise and colour are like in each region of a face: co-occurrences of residuals, counted in the photo's own pixels.

A part from another photo brings that photo's noise and compression with it. They are lost where a photo is resized, so these
are not taken from an aligned crop. Residuals and the counting are those of the spatial rich model (Fridrich and Kodovsky, IEEE
TIFS 2012), and of its sort for colour (Goljan, Fridrich and Cogranne, WIFS 2014). All is whole numbers up to the last square
root: every processor gives the same bytes.
"""

from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fakeface.faces.finder import Points
from fakeface.faces.regions import Region, region_map

Values = NDArray[np.float32]
Plane = NDArray[np.int32]

MAX_BOX_PX = 800
"""A larger face is reduced to this, so that one from a new camera is as large as the largest that people share."""
BOX_SHARE = 1.25
"""The side of the square around a face that is looked at, as a share of the face's longer side."""
LIMIT = 2
"""Residuals are cut off at so many steps."""
LEVELS = 2 * LIMIT + 1
TRIPLES = LEVELS**3
"""Three neighbours in a row are counted together."""
POOLED = ((Region.LEFT_EYE, Region.RIGHT_EYE), (Region.NOSE,), (Region.MOUTH,), (Region.BAND,), (Region.REST,))
BRIGHTNESS = (299, 587, 114)
"""ITU-R BT.601 luma in thousandths of a grey level."""


class Residual(NamedTuple):
    """What a filter leaves of a plane: "brightness", "blue" or "red" (differences from brightness), in whole steps.

    `step` is in thousandths of a grey level; `taps` are those of the filter along a row, and for a column turned.
    """

    plane: str
    taps: tuple[tuple[int, ...], ...]
    step: int


SQUARE = ((-1, 2, -1), (2, -4, 2), (-1, 2, -1))
RESIDUALS = (
    Residual("blue", ((-1, 1),), 1773),
    Residual("red", ((-1, 1),), 1403),
    Residual("brightness", ((1, -2, 1),), 1500),
    Residual("brightness", SQUARE, 6000),
)
"""Steps of one level of Cb and Cr, and of one and a half grey levels, the square filter's divided by its largest tap."""


def _classes() -> NDArray[np.int64]:
    """The class of each of TRIPLES: one read backwards or with its signs turned means the same."""
    numbers: dict[tuple[int, ...], int] = {}
    triples = product(range(-LIMIT, LIMIT + 1), repeat=3)
    turned = ((triple, tuple(-value for value in triple)) for triple in triples)
    alike = (min(triple, triple[::-1], other, other[::-1]) for triple, other in turned)
    return np.array([numbers.setdefault(triple, len(numbers)) for triple in alike])


CLASSES = _classes()
CLASS_COUNT = int(CLASSES.max()) + 1
SIZE = len(POOLED) * len(RESIDUALS) * CLASS_COUNT


def cooccurrences(image: Image.Image, landmarks: Points | None) -> Values:
    """Of the face in an RGB image, (SIZE,): by region and residual the square roots of the shares that each class has.

    Without landmarks the whole image is Region.REST; a region that is not seen has zeros.
    """
    pixels, regions = _face(image, landmarks)
    planes = _planes(pixels)
    values = [_shares(planes[residual.plane], residual, regions) for residual in RESIDUALS]
    return np.sqrt(np.stack(values, axis=1)).astype(np.float32).ravel()


def _face(image: Image.Image, landmarks: Points | None) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The pixels (H, W, 3) of the square around the face, as far as the image reaches, and their regions (H, W)."""
    box = np.array([(0, 0), image.size]) if landmarks is None else np.array([landmarks.min(axis=0), landmarks.max(axis=0)])
    side = float((box[1] - box[0]).max()) * (1 if landmarks is None else BOX_SHARE)
    if side > MAX_BOX_PX:
        size = [max(1, round(extent * MAX_BOX_PX / side)) for extent in image.size]
        scale = np.divide(size, image.size)
        image, box, side = image.resize(size, Image.Resampling.LANCZOS), box * scale, MAX_BOX_PX
        landmarks = None if landmarks is None else (landmarks * scale).astype(np.float32)
    origin = np.rint(box.mean(axis=0) - side / 2).astype(int)
    left, top = np.clip(origin, 0, np.array(image.size) - 1).tolist()
    right, bottom = np.clip(origin + round(side), (left + 1, top + 1), image.size).tolist()
    pixels = np.asarray(image.crop((left, top, right, bottom)))
    if landmarks is None:
        return pixels, np.full(pixels.shape[:2], Region.REST, np.uint8)
    regions = region_map((landmarks - origin).astype(np.float32), round(side))
    x, y = left - origin[0], top - origin[1]
    return pixels, regions[y : y + bottom - top, x : x + right - left]


def _planes(pixels: NDArray[np.uint8]) -> dict[str, Plane]:
    """In thousandths of a grey level."""
    red, green, blue = (np.ascontiguousarray(pixels[..., channel], np.int32) for channel in range(3))
    brightness = BRIGHTNESS[0] * red + BRIGHTNESS[1] * green + BRIGHTNESS[2] * blue
    return {"brightness": brightness, "blue": 1000 * blue - brightness, "red": 1000 * red - brightness}


def _shares(plane: Plane, residual: Residual, regions: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(regions, classes): how often each class comes in each of POOLED, along rows and along columns."""
    along_rows = _levels(plane, residual)
    is_symmetric = residual.taps == tuple(zip(*residual.taps, strict=True))
    along_columns = along_rows.T if is_symmetric else _levels(np.ascontiguousarray(plane.T), residual)
    counts = np.zeros((len(Region), TRIPLES), np.int64)
    for levels, places in ((along_rows, regions), (along_columns, regions.T)):
        counts += _count(np.ascontiguousarray(levels), residual, places)
    pooled = np.array([counts[list(group)].sum(axis=0) for group in POOLED])
    shares: NDArray[np.float64] = np.zeros((len(POOLED), CLASS_COUNT))
    np.add.at(shares.T, CLASSES, pooled.T)
    shares /= np.maximum(pooled.sum(axis=1, keepdims=True), 1)
    return shares


def _levels(plane: Plane, residual: Residual) -> NDArray[np.uint8]:
    """The residual along rows, rounded to steps and cut off at LIMIT of them, from 0 to LEVELS - 1."""
    height, width = len(residual.taps), len(residual.taps[0])
    rows, columns = max(plane.shape[0] - height + 1, 0), max(plane.shape[1] - width + 1, 0)
    filtered = np.full((rows, columns), residual.step // 2, np.int32)
    for (row, column), tap in np.ndenumerate(residual.taps):
        filtered += tap * plane[row : row + rows, column : column + columns]
    levels = np.zeros((rows, columns), np.uint8)
    for step in range(1 - LIMIT, LIMIT + 1):  # several times as fast as a division
        levels += filtered >= step * residual.step
    return levels


def _count(levels: NDArray[np.uint8], residual: Residual, regions: NDArray[np.uint8]) -> NDArray[np.int64]:
    """(regions, triples) of levels next to each other in a row, by the region of the one in the middle."""
    rows, columns = levels.shape
    if rows < 1 or columns < 3:
        return np.zeros((len(Region), TRIPLES), np.int64)
    triples = (levels[:, :-2] * LEVELS + levels[:, 1:-1]) * LEVELS + levels[:, 2:]
    top, left = len(residual.taps) // 2, len(residual.taps[0]) // 2 + 1
    middle = regions[top : top + rows, left : left + columns - 2]
    flat = middle * np.uint16(TRIPLES) + triples
    return np.bincount(flat.ravel(), minlength=len(Region) * TRIPLES).reshape(len(Region), TRIPLES)
