"""How a face-like photo, and a composite of two, are drawn: a relief under a light, paint on it, a camera. No I/O.

Lengths on a face are in half head heights from the middle of the head, x to the viewer's right and y down; left and
right are the viewer's. Colours are RGB in [0, 1] as displayed. What is drawn is float32, (P, P) or (P, P, 3), where P
is image_px.
"""
# mypy: warn-return-any=False
# (NumPy's operators on arrays with numbers have no narrower type.)

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar, get_type_hints

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.floating[Any]]
Traits = TypeVar("Traits")

GAMMA = 2.2
SKIN = ((0.97, 0.83, 0.75), (0.90, 0.71, 0.59), (0.76, 0.56, 0.44), (0.57, 0.39, 0.29), (0.40, 0.27, 0.21))
HAIR = ((0.62, 0.61, 0.60), (0.66, 0.50, 0.30), (0.50, 0.26, 0.14), (0.34, 0.21, 0.13), (0.18, 0.12, 0.09), (0.08, 0.07, 0.07))
IRIS = ((0.38, 0.50, 0.62), (0.42, 0.47, 0.40), (0.36, 0.34, 0.16), (0.34, 0.20, 0.10), (0.17, 0.10, 0.07))


@dataclass(frozen=True)
class Face:
    """Who is in the photo, each trait with its range; below 0 there is none of it, and 0..1 runs along a palette."""

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


@dataclass(frozen=True)
class Photo:
    """A photo whose noise is kept apart: `pixels` and `noise` (P, P, 3), `parts` (4, P, P) as distances inside, in px."""

    pixels: Pixels
    noise: Pixels
    parts: Pixels


_RANGES: dict[type, dict[str, tuple[float, float]]] = {
    kind: {name: trait.__metadata__ for name, trait in get_type_hints(kind, include_extras=True).items()}
    for kind in (Face, Scene, Camera)
}


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


def drawn_at_random(kind: type[Traits], rng: np.random.Generator) -> Traits:
    """A Face, Scene or Camera with every trait uniform in its range."""
    return kind(**{name: float(rng.uniform(*bounds)) for name, bounds in _RANGES[kind].items()})


def random_shot(rng: np.random.Generator) -> tuple[Face, Scene, Camera]:
    return drawn_at_random(Face, rng), drawn_at_random(Scene, rng), drawn_at_random(Camera, rng)


def photograph(face: Face, scene: Scene, camera: Camera, image_px: int) -> Photo:
    """The face in its scene as the camera sees it."""
    view = _View(scene, face, image_px)
    skin, hair = _skin(view), _hair_light(view)
    light = _behind_head(_backdrop(view), skin, hair, view)
    light = _head(light, skin, view)
    light = _over(light, hair, _fringe(view))
    pixels = _exposed(light, camera)
    return Photo(pixels, _noise(pixels, camera), _part_distances(view))


def composite(base: Photo, donor: Photo, parts: Sequence[int], retouch: Retouch) -> Photo:
    """`base` with the named parts (indices into records.PARTS) of `donor`, moved there in whole pixels."""
    pixels, noise = base.pixels.copy(), base.noise.copy()
    for part in parts:
        inside = base.parts[part]
        shift = _centre(inside) - _centre(donor.parts[part])
        mask = _ramp(inside, retouch.feather_px)[..., None]
        patch = np.roll(donor.pixels, shift, axis=(0, 1))
        grain = np.roll(donor.noise, shift, axis=(0, 1))
        patch = _matched(patch, base.pixels, mask, retouch.colour_match)
        grain = grain + retouch.noise_match * (base.noise - grain)
        pixels += mask * (patch - pixels)
        noise += mask * (grain - noise)
    return Photo(pixels, noise, base.parts)


def developed(photo: Photo) -> NDArray[np.uint8]:
    """The photo with its noise as 8-bit RGB (P, P, 3)."""
    return np.clip((photo.pixels + photo.noise) * 255 + 0.5, 0, 255).astype(np.uint8)


