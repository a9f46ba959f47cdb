"""Which part of a face each pixel of an aligned crop shows."""

from enum import IntEnum
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

RegionMap = NDArray[np.uint8]
"""(px, px): a Region per pixel."""


class Region(IntEnum):
    """Left and right are those of the photo, not of the person; the band, around the parts, is where one would be blended."""

    OUTSIDE = 0
    LEFT_EYE = 1
    RIGHT_EYE = 2
    NOSE = 3
    MOUTH = 4
    BAND = 5
    REST = 6


PARTS = (Region.LEFT_EYE, Region.RIGHT_EYE, Region.NOSE, Region.MOUTH)
BAND_SHARE = 0.045
"""The width of the band as a share of the crop's side, its border left out."""
FACE_OVAL = """
    10 338 297 332 284 251 389 356 454 323 361 288 397 365 379 378 400 377 152 148 176 149 150 136 172 58 132 93 234 127 162 21
    54 103 67 109
"""
OUTLINES = {
    Region.LEFT_EYE: """
        33 7 163 144 145 153 154 155 133 246 161 160 159 158 157 173 46 53 52 65 55 70 63 105 66 107 226 31 228 229 230 231
        232 233
    """,
    Region.RIGHT_EYE: """
        263 249 390 373 374 380 381 382 362 466 388 387 386 385 384 398 276 283 282 295 285 300 293 334 296 336 446 261 448 449
        450 451 452 453
    """,
    Region.NOSE: "168 6 197 195 5 4 1 19 94 2 98 97 326 327 48 278 64 294 129 358 122 351",
    Region.MOUTH: "61 146 91 181 84 17 314 405 321 375 291 409 270 269 267 0 37 39 40 185",
}
"""Mesh points whose convex hull is the part: eyes with their brows, nose, lips."""


def region_map(landmarks: Any, px: int, margin_px: int = 0) -> RegionMap:
    """The regions of an aligned crop of px by px, the last margin_px on each side of it being a border around the face.

    `landmarks` (468, 2) are in px of the crop; the band is as wide as it is without the border.
    """
    regions, parts = np.zeros((px, px), np.uint8), np.zeros((px, px), np.uint8)
    _fill(regions, landmarks[_indices(FACE_OVAL)], Region.REST)
    for region, indices in OUTLINES.items():
        _fill(parts, landmarks[_indices(indices)], region)
    width = max(1, round(BAND_SHARE * (px - 2 * margin_px)))
    left, top, across, down = cv2.boundingRect(parts)
    near = np.s_[max(top - width, 0) : top + down + width, max(left - width, 0) : left + across + width]
    ellipse = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * width + 1, 2 * width + 1))
    regions[near][cv2.dilate(parts[near], ellipse) > 0] = Region.BAND
    return np.where(parts > 0, parts, regions)


def evidence_by_part(evidence: NDArray[np.float64], regions: RegionMap) -> dict[str, float | None]:
    """The mean of evidence (n, n) per place inside each part, by records.PARTS; None for a part that the crop does not show.

    A place is a square of so many px of `regions`; it counts by the share of its area that lies inside the part's outline.
    """
    side = len(regions) // len(evidence)
    cells = regions[: side * len(evidence), : side * len(evidence)].reshape(len(evidence), side, len(evidence), side)
    areas = {region.name.lower(): (cells == region).sum(axis=(1, 3)) for region in PARTS}
    return {name: float((area * evidence).sum() / area.sum()) if area.any() else None for name, area in areas.items()}


def _fill(image: RegionMap, points: Any, region: Region) -> None:
    hull = cv2.convexHull(np.rint(np.clip(points, -10_000, 10_000)).astype(np.int32))
    cv2.fillConvexPoly(image, hull, int(region))


def _indices(text: str) -> list[int]:
    return [int(index) for index in text.split()]
