"""Faces aligned: turned upright, eyes and mouth in the same place in every crop, whatever the photo's framing."""

import numpy as np

from fakeface.faces.finder import Points
from fakeface.faces.warp import Transform

EYES_AND_MOUTH = ((33, 133, 159, 145), (263, 362, 386, 374), (61, 291, 0, 17))
"""Mesh points whose means are the centres of the eye on the left side of the photo, of that on the right, and of the mouth."""
TEMPLATE = ((0.345, 0.39), (0.655, 0.39), (0.5, 0.74))
"""Where these centres come to lie, as shares of the crop's side: the chin is inside, hair and background mostly not."""


def align(landmarks: Points, px: int) -> Transform:
    """The crop of px by px with this face aligned: a similarity transform by least squares (Umeyama, TPAMI 1991)."""
    template = np.array(TEMPLATE) * px
    centres = np.array([landmarks[list(indices)].mean(axis=0) for indices in EYES_AND_MOUTH], np.float64)
    source, target = template - template.mean(axis=0), centres - centres.mean(axis=0)
    left, sizes, right = np.linalg.svd(target.T @ source)
    signs = np.array([1.0, np.sign(np.linalg.det(left @ right))])
    matrix = (left * signs) @ right * ((sizes * signs).sum() / (source**2).sum())
    return Transform(matrix, centres.mean(axis=0) - matrix @ template.mean(axis=0))