class _View:
    """Coordinates of the pixels on a face: `x`, `y` on its outline, `fx` on its front, which turns with the head."""

    def __init__(self, scene: Scene, face: Face, image_px: int) -> None:
        self.scene, self.face, self.image_px = scene, face, image_px
        grid = (np.arange(image_px, dtype=np.float32) + 0.5) / image_px
        right, down = (grid[None, :] - scene.centre_x) / scene.size, (grid[:, None] - scene.centre_y) / scene.size
        self.x: Pixels = math.cos(scene.roll) * right + math.sin(scene.roll) * down
        self.y: Pixels = math.cos(scene.roll) * down - math.sin(scene.roll) * right
        self.pixel = 1 / (scene.size * image_px)
        self.rng = np.random.default_rng(int(face.texture_seed))
        self.around = np.random.default_rng(int(scene.texture_seed))
        self.halfwidth = face.width * (1 - face.jaw * np.clip((self.y + 0.1) / 1.1, 0, 1) ** 1.5)
        across = np.clip(np.abs(self.x / self.halfwidth), 0, 1)
        self.dome: Pixels = np.sqrt(np.clip(1 - across**2.2 - np.abs(self.y / 1.02) ** 2.6, 0, 1)) * 0.75
        self.fx: Pixels = self.x - math.sin(scene.yaw) * self.dome * 0.45

    def ellipse(self, cx: float, cy: float, rx: float, ry: float, soft: float = 0.0) -> Pixels:
        """Coverage of an ellipse on the front, 0 to 1; its edge is one pixel wide, and `soft` more."""
        return _ramp(_inside(self.fx - cx, self.y - cy, rx, ry), self.pixel + soft)

    def bump(self, cx: float, cy: float, rx: float, ry: float) -> Pixels:
        """A bell of height 1 on the front."""
        return np.exp(-(((self.fx - cx) / rx) ** 2) - ((self.y - cy) / ry) ** 2)

    def clouds(self, rng: np.random.Generator, size: float) -> Pixels:
        """Smooth noise of deviation about 1, whose blobs have a size on the face."""
        cells = int(np.clip(1 / (size * self.scene.size), 2, self.image_px))
        coarse = rng.standard_normal((cells, cells), dtype=np.float32)
        return cv2.resize(coarse, (self.image_px, self.image_px), interpolation=cv2.INTER_CUBIC)


def _inside(x: Pixels, y: Pixels, rx: float, ry: float) -> Pixels:
    """Distance inside an ellipse's edge, about; negative outside."""
    return (1 - np.sqrt((x / rx) ** 2 + (y / ry) ** 2)) * min(rx, ry)


def _ramp(distance: Pixels, width: float) -> Pixels:
    """From 0 to 1 while the distance goes from -width/2 to width/2, without corners."""
    t = np.clip(distance / width + 0.5, 0, 1)
    return t * t * (3 - 2 * t)


def _backdrop(view: _View) -> Pixels:
    scene = view.scene
    slope = scene.backdrop_slope * view.y + 0.06 * view.clouds(view.around, 0.9) + 0.03 * view.clouds(view.around, 0.3)
    shape = _tinted(scene.backdrop, scene.backdrop_hue, 0.12)
    return _light_of(np.clip(shape + slope[..., None], 0.01, 1))


def _behind_head(light: Pixels, skin: Pixels, hair: Pixels, view: _View) -> Pixels:
    """Long hair, neck and clothes."""
    face, scene = view.face, view.scene
    if face.hair_end > 0.2:
        drape = face.width + face.hair_volume * (1 + 0.3 * view.y) + 0.02 * view.clouds(view.rng, 0.15)
        edge = np.minimum(drape - np.abs(view.x), np.minimum(face.hair_end - view.y, view.y + 0.5))
        light = _over(light, 0.6 * hair, _ramp(edge, 0.06))
    neck = 0.50 * face.width + 0.08 + 0.05 * np.clip(view.y - 1.0, 0, 1)
    relief = np.sqrt(np.clip(1 - (view.x / neck) ** 2, 0, 1)) * 0.35
    shadow = 1 - 0.6 * _ramp(1.15 - view.y + 0.2 * scene.light_y, 0.35)
    throat = _light_of(skin) * (_shade(relief, view) * shadow)[..., None]
    light = _over(light, throat, _ramp(np.minimum(neck - np.abs(view.x), view.y - 0.4), 2 * view.pixel))
    shoulder = view.y - 1.22 - 0.22 * np.abs(view.x) ** 1.5 + 0.18 * np.exp(-((view.x / 0.3) ** 2)) * (0.5 + face.jaw)
    cloth = _tinted(scene.clothes, scene.clothes_hue, 0.35) + 0.03 * view.clouds(view.around, 0.06)[..., None]
    folds = _shade(0.5 * shoulder + 0.03 * view.clouds(view.around, 0.25) - 0.2 * view.x**2, view)
    return _over(light, _light_of(np.clip(cloth, 0.02, 1)) * folds[..., None], _ramp(shoulder, 2 * view.pixel))


