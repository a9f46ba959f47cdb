import numpy as np
import pytest
from PIL import Image

from fakeface.faces.closer_look import find_small_faces
from fakeface.faces.finder import find_faces
from tests.faces.drawn import drawn_face

PLACES = [(40, 40), (520, 380), (1040, 690), (420, 60)]


def grey_with(places: list[tuple[int, int]], px: int = 90) -> Image.Image:
    picture = Image.new("RGB", (1200, 800), (127, 127, 127))
    for seed, place in enumerate(places):
        picture.paste(drawn_face(seed, 160).resize((px, px)), place)
    return picture


@pytest.mark.parametrize("place", PLACES)
def test_a_face_too_small_for_one_look_is_found_where_it_is(place: tuple[int, int]) -> None:
    picture = grey_with([place])
    assert find_faces(picture) == []
    (face,) = find_small_faces(picture)
    left, top, right, bottom = face.box
    assert place[0] < left < right < place[0] + 90
    assert place[1] < top < bottom < place[1] + 90
    assert (face.landmarks.min(axis=0) == face.box[:2]).all()


def test_each_face_is_found_once_the_largest_first() -> None:
    faces = find_small_faces(grey_with(PLACES))
    assert len(faces) == len(PLACES)
    areas = [face.area for face in faces]
    assert areas == sorted(areas, reverse=True)


def test_where_there_is_nothing_nothing_is_found() -> None:
    assert find_small_faces(grey_with([])) == []
    assert find_small_faces(Image.fromarray(np.zeros((1, 1, 3), np.uint8))) == []
