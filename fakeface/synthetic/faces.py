"""A head in front of a backdrop, rendered as light: a relief under a light, and paint on it."""

import math

import numpy as np

from fakeface.synthetic.arithmetic import Pixels, arctan2_turns, bell, interpolate, mean, normal, power, sine
from fakeface.synthetic.canvas import (
    Light,
    View,
    box,
    distance_inside,
    from_palette,
    light_of,
    paint,
    ramp,
    rgb,
    squared,
    tinted,
)

SKIN = ((0.97, 0.83, 0.75), (0.90, 0.71, 0.59), (0.76, 0.56, 0.44), (0.57, 0.39, 0.29), (0.40, 0.27, 0.21))
HAIR = ((0.62, 0.61, 0.60), (0.66, 0.50, 0.30), (0.50, 0.26, 0.14), (0.34, 0.21, 0.13), (0.18, 0.12, 0.09), (0.08, 0.07, 0.07))
IRIS = ((0.38, 0.50, 0.62), (0.42, 0.47, 0.40), (0.36, 0.34, 0.16), (0.34, 0.20, 0.10), (0.17, 0.10, 0.07))
SIDES = (-1, 1)


def light_of_scene(view: View) -> Pixels:
    """All that the camera sees, (3, P, P), from back to front."""
    skin, hair = skin_colour(view), hair_light(view)
    light = backdrop_light(view)
    paint_long_hair(light, hair, view)
    paint_neck(light, skin, view)
    paint_clothes(light, view)
    paint_head(light, skin, view)
    paint(light, hair, fringe_coverage(view))
    return light


def part_distances(view: View) -> Pixels:
    """How far inside each part, in the order of records.PARTS, every pixel lies, in px: (4, P, P)."""
    face = view.face
    places = [(side * face.eye_x, face.eye_y - 0.05, 1.45 * face.eye_width, 0.19) for side in SIDES]
    places.append((0, 0.5 * (face.nose_y + 0.17), 1.5 * face.nose_width, 0.24))
    places.append((0, face.mouth_y + 0.01, face.mouth_width + 0.07, 0.16))
    return np.stack([view.inside(*place) / view.pixel for place in places])


def backdrop_light(view: View) -> Pixels:
    scene = view.scene
    slope = scene.backdrop_slope * view.y + 0.06 * view.scene_clouds(0.9) + 0.03 * view.scene_clouds(0.3)
    return light_of(np.clip(tinted(scene.backdrop, scene.backdrop_hue, 0.12) + slope, 0.01, 1))


def paint_long_hair(light: Pixels, hair: Pixels, view: View) -> None:
    face = view.face
    if face.hair_end > 0.2:
        drape = face.width + face.hair_volume * (1 + 0.3 * view.y) + 0.02 * view.face_clouds(0.15)
        edge = np.minimum(drape - np.abs(view.x), np.minimum(face.hair_end - view.y, view.y + 0.5))
        paint(light, 0.6 * hair, ramp(edge, 0.06))


def paint_neck(light: Pixels, skin: Pixels, view: View) -> None:
    halfwidth = 0.50 * view.face.width + 0.08 + 0.05 * np.clip(view.y - 1.0, 0, 1)
    relief = 0.35 * np.sqrt(np.maximum(1 - squared(view.x / halfwidth), 0))
    shadow = 1 - 0.6 * ramp(1.15 - view.y + 0.2 * view.scene.light_y, 0.35)
    neck = light_of(skin) * (Light.on(relief, view).shade() * shadow)
    paint(light, neck, ramp(np.minimum(halfwidth - np.abs(view.x), view.y - 0.4), 2 * view.pixel))


def paint_clothes(light: Pixels, view: View) -> None:
    scene = view.scene
    collar = 0.18 * (0.5 + view.face.jaw) * bell(squared(view.x / 0.3))
    shoulder = view.y - 1.22 - 0.22 * power(np.abs(view.x), 1.5) + collar
    cloth = tinted(scene.clothes, scene.clothes_hue, 0.35) + 0.03 * view.scene_clouds(0.06)
    folds = Light.on(0.5 * shoulder + 0.03 * view.scene_clouds(0.25) - 0.2 * squared(view.x), view).shade()
    paint(light, light_of(np.clip(cloth, 0.02, 1)) * folds, ramp(shoulder, 2 * view.pixel))