def _head(light: Pixels, skin: Pixels, view: _View) -> Pixels:
    face = view.face
    relief = _relief(view)
    paint = _light_of(_features(skin, view))
    shade, shine = _shade(relief, view), _shine(relief, view)
    warm = np.stack([shade**0.85, shade, shade**1.1], axis=-1)
    fringe = 1 - 0.35 * _ramp(face.hairline + 0.10 - view.y, 0.2)
    lit = paint * warm * fringe[..., None] + (0.25 * face.gloss * shine)[..., None]
    for side in (-1, 1):
        _eye(lit, side, view)
        ear = _inside(view.x - side * (face.width + 0.01), view.y - 0.05, 0.09, 0.2)
        light = _over(light, 0.75 * _mean(lit) + 0.25 * paint * shade[..., None], _ramp(ear, 2 * view.pixel))
    outline = view.dome / 0.75
    return _over(light, lit, _ramp(outline - 0.12, 0.24))


def _relief(view: _View) -> Pixels:
    """Height of the face towards the camera, (P, P)."""
    face, y = view.face, view.y
    down = np.clip((y - face.eye_y) / (face.nose_y - face.eye_y), 0, None)
    ridge = np.where(down < 1, 0.25 + 0.75 * down**1.3, np.exp(-(((down - 1) / 0.22) ** 2)))
    ridge *= _ramp(y - face.eye_y + 0.05, 0.3)
    height = view.dome + 0.9 * face.nose_height * ridge * np.exp(
        -((view.fx / (0.05 + 0.5 * face.nose_width * np.clip(down, 0, 1))) ** 2)
    )
    for side in (-1, 1):
        eye = side * face.eye_x
        height -= 0.10 * view.bump(eye * 0.9, face.eye_y - 0.02, 0.17, 0.11)
        height += 0.05 * view.bump(eye, face.eye_y, 0.12, 0.07)
        height += 0.04 * view.bump(eye, face.eye_y + face.brow_y, 0.22, 0.07)
        height += 0.07 * view.bump(1.3 * eye, 0.25, 0.20, 0.16)
        height += 0.07 * view.bump(side * 0.75 * face.nose_width, face.nose_y - 0.01, 0.05, 0.055)
        fold = view.fx - side * (face.nose_width + 0.04 + 0.35 * np.clip(y - face.nose_y, 0, 0.3))
        height -= (
            (0.012 + 0.35 * max(face.smile, 0))
            * np.exp(-((fold / 0.035) ** 2))
            * _ramp(0.13 - np.abs(y - face.nose_y - 0.12), 0.15)
        )
    for dy, amount, rx, ry in ((-0.5, 0.035, 0.9, 0.4), (0.5, 0.045, 0.7, 0.5), (1.25, -0.04, 0.7, 0.4)):
        height += amount * view.bump(0, face.mouth_y + dy * face.lips * 1.3, rx * face.mouth_width, ry * 0.12)
    height += 0.06 * view.bump(0, 0.86, 0.16, 0.10)
    return height + 0.0020 * face.pores * view.clouds(view.rng, 0.03) + 0.006 * view.clouds(view.rng, 0.12)


