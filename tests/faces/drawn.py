"""Drawn faces, of nobody, as the sample has them."""

import numpy as np
from PIL import Image

from fakeface.synthetic.photos import render, to_8_bit
from fakeface.synthetic.traits import random_shot


def drawn_face(seed: int, image_px: int = 160) -> Image.Image:
    return Image.fromarray(to_8_bit(render(*random_shot(np.random.default_rng(seed)), image_px)))
