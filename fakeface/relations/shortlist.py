"""The pairs of images that are worth a geometric check: those with descriptors that are near to each other.

FAISS finds each descriptor's nearest neighbours, as it is and mirrored, in an inverted file of two levels (Sivic and
Zisserman, "Video Google", ICCV 2003; Nistér and Stewénius, "Scalable recognition with a vocabulary tree", CVPR 2006): it
goes to the nearest of a few centres, and of those that went there again to the nearest of a few. Only within such a cell
all are compared, so time grows with the number of images and not with that of pairs. Centres are descriptors drawn at
random: no training, and on photos no pair was lost by it. Descriptors are whole numbers, so FAISS's distances are exact, and
the number of threads cannot change the list.

What is near in two images votes for the pair, the less the more points it is near to: eyelashes resemble each other, a
shared part resembles only itself.
"""

from array import array
from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt
import pandas as pd

from fakeface.core.parallel import on_all_cores
from fakeface.relations.features import DESCRIPTOR_LENGTH, MIRRORED, NEAR, Bytes, Features, Floats

Integers = npt.NDArray[np.integer]

NEIGHBOURS = 6
"""Of each descriptor, itself among them."""
PARTNERS = 4
"""The pairs with most votes that each image has on the shortlist, once as their first and once as their second image."""

BUCKET, CELL = 2**13, 2**9
"""Keypoints per centre on the first and on the second level, on average."""
LARGEST = 4
"""Times that size: what is larger, as of a watermark that all images have, is cut into parts of so many."""

NEAR_PAIR = np.dtype([("first", np.int64), ("second", np.int64), ("mirrored", np.bool_), ("closeness", np.float32)])
"""Two keypoints of two images, first < second, of which the second may be mirrored; closeness is 1 where they are equal."""


class FeatureTable:
    """The features of many images in memory: 136 bytes per keypoint, and no second copy while it grows."""

    def __init__(self) -> None:
        self._points, self._descriptors = bytearray(), bytearray()
        self._bounds = array("q", [0])

    def __len__(self) -> int:
        """The number of images."""
        return len(self._bounds) - 1

    @property
    def descriptors(self) -> Bytes:
        """(K, 128), of the first image's keypoints, then the second's, and so on. While it is in use nothing can be added."""
        return np.frombuffer(self._descriptors, np.uint8).reshape(-1, 128)

    def add(self, features: Features) -> None:
        self._points += features.points.tobytes()
        self._descriptors += features.descriptors.tobytes()
        self._bounds.append(self._bounds[-1] + len(features.points))

    def features(self, image: int) -> Features:
        keypoints = slice(self._bounds[image], self._bounds[image + 1])
        return Features(np.frombuffer(self._points, np.float32).reshape(-1, 2)[keypoints], self.descriptors[keypoints])

    def image_of(self, keypoints: Integers) -> Integers:
        """The position of each keypoint's image."""
        return np.searchsorted(self._bounds, keypoints, side="right") - 1


def shortlist(features: FeatureTable) -> pd.DataFrame:
    """Sorted pairs of images: the positions `one` < `other`, and whether the other is to be `mirrored`."""
    votes = count_votes(find_near_pairs(features), features)
    ranked = votes.sort_values("votes", ascending=False, kind="stable")
    is_best = [ranked.groupby(image).cumcount() < PARTNERS for image in ("one", "other")]
    return ranked.loc[is_best[0] | is_best[1], ["one", "other", "mirrored"]].sort_index()


def count_votes(near: npt.NDArray[Any], features: FeatureTable) -> pd.DataFrame:
    """One row per pair of images that have a NEAR_PAIR in common, sorted: `one`, `other`, `mirrored` and the pair's `votes`."""
    # Two descriptors can each be among the other's nearest.
    pairs = pd.DataFrame({name: near[name] for name in near.dtype.names or ()}).drop_duplicates(["first", "second", "mirrored"])
    first, second = pairs["first"].to_numpy(), pairs["second"].to_numpy()
    near_to = np.bincount(np.concatenate([first, second]))
    votes = pairs["closeness"].astype(float) ** 2 / np.maximum(near_to[first], near_to[second])
    pairs = pairs.assign(one=features.image_of(first), other=features.image_of(second), votes=votes)
    return pairs.groupby(["one", "other", "mirrored"])["votes"].sum().reset_index()


