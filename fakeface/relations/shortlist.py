"""The pairs of images that are worth a geometric check, among so many that their keypoints only fit on disk.

Descriptors are sorted by locality-sensitive hashes (Charikar, STOC 2002: signs of random projections) and compared with
the next few in line only, so time grows with their number and not with that of pairs. What is near in two images votes
for them, the less the more points it is near to: eyelashes resemble each other, a shared part resembles only itself.

Only equal hashes become neighbours, and only pairs with an image in common compete for votes. So all is done bucket by bucket,
of about AT_ONCE records that have a hash or an image in common, and where buckets end can change nothing.
"""

from array import array
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fakeface.core.parallel import on_all_cores
from fakeface.relations.features import DESCRIPTOR_LENGTH, MIRRORED, NEAR, Bytes, Features, Floats
from fakeface.relations.spills import Buckets, Integers, Records, Spill

Candidate = tuple[int, int, bool]
"""Positions of two images, the lower first, and whether the second is to be mirrored."""

TABLES, TABLE_BITS, WINDOW = 16, 32, 4
PARTNERS = 4
AT_ONCE = 2**14
CHUNK = 2**9

KEYPOINT = np.dtype([("point", np.float32, 2), ("descriptor", np.uint8, 128)])
IN_LINE = np.dtype([("place", np.int64), ("image", np.int32), ("descriptor", np.uint8, 128)])
"""A descriptor as it is or mirrored. `place`: its hash, times 2**32, plus its row; mirrored ones follow the last row."""
NEAR_PAIR = np.dtype([("rows", np.int64), ("closeness", np.float32)])
"""Two descriptors. `rows`: the first's row times the number of rows, mirrored ones counted in, plus the second's."""
VOTED = np.dtype([("key", np.int64), ("total", np.float64), ("elected", np.bool_)])
"""A pair of images. `key`: the first's position times the number of images plus the second's, times 2, plus 1 if mirrored."""


class FeatureFile(Spill):
    """The features of images, on disk."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, KEYPOINT)
        self._bounds = array("q", [0])

    @property
    def count(self) -> int:
        """Of images."""
        return len(self._bounds) - 1

    @property
    def rows(self) -> int:
        """Of keypoints, and of mirrored ones."""
        return 2 * len(self)

    def add(self, features: Features) -> None:
        keypoints = np.empty(len(features.points), KEYPOINT)
        keypoints["point"], keypoints["descriptor"] = features.points, features.descriptors
        self.append(keypoints)
        self._bounds.append(len(self))

    def features(self, image: int) -> Features:
        keypoints = self.read(self._bounds[image], self._bounds[image + 1])
        return Features(np.ascontiguousarray(keypoints["point"]), np.ascontiguousarray(keypoints["descriptor"]))

    def images(self, rows: Integers) -> Integers:
        """The position of each row's image."""
        return np.searchsorted(self._bounds, rows % len(self), side="right") - 1