def _skin(view: _View) -> Pixels:
    """Colour of the bare skin as displayed, (P, P, 3), before any feature is painted on it."""
    face = view.face
    skin = _from_palette(SKIN, face.tone) + _vector(0.012, -0.006, -0.012) * face.pinkness
    redness = face.blotches * 0.022 * view.clouds(view.rng, 0.16)
    for side in (-1, 1):
        redness += 0.12 * face.blush * view.bump(side * 0.40, 0.28, 0.20, 0.16)
    redness += 0.05 * view.bump(0, face.nose_y, 0.14, 0.1)
    mottle = 0.018 * face.pores * view.clouds(view.rng, 0.025) + 0.012 * face.blotches * view.clouds(view.rng, 0.35)
    spots = _ramp(view.clouds(view.rng, 0.035) - 1.9, 0.6) * _ramp(0.4 - np.abs(view.y - 0.15), 0.3) * max(face.freckles, 0)
    moles = _ramp(view.clouds(view.rng, 0.04) - 3.1, 0.2)
    return np.clip(
        skin * (1 + redness[..., None] * _vector(0.3, -1.1, -1.0) + mottle[..., None])
        - spots[..., None] * _vector(0.10, 0.13, 0.13)
        - moles[..., None] * _vector(0.25, 0.25, 0.22),
        0.02,
        1,
    )


def _features(paint: Pixels, view: _View) -> Pixels:
    """Beard, lids, brows, nostrils and mouth painted on the skin; the eyeballs are another function's."""
    face = view.face
    hair = _from_palette(HAIR, face.hair)
    if face.beard > 0:
        region = _ramp(view.y - 0.30 - 0.25 * np.exp(-((view.fx / 0.35) ** 2)), 0.25) * (
            1 - view.bump(0, face.mouth_y, 0.2, 0.07)
        )
        region = np.maximum(region, view.ellipse(0, face.mouth_y - 0.13, 0.24, 0.07, 0.08))
        strands = np.clip(0.75 + 0.35 * view.clouds(view.rng, 0.02), 0, 1)
        paint = _over(paint, hair * 0.9, region * strands * (0.15 + 0.65 * face.beard))
    for side in (-1, 1):
        eye = side * face.eye_x
        shadowed = view.ellipse(eye, face.eye_y - 0.035, 1.15 * face.eye_width, 0.085, 0.10)
        paint = _over(paint, _tinted(0.35, face.iris * 0.7 + 0.1, 0.25), shadowed * max(face.eyeshadow, 0) * 0.7)
        paint = paint * (1 - 0.10 * view.bump(eye, face.eye_y + 0.10, 0.12, 0.05))[..., None]
        u = (view.fx - eye) * side / 0.20
        arch = face.eye_y + face.brow_y - face.brow_arch * (1 - (u - 0.25) ** 2 * 1.6)
        taper = face.brow_width * np.clip(1.05 - 0.55 * np.clip(u, 0, 2) - np.clip(-u - 0.75, 0, 1) * 2, 0, 1)
        brow = _ramp(taper - np.abs(view.y - arch), 0.03) * _ramp(1 - np.abs(u), 0.3)
        paint = _over(paint, hair * 0.7, brow * np.clip(0.8 + 0.25 * view.clouds(view.rng, 0.025), 0, 1))
        nostril = view.ellipse(side * 0.45 * face.nose_width, face.nose_y + 0.045, 0.30 * face.nose_width, 0.02, 0.02)
        paint = _over(paint, 0.25 * paint, 0.85 * nostril)
    return _mouth(paint, view)


