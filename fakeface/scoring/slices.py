"""Which test images belong together: by how hard the fakes are, what was edited in them, their JPEG table and their size."""

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from fakeface.core.records import FAKE, PARTS, REAL, ImageRecord

Mask = NDArray[np.bool_]
DIFFICULTIES = ("easy", "mid", "hard")
MAX_SIZES = 4
"""So many sizes are told one by one; of more, thirds."""


def slices(images: Sequence[ImageRecord], everywhere: Iterable[ImageRecord]) -> dict[str, dict[str, Mask]]:
    """Masks (N,) over the images by dimension and name; a slice without a fake of its own is left out, but not a size.

    A slice of fakes holds all real images too, which its fakes are told from; a slice by size holds the images of that size.
    `everywhere` are the images of all sides, whose real ones say which JPEG table is "same".
    """
    real = np.array([image.label == REAL for image in images])
    parts = [_parts(image) for image in images]
    same = common_table(everywhere)
    wanted = {
        "difficulty": {name: [image.difficulty == name for image in images] for name in _difficulties(images)},
        "part": {name: [name in (found or ()) for found in parts] for name in PARTS},
        "parts": {str(count): [len(found or ()) == count for found in parts] for count in range(1, len(PARTS) + 1)},
        "jpeg_table": {
            "same": [image.luma_quantisation_sum == same for image in images],
            "other": [image.luma_quantisation_sum != same for image in images],
        },
    }
    of_fakes = {
        dimension: {name: real | inside for name, inside in named.items() if (~real & inside).any()}
        for dimension, named in wanted.items()
    }
    return of_fakes | {"size": sizes(images)}


def common_table(images: Iterable[ImageRecord]) -> int | None:
    """The JPEG luma table, by its sum, that most real images have; of equals the smallest, None where most are no JPEG."""
    counts = Counter(image.luma_quantisation_sum for image in images if image.label == REAL)
    return min(counts, key=lambda table: (-counts[table], table or 0))


def sizes(images: Sequence[ImageRecord]) -> dict[str, Mask]:
    """Masks by `W x H`, by thirds of the number of pixels where there are more than MAX_SIZES sizes."""
    found = sorted({(image.width * image.height, image.width, image.height) for image in images})
    if len(found) <= MAX_SIZES:
        return {
            f"{width} x {height}": np.array([(image.width, image.height) == (width, height) for image in images])
            for _, width, height in found
        }
    pixels = np.array([image.width * image.height for image in images])
    low, high = (int(bound) for bound in np.quantile(pixels, (1 / 3, 2 / 3), method="inverted_cdf"))
    thirds = {
        f"up to {low} pixels": pixels <= low,
        f"{low + 1} to {high} pixels": (pixels > low) & (pixels <= high),
        f"over {high} pixels": pixels > high,
    }
    return {name: inside for name, inside in thirds.items() if inside.any()}


def _difficulties(images: Sequence[ImageRecord]) -> list[str]:
    """Those that fakes have, the easiest first, names that the set does not know last."""
    found = {image.difficulty for image in images if image.label == FAKE} - {""}
    return sorted(found, key=lambda name: (DIFFICULTIES.index(name) if name in DIFFICULTIES else len(DIFFICULTIES), name))


def _parts(image: ImageRecord) -> list[str] | None:
    """The parts that come from another photo, None where they are not known."""
    bits = {name: getattr(image, name) for name in PARTS}
    return None if None in bits.values() else [name for name, bit in bits.items() if bit]
