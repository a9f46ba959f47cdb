"""Pictures of what was judged: a photo with its faces in boxes, and a crop under the map of where its score comes from."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from fakeface.photos.images import Pixels
from fakeface.predictor import Judgement, Verdict

TOWARDS_FAKE, TOWARDS_REAL = (213, 94, 0), (0, 114, 178)
"""Okabe & Ito 2008: vermilion and blue, distinct with any colour vision."""
STRONGEST = 0.65
"""The opacity of the place with the most evidence."""
BOX_COLOUR, LABEL_COLOUR = (255, 255, 255), (17, 24, 39)


def map_picture(verdict: Verdict, px: int) -> Pixels:
    """The crop at px by px under its map: the more evidence, the more opaque; the crop alone where there is no map."""
    crop = Image.fromarray(verdict.crop.pixels).resize((px, px), Image.Resampling.BICUBIC)
    if verdict.score.evidence is None:
        return np.asarray(crop)
    cover = Image.fromarray(evidence_rgba(verdict.score.evidence)).resize((px, px), Image.Resampling.BILINEAR)
    return np.asarray(Image.alpha_composite(crop.convert("RGBA"), cover).convert("RGB"))


def evidence_rgba(evidence: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Evidence (n, n) as colours (n, n, 4): which way it points, and how strong it is beside the map's strongest."""
    strength = np.abs(evidence) / max(float(np.abs(evidence).max()), 1e-9)
    colours = np.where(evidence[..., np.newaxis] > 0, TOWARDS_FAKE, TOWARDS_REAL)
    return np.concatenate([colours, np.rint(255 * STRONGEST * strength)[..., np.newaxis]], axis=2).astype(np.uint8)


def boxed_picture(image: Image.Image, judgements: list[Judgement], number: int, px: int) -> Pixels:
    """The photo in px by px with a frame around each face, numbered, thicker around the one of that number."""
    scale = px / max(image.size)
    picture = image.resize((max(1, round(scale * image.width)), max(1, round(scale * image.height))))
    draw = ImageDraw.Draw(picture)
    for judgement in judgements:
        if judgement.box is None:
            continue
        left, top, right, bottom = (scale * value for value in judgement.box)
        width = 4 if judgement.number == number else 2
        draw.rectangle((left - 1, top - 1, right + 1, bottom + 1), outline=LABEL_COLOUR, width=width + 2)
        draw.rectangle((left, top, right, bottom), outline=BOX_COLOUR, width=width)
        label = draw.textbbox((left + 6, top + 4), str(judgement.number), font_size=18)
        draw.rectangle((label[0] - 5, label[1] - 4, label[2] + 5, label[3] + 4), fill=LABEL_COLOUR)
        draw.text((left + 6, top + 4), str(judgement.number), fill=BOX_COLOUR, font_size=18)
    return np.asarray(picture)