def _mouth(paint: Pixels, view: _View) -> Pixels:
    face = view.face
    u = np.clip(view.fx / face.mouth_width, -1.2, 1.2)
    ends = _ramp(1 - np.abs(u), 0.1)
    line = face.mouth_y - face.smile * u**2
    gap = max(face.mouth_opening, 0.006) * np.clip(1 - u**2, 0, 1)
    upper = line - gap - face.lips * 0.75 * np.clip(1 - np.abs(u) ** 1.7, 0, 1) * (1 - 0.25 * np.exp(-((u / 0.18) ** 2)))
    lower = line + gap + face.lips * np.clip(1 - u**2, 0, 1) ** 0.8
    bare = _vector(0.86, 0.56, 0.55) * _from_palette(SKIN, face.tone) / 0.86
    lipstick = _vector(0.66 - 0.2 * face.iris, 0.13 + 0.15 * face.hair, 0.20 + 0.1 * face.tone)
    colour = bare + max(face.lipstick, 0) * (lipstick - bare)
    creases = 1 + 0.05 * view.clouds(view.rng, 0.02)
    paint = _over(paint, colour * creases[..., None], _ramp(np.minimum(lower - view.y, view.y - upper), 0.03) * ends)
    inside = _ramp(gap - np.abs(view.y - line), 1.5 * view.pixel) * ends
    paint = _over(paint, (0.16, 0.06, 0.06), inside)
    if face.mouth_opening > 0.015:
        teeth = _ramp(np.minimum(0.75 * gap - (view.y - line + 0.35 * gap), 0.8 - np.abs(u)), 0.02) * inside
        gaps = 0.92 + 0.08 * np.abs(np.cos(np.pi * view.fx / 0.055)) ** 0.5
        paint = _over(paint, _vector(0.88, 0.85, 0.78) * gaps[..., None], teeth)
    return paint


def _eye(light: Pixels, side: int, view: _View) -> None:
    """Paint an eyeball, its lashes and the lid's crease over the lit skin, in place; `side` is -1 or 1."""
    face, scene = view.face, view.scene
    near = _box(view.bump(side * face.eye_x, face.eye_y, 0.2, 0.15) > 0.2)
    x, y = (view.fx - side * face.eye_x)[near], (view.y - face.eye_y)[near]
    y = y + face.eye_slant * side * x
    u = np.clip(np.abs(x / face.eye_width), 0, 1.3)
    almond = np.clip(1 - u**2.2, 0, 1)
    upper, lower = y + face.eye_opening * almond, 0.62 * face.eye_opening * almond - y
    sphere = 0.12 * np.sqrt(np.clip(1 - (x / 0.2) ** 2 - (y / 0.2) ** 2, 0, 1))
    shade = (_shade(sphere, view) * (0.45 + 0.55 * _ramp(upper - 0.02, 0.06)))[..., None]
    ball = _light_of((0.90, 0.87, 0.85)) * shade

    radius = 0.5 * face.eye_width
    gx, gy = x - 0.8 * radius * scene.gaze, y + 0.15 * face.eye_opening
    r, angle = np.hypot(gx, gy), np.arctan2(gy, gx)
    rays = (1 + 0.25 * np.sin(9 * angle + 7 * face.iris) * np.cos(5 * angle)) * (1.3 - 0.9 * (r / radius) ** 4)
    ball = _over(
        ball,
        _light_of(_from_palette(IRIS, face.iris)) * rays.clip(0.02)[..., None] * shade,
        _ramp(radius - r, 1.5 * view.pixel),
    )
    ball = _over(ball, (0.005, 0.005, 0.005), _ramp(0.42 * radius - r, 1.5 * view.pixel))
    glint = np.hypot(gx - 0.5 * radius * scene.light_x, gy - 0.5 * radius * (scene.light_y - 0.2))
    ball = _over(ball, (0.95, 0.95, 0.95), _ramp(0.018 - glint, 1.5 * view.pixel))

    opening = _ramp(np.minimum(upper, lower), 1.5 * view.pixel) * _ramp(1 - u, 0.1)
    lashes = (0.7 + 0.2 * max(face.eyeshadow, 0)) * np.exp(-((upper / 0.016) ** 2)) * _ramp(1.08 - u, 0.3)
    crease = 0.35 * np.exp(-(((upper + face.eyelid) / 0.014) ** 2)) * _ramp(1 - u, 0.4)
    rim = 0.25 * np.exp(-((lower / 0.015) ** 2)) * _ramp(1 - u, 0.3)
    light[near] = _over(light[near], ball, opening) * ((1 - lashes) * (1 - crease) * (1 - rim))[..., None]