def paint_head(light: Pixels, skin: Pixels, view: View) -> None:
    """The face, its eyes and the ears beside it."""
    face = view.face
    on_face = Light.on(face_relief(view), view)
    shade = on_face.shade()
    colours = light_of(face_colour(skin, view))
    warm = np.stack([power(shade, 0.875), shade, power(shade, 1.125)])
    fringe = 1 - 0.35 * ramp(face.hairline + 0.10 - view.y, 0.2)
    head = colours * warm * fringe + 0.25 * face.gloss * on_face.shine()
    for side in SIDES:
        paint_eye(head, side, view)
        ear = distance_inside(view.x - side * (face.width + 0.01), view.y - 0.05, 0.09, 0.2)
        paint(light, 0.75 * mean(head) + 0.25 * colours * shade, ramp(ear, 2 * view.pixel))
    paint(light, head, ramp(view.outline - 0.12, 0.24))


def face_relief(view: View) -> Pixels:
    """Height of the face towards the camera, (P, P)."""
    face = view.face
    height = view.dome + nose_relief(view)
    for side in SIDES:
        eye = side * face.eye_x
        height -= 0.10 * view.bump(eye * 0.9, face.eye_y - 0.02, 0.17, 0.11)
        height += 0.05 * view.bump(eye, face.eye_y, 0.12, 0.07)
        height += 0.04 * view.bump(eye, face.eye_y + face.brow_y, 0.22, 0.07)
        height += 0.07 * view.bump(1.3 * eye, 0.25, 0.20, 0.16)
        height += 0.07 * view.bump(side * 0.75 * face.nose_width, face.nose_y - 0.01, 0.05, 0.055)
        height -= (0.012 + 0.35 * max(face.smile, 0)) * cheek_fold(side, view)
    for dy, amount, rx, ry in ((-0.5, 0.035, 0.9, 0.4), (0.5, 0.045, 0.7, 0.5), (1.25, -0.04, 0.7, 0.4)):
        height += amount * view.bump(0, face.mouth_y + dy * face.lips * 1.3, rx * face.mouth_width, ry * 0.12)
    height += 0.06 * view.bump(0, 0.86, 0.16, 0.10)
    return height + 0.0020 * face.pores * view.face_clouds(0.03) + 0.006 * view.face_clouds(0.12)


def nose_relief(view: View) -> Pixels:
    """A ridge that rises and widens from between the eyes down to the tip."""
    face = view.face
    down = np.maximum((view.y - face.eye_y) / (face.nose_y - face.eye_y), 0)
    profile = np.where(down < 1, 0.25 + 0.75 * power(down, 1.25), bell(squared((down - 1) / 0.22)))
    halfwidth = 0.05 + 0.5 * face.nose_width * np.minimum(down, 1)
    across = bell(squared(view.fx / halfwidth))
    return 0.9 * face.nose_height * profile * ramp(view.y - face.eye_y + 0.05, 0.3) * across


def cheek_fold(side: int, view: View) -> Pixels:
    """The fold from the nose down to a corner of the mouth, from 0 to 1."""
    face = view.face
    across = view.fx - side * (face.nose_width + 0.04 + 0.35 * np.clip(view.y - face.nose_y, 0, 0.3))
    return bell(squared(across / 0.035)) * ramp(0.13 - np.abs(view.y - face.nose_y - 0.12), 0.15)


def skin_colour(view: View) -> Pixels:
    """Colour of the bare skin as displayed, (3, P, P), before any feature is painted on it."""
    face = view.face
    skin = from_palette(SKIN, face.tone) + face.pinkness * rgb(0.012, -0.006, -0.012)
    redness = face.blotches * 0.022 * view.face_clouds(0.16) + 0.05 * view.bump(0, face.nose_y, 0.14, 0.1)
    for side in SIDES:
        redness += 0.12 * face.blush * view.bump(side * 0.40, 0.28, 0.20, 0.16)
    mottle = 0.018 * face.pores * view.face_clouds(0.025) + 0.012 * face.blotches * view.face_clouds(0.35)
    colour = skin * (1 + mottle + redness * rgb(0.3, -1.1, -1.0))
    colour -= rgb(0.25, 0.25, 0.22) * ramp(view.face_clouds(0.04) - 3.1, 0.2)
    if face.freckles > 0:
        freckles = ramp(view.face_clouds(0.035) - 1.9, 0.6) * ramp(0.4 - np.abs(view.y - 0.15), 0.3)
        colour -= rgb(0.10, 0.13, 0.13) * (face.freckles * freckles)
    return np.clip(colour, 0.02, 1)


