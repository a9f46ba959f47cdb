"""Local features of an image: keypoints and their descriptors, by which photos that share a part are recognised. No I/O.

Features are SIFT keypoints (Lowe, "Distinctive image features from scale-invariant keypoints", IJCV 2004), described as
RootSIFT (Arandjelović and Zisserman, "Three things everyone should know to improve object retrieval", CVPR 2012) in whole
numbers: sums of their products are exact, so neither the number of threads nor the order of images can change a result.
Whoever cuts a part out of a photo may mirror it before pasting, so each image is compared as it is and mirrored.
"""

from dataclasses import dataclass
from hashlib import sha256

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.floating]

DESCRIPTOR_LENGTH = 512
"""Euclidean. No entry passes 255, and a product of two descriptors stays below 2**24, up to where float32 counts."""
CONTRAST_THRESHOLD = 0.02
"""OpenCV's default is 0.04; smooth skin has too few keypoints of so much contrast."""

NEAR = 0.06
"""Squared distance, in units of DESCRIPTOR_LENGTH squared: most descriptors of a shared part are nearer, few others are."""

MIRRORED = np.arange(128).reshape(4, 4, 8)[::-1, :, -np.arange(8) % 8].ravel()
"""Where a descriptor's entries come from when the image is mirrored: of 4 x 4 cells with 8 directions each, cells change sides
and directions turn the other way (Guo et al., "MIFT: a mirror reflection invariant feature descriptor", ACCV 2009)."""


@dataclass(frozen=True)
class Features:
    """An image's keypoints, the strongest first: `points` (K, 2) float32, x and y in px; `descriptors` (K, 128) uint8."""

    points: Floats
    descriptors: Bytes


def pixels_digest(image: Image.Image) -> str:
    """The same for two RGB images if and only if they have the same size and pixels."""
    return sha256(f"{image.width}x{image.height}:".encode() + image.tobytes()).hexdigest()


def detect_features(image: Image.Image, image_px: int, max_keypoints: int) -> Features:
    """The strongest keypoints of an RGB image, whose longer side is first reduced to image_px if it is longer."""
    # The instructions that OpenCV would choose for a processor round otherwise, and other keypoints pass its thresholds.
    cv2.setUseOptimized(False)
    cv2.setNumThreads(1)  # images are spread over the cores; for one of them a core suffices
    scale = min(1.0, image_px / max(image.size))
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    grey = np.asarray(image.convert("L").resize(size, Image.Resampling.BILINEAR))
    sift = cv2.SIFT.create(nfeatures=max_keypoints, contrastThreshold=CONTRAST_THRESHOLD)
    keypoints, descriptors = sift.detectAndCompute(grey, None)
    if not keypoints:
        return Features(np.zeros((0, 2), np.float32), np.zeros((0, 128), np.uint8))
    strongest = np.argsort([-keypoint.response for keypoint in keypoints], kind="stable")[:max_keypoints]
    points = np.array([keypoints[index].pt for index in strongest], np.float32)
    root_sift = np.sqrt(descriptors[strongest] / np.maximum(descriptors[strongest].sum(axis=1, keepdims=True), 1))
    return Features(points, np.clip(np.rint(DESCRIPTOR_LENGTH * root_sift), 0, 255).astype(np.uint8))


def mirror_features(features: Features) -> Features:
    """Features of the image as a mirror shows it; x is counted from the right, as 0, -1, -2 ..."""
    return Features(features.points * np.array([-1, 1], np.float32), features.descriptors[:, MIRRORED])