def _fringe(view: _View) -> Pixels:
    """Where hair lies in front of the head, (P, P) from 0 to 1."""
    face = view.face
    rough = 0.014 * view.clouds(view.rng, 0.05)
    scalp = _inside(view.x, view.y + 0.12, face.width + 0.8 * face.hair_volume, 0.92 + face.hair_volume) + rough
    parted = 0.06 * np.exp(-(((view.x - 0.5 * face.parting) / (0.25 * face.width)) ** 2))
    bare = _inside(view.fx, view.y - 0.25, 0.90 * face.width, 0.25 - face.hairline) + parted + rough
    end = (face.hair_end if face.hair_end > 0.2 else -0.02) - view.y + 0.3 * (np.abs(view.x) - face.width) + rough
    return _ramp(np.minimum(np.minimum(scalp, -bare), end), 0.05)


def _hair_light(view: _View) -> Pixels:
    """Strands that fall from the parting, (P, P, 3)."""
    face = view.face
    angle = np.arctan2(view.x - face.parting, view.y + 1.3 + 0.3 * np.abs(view.x)) + 0.05 * view.clouds(view.rng, 0.3)
    strands = np.interp(angle, np.linspace(-np.pi, np.pi, 400), view.rng.standard_normal(400)).astype(np.float32)
    locks = np.interp(angle, np.linspace(-np.pi, np.pi, 60), view.rng.standard_normal(60)).astype(np.float32)
    relief = np.sqrt(np.clip(1.2 - view.x**2 - (view.y / 1.4) ** 2, 0, 2)) * 0.7
    shade = _shade(relief, view) * np.clip(0.8 + 0.22 * strands + 0.22 * locks, 0.15, 2)
    shine = 0.10 * _shine(relief, view) * np.clip(1 + 0.5 * strands, 0, 2)
    return _light_of(_from_palette(HAIR, face.hair)) * shade[..., None] + shine[..., None]


def _normals(relief: Pixels, view: _View) -> tuple[Pixels, Pixels, Pixels]:
    """x, y and z of the unit vectors that stand on a relief, in the image's frame."""
    slope_y, slope_x = np.gradient(relief, view.pixel)
    length = np.sqrt(slope_x**2 + slope_y**2 + 1)
    return -slope_x / length, -slope_y / length, 1 / length


def _light_direction(scene: Scene) -> Pixels:
    direction = _vector(scene.light_x, scene.light_y, 0.8)
    return direction / np.linalg.norm(direction)


def _shade(relief: Pixels, view: _View) -> Pixels:
    """Light that a relief receives: the ambient, and what comes from the scene's side, wrapped as skin wraps it."""
    lx, ly, lz = _light_direction(view.scene)
    nx, ny, nz = _normals(relief, view)
    facing = np.clip((nx * lx + ny * ly + nz * lz + 0.15) / 1.15, 0, 1)
    return view.scene.ambient * (0.75 + 0.25 * nz) + (1 - view.scene.ambient) * 1.3 * facing


def _shine(relief: Pixels, view: _View) -> Pixels:
    lx, ly, lz = _light_direction(view.scene)
    nx, ny, nz = _normals(relief, view)
    half = _vector(lx, ly, lz + 1)
    half /= np.linalg.norm(half)
    return np.clip(nx * half[0] + ny * half[1] + nz * half[2], 0, 1) ** 24


def _exposed(light: Pixels, camera: Camera) -> Pixels:
    """Light as displayed values in [0, 1]: lens, white balance, exposure, contrast."""
    image_px = len(light)
    across = (np.arange(image_px, dtype=np.float32) + 0.5) / image_px * 2 - 1
    falloff = 1 - camera.vignette * 0.5 * (across[:, None] ** 2 + across[None, :] ** 2)
    gains = camera.exposure * _vector(1 + camera.warmth, 1 + camera.tint, 1 - camera.warmth)
    sharp = np.clip(light * falloff[..., None] * gains, 0, None) ** (1 / GAMMA)
    shown = 0.5 + camera.contrast * (_blurred(sharp, camera.blur_px) - 0.5)
    return np.where(shown > 0.85, 1 - 0.15 * np.exp(-(shown - 0.85) / 0.15), np.clip(shown, 0.01, 1)).astype(np.float32)


