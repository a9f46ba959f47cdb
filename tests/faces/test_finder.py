import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import cv2
import numpy as np
import pytest
from PIL import Image

from fakeface.core.files import sha256_of
from fakeface.faces.finder import LANDMARKS, NETWORKS, find_faces, find_landmarks
from tests.conftest import ROOT, photo
from tests.faces.drawn import drawn_face
from tests.processors import OLDEST, PROCESSORS, needs_wide_instructions

LEFT_EYE, RIGHT_EYE, NOSE_TIP, CHIN = 159, 386, 1, 152


@pytest.mark.parametrize("image_px", [96, 160, 600])
def test_every_drawn_face_is_found(image_px: int) -> None:
    for seed in range(5):
        (face,) = find_faces(drawn_face(seed, image_px))
        assert face.landmarks.shape == (LANDMARKS, 2)
        assert face.landmarks.dtype == np.float32
        assert 0.5 < face.score <= 1
        left, top, right, bottom = face.box
        assert 0 <= left < image_px / 2 < right <= image_px
        assert 0 <= top < image_px / 2 < bottom <= image_px
        assert face.area == pytest.approx((right - left) * (bottom - top))


def test_eyes_nose_and_chin_are_where_they_belong() -> None:
    for seed in range(5):
        landmarks = find_landmarks(drawn_face(seed))
        assert landmarks is not None
        x, y = landmarks.T
        assert x[LEFT_EYE] < x[NOSE_TIP] < x[RIGHT_EYE], "left and right are those of the photo"
        assert max(y[LEFT_EYE], y[RIGHT_EYE]) < y[NOSE_TIP] < y[CHIN]


@pytest.mark.parametrize(
    "image", [Image.new("RGB", (200, 200), (128, 128, 128)), photo(0, 300, 200), Image.new("RGB", (1, 1)), photo(1, 3, 500)]
)
def test_a_picture_without_a_face_has_none(image: Image.Image) -> None:
    assert find_faces(image) == []
    assert find_landmarks(image) is None


def test_of_several_the_largest_comes_first() -> None:
    image = Image.new("RGB", (640, 400), (90, 90, 90))
    image.paste(drawn_face(0, 160), (20, 100))
    image.paste(drawn_face(3, 320), (260, 40))
    large, small = find_faces(image)
    assert large.area > 2 * small.area
    assert large.box[0] > 260
    assert small.box[2] < 180
    np.testing.assert_array_equal(find_landmarks(image), large.landmarks)


def test_threads_read_their_networks_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two that read a process's first at once would fail, or crash it, about every tenth time."""
    read, at_once, most = cv2.dnn.readNetFromTFLite, 0, 0

    def reading(path: str) -> object:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        time.sleep(0.05)
        network = read(path)
        at_once -= 1
        return network

    monkeypatch.setattr(cv2.dnn, "readNetFromTFLite", reading)
    with ThreadPoolExecutor(4, initializer=Barrier(4).wait) as executor:
        found = list(executor.map(find_landmarks, [drawn_face(0, 96)] * 4))
    assert all(landmarks is not None for landmarks in found)
    assert most == 1


def test_the_same_in_any_order_and_thread() -> None:
    images = [drawn_face(seed) for seed in range(6)]
    alone = [find_landmarks(image) for image in images]
    with ThreadPoolExecutor(3) as executor:
        together = list(executor.map(find_landmarks, images[::-1]))[::-1]
    np.testing.assert_array_equal(together, alone)


@needs_wide_instructions
@pytest.mark.parametrize("environment", [PROCESSORS["opencv"], OLDEST], ids=["opencv", "all"])
def test_the_same_on_an_older_processor(environment: dict[str, str]) -> None:
    code = """
import hashlib
from fakeface.faces.finder import find_faces
from tests.faces.drawn import drawn_face
faces = [find_faces(drawn_face(seed, 200))[0] for seed in range(4)]
print(hashlib.sha256(b"".join(face.landmarks.tobytes() for face in faces)).hexdigest(), [face.score for face in faces])
"""
    ours, theirs = (
        subprocess.run([sys.executable, "-c", code], env=os.environ | changes, cwd=ROOT, capture_output=True, check=True).stdout
        for changes in ({}, environment)
    )
    assert ours == theirs


def test_the_networks_are_those_that_their_readme_names() -> None:
    readme = (NETWORKS / "README.md").read_text(encoding="utf-8")
    for path in NETWORKS.glob("*.tflite"):
        (line,) = [line for line in readme.splitlines() if f"| `{path.name}` |" in line]
        assert sha256_of(path) in line
