"""Small changes to a photo that leave what it shows as it was: what a photo meets on its way through the net.

An upright RGB image in, an RGB image of the same size out, the same on every run.
"""

import io
from collections.abc import Callable
from functools import partial
from zlib import crc32

import numpy as np
from PIL import Image, ImageFilter

BLUR_SHARE = 1 / 200
"""Of the shorter side is the blur's standard deviation: a network sees photos of any size reduced to one, and so as blurred."""
NOISE_SIGMA = 10.0
"""The noise's standard deviation, where a channel goes from 0 to 255."""


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    """Compressed and decoded again; Pillow's JPEG halves the colours' resolution (4:2:0) unless told otherwise."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    compressed = Image.open(file, formats=["JPEG"])
    compressed.load()
    return compressed


def half_size(image: Image.Image) -> Image.Image:
    """Reduced to half its width and height and enlarged again, by the antialiasing bilinear filter of `fit`."""
    half = ((image.width + 1) // 2, (image.height + 1) // 2)
    return image.resize(half, Image.Resampling.BILINEAR).resize(image.size, Image.Resampling.BILINEAR)


def blur(image: Image.Image) -> Image.Image:
    """Gaussian, its standard deviation BLUR_SHARE of the shorter side."""
    return image.filter(ImageFilter.GaussianBlur(min(image.size) * BLUR_SHARE))


def noise(image: Image.Image) -> Image.Image:
    """Gaussian, NOISE_SIGMA, of its own in every pixel and channel; the seed is the image's content."""
    pixels = np.asarray(image)
    rng = np.random.default_rng(crc32(pixels.tobytes()))
    noisy = pixels + NOISE_SIGMA * rng.standard_normal(pixels.shape, dtype=np.float32)
    return Image.fromarray(np.rint(noisy).clip(0, 255).astype(np.uint8))


PERTURBATIONS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "jpeg_95": partial(jpeg, quality=95),
    "jpeg_75": partial(jpeg, quality=75),
    "jpeg_50": partial(jpeg, quality=50),
    "half_size": half_size,
    "blur": blur,
    "noise": noise,
}