def _noise(pixels: Pixels, camera: Camera) -> Pixels:
    """Sensor noise, stronger in the dark and partly shared by the channels and by neighbours."""
    rng = np.random.default_rng(int(camera.noise_seed))
    white = rng.standard_normal((*pixels.shape[:2], 4), dtype=np.float32)
    grain = 1.5 * _blurred(0.7 * white[..., :3] + 0.7 * white[..., 3:], 0.5)
    return camera.noise * grain * (1.3 - 0.7 * pixels)


def _part_distances(view: _View) -> Pixels:
    """How far inside each part, in the order of records.PARTS, every pixel lies, in px: (4, P, P)."""
    face = view.face
    places = [(side * face.eye_x, face.eye_y - 0.05, 1.45 * face.eye_width, 0.19) for side in (-1, 1)]
    places.append((0, 0.5 * (face.nose_y + 0.17), 1.5 * face.nose_width, 0.24))
    places.append((0, face.mouth_y + 0.01, face.mouth_width + 0.07, 0.16))
    return np.stack([_inside(view.fx - x, view.y - y, rx, ry) / view.pixel for x, y, rx, ry in places])


def _centre(inside: Pixels) -> NDArray[np.int64]:
    """Row and column of a part's middle."""
    return np.rint(np.argwhere(inside > 0).mean(axis=0)).astype(np.int64)


def _matched(patch: Pixels, base: Pixels, mask: Pixels, amount: float) -> Pixels:
    """The patch with its mean and deviation under the mask moved towards the base's, channel by channel."""
    weight = mask / mask.mean()
    means = [_mean(image * weight) for image in (patch, base)]
    spreads = [np.sqrt(_mean(image**2 * weight) - mean**2) for image, mean in zip((patch, base), means, strict=True)]
    like_base = (patch - means[0]) * (spreads[1] / spreads[0]) + means[1]
    return patch + amount * (like_base - patch)


def _blurred(image: Pixels, deviation_px: float) -> Pixels:
    """A Gaussian blur of an image (P, P, C), edges repeated."""
    reach = int(np.ceil(2.5 * deviation_px))
    return cv2.GaussianBlur(image, (2 * reach + 1,) * 2, deviation_px, borderType=cv2.BORDER_REPLICATE)


def _mean(image: Pixels) -> Pixels:
    """Of each channel of an image (P, P, 3); NumPy takes thirty times as long over an axis of three."""
    return _vector(*cv2.mean(image)[:3])


def _over(image: Pixels, colour: Pixels | tuple[float, float, float], coverage: Pixels) -> Pixels:
    """A copy of the image with a colour, or another image, over it."""
    painted, near = image.copy(), _box(coverage > 0)
    paint = np.broadcast_to(np.asarray(colour, np.float32), image.shape)[near]
    painted[near] += coverage[near][..., None] * (paint - image[near])
    return painted


def _box(mask: NDArray[np.bool_]) -> tuple[slice, slice]:
    """The rows and columns of the smallest box around a mask's true places; all of it to the end where there are none."""
    lines = (np.logical_or.reduce(mask, axis=axis) for axis in (1, 0))
    ends = [(int(line.argmax()), len(line) - int(line[::-1].argmax())) for line in lines]
    return slice(*ends[0]), slice(*ends[1])


def _light_of(displayed: Pixels | tuple[float, float, float]) -> Pixels:
    return np.asarray(displayed, np.float32) ** GAMMA


def _from_palette(palette: Sequence[tuple[float, float, float]], place: float) -> Pixels:
    places = np.linspace(0, 1, len(palette))
    return _vector(*(np.interp(place, places, channel) for channel in zip(*palette, strict=True)))


def _vector(*values: float) -> Pixels:
    return np.asarray(values, np.float32)


def _tinted(lightness: float, hue: float, saturation: float) -> Pixels:
    """A colour of a lightness, hue (0..1 round the wheel) and saturation, roughly."""
    wave = np.cos(2 * np.pi * (hue + _vector(0, 1 / 3, 2 / 3)))
    return np.clip(lightness * (1 + saturation * wave), 0.01, 1).astype(np.float32)
