"""Which test images belong together: by how hard the fakes are, what was edited in them, their JPEG table and their size."""

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from fakeface.core.records import DIFFICULTIES, FAKE, PARTS, REAL, ImageRecord
from fakeface.scoring.results import DimensionName

Mask = NDArray[np.bool_]
MAX_SIZES = 4
"""Up to so many sizes have a slice each; more are cut into thirds."""


def slices(images: Sequence[ImageRecord], everywhere: Iterable[ImageRecord]) -> dict[DimensionName, dict[str, Mask]]:
    """Masks (N,) over the images by dimension and name; a slice without a fake of its own is left out, but not a size.

    A slice of fakes also holds all real images, so that it has an AUC; a slice by size holds the images of that size.
    `everywhere` are the images of all sides, whose real ones decide which JPEG table is "same".
    """
    real = np.array([image.label == REAL for image in images])
    parts = [_parts(image) for image in images]
    same = common_table(everywhere)
    difficulties = easiest_first({image.difficulty for image in images if image.label == FAKE} - {""})
    members: dict[DimensionName, dict[str, list[bool]]] = {
        "difficulty": {name: [image.difficulty == name for image in images] for name in difficulties},
        "part": {name: [name in (edited or ()) for edited in parts] for name in PARTS},
        "parts": {str(count): [len(edited or ()) == count for edited in parts] for count in range(1, len(PARTS) + 1)},
        "jpeg_table": {
            "same": [image.luma_quantisation_sum == same for image in images],
            "other": [image.luma_quantisation_sum != same for image in images],
        },
    }
    masks: dict[DimensionName, dict[str, Mask]] = {
        dimension: {name: real | inside for name, inside in named.items() if (~real & inside).any()}
        for dimension, named in members.items()
    }
    return masks | {"size": sizes(images)}


def common_table(images: Iterable[ImageRecord]) -> int | None:
    """The JPEG luma table, by its sum, that most real images have; of equals the smallest, None where most are no JPEG."""
    counts = Counter(image.luma_quantisation_sum for image in images if image.label == REAL)
    return min(counts, key=lambda table: (-counts[table], table or 0))


def sizes(images: Sequence[ImageRecord]) -> dict[str, Mask]:
    """Masks by `W x H`, by thirds of the number of pixels where there are more than MAX_SIZES sizes."""
    shapes = sorted({(image.width * image.height, image.width, image.height) for image in images})
    if len(shapes) <= MAX_SIZES:
        return {
            f"{width} x {height}": np.array([(image.width, image.height) == (width, height) for image in images])
            for _, width, height in shapes
        }
    pixels = np.array([image.width * image.height for image in images])
    low, high = (int(bound) for bound in np.quantile(pixels, (1 / 3, 2 / 3), method="inverted_cdf"))
    thirds = {
        f"up to {low} pixels": pixels <= low,
        f"{low + 1} to {high} pixels": (pixels > low) & (pixels <= high),
        f"over {high} pixels": pixels > high,
    }
    return {name: inside for name, inside in thirds.items() if inside.any()}


def easiest_first(difficulties: Iterable[str]) -> list[str]:
    """Difficulties in the order of DIFFICULTIES, then other names in alphabetical order."""
    order = {name: position for position, name in enumerate(DIFFICULTIES)}
    return sorted(difficulties, key=lambda name: (order.get(name, len(order)), name))


def _parts(image: ImageRecord) -> list[str] | None:
    """The parts that come from another photo, None where they are unknown."""
    bits = {name: getattr(image, name) for name in PARTS}
    return None if None in bits.values() else [name for name, bit in bits.items() if bit]
