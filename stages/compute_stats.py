"""Mean and deviation per channel over the train images.

reads   IMAGES, the packed train images, uint8 (N, px, px, 3)
does    sums integers, a few images at a time, and divides once
writes  STATS: {"mean": [r, g, b], "std": [r, g, b], "images": N}, scaled to 0..1
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt

from fakeface.core.arguments import parse_paths
from fakeface.core.errors import FakefaceError, run_as_command
from fakeface.core.files import write_json

CHUNK_IMAGES = 32
EXACT_ROWS = 256
"""So many 8-bit values can be summed in 16 bits without overflow, and their squares in 32."""


@dataclass(frozen=True)
class Paths:
    images: Annotated[Path, ".npy to read: train images, (N, px, px, 3) uint8"]
    stats: Annotated[Path, "JSON to write"]


@dataclass(frozen=True)
class ChannelStats:
    """Per channel over all pixels, scaled to 0..1; the deviation is the population's."""

    mean: list[float]
    std: list[float]
    images: int


def channel_stats(chunks: Iterable[npt.NDArray[np.uint8]]) -> ChannelStats:
    """Statistics of uint8 images (n, height, width, 3) that come in chunks: integer sums, each divided once."""
    sums, squares = np.zeros((2, 3), np.uint64)
    pixels = images = 0
    for chunk in chunks:
        images += len(chunk)
        pixels += chunk.size // 3
        rows = chunk.reshape(-1, chunk.shape[2] * 3)
        for start in range(0, len(rows), EXACT_ROWS):
            narrow = rows[start : start + EXACT_ROWS]
            wide = narrow.astype(np.uint32)
            sums += _per_channel(np.add.reduce(narrow, axis=0, dtype=np.uint16))
            squares += _per_channel(np.einsum("ij,ij->j", wide, wide))
    # Integers until the one division: in floating point, the mean square minus the squared mean would cancel digits.
    exact = [(int(total), int(total_of_squares)) for total, total_of_squares in zip(sums, squares, strict=True)]
    return ChannelStats(
        mean=[total / (255 * pixels) for total, _ in exact],
        std=[math.sqrt(pixels * square - total**2) / (255 * pixels) for total, square in exact],
        images=images,
    )


def read_chunks(path: Path) -> Iterator[npt.NDArray[np.uint8]]:
    """The images of a .npy file, a few at a time; the file is mapped anew for each chunk, to release the pages already read.

    Raises:
        FakefaceError: the file holds no images.
    """
    try:
        images = np.load(path, mmap_mode="r")
    except (ValueError, EOFError):
        raise FakefaceError(f"{path}: not an array of images") from None
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3:
        raise FakefaceError(f"{path}: {images.dtype} {images.shape}: expected uint8 (N, px, px, 3)")
    if len(images) == 0:
        raise FakefaceError(f"{path}: no images: a mean needs one at least")
    for start in range(0, len(images), CHUNK_IMAGES):
        images = np.load(path, mmap_mode="r")
        yield images[start : start + CHUNK_IMAGES]


def run(paths: Paths) -> None:
    write_json(paths.stats, asdict(channel_stats(read_chunks(paths.images))))


def main(argv: list[str]) -> None:
    run(parse_paths(Paths, argv))


def _per_channel(columns: npt.NDArray[np.unsignedinteger]) -> npt.NDArray[np.uint64]:
    """Sums of a row's columns r, g, b, r, g, b, ... as three sums."""
    totals: npt.NDArray[np.uint64] = columns.reshape(-1, 3).sum(axis=0, dtype=np.uint64)
    return totals


if __name__ == "__main__":
    run_as_command(main)
