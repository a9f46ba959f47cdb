"""The traits that decide what a photo shows, each with its range, and their random choice.

Lengths on a face are in half head heights from the middle of the head, x to the viewer's right and y down; left and
right are the viewer's. A trait below 0 is absent, and 0..1 runs along a palette.
"""

from dataclasses import dataclass
from typing import Annotated, TypeVar, get_type_hints

import numpy as np

from fakeface.synthetic.arithmetic import uniform

Traits = TypeVar("Traits")


@dataclass(frozen=True)
class Face:
    """Who is in the photo."""

    tone: Annotated[float, 0, 1]
    pinkness: Annotated[float, -1, 1]
    blush: Annotated[float, 0, 0.6]
    blotches: Annotated[float, 0.2, 1]
    pores: Annotated[float, 0.2, 1]
    freckles: Annotated[float, -3, 1]
    gloss: Annotated[float, 0.05, 0.4]
    width: Annotated[float, 0.66, 0.78]
    jaw: Annotated[float, 0.05, 0.35]  # how much narrower than the temples
    eye_x: Annotated[float, 0.28, 0.325]
    eye_y: Annotated[float, -0.10, -0.03]
    eye_width: Annotated[float, 0.125, 0.155]  # from its middle to a corner
    eye_opening: Annotated[float, 0.04, 0.075]
    eye_slant: Annotated[float, -0.10, 0.20]
    eyelid: Annotated[float, 0.025, 0.06]  # from the lashes up to the crease
    eyeshadow: Annotated[float, -1, 0.7]
    iris: Annotated[float, 0, 1]
    brow_y: Annotated[float, -0.21, -0.16]  # from the eye
    brow_width: Annotated[float, 0.018, 0.040]
    brow_arch: Annotated[float, 0.01, 0.07]
    nose_y: Annotated[float, 0.27, 0.35]  # of its tip
    nose_width: Annotated[float, 0.10, 0.15]
    nose_height: Annotated[float, 0.20, 0.36]
    mouth_y: Annotated[float, 0.55, 0.61]
    mouth_width: Annotated[float, 0.19, 0.27]  # from its middle to a corner
    lips: Annotated[float, 0.045, 0.085]
    lipstick: Annotated[float, -0.6, 0.9]
    smile: Annotated[float, -0.02, 0.06]
    mouth_opening: Annotated[float, -0.10, 0.06]
    beard: Annotated[float, -2, 1]
    hair: Annotated[float, 0, 1]
    hair_end: Annotated[float, -0.6, 1.6]  # y where it ends
    hair_volume: Annotated[float, 0.04, 0.22]
    hairline: Annotated[float, -0.76, -0.50]
    parting: Annotated[float, -0.45, 0.45]
    texture_seed: Annotated[float, 0, 2**40]


@dataclass(frozen=True)
class Scene:
    """Where the head is (in image widths), how it is turned, where the light comes from, what stands around it."""

    centre_x: Annotated[float, 0.46, 0.54]
    centre_y: Annotated[float, 0.50, 0.56]
    size: Annotated[float, 0.39, 0.46]  # half the head's height
    roll: Annotated[float, -0.15, 0.15]  # radians
    yaw: Annotated[float, -0.45, 0.45]  # radians
    gaze: Annotated[float, -0.4, 0.4]
    light_x: Annotated[float, -1.1, 1.1]  # below 0 from the left
    light_y: Annotated[float, -0.8, 0.1]  # below 0 from above
    ambient: Annotated[float, 0.15, 0.45]
    backdrop: Annotated[float, 0.05, 0.85]
    backdrop_hue: Annotated[float, 0, 1]
    backdrop_slope: Annotated[float, -0.25, 0.25]
    clothes: Annotated[float, 0.05, 0.85]
    clothes_hue: Annotated[float, 0, 1]
    texture_seed: Annotated[float, 0, 2**40]


@dataclass(frozen=True)
class Camera:
    """What the camera makes of the light; gains have no unit, noise is a standard deviation of displayed values."""

    warmth: Annotated[float, -0.10, 0.10]
    tint: Annotated[float, -0.03, 0.03]
    exposure: Annotated[float, 0.8, 1.3]
    contrast: Annotated[float, 0.9, 1.15]
    vignette: Annotated[float, 0, 0.35]
    blur_px: Annotated[float, 0.35, 1.0]
    noise: Annotated[float, 0.005, 0.025]
    noise_seed: Annotated[float, 0, 2**40]


RANGES: dict[type, dict[str, tuple[float, float]]] = {
    kind: {name: trait.__metadata__ for name, trait in get_type_hints(kind, include_extras=True).items()}
    for kind in (Face, Scene, Camera)
}
"""Lower and upper bound of each trait."""


def random_traits(kind: type[Traits], rng: np.random.Generator) -> Traits:
    """A Face, Scene or Camera with every trait uniform in its range."""
    return kind(**{name: uniform(rng, *bounds) for name, bounds in RANGES[kind].items()})


def random_shot(rng: np.random.Generator) -> tuple[Face, Scene, Camera]:
    return random_traits(Face, rng), random_traits(Scene, rng), random_traits(Camera, rng)