def find_near_pairs(features: FeatureTable) -> npt.NDArray[Any]:
    """NEAR_PAIRs of descriptors that are among each other's nearest, some twice.

    A row here is a keypoint's descriptor: 2 k is keypoint k as it is, 2 k + 1 is it mirrored.
    """
    descriptors = features.descriptors
    if not len(descriptors):
        return np.empty(0, NEAR_PAIR)
    centres = _vectors(descriptors, 2 * _drawn(np.arange(len(descriptors)), BUCKET))
    row_chunks = (
        np.arange(start, min(start + BUCKET, 2 * len(descriptors))) for start in range(0, 2 * len(descriptors), BUCKET)
    )
    nearest = partial(_nearest_centres, descriptors, centres)
    centre_of = np.concatenate(list(on_all_cores(nearest, row_chunks, None)))
    buckets = _equal(centre_of, 2 * BUCKET * LARGEST)
    return np.concatenate(list(on_all_cores(partial(_near_pairs_in_bucket, features), buckets, None)))


def _nearest_centres(descriptors: Bytes, centres: Floats, rows: Integers) -> npt.NDArray[np.int32]:
    return _nearest(_vectors(descriptors, rows), centres, 1)[1][:, 0].astype(np.int32)


def _near_pairs_in_bucket(features: FeatureTable, rows: Integers) -> npt.NDArray[Any]:
    """NEAR_PAIRs among some rows, sorted."""
    vectors = _vectors(features.descriptors, rows)
    plain = np.flatnonzero(rows % 2 == 0)
    if not len(plain):
        return np.empty(0, NEAR_PAIR)
    centre_of = _nearest(vectors, vectors[_drawn(plain, CELL)], 1)[1][:, 0]
    cells = _equal(centre_of, 2 * CELL * LARGEST)
    near = np.concatenate([_near_pairs_in_cell(rows[cell], vectors[cell]) for cell in cells])
    return near[features.image_of(near["first"]) < features.image_of(near["second"])]


def _near_pairs_in_cell(rows: Integers, vectors: Floats) -> npt.NDArray[Any]:
    """Each row, mirrored or not, with the nearest of those that are not mirrored, itself and others of its image among them."""
    plain = np.flatnonzero(rows % 2 == 0)
    if not len(plain):
        return np.empty(0, NEAR_PAIR)
    distances, neighbours = _nearest(vectors, vectors[plain], NEIGHBOURS)
    distances /= DESCRIPTOR_LENGTH**2
    row, rank = np.nonzero(distances < NEAR)
    keypoints = np.stack([rows[row], rows[plain[neighbours[row, rank]]]]) // 2
    near = np.empty(len(row), NEAR_PAIR)
    near["first"], near["second"] = keypoints.min(axis=0), keypoints.max(axis=0)  # mirroring both changes no distance
    near["mirrored"] = rows[row] % 2 == 1
    near["closeness"] = 1 - distances[row, rank] / NEAR
    return near


def _nearest(queries: Floats, entries: Floats, count: int) -> tuple[Floats, Integers]:
    """Squared distances of each query to the `count` nearest entries, or to all if they are fewer, and their positions."""
    faiss.omp_set_num_threads(1)  # in this thread: the work is spread over the cores already
    distances, positions = faiss.knn(queries, entries, min(count, len(entries)))
    return distances, positions


def _vectors(descriptors: Bytes, rows: Integers) -> Floats:
    """(R, 128) float32: the rows' descriptors, mirrored where the row is."""
    vectors = descriptors[rows // 2]
    mirrored = rows % 2 == 1
    vectors[mirrored] = vectors[mirrored][:, MIRRORED]
    return vectors.astype(np.float32)


def _drawn(values: Integers, share: int) -> Integers:
    """One in `share` of the values, at least one; the same ones in every run."""
    return np.random.default_rng(0).choice(values, max(1, len(values) // share), replace=False)


def _equal(labels: Integers, largest: int) -> Iterator[Integers]:
    """The positions of each label in turn, at most `largest` at a time."""
    order = np.argsort(labels, kind="stable")
    for start, stop in pairwise([0, *np.cumsum(np.bincount(labels)).tolist()]):
        for part in range(start, stop, largest):
            yield order[part : min(part + largest, stop)]
