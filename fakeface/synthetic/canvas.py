"""What a face is rendered on: coordinates of pixels on the head, soft-edged shapes, light on a relief, and colours.

Pixels are float32: (P, P), or (3, P, P) for RGB, where P is image_px. Colours are RGB in [0, 1] as displayed.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from fakeface.synthetic.arithmetic import Pixels, bell, direction, enlarge, normal, power, sine
from fakeface.synthetic.traits import Face, Scene

GAMMA = 2.1875
Box = tuple[slice, slice]


class View:
    """Coordinates of the pixels on a face: `x`, `y` on its outline, `fx` on its front, which turns with the head."""

    def __init__(self, face: Face, scene: Scene, image_px: int) -> None:
        self.face, self.scene, self.image_px = face, scene, image_px
        grid = (np.arange(image_px, dtype=np.float32) + 0.5) / image_px
        right, down = (grid[None, :] - scene.centre_x) / scene.size, (grid[:, None] - scene.centre_y) / scene.size
        cos, sin = direction(scene.roll / math.tau)
        self.x: Pixels = cos * right + sin * down
        self.y: Pixels = cos * down - sin * right
        self.pixel = 1 / (scene.size * image_px)
        self.face_rng = np.random.default_rng(int(face.texture_seed))
        self.scene_rng = np.random.default_rng(int(scene.texture_seed))
        halfwidth = face.width * (1 - face.jaw * power(np.clip((self.y + 0.1) / 1.1, 0, 1), 1.5))
        across = np.minimum(np.abs(self.x / halfwidth), 1)
        self.outline: Pixels = np.sqrt(np.maximum(1 - power(across, 2.25) - power(np.abs(self.y / 1.02), 2.625), 0))
        self.dome: Pixels = 0.75 * self.outline
        self.fx: Pixels = self.x - direction(scene.yaw / math.tau)[1] * 0.45 * self.dome

    def inside(self, cx: float, cy: float, rx: float, ry: float) -> Pixels:
        """Distance inside an ellipse on the front, about; negative outside."""
        return distance_inside(self.fx - cx, self.y - cy, rx, ry)

    def ellipse(self, cx: float, cy: float, rx: float, ry: float, soft: float = 0.0) -> Pixels:
        """Coverage of an ellipse on the front, 0 to 1; its edge is one pixel wide, and `soft` more."""
        return ramp(self.inside(cx, cy, rx, ry), self.pixel + soft)

    def bump(self, cx: float, cy: float, rx: float, ry: float) -> Pixels:
        """A bell of height 1 on the front."""
        return bell(squared((self.fx - cx) / rx) + squared((self.y - cy) / ry))

    def clouds(self, rng: np.random.Generator, size: float) -> Pixels:
        """Smooth noise of deviation about 1, whose blobs have a size on the face."""
        cells = min(max(int(1 / (size * self.scene.size)), 2), self.image_px)
        return enlarge(normal(rng, (cells, cells)), self.image_px)

    def face_clouds(self, size: float) -> Pixels:
        """Clouds that belong to the face."""
        return self.clouds(self.face_rng, size)

    def scene_clouds(self, size: float) -> Pixels:
        """Clouds that belong to what stands around the face."""
        return self.clouds(self.scene_rng, size)


@dataclass(frozen=True)
class Light:
    """Light on a relief, from its unit normals (x, y, z) in the image's frame."""

    scene: Scene
    normals: tuple[Pixels, Pixels, Pixels]

    @classmethod
    def on(cls, relief: Pixels, view: View) -> "Light":
        slope_y, slope_x = cast("list[Pixels]", np.gradient(relief, view.pixel))
        nz = 1 / np.sqrt(squared(slope_x) + squared(slope_y) + 1)
        return cls(view.scene, (-slope_x * nz, -slope_y * nz, nz))

    def shade(self) -> Pixels:
        """The ambient light, and what comes from the scene's side, wrapped as skin wraps it."""
        ambient = self.scene.ambient
        facing = np.clip((self._along(0) + 0.15) / 1.15, 0, 1)
        return ambient * (0.75 + 0.25 * self.normals[2]) + (1 - ambient) * 1.3 * facing

    def shine(self) -> Pixels:
        """The light that is mirrored into the camera."""
        return power(np.clip(self._along(1), 0, 1), 24)

    def _along(self, towards_camera: float) -> Pixels:
        """Share of each normal along the way to the light, or to the middle between that and the camera."""
        x, y, z = unit_vector(self.scene.light_x, self.scene.light_y, 0.8)
        x, y, z = unit_vector(x, y, z + towards_camera)
        nx, ny, nz = self.normals
        return nx * x + ny * y + nz * z


def unit_vector(x: float, y: float, z: float) -> tuple[float, float, float]:
    length = math.sqrt(x * x + y * y + z * z)
    return x / length, y / length, z / length


def squared(x: Pixels) -> Pixels:
    return x * x


def distance_inside(x: Pixels, y: Pixels, rx: float, ry: float) -> Pixels:
    """Distance inside an ellipse's edge, about; negative outside."""
    return (1 - np.sqrt(squared(x / rx) + squared(y / ry))) * min(rx, ry)


def ramp(distance: Pixels, width: float) -> Pixels:
    """From 0 to 1 while the distance goes from -width/2 to width/2, without corners."""
    t = np.clip(distance / width + 0.5, 0, 1)
    return t * t * (3 - 2 * t)


def paint(image: Pixels, colour: Pixels, coverage: Pixels) -> None:
    """Lay a colour, or another image, over an image in place, where the coverage (P, P) is above 0."""
    rows, columns = box(coverage > 0)
    below = image[:, rows, columns]
    below += coverage[rows, columns] * (np.broadcast_to(colour, image.shape)[:, rows, columns] - below)


def box(mask: NDArray[np.bool_]) -> Box:
    """The rows and columns of the smallest box around a mask's true places; all of it to the end where there are none."""
    lines = (np.logical_or.reduce(mask, axis=axis) for axis in (1, 0))
    ends = [(int(line.argmax()), len(line) - int(line[::-1].argmax())) for line in lines]
    return slice(*ends[0]), slice(*ends[1])


def rgb(red: float, green: float, blue: float) -> Pixels:
    return np.array([red, green, blue], np.float32)[:, None, None]


def light_of(displayed: Pixels) -> Pixels:
    """The light that a camera shows as these displayed colours."""
    return power(displayed, GAMMA)


def from_palette(palette: Sequence[tuple[float, float, float]], place: float) -> Pixels:
    """The colour at a place from 0, the palette's first, to 1, its last."""
    before = min(int(place * (len(palette) - 1)), len(palette) - 2)
    share = place * (len(palette) - 1) - before
    low, high = (rgb(*palette[index]) for index in (before, before + 1))
    return low + share * (high - low)


def tinted(lightness: float, hue: float, saturation: float) -> Pixels:
    """A colour of a lightness, hue (0..1 round the wheel) and saturation, roughly."""
    wave = sine(hue + 0.25 + rgb(0, 1 / 3, 2 / 3))
    return np.clip(lightness * (1 + saturation * wave), 0.01, 1)
