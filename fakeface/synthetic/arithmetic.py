"""Arithmetic whose results are the same bits on every processor: pixels are rendered with nothing else.

IEEE 754 rounds sums, products, quotients and square roots alike everywhere, so each step of a rendering made of these and
of whole numbers gives the same bits. Exponentials, other powers, angles, resizing and sums of many numbers are rounded as
the library's kernel for a processor happens to; here they are built from the former.
"""

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.floating[Any]]
"""Float32 values of pixels, (P, P) or, channels first, (3, P, P), where P is image_px; (3, 1, 1) where all pixels are alike."""


def uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """A random number between two others; NumPy's own is one fused operation on some processors."""
    return low + (high - low) * float(rng.random())


def normal(rng: np.random.Generator, shape: tuple[int, ...]) -> Pixels:
    """Random numbers of mean 0 and deviation 1, nearly normal: how many of 64 random bits are ones."""
    bits = rng.integers(0, 2**64 - 1, shape, np.uint64, endpoint=True)
    return (np.bitwise_count(bits).astype(np.float32) - 32) * 0.25


def bell(x: Pixels) -> Pixels:
    """exp(-x) of x >= 0, within 0.001: the 16th power of a parabola."""
    part = np.minimum(x, 16) * 0.0625
    result: Pixels = (0.5 * part - 1) * part + 1
    for _ in range(4):
        result *= result
    return result


def power(base: Pixels, exponent: float) -> Pixels:
    """A power of base >= 0, of an exponent that is a positive multiple of 1/64: the product of squares and square roots."""
    whole, parts = divmod(int(exponent * 64), 64)
    product = np.ones_like(base)
    square = base.copy()
    while whole:
        if whole % 2:
            product *= square
        square *= square
        whole //= 2
    root = base.copy()
    while parts:
        np.sqrt(root, out=root)
        if parts >= 32:
            product *= root
        parts = parts * 2 % 64
    return product


def sine(turns: Pixels) -> Pixels:
    """The sine of an angle in whole turns, within 0.002: two parabolas, and a correction of both."""
    turns = turns - np.floor(turns + 0.5)
    wave = turns * (8 - 16 * np.abs(turns))
    return wave * (0.775 + 0.225 * np.abs(wave))


def direction(turns: float) -> tuple[float, float]:
    """Cosine and sine of an angle in whole turns."""
    cos, sin = sine(np.array([turns + 0.25, turns]))
    return float(cos), float(sin)


def arctan2_turns(y: Pixels, x: Pixels) -> Pixels:
    """The angle of (x, y) from the x axis towards the y axis, from -0.5 to 0.5 turns, within 0.001."""
    high, wide = np.abs(y), np.abs(x)
    diagonal = (high - wide) / np.maximum(high + wide, 1e-9)
    eighths = diagonal * (1.348 - 0.348 * np.abs(diagonal))
    turns = 0.125 * (1 + eighths)
    return np.copysign(np.where(x < 0, 0.5 - turns, turns), y)


def interpolate(values: Pixels, places: Pixels) -> Pixels:
    """Values (N,), interpolated linearly at places from 0, the first value, to 1, the last."""
    places = places * (len(values) - 1)
    before = places.astype(np.int32)
    slopes = np.append(np.diff(values), np.float32(0))
    return values.take(before) + (places - before.astype(np.float32)) * slopes.take(before)


def mean(image: Pixels) -> Pixels:
    """The mean of each channel of (3, H, W), as (3, 1, 1); sums of whole numbers do not depend on their order."""
    whole = np.rint(image * np.float32(2**24)).astype(np.int64)
    sums = whole.sum(axis=(1, 2), keepdims=True)
    return (sums / (2**24 * image[0].size)).astype(np.float32)


def enlarge(coarse: Pixels, image_px: int) -> Pixels:
    """A square of numbers, enlarged to (P, P) by cubic convolution (Keys, IEEE TASSP 1981) with a = -0.75."""
    rows, weights = _cubic_taps(len(coarse), image_px)
    for _ in range(2):  # rows, columns
        taps = coarse.take(rows, axis=0) * weights
        coarse = np.ascontiguousarray((taps[0] + taps[1] + taps[2] + taps[3]).T)
    return coarse


@cache
def _cubic_taps(cells: int, image_px: int) -> tuple[NDArray[np.int64], Pixels]:
    """The four cells that a pixel lies between, (4, P), and their weights, (4, P, 1)."""
    places = (np.arange(image_px) + 0.5) * cells / image_px - 0.5
    before = np.floor(places).astype(np.int64)
    offsets = np.arange(-1, 3)[:, None]
    far = np.abs(places - before - offsets)
    near_weights = (1.25 * far - 2.25) * far * far + 1
    far_weights = ((-0.75 * far + 3.75) * far - 6) * far + 3
    weights = np.where(far <= 1, near_weights, far_weights).astype(np.float32)
    return np.clip(before + offsets, 0, cells - 1), weights[..., None]


def blur(image: Pixels, deviation_px: float) -> Pixels:
    """A Gaussian blur of (3, P, P), edges repeated."""
    reach = int(2.5 * deviation_px) + 1
    steps = np.arange(reach + 1) / deviation_px
    weights = bell(0.5 * steps * steps)
    weights = (weights / (2 * sum(weights[1:]) + weights[0])).astype(np.float32)
    for _ in range(2):  # rows, columns
        wide = np.concatenate([image[:, :1]] * reach + [image] + [image[:, -1:]] * reach, axis=1)
        rows = [wide[:, start : start + image.shape[1]] for start in range(2 * reach + 1)]
        blurred = weights[0] * rows[reach]
        for step in range(1, reach + 1):
            blurred += weights[step] * (rows[reach - step] + rows[reach + step])
        image = np.ascontiguousarray(blurred.transpose(0, 2, 1))
    return image
