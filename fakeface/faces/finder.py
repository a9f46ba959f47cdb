"""Find the faces in a photo, each with the 468 points of a face mesh.

Two networks of MediaPipe (Google, Apache-2.0) do it, run by OpenCV: BlazeFace, short range (Bazarevsky et al.,
arXiv:1907.05047), finds boxes and eyes; the face mesh (Kartynnik et al., arXiv:1907.06724) finds the points in each box.
"""

import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Lock, local
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fakeface.faces.warp import Transform, warp

Points = NDArray[np.float32]
"""(K, 2): x and y in px of the photo, (0, 0) at its upper left corner."""

NETWORKS = Path(__file__).parent / "networks"
DETECTOR_PX, MESH_PX = 128, 192
LANDMARKS = 468
MIN_SCORE = 0.5
SAME_FACE = 0.3
"""Boxes whose intersection is this share of their union are of one face."""
MESH_MARGIN = 1.5
"""The mesh network looks at a square this many times as large as the box."""


@dataclass(frozen=True)
class Face:
    """A face: `score` in [0, 1], the mesh's confidence; `box` (4,) left, top, right, bottom in px; `landmarks` (468, 2)."""

    score: float
    box: NDArray[np.float32]
    landmarks: Points

    @property
    def area(self) -> float:
        """Of the box, in square px."""
        left, top, right, bottom = map(float, self.box)
        return (right - left) * (bottom - top)


def find_faces(image: Image.Image) -> list[Face]:
    """All faces in an upright RGB image, the largest first; the same to the bit on every processor."""
    cv2.setUseOptimized(False)  # what OpenCV would choose for a processor rounds otherwise
    cv2.setNumThreads(1)  # photos are spread over the cores; for one of them a core suffices
    faces = [face for box, eyes in _detect(image) if (face := _fit_mesh(image, box, eyes)) is not None]
    return sorted(faces, key=lambda face: -face.area)


def find_landmarks(image: Image.Image) -> Points | None:
    """The landmarks (468, 2) of the largest face, None where there is no face."""
    faces = find_faces(image)
    return faces[0].landmarks if faces else None


_networks = local()
_reading = Lock()
"""OpenCV fills in a table of operators as it reads a first network: two threads at once fail, or crash the process."""


def _network(name: str) -> Any:
    """A network for this thread alone: OpenCV's are not safe to share."""
    if not hasattr(_networks, name):
        with _reading:
            setattr(_networks, name, cv2.dnn.readNetFromTFLite(str(NETWORKS / f"{name}.tflite")))
    return getattr(_networks, name)


def _outputs(name: str, pixels: Any) -> list[NDArray[np.float32]]:
    """What a network makes of pixels (H, W, 3)."""
    network = _network(name)
    network.setInput(pixels.transpose(2, 0, 1)[np.newaxis])
    outputs: list[NDArray[np.float32]] = network.forward(network.getUnconnectedOutLayersNames())
    return outputs


def _detect(image: Image.Image) -> list[tuple[Points, Points]]:
    """Box (2, 2), its corners, and eyes (2, 2) of each face."""
    side = max(image.size)
    offset = np.array([side - image.width, side - image.height], np.float32) / 2
    square = warp(image, Transform(np.eye(2) * side / DETECTOR_PX, -offset), DETECTOR_PX)
    outputs = {
        output.shape[-1]: output.reshape(len(_anchors()), -1)
        for output in _outputs("face_detection", square / np.float32(127.5) - 1)
    }
    scores = _sigmoid(outputs[1][:, 0])
    points = outputs[16].reshape(-1, 8, 2) / DETECTOR_PX
    positions = [0, 2, 3, 4, 5, 6, 7]  # the box's centre, then, behind its size, eyes, nose, mouth and ears
    points[:, positions] = (points[:, positions] + _anchors()[:, np.newaxis]) * side - offset
    points[:, 1] *= side
    candidates = np.flatnonzero(scores > MIN_SCORE)
    return [_average(points[group], scores[group]) for group in _group_by_face(points, scores, candidates)]


def _sigmoid(logits: Any) -> Any:
    """In float64: in float32 NumPy's last bit is the processor's."""
    return 1 / (1 + np.exp(-np.clip(np.asarray(logits, np.float64), -80, 80)))


@cache
def _anchors() -> Points:
    """(896, 2): the centres of the network's cells, as shares of its side: 2 for each of 16 x 16 cells, 6 for each of 8 x 8."""
    grids = []
    for cells, count in ((16, 2), (8, 6)):
        centres = (np.arange(cells, dtype=np.float32) + 0.5) / cells
        grid = np.stack(np.meshgrid(centres, centres), axis=-1).reshape(-1, 2)
        grids.append(np.repeat(grid, count, axis=0))
    return np.concatenate(grids)


def _group_by_face(points: Any, scores: Any, candidates: Any) -> list[Any]:
    """The candidates (K,), indices of points (N, 8, 2), in groups of one face each, the surest face first."""
    corners = np.concatenate([points[:, 0] - points[:, 1] / 2, points[:, 0] + points[:, 1] / 2], axis=1)
    left = candidates[np.argsort(-scores[candidates], kind="stable")]
    groups = []
    while len(left):
        same = _overlap(corners[left[0]], corners[left]) >= SAME_FACE
        same[0] = True
        groups.append(left[same])
        left = left[~same]
    return groups


def _overlap(one: Any, others: Any) -> Any:
    """Intersection over union of a box (4,) with others (N, 4)."""
    size = np.clip(np.minimum(one[2:], others[:, 2:]) - np.maximum(one[:2], others[:, :2]), 0, None)
    shared = size.prod(axis=1)
    return shared / ((one[2:] - one[:2]).prod() + (others[:, 2:] - others[:, :2]).prod(axis=1) - shared)


def _average(points: Any, scores: Any) -> tuple[Points, Points]:
    """Box and eyes as means over candidates, weighted by their scores."""
    mean = np.average(points, axis=0, weights=scores).astype(np.float32)
    return np.stack([mean[0] - mean[1] / 2, mean[0] + mean[1] / 2]), mean[2:4]


def _fit_mesh(image: Image.Image, box: Points, eyes: Points) -> Face | None:
    """The face in a box, with its mesh; None where the mesh network sees none there."""
    centre, side = box.mean(axis=0), MESH_MARGIN * float((box[1] - box[0]).max())
    across, down = (eyes[1] - eyes[0]).astype(np.float64) / max(math.dist(*eyes), 1e-6)
    turn = np.array([[across, -down], [down, across]]) * side / MESH_PX
    upright = Transform(turn, centre - turn @ np.full(2, MESH_PX / 2))
    outputs = {output.size: output.ravel() for output in _outputs("face_mesh", warp(image, upright, MESH_PX) / np.float32(255))}
    score = float(_sigmoid(outputs[1][0]))
    if score < MIN_SCORE:
        return None
    landmarks = upright.apply(outputs[3 * LANDMARKS].reshape(LANDMARKS, 3)[:, :2]).astype(np.float32)
    return Face(score, np.concatenate([landmarks.min(axis=0), landmarks.max(axis=0)]), landmarks)
