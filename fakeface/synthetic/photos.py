"""Photos of rendered faces: what a camera makes of the light, and composites of two photos. No I/O."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fakeface.synthetic.arithmetic import Pixels, bell, blur, mean, normal, power
from fakeface.synthetic.canvas import View, box, ramp, rgb, squared
from fakeface.synthetic.faces import light_of_scene, part_distances
from fakeface.synthetic.traits import Camera, Face, Scene

DISPLAY_EXPONENT = 0.453125
"""1 / GAMMA, about."""


@dataclass(frozen=True)
class Photo:
    """A photo whose noise is kept apart: `pixels` and `noise` (3, P, P), `parts` (4, P, P) as distances inside, in px."""

    pixels: Pixels
    noise: Pixels
    parts: Pixels


@dataclass(frozen=True)
class Retouch:
    """How well a composite hides: the matches run from 0, all the donor's, to 1, all the base's."""

    colour_match: float
    noise_match: float
    feather_px: float


RETOUCHES = {
    "easy": Retouch(colour_match=0.0, noise_match=0.0, feather_px=1.0),
    "mid": Retouch(colour_match=0.3, noise_match=0.3, feather_px=2.0),
    "hard": Retouch(colour_match=0.7, noise_match=0.7, feather_px=4.0),
}


def render(face: Face, scene: Scene, camera: Camera, image_px: int) -> Photo:
    """The face in its scene as the camera sees it."""
    view = View(face, scene, image_px)
    pixels = expose(light_of_scene(view), camera)
    return Photo(pixels, sensor_noise(pixels, camera), part_distances(view))


def expose(light: Pixels, camera: Camera) -> Pixels:
    """Light as displayed values in [0, 1]: lens, white balance, exposure, contrast."""
    image_px = light.shape[1]
    across = squared((np.arange(image_px, dtype=np.float32) + 0.5) / image_px * 2 - 1)
    falloff = 1 - camera.vignette * 0.5 * (across[:, None] + across[None, :])
    gains = camera.exposure * rgb(1 + camera.warmth, 1 + camera.tint, 1 - camera.warmth)
    sharp = power(np.maximum(light * falloff * gains, 0), DISPLAY_EXPONENT)
    shown = 0.5 + camera.contrast * (blur(sharp, camera.blur_px) - 0.5)
    return np.where(shown > 0.85, 1 - 0.15 * bell((shown - 0.85) / 0.15), np.maximum(shown, 0.01))


def sensor_noise(pixels: Pixels, camera: Camera) -> Pixels:
    """Noise (3, P, P), stronger in the dark and partly shared by the channels and by neighbours."""
    white = normal(np.random.default_rng(int(camera.noise_seed)), (4, *pixels.shape[1:]))
    grain = blur(white[1:] + white[0], 0.5)
    return 1.05 * camera.noise * grain * (1.3 - 0.7 * pixels)


def composite(base: Photo, donor: Photo, parts: Sequence[int], retouch: Retouch) -> Photo:
    """`base` with the named parts (indices into records.PARTS) of `donor`, moved there in whole pixels."""
    pixels, noise = base.pixels.copy(), base.noise.copy()
    for part in parts:
        shift = centre(base.parts[part]) - centre(donor.parts[part])
        coverage = ramp(base.parts[part], retouch.feather_px)
        near = (slice(None), *box(coverage > 0))
        mask, below = coverage[near[1:]], base.pixels[near]
        patch = match_colours(np.roll(donor.pixels, shift, axis=(1, 2))[near], below, mask, retouch.colour_match)
        grain = np.roll(donor.noise, shift, axis=(1, 2))[near]
        grain = grain + retouch.noise_match * (base.noise[near] - grain)
        pixels[near] += mask * (patch - pixels[near])
        noise[near] += mask * (grain - noise[near])
    return Photo(pixels, noise, base.parts)


def centre(inside: Pixels) -> NDArray[np.int64]:
    """Row and column of a part's middle."""
    return np.rint(np.argwhere(inside > 0).mean(axis=0)).astype(np.int64)


def match_colours(patch: Pixels, base: Pixels, mask: Pixels, amount: float) -> Pixels:
    """The patch with its mean and deviation under the mask moved towards the base's, channel by channel."""
    weight = mask / mean(mask[None])
    means = [mean(image * weight) for image in (patch, base)]
    spreads = [
        np.sqrt(mean(squared(image) * weight) - squared(average)) for image, average in zip((patch, base), means, strict=True)
    ]
    like_base = (patch - means[0]) * (spreads[1] / spreads[0]) + means[1]
    return patch + amount * (like_base - patch)


def mean_and_deviation(image: Pixels, weight: Pixels) -> tuple[Pixels, Pixels]:
    """The mean and deviation of each channel of (3, H, W), as (3, 1, 1), under weights of mean 1."""
    average = mean(image * weight)
    return average, np.sqrt(mean(squared(image) * weight) - squared(average))


def to_8_bit(photo: Photo) -> NDArray[np.uint8]:
    """The photo with its noise as 8-bit RGB (P, P, 3)."""
    values = np.clip((photo.pixels + photo.noise) * 255 + 0.5, 0, 255).astype(np.uint8)
    return np.ascontiguousarray(values.transpose(1, 2, 0))
