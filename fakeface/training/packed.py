"""The packed images of one side, memory-mapped, with their labels."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fakeface.core.errors import FakefaceError
from fakeface.core.files import read_rows
from fakeface.core.records import Side, SplitRecord


@dataclass(frozen=True)
class PackedSide:
    """`images` uint8 (N, px, px, 3), memory-mapped; `records` are the N rows of split.csv that they were packed from."""

    images: NDArray[np.uint8]
    records: list[SplitRecord]

    @property
    def labels(self) -> NDArray[np.int64]:
        """(N,): 0 real, 1 fake."""
        return np.array([record.label for record in self.records], dtype=np.int64)


def load_side(packed: Path, split: Path, side: Side) -> PackedSide:
    """Raises FakefaceError if the file is not an array, or has another number of images than the table has rows."""
    path = packed / f"{side}.npy"
    try:
        images = np.load(path, mmap_mode="r", allow_pickle=False)  # not "c": what could be written to must fit into memory
    except (ValueError, EOFError) as error:
        raise FakefaceError(f"{path}: not a packed array: {error}") from None
    records = [record for record in read_rows(split, SplitRecord) if record.side == side]
    if len(images) != len(records):
        raise FakefaceError(f"{path}: {len(images)} images; {split} has {len(records)} of side {side}")
    return PackedSide(images, records)
