"""Find faces that are too small to be seen where the whole picture is reduced to what the face finder looks at."""

from dataclasses import replace

import numpy as np
from PIL import Image

from fakeface.faces.finder import Face, find_faces

TILE_SHARE = 0.5
"""A tile's side, as a share of the picture's shorter side: a face there is seen twice as large."""


def find_small_faces(image: Image.Image) -> list[Face]:
    """As `find_faces`, in tiles that overlap by half: a face that crosses the border of one lies whole in another.

    For pictures in which `find_faces` finds none; each face is there once, the largest first.
    """
    side = max(1, round(TILE_SHARE * min(image.size)))
    found: list[Face] = []
    for left in _starts(image.width, side):
        for top in _starts(image.height, side):
            for face in find_faces(image.crop((left, top, left + side, top + side))):
                offset = np.array((left, top), np.float32)
                found.append(replace(face, box=face.box + np.tile(offset, 2), landmarks=face.landmarks + offset))
    faces: list[Face] = []
    for face in sorted(found, key=lambda face: -face.score):
        if not any(_is_inside(face, other) or _is_inside(other, face) for other in faces):
            faces.append(face)
    return sorted(faces, key=lambda face: -face.area)


def _starts(length: int, side: int) -> list[int]:
    """Where tiles begin along a side of the picture, half a tile apart at most, the last ending at the border."""
    count = max(1, int(np.ceil((length - side) / (side / 2))) + 1)
    return [round(at) for at in np.linspace(0, length - side, count)]


def _is_inside(face: Face, other: Face) -> bool:
    """Whether the middle of one face lies in the other's box."""
    x, y = (face.box[:2] + face.box[2:]) / 2
    return bool(other.box[0] < x < other.box[2] and other.box[1] < y < other.box[3])
