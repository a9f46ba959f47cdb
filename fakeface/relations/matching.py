"""Whether two images share a photo or a part of one: a geometric check of their keypoints; and groups of related images."""

from array import array
from collections.abc import Iterable

import cv2
import numpy as np

from fakeface.relations.features import DESCRIPTOR_LENGTH, NEAR, Features, Floats

Pair = tuple[int, int]

RATIO = 0.8
"""A point's nearest descriptor in the other image has this share of the second's distance at most (Lowe 2004, 7.1)."""
REPROJECTION_PX = 3.0


def count_shared_points(one: Features, other: Features, max_scale: float) -> int:
    """The number of points of `one` that a shift, turn and scaling lays on their likes in `other`; 0 beyond max_scale.

    The transform is the one with most points within REPROJECTION_PX (RANSAC: Fischler and Bolles, CACM 1981); OpenCV draws
    from a fixed seed. Points in the same pixel count once.
    """
    if min(len(one.points), len(other.points)) < 2:
        return 0
    here, there = _matched_points(one, other)
    if len(here) < 4:
        return 0
    transform, inside = cv2.estimateAffinePartial2D(
        here, there, method=cv2.RANSAC, ransacReprojThreshold=REPROJECTION_PX, maxIters=2000, confidence=0.999
    )
    if transform is None or not 1 / max_scale <= np.hypot(*transform[:, 0]) <= max_scale:
        return 0
    return min(len(np.unique(np.rint(points[inside.ravel() > 0]), axis=0)) for points in (here, there))


def connected_groups(count: int, pairs: Iterable[Pair]) -> list[int]:
    """For each of `count` items the smallest item that it is linked to through pairs, itself where it is in none."""
    smallest = array("q", range(count))

    def root(item: int) -> int:
        while smallest[item] != item:
            smallest[item] = smallest[smallest[item]]
            item = smallest[item]
        return item

    for one, other in pairs:
        low, high = sorted((root(one), root(other)))
        smallest[high] = low
    return list(map(root, range(count)))


def _matched_points(one: Features, other: Features) -> tuple[Floats, Floats]:
    """Points (M, 2) of `one` with a near and distinct likeness in `other`, and those likenesses."""
    here, there = one.descriptors.astype(np.float32), other.descriptors.astype(np.float32)
    distances = (here**2).sum(axis=1)[:, None] - 2 * here @ there.T + (there**2).sum(axis=1)
    rows = np.arange(len(here))
    nearest = distances.argmin(axis=1)
    smallest = distances[rows, nearest]
    distances[rows, nearest] = np.inf
    near = (smallest < NEAR * DESCRIPTOR_LENGTH**2) & (smallest < RATIO**2 * distances.min(axis=1))
    return one.points[near], other.points[nearest[near]]