def face_colour(skin: Pixels, view: View) -> Pixels:
    """Colour of the face as displayed: beard, lids, brows, nostrils and mouth painted on the skin; eyeballs come later."""
    face = view.face
    colour, hair = skin.copy(), from_palette(HAIR, face.hair)
    if face.beard > 0:
        strands = np.clip(0.75 + 0.35 * view.face_clouds(0.02), 0, 1)
        paint(colour, 0.9 * hair, beard_coverage(view) * strands * (0.15 + 0.65 * face.beard))
    for side in SIDES:
        paint_lid(colour, side, view)
        paint(colour, 0.7 * hair, brow_coverage(side, view))
        nostril = view.ellipse(side * 0.45 * face.nose_width, face.nose_y + 0.045, 0.30 * face.nose_width, 0.02, 0.02)
        colour *= 1 - 0.64 * nostril
    paint_mouth(colour, view)
    return colour


def beard_coverage(view: View) -> Pixels:
    face = view.face
    jaw = ramp(view.y - 0.30 - 0.25 * bell(squared(view.fx / 0.35)), 0.25)
    moustache = view.ellipse(0, face.mouth_y - 0.13, 0.24, 0.07, 0.08)
    return np.maximum(jaw * (1 - view.bump(0, face.mouth_y, 0.2, 0.07)), moustache)


def paint_lid(colour: Pixels, side: int, view: View) -> None:
    """Eyeshadow above an eye, and the ring under it."""
    face = view.face
    eye = side * face.eye_x
    if face.eyeshadow > 0:
        lid = view.ellipse(eye, face.eye_y - 0.035, 1.15 * face.eye_width, 0.085, 0.10)
        paint(colour, tinted(0.35, face.iris * 0.7 + 0.1, 0.25), 0.7 * face.eyeshadow * lid)
    colour *= 1 - 0.10 * view.bump(eye, face.eye_y + 0.10, 0.12, 0.05)


def brow_coverage(side: int, view: View) -> Pixels:
    face = view.face
    u = (view.fx - side * face.eye_x) * (side / 0.20)
    arch = face.eye_y + face.brow_y - face.brow_arch * (1 - squared(u - 0.25) * 1.6)
    taper = np.clip(1.05 - 0.55 * np.clip(u, 0, 2) - 2 * np.clip(-u - 0.75, 0, 1), 0, 1)
    brow = ramp(face.brow_width * taper - np.abs(view.y - arch), 0.03) * ramp(1 - np.abs(u), 0.3)
    return brow * np.clip(0.8 + 0.25 * view.face_clouds(0.025), 0, 1)


def paint_mouth(colour: Pixels, view: View) -> None:
    face = view.face
    u = np.clip(view.fx / face.mouth_width, -1.2, 1.2)
    round_u = np.maximum(1 - squared(u), 0)
    ends = ramp(1 - np.abs(u), 0.1)
    line = view.y - face.mouth_y + face.smile * squared(u)
    gap = max(face.mouth_opening, 0.006) * round_u
    bow = np.maximum(1 - power(np.abs(u), 1.75), 0) * (1 - 0.25 * bell(squared(u / 0.18)))
    lips = np.minimum(gap + face.lips * power(round_u, 0.75) - line, line + gap + 0.75 * face.lips * bow)
    creases = 1 + 0.05 * view.face_clouds(0.02)
    paint(colour, lip_colour(view) * creases, ramp(lips, 0.03) * ends)
    inside = ramp(gap - np.abs(line), 1.5 * view.pixel) * ends
    paint(colour, rgb(0.16, 0.06, 0.06), inside)
    if face.mouth_opening > 0.015:
        teeth = ramp(np.minimum(0.4 * gap - line, 0.8 - np.abs(u)), 0.02) * inside
        between = 0.92 + 0.08 * np.sqrt(np.abs(sine(view.fx / 0.11 + 0.25)))
        paint(colour, rgb(0.88, 0.85, 0.78) * between, teeth)


def lip_colour(view: View) -> Pixels:
    face = view.face
    bare = rgb(1.0, 0.65, 0.64) * from_palette(SKIN, face.tone)
    lipstick = rgb(0.66 - 0.2 * face.iris, 0.13 + 0.15 * face.hair, 0.20 + 0.1 * face.tone)
    return bare + max(face.lipstick, 0) * (lipstick - bare)


