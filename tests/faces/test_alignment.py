import numpy as np
import pytest
from PIL import Image

from fakeface.faces.alignment import EYES_AND_MOUTH, TEMPLATE, align
from fakeface.faces.finder import LANDMARKS, Points, find_landmarks
from fakeface.faces.warp import warp
from tests.faces.drawn import drawn_face

PX = 128


def landmarks_in(image: Image.Image) -> Points:
    landmarks = find_landmarks(image)
    assert landmarks is not None
    return landmarks


def aligned(image: Image.Image) -> np.typing.NDArray[np.int64]:
    return warp(image, align(landmarks_in(image), PX), PX, mirrored=True).astype(np.int64)


@pytest.mark.parametrize("seed", range(3))
def test_eyes_and_mouth_come_to_lie_on_the_template(seed: int) -> None:
    landmarks = landmarks_in(drawn_face(seed))
    inside = align(landmarks, PX).invert(landmarks)
    centres = np.array([inside[list(indices)].mean(axis=0) for indices in EYES_AND_MOUTH])
    assert np.abs(centres - np.array(TEMPLATE) * PX).max() < 0.06 * PX


def test_landmarks_on_the_template_stay_where_they_are() -> None:
    landmarks = np.zeros((LANDMARKS, 2), np.float32)
    for place, indices in zip(TEMPLATE, EYES_AND_MOUTH, strict=True):
        landmarks[list(indices)] = np.array(place) * PX
    transform = align(landmarks, PX)
    np.testing.assert_allclose(transform.matrix, np.eye(2), atol=1e-6)
    np.testing.assert_allclose(transform.origin, 0, atol=1e-4)


def test_a_similarity_is_undone_exactly() -> None:
    """Turned, scaled and moved landmarks come to the same places in the crop."""
    landmarks = landmarks_in(drawn_face(0))
    turn = np.array([[0.6, -0.8], [0.8, 0.6]]) * 2.5
    moved = (landmarks @ turn.T + (30, -12)).astype(np.float32)
    np.testing.assert_allclose(align(moved, PX).invert(moved), align(landmarks, PX).invert(landmarks), atol=1e-3)


def test_a_mirrored_face_is_not_mirrored_back() -> None:
    landmarks = landmarks_in(drawn_face(0)) * np.array([-1, 1], np.float32)
    assert np.linalg.det(align(landmarks, PX).matrix) > 0


@pytest.mark.parametrize("change", ["turned", "half", "twice", "off centre"])
def test_a_copy_of_a_photo_aligns_to_nearly_the_same_crop(change: str) -> None:
    for seed in range(3):
        image = drawn_face(seed, 320)
        copies = {
            "turned": image.rotate(15, Image.Resampling.BICUBIC, fillcolor=(90, 90, 90)),
            "half": image.resize((160, 160), Image.Resampling.BICUBIC),
            "twice": image.resize((640, 640), Image.Resampling.BICUBIC),
            "off centre": image.transform((500, 400), Image.Transform.AFFINE, (1, 0, -150, 0, 1, -60)),
        }
        middle = slice(PX // 4, 3 * PX // 4)
        apart = np.abs(aligned(copies[change]) - aligned(image))[middle, middle].mean()
        unrelated = np.abs(aligned(drawn_face(seed + 10, 320)) - aligned(image))[middle, middle].mean()
        assert apart < 8
        assert apart < unrelated / 2
