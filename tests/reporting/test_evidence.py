import numpy as np
from PIL import Image

from fakeface.predictor import Judgement
from fakeface.reporting.evidence import STRONGEST, TOWARDS_FAKE, TOWARDS_REAL, boxed_picture, evidence_rgba


def test_the_colour_is_the_direction_and_the_opacity_the_share_of_the_strongest() -> None:
    rgba = evidence_rgba(np.array([[2.0, -1.0], [0.0, 0.5]]))
    assert tuple(rgba[0, 0]) == (*TOWARDS_FAKE, round(255 * STRONGEST))
    assert tuple(rgba[0, 1]) == (*TOWARDS_REAL, round(255 * STRONGEST / 2))
    assert rgba[1, 0, 3] == 0


def test_a_map_of_nothing_shows_nothing() -> None:
    assert evidence_rgba(np.zeros((4, 4)))[..., 3].max() == 0


def test_a_box_is_drawn_where_the_face_is_and_nothing_elsewhere() -> None:
    judgement = Judgement(1, 1, (100, 50, 300, 250), {}, ())
    grey = Image.new("RGB", (400, 300), (90, 90, 90))
    changed = (boxed_picture(grey, [judgement], 1, 400) != 90).any(axis=2)
    rows, columns = np.nonzero(changed)
    assert (columns.min(), columns.max()) == (99, 301)
    assert (rows.min(), rows.max()) == (49, 251)
    assert not changed[100:200, 130:290].any()