def paint_eye(light: Pixels, side: int, view: View) -> None:
    """Paint an eyeball, its lashes and the lid's crease over the lit skin; `side` is -1 or 1."""
    face = view.face
    near = box(view.inside(side * face.eye_x, face.eye_y, 0.25, 0.19) > 0)
    x, y = view.fx[near] - side * face.eye_x, view.y[near] - face.eye_y
    y = y + face.eye_slant * side * x
    u = np.minimum(np.abs(x / face.eye_width), 1.3)
    almond = face.eye_opening * np.maximum(1 - power(u, 2.25), 0)
    upper, lower = y + almond, 0.62 * almond - y

    around = light[:, *near]
    opening = ramp(np.minimum(upper, lower), 1.5 * view.pixel) * ramp(1 - u, 0.1)
    paint(around, eyeball_light(x, y, upper, view), opening)
    lashes = (0.7 + 0.2 * max(face.eyeshadow, 0)) * bell(squared(upper / 0.016)) * ramp(1.08 - u, 0.3)
    crease = 0.35 * bell(squared((upper + face.eyelid) / 0.014)) * ramp(1 - u, 0.4)
    rim = 0.25 * bell(squared(lower / 0.015)) * ramp(1 - u, 0.3)
    around *= (1 - lashes) * (1 - crease) * (1 - rim)


def eyeball_light(x: Pixels, y: Pixels, below_lid: Pixels, view: View) -> Pixels:
    """The white, iris, pupil and glint of an eye, (3, h, w); `x`, `y` from its middle, and the distance below the lid."""
    face, scene = view.face, view.scene
    sphere = 0.12 * np.sqrt(np.maximum(1 - squared(x / 0.2) - squared(y / 0.2), 0))
    shade = Light.on(sphere, view).shade() * (0.45 + 0.55 * ramp(below_lid - 0.02, 0.06))
    ball = light_of(rgb(0.90, 0.87, 0.85)) * shade

    edge, radius = 1.5 * view.pixel, 0.5 * face.eye_width
    gx, gy = x - 0.8 * radius * scene.gaze, y + 0.15 * face.eye_opening
    r = np.sqrt(squared(gx) + squared(gy))
    turns = arctan2_turns(gy, gx)
    spokes = 1 + 0.25 * sine(9 * turns + 7 * face.iris / math.tau) * sine(5 * turns + 0.25)
    rays = np.maximum(spokes * (1.3 - 0.9 * power(r / radius, 4)), 0.02)
    paint(ball, light_of(from_palette(IRIS, face.iris)) * rays * shade, ramp(radius - r, edge))
    paint(ball, rgb(0.005, 0.005, 0.005), ramp(0.42 * radius - r, edge))
    glint_x, glint_y = gx - 0.5 * radius * scene.light_x, gy - 0.5 * radius * (scene.light_y - 0.2)
    glint = np.sqrt(squared(glint_x) + squared(glint_y))
    paint(ball, rgb(0.95, 0.95, 0.95), ramp(0.018 - glint, edge))
    return ball


def fringe_coverage(view: View) -> Pixels:
    """Where hair lies in front of the head, (P, P) from 0 to 1."""
    face = view.face
    rough = 0.014 * view.face_clouds(0.05)
    scalp = distance_inside(view.x, view.y + 0.12, face.width + 0.8 * face.hair_volume, 0.92 + face.hair_volume) + rough
    parted = 0.06 * bell(squared((view.x - 0.5 * face.parting) / (0.25 * face.width)))
    bare = view.inside(0, 0.25, 0.90 * face.width, 0.25 - face.hairline) + parted + rough
    end = (face.hair_end if face.hair_end > 0.2 else -0.02) - view.y + 0.3 * (np.abs(view.x) - face.width) + rough
    return ramp(np.minimum(np.minimum(scalp, -bare), end), 0.05)


def hair_light(view: View) -> Pixels:
    """Strands that fall from the parting, (3, P, P)."""
    face = view.face
    turns = arctan2_turns(view.x - face.parting, view.y + 1.3 + 0.3 * np.abs(view.x))
    places = np.clip(0.5 + turns + 0.008 * view.face_clouds(0.3), 0, 1)
    strands, locks = (interpolate(normal(view.face_rng, (count,)), places) for count in (400, 60))
    on_hair = Light.on(0.7 * np.sqrt(np.clip(1.2 - squared(view.x) - squared(view.y / 1.4), 0, 2)), view)
    shade = on_hair.shade() * np.clip(0.8 + 0.22 * strands + 0.22 * locks, 0.15, 2)
    shine = 0.10 * on_hair.shine() * np.clip(1 + 0.5 * strands, 0, 2)
    return light_of(from_palette(HAIR, face.hair)) * shade + shine
