"""Perturbations: small changes that photos undergo on their way through the net, and that leave what they show as it was.

Each takes an upright RGB image and returns an RGB image, the same on every run; `web` alone returns a smaller one.
"""

import io
import math
from collections.abc import Callable
from functools import partial
from zlib import crc32

import numpy as np
from PIL import Image, ImageFilter

BLUR_SHARE = 1 / 200
"""The blur's standard deviation as a share of the image's shorter side: photos of all sizes are reduced to one before a network
sees them, and are then equally blurred."""
NOISE_SIGMA = 10.0
"""The noise's standard deviation, on a scale of 0 to 255."""
NOISE_ROWS = 64
"""The noise is made for so many rows at once: of a large photo as numbers with a fraction, memory may not hold all."""
JPEG_QUALITIES = (95, 75, 50)
HALF = 0.5
LAUNDERED_SHARE = (0.80, 0.97)
LAUNDERED_QUALITY = (80, 95)
"""What sites make of a photo that is uploaded: sides reduced to a share of what they were, JPEG of a quality, both included."""


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    """Compress to JPEG and decode again; by default Pillow halves the resolution of the colours (4:2:0)."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    compressed = Image.open(file, formats=["JPEG"])
    compressed.load()
    return compressed


def half_size(image: Image.Image) -> Image.Image:
    """Reduce to half the width and height and enlarge again, with the antialiasing bilinear filter of `fit`."""
    half = (math.ceil(HALF * image.width), math.ceil(HALF * image.height))
    return image.resize(half, Image.Resampling.BILINEAR).resize(image.size, Image.Resampling.BILINEAR)


def blur(image: Image.Image) -> Image.Image:
    """Gaussian blur; its standard deviation is BLUR_SHARE of the shorter side."""
    return image.filter(ImageFilter.GaussianBlur(min(image.size) * BLUR_SHARE))


def noise(image: Image.Image) -> Image.Image:
    """Add Gaussian noise, independent in every pixel and channel; the image's content is the seed."""
    pixels = np.array(image)
    rng = np.random.default_rng(crc32(pixels.data))
    for first in range(0, len(pixels), NOISE_ROWS):
        rows = pixels[first : first + NOISE_ROWS]
        noisy = rows + NOISE_SIGMA * rng.standard_normal(rows.shape, dtype=np.float32)
        rows[:] = np.rint(noisy).clip(0, 255)
    return Image.fromarray(pixels)


def launder(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Reduce a little, by a bicubic or a Lanczos filter, and compress to JPEG, each as `rng` draws it."""
    share = rng.uniform(*LAUNDERED_SHARE)
    resampling = (Image.Resampling.BICUBIC, Image.Resampling.LANCZOS)[int(rng.integers(2))]
    quality = int(rng.integers(*LAUNDERED_QUALITY, endpoint=True))
    size = (max(1, round(share * image.width)), max(1, round(share * image.height)))
    return jpeg(image.resize(size, resampling), quality)


def web(image: Image.Image) -> Image.Image:
    """`launder` with the image's content as the seed."""
    return launder(image, np.random.default_rng(crc32(image.tobytes())))


PERTURBATIONS: dict[str, Callable[[Image.Image], Image.Image]] = {
    **{f"jpeg_{quality}": partial(jpeg, quality=quality) for quality in JPEG_QUALITIES},
    "half_size": half_size,
    "blur": blur,
    "noise": noise,
    "web": web,
}
