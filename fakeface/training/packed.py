"""The packed images of one side, memory-mapped, with their labels."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fakeface.core.arrays import map_array
from fakeface.core.errors import FakefaceError
from fakeface.core.files import read_rows
from fakeface.core.records import PARTS, REAL, PackedName, Side, SplitRecord


@dataclass(frozen=True)
class PackedSide:
    """`images` uint8 (N, px, px, 3), memory-mapped as the others; `records` are the N rows of split.csv that they are of.

    `laundered` uint8 (N, copies, px, px, 3): each image as the web leaves it; valid has no copies. Of the photo, and of each of
    the copies, `regions` uint8 (N, 1 + copies, px, px), a Region per pixel, and `cooccurrences` float32 (N, 1 + copies, SIZE).
    """

    images: NDArray[np.uint8]
    regions: NDArray[np.uint8]
    laundered: NDArray[np.uint8]
    cooccurrences: NDArray[np.float32]
    records: list[SplitRecord]

    @property
    def labels(self) -> NDArray[np.int64]:
        """(N,): 0 real, 1 fake."""
        return np.array([record.label for record in self.records], dtype=np.int64)

    @property
    def parts(self) -> NDArray[np.float32]:
        """(N, 4): 1 where a part, in the order of PARTS, comes from another photo, 0 where it does not, NaN if not known."""
        rows = [[0 if record.label == REAL else getattr(record, part) for part in PARTS] for record in self.records]
        return np.array(rows, dtype=np.float32).reshape(-1, len(PARTS))  # None becomes NaN


def load_side(packed: Path, split: Path, name: PackedName) -> PackedSide:
    """The arrays of that name. Raises FakefaceError if one is none, or has another number of images than the table has rows."""
    side: Side = "valid" if name == "refit" else name
    records = [record for record in read_rows(split, SplitRecord) if record.side == side]

    def load(file: str) -> NDArray[Any]:
        array = map_array(packed / file)
        if len(array) != len(records):
            raise FakefaceError(f"{packed / file}: {len(array)} images; {split} has {len(records)} of side {side}")
        return array

    images, regions, cooccurrences = (load(f"{name}{of}.npy") for of in ("", "_regions", "_cooccurrences"))
    laundered = np.zeros((len(images), 0, *images.shape[1:]), np.uint8) if name == "valid" else load(f"{name}_laundered.npy")
    return PackedSide(images, regions, laundered, cooccurrences, records)
