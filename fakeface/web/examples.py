"""Faces to try the page with, drawn by the project: nobody's."""

import io
from dataclasses import replace
from functools import cache

import numpy as np
from PIL import Image

from fakeface.synthetic.photos import RETOUCHES, composite, render, to_8_bit
from fakeface.synthetic.traits import random_shot

EXAMPLE_PX = 192
"""No larger than it takes for a crop of the sample's networks, 128 px, to be no enlargement."""
EXAMPLES: tuple[tuple[int, tuple[int, ...]], ...] = ((13, ()), (1, (0, 1)), (8, (2, 3)))
"""Each a seed, and the parts (indices into records.PARTS) that come from somebody else."""
QUALITY = 90


@cache
def example(number: int) -> bytes:
    """A JPEG, the same in every process."""
    seed, parts = EXAMPLES[number]
    rng = np.random.default_rng(seed)
    face, scene, camera = random_shot(rng)
    scene = replace(scene, roll=0.0)
    photo = render(face, scene, camera, EXAMPLE_PX)
    if parts:
        other, _, other_camera = random_shot(rng)
        photo = composite(photo, render(other, scene, other_camera, EXAMPLE_PX), parts, RETOUCHES["easy"])
    file = io.BytesIO()
    Image.fromarray(to_8_bit(photo)).save(file, "JPEG", quality=QUALITY)
    return file.getvalue()
