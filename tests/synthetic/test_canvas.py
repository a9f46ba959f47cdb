"""The canvas: coverage of shapes, paint, light on a relief, and palettes."""

from dataclasses import replace

import numpy as np
import pytest

from fakeface.synthetic.canvas import Light, View, box, from_palette, light_of, paint, ramp, rgb
from fakeface.synthetic.traits import random_shot

IMAGE_PX = 64


@pytest.fixture
def view() -> View:
    face, scene, _ = random_shot(np.random.default_rng(0))
    return View(face, replace(scene, light_x=1.0, light_y=0.0), IMAGE_PX)


def test_a_ramp_rises_from_0_to_1_across_its_width() -> None:
    coverage = ramp(np.linspace(-2, 2, 9), 2.0)
    np.testing.assert_array_equal(coverage[[0, 1, 2, 4, 6, 7, 8]], [0, 0, 0, 0.5, 1, 1, 1])
    assert (np.diff(coverage) >= 0).all()


def test_a_box_holds_every_true_place() -> None:
    mask = np.zeros((7, 9), bool)
    mask[2, 3] = mask[4, 6] = True
    assert box(mask) == (slice(2, 5), slice(3, 7))


def test_paint_covers_in_place_and_leaves_the_rest() -> None:
    image = np.full((3, 4, 4), 0.5, np.float32)
    coverage = np.zeros((4, 4), np.float32)
    coverage[1, 1], coverage[2, 2] = 1, 0.5
    paint(image, rgb(1, 0, 0.5), coverage)
    np.testing.assert_array_equal(image[:, 1, 1], [1, 0, 0.5])
    np.testing.assert_array_equal(image[:, 2, 2], [0.75, 0.25, 0.5])
    assert (image[:, coverage == 0] == 0.5).all()


def test_what_is_turned_to_the_light_is_brighter(view: View) -> None:
    ball = Light.on(np.sqrt(np.maximum(1 - view.x**2 - view.y**2, 0)), view)
    right, left = (np.hypot(view.x - side * 0.5, view.y) < 0.2 for side in (1, -1))
    assert ball.shade()[right].mean() > 1.3 * ball.shade()[left].mean()
    assert ball.shine()[right].mean() > ball.shine()[left].mean()


def test_clouds_have_a_deviation_of_about_1(view: View) -> None:
    clouds = np.concatenate([view.face_clouds(0.05) for _ in range(20)])
    assert clouds.std() == pytest.approx(0.8, abs=0.3)
    assert clouds.dtype == np.float32


def test_a_palette_runs_from_its_first_colour_to_its_last() -> None:
    palette = ((0.0, 0.0, 1.0), (0.5, 0.0, 1.0), (0.5, 1.0, 1.0))
    for place, colour in ((0, (0, 0, 1)), (0.25, (0.25, 0, 1)), (0.5, (0.5, 0, 1)), (1, (0.5, 1, 1))):
        np.testing.assert_allclose(from_palette(palette, place).ravel(), colour, atol=1e-7)


def test_more_light_is_displayed_brighter() -> None:
    assert (np.diff(light_of(np.linspace(0, 1, 50, dtype=np.float32))) > 0).all()