def shortlist(features: FeatureFile, folder: Path) -> Iterator[Candidate]:
    """Sorted: for each image the PARTNERS that share most with it."""
    # An odd number of buckets: all bits of a hash have a say in its remainder.
    with Spill(folder, NEAR_PAIR) as near, Buckets(folder, IN_LINE, features.rows // AT_ONCE // 2 * 2 + 1) as lines:
        for table in range(TABLES):
            for _ in on_all_cores(partial(_put_in_lines, features, table, lines), range(0, len(features), AT_ONCE // 2), None):
                pass
            for pairs in on_all_cores(partial(_near_in_line, features, lines), range(lines.count), None):
                near.append(pairs)
            lines.clear()
        elected = _elected(features, near, folder)
    return ((*divmod(key // 2, features.count), key % 2 == 1) for key in map(int, elected))


def _put_in_lines(features: FeatureFile, table: int, lines: Buckets, start: int) -> None:
    """Some keypoints, as they are and mirrored; which threads put theirs first makes no difference."""
    keypoints = features.read(start, min(start + AT_ONCE // 2, len(features)))["descriptor"]
    hashes = _hashes(keypoints, table)
    row = np.arange(start, start + len(keypoints))
    records = np.empty((2, len(row)), IN_LINE)
    records["place"] = hashes * 2**32 + [row, row + len(features)]
    records["image"] = features.images(row)
    records["descriptor"] = keypoints
    lines.put(records.ravel(), hashes.ravel() % lines.count)


def _near_in_line(features: FeatureFile, lines: Buckets, bucket: int) -> Records:
    """NEAR_PAIRs of equal hash in two images, the first's lower; only the second of two may be a mirrored one."""
    records = lines.bucket(bucket)
    # Equal hashes keep their order: what is not mirrored comes first, and of this the lower image.
    line = np.argsort(records["place"])
    hashes, row = np.divmod(records["place"][line], 2**32)
    found = []
    for step in range(1, WINDOW + 1):
        alike = np.flatnonzero(hashes[step:] == hashes[:-step])
        one, other = line[alike], line[alike + step]
        first, second = row[alike], row[alike + step]
        allowed = (first < len(features)) & (records["image"][one] < records["image"][other])
        one, other, first, second = one[allowed], other[allowed], first[allowed], second[allowed]
        distances = _squared_distances(records["descriptor"], one, other, second >= len(features))
        near = distances < NEAR
        pairs = np.empty(near.sum(), NEAR_PAIR)
        pairs["rows"] = (first * features.rows + second)[near]
        pairs["closeness"] = 1 - distances[near] / NEAR
        found.append(pairs)
    return np.concatenate(found)


def _elected(features: FeatureFile, near: Spill, folder: Path) -> Integers:
    """Sorted keys of the pairs of images that are among the PARTNERS best of one of both."""
    images = features.count
    with Buckets(folder, NEAR_PAIR, len(near) // AT_ONCE + 1) as by_first, Spill(folder, VOTED) as voted:
        # A keypoint meets at most 3 times WINDOW others in a table: before and behind it, and before it where it is mirrored.
        near_to = np.zeros(len(features), np.uint8)
        for pairs in near.parts(AT_ONCE):
            by_first.put(pairs, features.images(pairs["rows"] // features.rows) * by_first.count // images)
        for number in range(by_first.count):
            for rows in np.divmod(_once(by_first.bucket(number))["rows"], features.rows):
                np.add.at(near_to, rows % len(features), 1)
        for number in range(by_first.count):
            voted.append(_voted(_once(by_first.bucket(number)), features, near_to))
        with Buckets(folder, VOTED, len(voted) // AT_ONCE + 1) as by_second:
            for some in voted.parts(AT_ONCE):
                by_second.put(some, some["key"] // 2 % images * by_second.count // images)
            elected = []
            for number in range(by_second.count):
                some = by_second.bucket(number)
                some["elected"] |= _among_best(some["key"] // 2 % images, some["total"])
                elected.append(some["key"][some["elected"]])
    return np.sort(np.concatenate(elected))


def _once(pairs: Records) -> Records:
    """Sorted NEAR_PAIRs, each once, in however many tables it was found."""
    _, first = np.unique(pairs["rows"], return_index=True)
    return pairs[first]


def _voted(pairs: Records, features: FeatureFile, near_to: npt.NDArray[np.uint8]) -> Records:
    """Sorted VOTED of all near pairs that these images are the first in."""
    first, second = np.divmod(pairs["rows"], features.rows)
    most = np.maximum(near_to[first], near_to[second % len(features)]).astype(np.int64)
    keys = (features.images(first) * features.count + features.images(second)) * 2 + (second >= len(features))
    keys, place = np.unique(keys, return_inverse=True)
    voted = np.empty(len(keys), VOTED)
    voted["key"] = keys
    voted["total"] = np.bincount(place, weights=pairs["closeness"] ** 2 / most, minlength=len(keys))
    voted["elected"] = _among_best(keys // 2 // features.count, voted["total"])
    return voted


@cache
def _projections() -> Floats:
    """(128, TABLES * TABLE_BITS), half of each column 1 and half -1: whole numbers stay exact, and equal entries cancel."""
    halves = np.repeat(np.array([[1], [-1]], np.float32), 64, axis=0)
    return np.random.default_rng(0).permuted(np.repeat(halves, TABLES * TABLE_BITS, axis=1), axis=0)


def _hashes(descriptors: Bytes, table: int) -> Integers:
    """(2, K) of 32 bits, a bit for the sign of each projection: of descriptors as they are, and mirrored."""
    projections = _projections()[:, table * TABLE_BITS : (table + 1) * TABLE_BITS]
    both = np.hstack([projections, projections[MIRRORED]])
    parts = (descriptors[start : start + CHUNK].astype(np.float32) for start in range(0, len(descriptors), CHUNK))
    signs = np.concatenate([part @ both > 0 for part in parts])
    return np.packbits(signs, axis=1).view(np.int32).T.astype(np.int64)


def _squared_distances(descriptors: Bytes, one: Integers, other: Integers, mirror: npt.NDArray[np.bool_]) -> Floats:
    """Between descriptors `one[n]` and `other[n]`, mirrored or not, (n,), in units of DESCRIPTOR_LENGTH squared."""
    distances = np.empty(len(one), np.float32)
    for start in range(0, len(one), CHUNK):
        part = slice(start, start + CHUNK)
        there = descriptors[other[part]]
        there[mirror[part]] = there[mirror[part]][:, MIRRORED]
        difference = descriptors[one[part]].astype(np.float32) - there
        distances[part] = np.einsum("ij,ij->i", difference, difference)
    return distances / DESCRIPTOR_LENGTH**2


def _among_best(owners: Integers, totals: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Whether each pair's total is among the PARTNERS highest of its owner; of equals the first."""
    order = np.lexsort((-totals, owners))
    rank = np.arange(len(order)) - np.searchsorted(owners[order], owners[order])
    best = np.zeros(len(order), bool)
    best[order[rank < PARTNERS]] = True
    return best
