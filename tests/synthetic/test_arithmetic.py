"""Arithmetic: each function gives what the library's own does, as nearly as it says, by nothing that depends on processors."""

import ast
import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from fakeface.synthetic import arithmetic
from fakeface.synthetic.arithmetic import (
    arctan2_turns,
    bell,
    blur,
    direction,
    enlarge,
    interpolate,
    mean,
    normal,
    power,
    sine,
    uniform,
)

EXACT = {
    "abs", "append", "arange", "argwhere", "array", "ascontiguousarray", "bitwise_count", "broadcast_to", "clip",
    "concatenate", "copysign", "diff", "floor", "gradient", "logical_or.reduce", "maximum",
    "minimum", "ones_like", "random.default_rng", "rint", "roll", "sqrt", "stack", "where",
}  # fmt: skip
"""NumPy's functions that move numbers, or round once as IEEE 754 says (`gradient` subtracts and divides)."""
TYPES = {"bool_", "float32", "floating", "int32", "int64", "logical_or", "random", "random.Generator", "uint64", "uint8"}
GRID = np.linspace(-3, 3, 1001, dtype=np.float32)


@pytest.mark.parametrize("path", sorted(Path(arithmetic.__file__).parent.glob("*.py")), ids=lambda path: path.stem)
def test_pixels_are_rendered_with_what_ieee_754_rounds_alike(path: Path) -> None:
    nodes = list(ast.walk(ast.parse(path.read_text())))
    attributes = {ast.unparse(node) for node in nodes if isinstance(node, ast.Attribute)}
    functions = {name for name in attributes if re.fullmatch(r"(np|math)\.[\w.]+", name)}
    assert functions <= {f"np.{name}" for name in EXACT | TYPES} | {"math.sqrt", "math.tau"}
    assert {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names} <= {"math", "numpy"}
    assert not [node for node in nodes if isinstance(node, ast.MatMult)]
    powers = [node for node in nodes if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow)]
    assert {ast.unparse(node) for node in powers} <= {"2 ** 24", "2 ** 40", "2 ** 64"}


def test_uniform_numbers_fill_their_range() -> None:
    rng = np.random.default_rng(0)
    numbers = [uniform(rng, -3, 5) for _ in range(2000)]
    assert -3 <= min(numbers) < -2.9
    assert 4.9 < max(numbers) <= 5
    assert np.mean(numbers) == pytest.approx(1, abs=0.2)


def test_normal_numbers_are_nearly_normal() -> None:
    numbers = normal(np.random.default_rng(0), (100_000,))
    assert numbers.dtype == np.float32
    assert numbers.mean() == pytest.approx(0, abs=0.01)
    assert numbers.std() == pytest.approx(1, abs=0.01)
    assert np.mean(np.abs(numbers) > 2) == pytest.approx(0.0455, abs=0.02), "steps of a quarter"


def test_a_bell_is_an_exponential() -> None:
    numbers = np.linspace(0, 100, 2001, dtype=np.float32)
    np.testing.assert_allclose(bell(numbers), np.exp(-numbers), atol=1.1e-3)


@pytest.mark.parametrize("exponent", [0.453125, 0.75, 1.125, 1.5, 2.1875, 2.625, 4, 24])
def test_powers(exponent: float) -> None:
    numbers = np.linspace(0, 2, 501, dtype=np.float32)
    unchanged = numbers.copy()
    np.testing.assert_allclose(power(numbers, exponent), numbers.astype(np.float64) ** exponent, rtol=1e-5, atol=1e-30)
    np.testing.assert_array_equal(numbers, unchanged)


def test_sines() -> None:
    np.testing.assert_allclose(sine(GRID), np.sin(2 * np.pi * GRID), atol=2e-3)
    assert direction(1 / 6) == pytest.approx((0.5, 0.75**0.5), abs=2e-3)


def test_angles() -> None:
    turns = GRID[np.abs(GRID) < 0.499]
    x, y = np.cos(2 * np.pi * turns), np.sin(2 * np.pi * turns)
    np.testing.assert_allclose(arctan2_turns(y, x), turns, atol=1e-3)


def test_interpolation_is_a_line_between_neighbours() -> None:
    values = np.array([1, 3, -2, 0.5], np.float32)
    places = np.linspace(0, 1, 101, dtype=np.float32)
    np.testing.assert_allclose(interpolate(values, places), np.interp(places, np.linspace(0, 1, 4), values), atol=1e-5)


def test_a_mean_does_not_depend_on_the_order() -> None:
    image = np.random.default_rng(0).random((3, 40, 50), dtype=np.float32)
    np.testing.assert_allclose(mean(image), image.mean(axis=(1, 2), keepdims=True), rtol=1e-6)
    shuffled = np.random.default_rng(1).permutation(image.reshape(3, -1), axis=1).reshape(image.shape)
    np.testing.assert_array_equal(mean(image), mean(shuffled))


@pytest.mark.parametrize("cells", [2, 9, 60, 64])
def test_enlarging_is_opencv_s_cubic_one(cells: int) -> None:
    coarse = normal(np.random.default_rng(0), (cells, cells))
    np.testing.assert_allclose(enlarge(coarse, 64), cv2.resize(coarse, (64, 64), interpolation=cv2.INTER_CUBIC), atol=1e-5)


@pytest.mark.parametrize("deviation_px", [0.35, 0.5, 1.0])
def test_a_blur_is_opencv_s(deviation_px: float) -> None:
    image = np.random.default_rng(0).random((3, 40, 40), dtype=np.float32)
    side = 2 * int(np.ceil(2.5 * deviation_px)) + 1
    theirs = [cv2.GaussianBlur(channel, (side, side), deviation_px, borderType=cv2.BORDER_REPLICATE) for channel in image]
    np.testing.assert_allclose(blur(image, deviation_px), np.stack(theirs), atol=5e-3)
