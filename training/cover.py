"""What lies over a lower face: lettering, boxes, face masks, microphones, hands. A small network that says where.

    python training/cover.py --clips CLIPS [CLIPS ...] --pictures PICTURE ... --models models --out models [--leave-out NAME ...]

The network (`Cover`) gets the face below the eyes, 64x64, and where the mesh believes lips and face to be; it gives the
share of each cell that something lies over. It never saw a real thing over a face: `scene` draws them all, over clips and
paintings of bare faces, and as carefully what must not be taken for one: beards, shadows, paint, dark skin, collars, jaws
that drop, lips pressed together, turned heads, motion blur, lips that are not where the mesh has them.

Needs fonts (fc-list) and takes some 20 minutes on one CPU core.
"""

import argparse
import collections
import hashlib
import pathlib
import subprocess

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from torch import nn

import geometry
from faces import FaceTracker

#: Cells a side; each is STEP canonical pixels wide, and the middle of the first lies here (x, y).
SIDE, STEP, ORIGIN = 64, 2, np.array([-15.5, -23.5])
#: Points that align a face, whatever covers its mouth: corners of the eyes, bridge and tip of the nose, temples.
ALIGN = [33, 263, 168, 4, 234, 454]
#: Contour of the face, from the forehead down to the chin and up on the other side.
OVAL = [
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176, 149, 150, 136, 172, 58,
    132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
]  # fmt: skip
#: A picture that scenes are drawn on: canonical pixels, with room to turn the face.
PATCH, MARGIN = 176, np.array([40.0, 48.0])
#: Scenes are drawn twice as fine as cells.
FINE = SIDE * STEP
#: Clips of faces that are not bare: a hand comes to the chin.
NOT_BARE = {"s31_bbac4p.mpg"}
#: Chances of what lies over a face.
KINDS = {"nothing": 0.4, "lettering": 0.24, "mask": 0.07, "microphone": 0.09, "hand": 0.12, "sticker": 0.05, "thing": 0.03}
#: Frames of a clip that faces are taken from, of people with many clips, and of all others.
OF_MANY, OF_FEW = 5, 25


# --- faces ----------------------------------------------------------------------------------------------------------


def frames(path, count, rng):
    if path.suffix in {".png", ".jpg", ".jpeg"}:
        return [cv2.imread(str(path))]
    video, found = cv2.VideoCapture(str(path)), []
    while (frame := video.read())[0]:
        found.append(frame[1])
    return [found[i] for i in sorted(rng.choice(len(found), min(count, len(found)), False))]


def gather(paths, models, rng):
    """Patches [N, 176, 176, 3] BGR, meshes [N, 468, 2] in canonical pixels, names."""
    tracker, patches, meshes, names = FaceTracker(models), [], [], []
    clips = collections.Counter(person(path.name) for path in paths)
    for path in paths:
        # One man has most of the clips.
        count = 2 if clips[person(path.name)] > 100 else OF_MANY if clips[person(path.name)] > 3 else OF_FEW
        for frame in frames(path, count, rng):
            mesh = tracker.first(frame)
            if mesh is None:
                continue
            matrix = geometry.fit_similarity(mesh[ALIGN], np.array([geometry.RIGID[p] for p in ALIGN]))
            to_patch = matrix.copy()
            to_patch[:, 2] += MARGIN
            shrink = int(1 / np.hypot(*matrix[:, 0]))
            picture = cv2.blur(frame, (shrink, shrink)) if shrink > 1 else frame
            patches.append(cv2.warpAffine(picture, to_patch, (PATCH, PATCH), borderMode=cv2.BORDER_REPLICATE))
            meshes.append(geometry.apply(matrix, mesh))
            names.append(path.name)
    return np.array(patches), np.array(meshes, np.float32), np.array(names)


# --- scenes: all in FINE x FINE, float BGR 0..1 ---------------------------------------------------------------------------


def chance(rng, p):
    return rng.random() < p


def noise(rng, size, scale):
    """Smooth noise of mean 0 and deviation 1."""
    n = max(2, int(np.ceil(size / scale)))
    plane = cv2.resize(rng.standard_normal((n, n)).astype(np.float32), (size, size), interpolation=cv2.INTER_CUBIC)
    return (plane - plane.mean()) / (plane.std() + 1e-6)


def blend(picture, colour, alpha):
    picture += alpha[..., None] * (colour - picture)


def polygon(points, soft=0.0):
    out = np.zeros((FINE, FINE), np.float32)
    cv2.fillPoly(out, [np.round(np.asarray(points) * 16).astype(np.int32)], 1.0, cv2.LINE_AA, 4)
    return cv2.GaussianBlur(out, (0, 0), soft) if soft > 0.2 else out


def ellipse(rng, centre, radii, angle=0.0, ragged=0.0):
    t = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    r = 1 + ragged * sum(np.sin(k * t + rng.uniform(0, 7)) / k for k in (2, 3, 5, 7))
    points = np.stack([np.cos(t) * radii[0] * r, np.sin(t) * radii[1] * r], 1)
    c, s = np.cos(angle), np.sin(angle)
    return points @ np.array([[c, s], [-s, c]]) + centre


def colour(rng):
    if chance(rng, 0.4):
        return np.full(3, rng.choice([0.02, 0.05, 0.12, 0.3, 0.5, 0.75, 0.92, 0.98])).astype(np.float32) + rng.uniform(-0.02, 0.02)
    hsv = np.array([[[rng.uniform(0, 360), rng.uniform(0.1, 1), rng.uniform(0.1, 1)]]], np.float32)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)[0, 0]


def skin(picture, mesh):
    """Colour of the cheeks and the nose."""
    at = np.clip(mesh[[50, 280, 4, 195, 205, 425]].round().astype(int), 0, FINE - 1)
    return np.median(picture[at[:, 1], at[:, 0]], 0)


def beard(rng, picture, mesh):
    """Hair round a mouth is a part of the face."""
    lips = polygon(mesh[geometry.LIPS_OUTER], 0.7)
    jaw = mesh[[234, 93, 132, 58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288, 361, 323, 454]]
    down = (mesh[152] - mesh[2]) * 0.12
    parts = []
    kind = rng.integers(4)
    if kind in (0, 1):  # full
        inner = mesh[[425, 426, 391, 164, 165, 206, 205]]
        parts.append(polygon(np.concatenate([jaw[2:-2] + down * rng.uniform(0, 1.5), inner])))
    if kind in (1, 2, 3) or chance(rng, 0.5):  # moustache
        drop = (mesh[17] - mesh[0]) * rng.uniform(-0.2, 0.9)
        parts.append(polygon(np.concatenate([mesh[[206, 165, 2, 391, 426]], mesh[[410, 291]] + drop, mesh[[0]], mesh[[61, 186]] + drop])))
    if kind == 3:  # chin
        parts.append(polygon(np.concatenate([mesh[[204, 83, 18, 313, 424]], mesh[[378, 400, 377, 152, 148, 176, 149]] + down])))
    alpha = np.clip(sum(parts), 0, 1)
    alpha = cv2.GaussianBlur(alpha, (0, 0), rng.uniform(0.8, 4)) * (1 - lips * rng.choice([1, 1, 0.6]))
    density = np.clip(0.5 + 0.5 * noise(rng, FINE, rng.uniform(1.2, 3)) + rng.uniform(-0.2, 0.6), 0, 1)
    hair = rng.choice([0.04, 0.08, 0.15, 0.3, 0.6, 0.85]) * np.array([rng.uniform(0.5, 1), rng.uniform(0.6, 1), 1], np.float32)
    light = np.clip(1 + 0.25 * noise(rng, FINE, rng.uniform(1, 2)), 0.2, 2)[..., None]
    blend(picture, hair * light, alpha * density * rng.uniform(0.3, 1))


def shadow(rng, picture):
    points = rng.uniform(-40, FINE + 40, (rng.integers(3, 6), 2))
    plane = polygon(cv2.convexHull(points.astype(np.float32))[:, 0], rng.choice([0.6, 2, 6, 15]))
    picture *= (1 - plane * rng.uniform(0.2, 0.75))[..., None] if chance(rng, 0.75) else (1 + plane * rng.uniform(0.2, 1))[..., None]


def make_up(rng, picture, mesh):
    tint = colour(rng) if chance(rng, 0.3) else np.array([rng.uniform(0, 0.4), rng.uniform(0, 0.35), rng.uniform(0.25, 0.9)], np.float32)
    lips = np.clip(polygon(mesh[geometry.LIPS_OUTER], 0.6) - polygon(mesh[geometry.LIPS_INNER], 0.6), 0, 1)
    if chance(rng, 0.25):  # pale
        blend(picture, skin(picture, mesh), lips * rng.uniform(0.3, 0.9))
    else:
        blend(picture, tint * picture.mean(2, keepdims=True) * 2.2, lips * rng.uniform(0.2, 0.8))


def glasses(rng, picture, mesh):
    tint = colour(rng) * rng.uniform(0.1, 1)
    for eye in (159, 386):
        lens = ellipse(rng, mesh[eye] + [0, 3], rng.uniform(14, 22, 2) * [1.1, 0.9])
        if chance(rng, 0.4):
            blend(picture, tint * 0.3, polygon(lens) * rng.uniform(0.3, 1))
        cv2.polylines(picture, [np.round(lens).astype(np.int32)], True, tint.tolist(), int(rng.integers(1, 4)), cv2.LINE_AA)


def reshape(rng, picture, mesh):
    """Another face: everything a little elsewhere."""
    field = np.stack([noise(rng, FINE, rng.uniform(25, 60)) for _ in range(2)], -1) * rng.uniform(0.5, 3.5)
    stretch = 1 + rng.normal(0, 0.07, 2)
    y, x = np.mgrid[:FINE, :FINE].astype(np.float32)
    centre = mesh[13]
    at = (np.stack([x, y], -1) - centre) * stretch + centre + field
    at = at.astype(np.float32)
    picture[:] = cv2.remap(picture, at[..., 0], at[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    # Where a point went: the place that reads from it, to first order.
    near = np.clip(mesh.round().astype(int), 0, FINE - 1)
    return (mesh - centre - field[near[:, 1], near[:, 0]]) / stretch + centre


def borrow(rng, picture, scenery):
    """Somebody else's light and colours, or details."""
    radius = rng.uniform(4, 12)
    own, other = (cv2.GaussianBlur(p, (0, 0), radius) for p in (picture, scenery))
    share = rng.uniform(0.3, 1)
    if chance(rng, 0.5):
        picture += share * (other - own)
    else:
        picture += share * 0.7 * ((scenery - other) - (picture - own))
    np.clip(picture, 0, 1, out=picture)


def open_mouth(rng, picture, mesh):
    """Teeth, a tongue, a dark cavity between lips, and a jaw that has dropped, further than any in the clips. The mesh goes with it."""
    lips = mesh[geometry.LIPS_INNER]
    middle = lips.mean(0)
    wide = np.ptp(lips[:, 0]) * rng.uniform(0.45, 0.62)
    drop = rng.uniform(0, 9) if chance(rng, 0.5) else rng.uniform(6, 26)
    y, x = np.mgrid[:FINE, :FINE].astype(np.float32)
    # How far what lies below the lips goes down, and how little of it the cheeks do.
    fall = drop * np.exp(-np.clip((np.abs(x - middle[0]) - 0.3 * wide) / (1.5 * wide), 0, None) ** 2 * 2)
    opening = fall * np.sqrt(np.clip(1 - ((x - middle[0]) / wide) ** 2, 0, 1))
    below = np.clip((y - middle[1]) / np.maximum(fall, 1), 0, 1)
    picture[:] = cv2.remap(picture, x, (y - fall * below).astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    moved = mesh.copy()
    at = np.clip(mesh.round().astype(int), 0, FINE - 1)
    lower = mesh[:, 1] > middle[1] + 0.5
    moved[lower, 1] += fall[at[lower, 1], at[lower, 0]]
    inside = np.clip(opening * 0.92 - np.abs(y - middle[1] - opening * 0.5) * 1.84 + 0.5, 0, 1).astype(np.float32)
    grown = (moved[geometry.LIPS_INNER] - middle) * [rng.uniform(0.8, 1.05), 1] + middle
    plane = np.maximum(cv2.GaussianBlur(inside, (0, 0), rng.uniform(0.3, 1.2)), polygon(grown, rng.uniform(0.3, 1.2)))
    dark = np.array([0.1, 0.1, 0.2], np.float32) * rng.uniform(0, 1.5)
    blend(picture, dark, plane)
    if chance(rng, 0.5):  # a tongue
        place = middle + [rng.normal(0, 3), drop * rng.uniform(0.5, 1.1)]
        tongue = polygon(ellipse(rng, place, [wide * rng.uniform(0.4, 0.9), 1 + drop * rng.uniform(0.2, 0.6)]), rng.uniform(0.5, 2))
        blend(picture, np.array([0.35, 0.35, 0.65], np.float32) * rng.uniform(0.4, 1.2), tongue * plane)
    for rows, p in ((0, 0.75), (1, 0.4)):  # of the upper jaw, of the lower
        if not chance(rng, p):
            continue
        high = rng.uniform(1.5, 9)
        from_edge = y - middle[1] + 1 if rows == 0 else middle[1] + opening - y + 1
        teeth = np.clip(high - from_edge + 0.5, 0, 1) * (np.abs(x - middle[0]) < wide * rng.uniform(0.6, 0.95))
        tone = rng.uniform(0.45, 1) * np.array([rng.uniform(0.6, 1), rng.uniform(0.8, 1), 1], np.float32)
        gaps = 1 - rng.uniform(0, 0.35) * (np.abs(((x[0] / rng.uniform(3, 5)) % 1) - 0.5) < 0.12)
        blend(picture, (tone * gaps[None, :, None]).astype(np.float32), cv2.GaussianBlur(teeth.astype(np.float32), (0, 0), 0.5) * plane)
    return moved


def press(rng, picture, mesh):
    """Lips pressed together: thin, pale, with a line of light on them."""
    middle = mesh[geometry.LIPS_INNER].mean(0)
    wide = np.ptp(mesh[geometry.LIPS_OUTER][:, 0]) * rng.uniform(0.5, 0.8)
    amount, height = rng.uniform(0.4, 1.7), rng.uniform(7, 14)
    across = lambda x: amount * np.exp(-(((x - middle[0]) / wide) ** 2))  # noqa: E731
    y, x = np.mgrid[:FINE, :FINE].astype(np.float32)
    u = y - middle[1]
    from_y = middle[1] + u * (1 + across(x) * np.exp(-((u / height) ** 2)))
    picture[:] = cv2.remap(picture, x, from_y.astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    pressed, v = mesh.copy(), mesh[:, 1] - middle[1]
    for _ in range(8):
        v = 0.5 * (v + (mesh[:, 1] - middle[1]) / (1 + across(mesh[:, 0]) * np.exp(-((v / height) ** 2))))
    pressed[:, 1] = middle[1] + v
    lips = polygon(pressed[geometry.LIPS_OUTER], rng.uniform(0.6, 2))
    blend(picture, skin(picture, mesh) * rng.uniform(0.7, 1.15), lips * rng.uniform(0, 0.95))
    for _ in range(rng.integers(0, 3)):
        at = middle + [rng.normal(0, 5), rng.uniform(-5, 8)]
        shine = polygon(ellipse(rng, at, [wide * rng.uniform(0.15, 0.5), rng.uniform(0.8, 3)], rng.normal(0, 0.1)), rng.uniform(0.5, 1.5))
        picture *= (1 + rng.uniform(-0.4, 0.9) * shine)[..., None]
    return pressed


def turn(rng, picture, mesh):
    """A head that looks aside: one half of the face is narrower, and often darker."""
    amount = rng.uniform(0.1, 0.4) * rng.choice([-1, 1]) / (FINE / 2)
    centre = mesh[4, 0]
    y, x = np.mgrid[:FINE, :FINE].astype(np.float32)
    u = np.clip(x - centre, -0.45 / abs(amount), 0.45 / abs(amount))
    picture[:] = cv2.remap(picture, (x + amount * u * u).astype(np.float32), y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    if chance(rng, 0.5):
        picture *= np.clip(1 - rng.uniform(0, 0.7) * np.clip(np.sign(amount) * u / 40, 0, 1), 0.2, 1)[..., None]
    v = mesh[:, 0] - centre
    turned = mesh.copy()
    turned[:, 0] = centre + (np.sqrt(np.maximum(1 + 4 * amount * v, 0.05)) - 1) / (2 * amount)
    return turned


def fold(rng, picture, mesh):
    """Lines and hollows of skin: beside the mouth, across the chin, below it."""
    down = mesh[152] - mesh[17]
    lines = [mesh[[64, 206, 57]] + rng.normal(0, 1.5, (3, 2)), mesh[[294, 426, 287]] + rng.normal(0, 1.5, (3, 2)),
             mesh[[204, 200, 424]] - [0, 0.25 * down[1]], mesh[[149, 152, 378]] + [0, rng.uniform(2, 9)], mesh[[43, 202, 210]], mesh[[273, 422, 430]]]  # fmt: skip
    for points in lines:
        if chance(rng, 0.5):
            line = np.zeros((FINE, FINE), np.float32)
            t = np.linspace(0, 1, 12)[:, None]
            curve = (1 - t) ** 2 * points[0] + 2 * t * (1 - t) * points[1] + t**2 * points[2]
            cv2.polylines(line, [np.round(curve * 16).astype(np.int32)], False, 1.0, int(rng.integers(1, 4)), cv2.LINE_AA, 4)
            line = cv2.GaussianBlur(line, (0, 0), rng.uniform(0.7, 3.5))
            picture *= (1 - rng.uniform(-0.25, 0.6) * line / (line.max() + 1e-6))[..., None]


def smear(rng, picture):
    """A head in motion: blurred one way, or seen twice, as an encoder or a slow shutter has it."""
    if chance(rng, 0.3):
        shift = np.float32([[1, 0, rng.normal(0, 4)], [0, 1, rng.normal(0, 2.5)]])
        other = cv2.warpAffine(picture, shift, (FINE, FINE), borderMode=cv2.BORDER_REPLICATE)
        picture += rng.uniform(0.2, 0.6) * (other - picture)
        return
    length, angle = rng.uniform(3, 16), rng.choice([0, np.pi / 2]) + rng.normal(0, 0.3)
    kernel = np.zeros((19, 19), np.float32)
    half = length / 2 * np.array([np.cos(angle), np.sin(angle)])
    cv2.line(kernel, *(tuple(int(v) for v in np.round((9 + sign * half) * 16)) for sign in (-1, 1)), 1.0, 1, cv2.LINE_AA, 4)
    picture[:] = cv2.filter2D(picture, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REPLICATE)


def dress(rng, picture, mesh, scenery):
    """Other clothes and another background: collars, scarves and knots are not over a face, but close to it."""
    face = polygon(mesh[OVAL], rng.uniform(0.5, 2))
    if chance(rng, 0.35):
        blend(picture, scenery if chance(rng, 0.5) else cloth(rng, scenery), 1 - cv2.GaussianBlur(polygon(mesh[OVAL] + [0, 4]), (0, 0), 3))
    if chance(rng, 0.75):
        neck = rng.uniform(-4, 26)
        jaw = [[130, rng.uniform(30, 110)], *(mesh[p] + [0, neck * rng.uniform(0.4, 1)] for p in (397, 379, 400, 152, 176, 150, 172)), [-2, rng.uniform(30, 110)]]
        plane = polygon([[-2, 140], [130, 140], *jaw], rng.uniform(0, 1)) * (1 - face)
        blend(picture, cloth(rng, scenery), plane)
    if chance(rng, 0.3):
        y, x = mesh[152, 1] + rng.uniform(4, 25), mesh[152, 0]
        points = np.array([[x - 60, y - 30], [x - 25, y - 3], [x, y + 4], [x + 25, y - 3], [x + 60, y - 30]])
        line = np.zeros((FINE, FINE), np.float32)
        cv2.polylines(line, [points.round().astype(np.int32)], False, 1.0, int(rng.integers(1, 5)), cv2.LINE_AA)
        blend(picture, colour(rng), line * (1 - face))


def cloth(rng, scenery):
    base = np.ones((FINE, FINE, 3), np.float32) * colour(rng)
    if chance(rng, 0.3):
        base = scenery[::-1] * rng.uniform(0.3, 1.2)
    if chance(rng, 0.3):
        y, x = np.mgrid[:FINE, :FINE].astype(np.float32)
        stripes = np.sign(np.sin((x * rng.uniform(-1, 1) + y * rng.uniform(-1, 1)) * rng.uniform(0.1, 0.8)))
        base = base + rng.uniform(-0.4, 0.4) * stripes[..., None]
    base = base * (1 + rng.uniform(0, 0.3) * noise(rng, FINE, rng.uniform(1, 20)))[..., None]
    return np.clip(base, 0, 1).astype(np.float32)


def paint(rng, picture):
    """As a painter would, or a bad camera."""
    small = np.clip(picture * 255, 0, 255).astype(np.uint8)
    if chance(rng, 0.5):
        small = cv2.medianBlur(small, int(rng.choice([3, 5])))
    if chance(rng, 0.5):
        levels = rng.integers(8, 30)
        small = (small // levels * levels).astype(np.uint8)
    picture[:] = small / 255.0
    canvas = noise(rng, FINE, rng.uniform(1, 3)) + noise(rng, FINE, rng.uniform(3, 9))
    strokes = cv2.blur(rng.standard_normal((FINE, FINE, 3)).astype(np.float32), tuple(int(v) for v in rng.choice([1, 3, 7, 11], 2)))
    strokes /= strokes.std() + 1e-6
    picture += rng.uniform(0, 0.025) * canvas[..., None] + rng.uniform(0, 0.04) * strokes


def recolour(rng, picture):
    """Other skin, light and cameras."""
    picture[:] = np.clip(picture, 0, 1) ** rng.uniform(0.55, 2.2)
    grey = picture.mean(2, keepdims=True)
    saturation = 0 if chance(rng, 0.12) else rng.uniform(0.4, 1.4)
    picture[:] = (grey + saturation * (picture - grey)) * rng.uniform(0.75, 1.3, 3) * rng.uniform(0.45, 1.25) + rng.uniform(0, 0.06)
    if chance(rng, 0.5):
        slope = rng.uniform(-0.4, 0.4, 2)
        y, x = np.mgrid[:FINE, :FINE] / FINE - 0.5
        picture *= np.clip(1 + slope[0] * x + slope[1] * y, 0.3, 2)[..., None]


def degrade(rng, picture):
    """As an encoder or a small frame would."""
    if chance(rng, 0.35):
        n = int(rng.integers(40, 110))
        picture[:] = cv2.resize(cv2.resize(picture, (n, n), interpolation=cv2.INTER_AREA), (FINE, FINE), interpolation=cv2.INTER_LINEAR)
    if chance(rng, 0.3):
        picture[:] = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.4, 1.5))
    if chance(rng, 0.5):
        picture += rng.standard_normal(picture.shape).astype(np.float32) * rng.uniform(0, 0.03)
    if chance(rng, 0.35):
        _, data = cv2.imencode(".jpg", np.clip(picture * 255, 0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(20, 85))])
        picture[:] = cv2.imdecode(data, 1) / 255.0


class Fonts:
    WORDS = (
        "the BREAKING news Live today 2026 says minister of economy Interview with Dr. and Prof. market weather 24h UPDATE what she saw "
        "that night a new Report from London we will not give up; music [door opens] (laughs) I don't know... Yes! 12:45 www.example.org "
        "für über ça été señor Привет мир ещё Καλημέρα κόσμε ABC XYZ jpqgy WM il"
    ).split()

    def __init__(self):
        listed = subprocess.run(["fc-list", "-f", "%{file}\n"], capture_output=True, text=True, check=True).stdout.split("\n")
        self.files = sorted(f for f in listed if f.endswith((".ttf", ".otf")) and not any(s in f for s in ("Symbol", "Dingbat", "D05", "Emoji", "Standard")))

    def line(self, rng, size):
        font = ImageFont.truetype(self.files[rng.integers(len(self.files))], size)
        text = " ".join(rng.choice(self.WORDS, rng.integers(1, 9)))
        return (text.upper() if chance(rng, 0.25) else text), font


def lettering(rng, picture, covered, mesh, fonts, scenery):
    """Captions, lower thirds, crawls, logos: with or without a box behind."""
    lines = int(rng.choice([1, 1, 2, 2, 3]))
    size = int(np.exp(rng.uniform(np.log(7), np.log(14 if chance(rng, 0.3) else 34))))
    pitch = int(size * rng.uniform(1.15, 1.5))
    top = int(rng.uniform(0.1 * FINE, FINE - 0.3 * pitch)) - (lines - 1) * pitch // 2
    letters, dark = Image.new("L", (FINE, FINE)), Image.new("L", (FINE, FINE))
    outline = int(rng.choice([0, 0, 1, 1, 2]))
    drop = int(rng.choice([0, 0, 1, 2]))
    area = np.zeros((FINE, FINE), np.float32)
    left, right = FINE, 0
    for i in range(lines):
        text, font = fonts.line(rng, size)
        width = font.getlength(text)
        x, y = rng.uniform(-0.7 * width, FINE * 0.75), top + i * pitch
        if width < FINE and chance(rng, 0.5):
            x = rng.uniform(-8, max(-7, FINE - width + 8))
        box = ImageDraw.Draw(letters).textbbox((x, y), text, font=font)
        ImageDraw.Draw(letters).text((x, y), text, 255, font=font)
        ImageDraw.Draw(dark).text((x + drop, y + drop), text, 255, font=font, stroke_width=outline)
        x0, y0, x1, y1 = (int(np.clip(v, 0, FINE)) for v in (box[0] - 1 - outline, box[1] - 1, box[2] + 2 + outline + drop, box[3] + 2 + drop))
        area[y0:y1, x0:x1] = 1
        left, right = min(left, x0), max(right, x1)
    ink = colour(rng) if chance(rng, 0.35) else np.full(3, rng.choice([1.0, 0.95, 0.85, 0.03]), np.float32)
    if chance(rng, 0.25):
        ink = np.array([rng.uniform(0, 0.3), rng.uniform(0.75, 1), rng.uniform(0.85, 1)], np.float32)  # yellow
    if chance(rng, 0.12):  # grey, about as light as the skin
        ink = np.full(3, np.clip(skin(picture, mesh).mean() * rng.uniform(0.8, 1.25), 0, 1), np.float32)
    back = ink.mean() < 0.5 or chance(rng, 0.4)
    if back:
        pad = rng.integers(1, 7)
        x0, x1 = (0, FINE) if chance(rng, 0.5) else (max(0, left - pad), min(FINE, right + pad))
        y0, y1 = max(0, top - pad), min(FINE, top + lines * pitch + pad)
        if chance(rng, 0.15):
            y1 = FINE
        box = np.zeros((FINE, FINE), np.float32)
        box[y0:y1, x0:x1] = 1
        behind = colour(rng)
        if abs(behind.mean() - ink.mean()) < 0.3:
            behind = np.full(3, 0.05 if ink.mean() > 0.5 else 0.95, np.float32)
        alpha = 1.0 if chance(rng, 0.5) else rng.uniform(0.3, 0.9)
        shade = 1 + rng.uniform(-0.3, 0.3) * np.linspace(-1, 1, FINE)[None, :, None] if chance(rng, 0.3) else 1.0
        blend(picture, behind * shade, box * alpha)
        area = np.maximum(area, box)
        if chance(rng, 0.3):  # a bar or a logo beside it
            bar = np.zeros((FINE, FINE), np.float32)
            at = int(rng.integers(0, FINE))
            bar[max(0, y0 - 2) : y1, at : at + rng.integers(2, 30)] = 1
            blend(picture, colour(rng), bar)
            area = np.maximum(area, bar)
    if (outline or drop) and not back:
        blend(picture, np.zeros(3, np.float32) if ink.mean() > 0.4 else np.ones(3, np.float32), np.asarray(dark, np.float32) / 255)
    blend(picture, ink, np.asarray(letters, np.float32) / 255 * (1.0 if chance(rng, 0.8) else rng.uniform(0.6, 1)))
    np.maximum(covered, area, out=covered)


def mask(rng, picture, covered, mesh, scenery):
    """A face mask or a scarf: from the nose or below it to the chin, of any colour and cut."""
    top = rng.choice([6, 197, 195, 5, 4, 1, 2, 164], p=[0.08, 0.22, 0.22, 0.16, 0.1, 0.07, 0.1, 0.05])
    sides = [[234, 93, 132, 58], [454, 323, 361, 288]]
    reach = rng.uniform(0, 1)
    right = [mesh[p] + reach * np.array([-6, 0]) for p in sides[0][int(rng.integers(0, 3)) :]]
    left = [mesh[p] + reach * np.array([6, 0]) for p in sides[1][int(rng.integers(0, 3)) :]]
    if chance(rng, 0.4):  # narrow: the cheeks show
        inward = rng.uniform(0.1, 0.45)
        right = [p + inward * (mesh[2] - p) for p in right]
        left = [p + inward * (mesh[2] - p) for p in left]
    below = rng.uniform(-2, 14)
    chin = [mesh[p] + [0, below] for p in (172, 136, 150, 176, 152, 400, 379, 365, 397)]
    if chance(rng, 0.15):
        chin = [mesh[172] + [-10, 60], mesh[397] + [10, 60]]  # scarf
    outline = np.array([*right, *chin, *left[::-1], mesh[top] + rng.uniform(-3, 3, 2)]) + rng.uniform(-2, 2, (1, 2))
    plane = polygon(outline, rng.uniform(0, 0.8))
    base = colour(rng)
    if chance(rng, 0.3):
        base = np.array([rng.uniform(0.75, 0.95), rng.uniform(0.7, 0.9), rng.uniform(0.55, 0.75)], np.float32)  # surgical
    if chance(rng, 0.12):
        base = np.clip(skin(picture, mesh) * rng.uniform(0.75, 1.25, 3), 0, 1)
    # Cloth keeps the face's large forms, has its own folds, and no lips.
    light = cv2.GaussianBlur(picture.mean(2), (0, 0), rng.uniform(7, 14))
    light = light / max(float((light * plane).sum() / max(plane.sum(), 1)), 0.05)
    cloth = base * (1 + rng.uniform(0.2, 0.9) * (np.clip(light, 0.3, 1.8) - 1))[..., None]
    if chance(rng, 0.5):  # pleats
        y = (np.mgrid[:FINE, :FINE] - mesh[2][::-1, None, None])[0]
        cloth *= (1 - rng.uniform(0.05, 0.35) * (np.abs(((y / rng.uniform(9, 16)) % 1) - 0.5) < rng.uniform(0.03, 0.1)))[..., None]
    if chance(rng, 0.25):  # a pattern
        cloth += (rng.uniform(0.05, 0.3) * np.sign(noise(rng, FINE, rng.uniform(2, 9))))[..., None] * rng.uniform(-1, 1, 3)
    if chance(rng, 0.3):  # a seam down the middle
        cv2.line(cloth, *(tuple(int(v) for v in mesh[p]) for p in (top, 152)), (base * rng.uniform(0.5, 0.9)).tolist(), 1, cv2.LINE_AA)
    cloth = cloth * (1 + rng.uniform(0, 0.08) * noise(rng, FINE, rng.uniform(1, 2)) + rng.uniform(0, 0.12) * noise(rng, FINE, 14))[..., None]
    edge = polygon(outline + [0, 1.5], 1.2)
    picture *= (1 - 0.35 * edge)[..., None]
    blend(picture, cloth.astype(np.float32), plane)
    np.maximum(covered, plane, out=covered)
    if chance(rng, 0.5):  # straps
        for ear, corner in ((234, right[0]), (454, left[0])):
            cv2.line(picture, tuple(int(v) for v in mesh[ear] + rng.uniform(-6, 2, 2)), tuple(int(v) for v in corner), base.tolist(), 1, cv2.LINE_AA)


def microphone(rng, picture, covered, mesh, scenery):
    """A head, often of foam or a grille, and what it stands on; reaching to the chin at least."""
    toward = mesh[rng.choice([14, 17, 18, 200, 175, 152, 61, 291, 212, 432])]
    centre = toward + rng.uniform(-9, 9, 2)
    radius = rng.uniform(6, 30)
    radii = radius * np.array([rng.uniform(0.7, 1.1), rng.uniform(0.8, 1.3)])
    angle = rng.uniform(-1.0, 1.0)
    head = polygon(ellipse(rng, centre, radii, angle, 0.02), rng.uniform(0, 0.8))
    along = np.array([-np.sin(angle), np.cos(angle)])
    across, width = np.array([along[1], -along[0]]), radius * rng.uniform(0.3, 0.8)
    tip, foot = centre + along * radii[1] * 0.6, centre + along * 190
    stem = polygon([tip - across * width, tip + across * width, foot + across * width * 0.7, foot - across * width * 0.7])
    base = np.full(3, rng.uniform(0.02, 0.3), np.float32) if chance(rng, 0.45) else colour(rng)
    if chance(rng, 0.12):
        base = skin_tone(rng, picture, mesh)
    y, x = np.mgrid[:FINE, :FINE].astype(np.float32)
    body = (1 + rng.uniform(0.1, 0.6) * ((x - centre[0]) * rng.uniform(-1, 1) + (y - centre[1]) * -0.7) / radius)[..., None]
    texture = noise(rng, FINE, rng.uniform(1, 2.2)) * rng.uniform(0, 0.3)
    if chance(rng, 0.4):
        texture = 0.35 * np.sign(np.sin(x * rng.uniform(1, 2.6)) * np.sin(y * rng.uniform(1, 2.6)))
    handle = np.full(3, rng.uniform(0.02, 0.4), np.float32) if chance(rng, 0.7) else colour(rng)
    blend(picture, handle * np.clip(body, 0.5, 1.6), stem)
    blend(picture, np.clip(base * np.clip(body, 0.3, 2) * (1 + texture)[..., None] + rng.uniform(0, 0.05), 0, 1).astype(np.float32), head)
    area = np.maximum(head, stem)
    if chance(rng, 0.3):  # a station's cube
        cube = centre + along * radii[1] * 1.6
        corners = [cube + across * a * radius * 1.3 + along * b * radius for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
        plane = polygon(corners)
        blend(picture, colour(rng), plane)
        area = np.maximum(area, plane)
    np.maximum(covered, area, out=covered)


def skin_tone(rng, picture, mesh):
    """Of a hand: mostly the person's own, in another light; somebody else's; now and then a glove."""
    kind = rng.random()
    if kind < 0.65:
        return np.clip(skin(picture, mesh) * rng.uniform(0.8, 1.2) * rng.uniform(0.93, 1.07, 3), 0, 1).astype(np.float32)
    if kind < 0.92:
        red = rng.uniform(0.15, 0.95)
        return np.array([red * rng.uniform(0.4, 0.8), red * rng.uniform(0.55, 0.85), red], np.float32)
    return colour(rng).astype(np.float32)


def skin_texture(rng, picture, mesh):
    """The person's own pores and blotches, from cheek or forehead, all over; mean 0. Or noise."""
    if chance(rng, 0.5):
        return (rng.uniform(0, 0.04) * noise(rng, FINE, rng.uniform(1, 3)) + rng.uniform(0, 0.05) * noise(rng, FINE, rng.uniform(8, 30)))[..., None]
    x, y = np.clip(mesh[rng.choice([50, 280, 187, 411, 9, 151])].round().astype(int), 9, FINE - 10)
    patch = picture[y - 9 : y + 9, x - 9 : x + 9]
    patch = np.pad(patch - patch.mean((0, 1)), ((0, FINE), (0, FINE), (0, 0)), "symmetric")[:FINE, :FINE]
    return patch * rng.uniform(0.3, 1)


def limb(at, tip, foot, width):
    """A finger from `foot` to its round `tip`: how far along each place is, and how far across, -1..1 within it."""
    along = foot - tip
    length = np.hypot(*along)
    along = along / length
    relative = at - tip
    down = relative @ along
    across = (relative @ np.array([along[1], -along[0]])) / width
    beyond = np.minimum(down - width, 0) / width
    return down / length, across, np.hypot(across, beyond)


def shade_limb(rng, picture, shape, tone, texture, light, has_nail):
    """Draws a finger as a cylinder in `light`, with a darker rim, creases over its joints, and perhaps a nail."""
    along, across, outside = shape
    soft = rng.uniform(0.05, 0.18)
    alpha = np.clip((1 - outside) / soft + 0.5, 0, 1) * (along < 1.02)
    body = 1 - light[1] * np.clip(outside, 0, 1.2) ** light[2] + light[0] * across
    for joint in (rng.uniform(0.2, 0.34), rng.uniform(0.5, 0.66)):
        wave = rng.uniform(0, 0.25) * (np.abs(across) < 0.85) * np.exp(-(((along - joint) / rng.uniform(0.006, 0.03)) ** 2))
        body = body - wave * rng.choice([-0.4, 1, 1])
    inside = tone * np.clip(body, 0.15, 1.5)[..., None] * (1 + texture)
    if has_nail:
        nail = np.clip((1 - np.hypot(across / 0.55, (along - 0.09) / 0.075)) * 6, 0, 1)
        inside = inside + nail[..., None] * (tone * [1.05, 1.0, 1.08] * rng.uniform(0.9, 1.35) - inside) * rng.uniform(0.3, 0.9)
    blend(picture, np.clip(inside, 0, 1).astype(np.float32), alpha.astype(np.float32))
    return alpha.astype(np.float32)


def hand(rng, picture, covered, mesh, scenery):
    """Fingers, with or without what they grow on, or a fist, over lips, chin or cheek: skin on skin."""
    tone, texture = skin_tone(rng, picture, mesh), skin_texture(rng, picture, mesh)
    y, x = np.mgrid[:FINE, :FINE].astype(np.float32)
    at = np.stack([x, y], -1)
    toward = mesh[rng.choice([13, 14, 17, 0, 200, 61, 291, 152, 212, 432], p=[0.2, 0.2, 0.15, 0.12, 0.07, 0.06, 0.06, 0.06, 0.04, 0.04])] + rng.normal(0, 6, 2)
    angle = rng.choice([0, 1, -1], p=[0.5, 0.25, 0.25]) * rng.uniform(0.5, 1.7) + rng.normal(0, 0.35)
    down = np.array([np.sin(angle), np.cos(angle)])
    side = np.array([down[1], -down[0]])
    width = rng.uniform(5.5, 11.5)
    light = rng.uniform(-0.3, 0.3), rng.uniform(0.1, 0.65), rng.uniform(2, 6)
    area = np.zeros((FINE, FINE), np.float32)
    kind = rng.choice(["fingers", "fist", "palm"], p=[0.57, 0.21, 0.22])
    if kind != "fingers":
        reach = rng.uniform(20, 48, 2)
        centre = toward + down * reach[1] * rng.uniform(0, 0.9)
        plane = polygon(ellipse(rng, centre, reach, -angle, rng.uniform(0, 0.12)), rng.uniform(0, 1.2))
        distance = np.hypot((at - centre) @ side / reach[0], (at - centre) @ down / reach[1])
        body = 1 - 0.7 * light[1] * np.clip(distance, 0, 1.2) ** light[2] + light[0] * ((at - centre) @ side) / reach[0]
        for _ in range(rng.integers(0, 4)):  # lines of the palm, tendons
            line = np.zeros((FINE, FINE), np.float32)
            ends = centre + rng.uniform(-1, 1, (3, 2)) * reach
            cv2.polylines(line, [ends.round().astype(np.int32)], False, 1.0, 1, cv2.LINE_AA)
            body = body - cv2.GaussianBlur(line, (0, 0), rng.uniform(0.6, 2)) * rng.uniform(-0.15, 0.4)
        inside = np.clip(tone * np.clip(body, 0.2, 1.5)[..., None] * (1 + texture), 0, 1)
        blend(picture, inside.astype(np.float32), plane)
        area = np.maximum(area, plane)
        if kind == "palm":
            toward = toward - down * reach[1] * 0.5
    count = int(rng.choice([1, 2, 3, 4], p=[0.12, 0.14, 0.24, 0.5]))
    spread, gap = rng.normal(0, 0.07), rng.uniform(1.75, 2.5)
    has_nail = chance(rng, 0.5)
    length = rng.uniform(2.2, 3.2) * width if kind == "fist" else rng.uniform(60, 130)
    order = rng.permutation(count) if chance(rng, 0.3) else np.arange(count)
    for n in order:
        place = n - (count - 1) / 2
        bent = angle + spread * place
        own = np.array([np.sin(bent), np.cos(bent)])
        wide = width * rng.uniform(0.88, 1.08)
        tip = toward + side * place * gap * width - own * (rng.uniform(0.2, 1.6) * wide + (4 - (place * 2) ** 2) * rng.uniform(0, 0.8))
        shape = limb(at, tip, tip + own * length, wide)
        area = np.maximum(area, shade_limb(rng, picture, shape, tone * rng.uniform(0.93, 1.07), texture, light, has_nail and kind != "fist"))
    area = cv2.morphologyEx(area, cv2.MORPH_CLOSE, np.ones((5, 5)))
    if chance(rng, 0.7):  # what the hand takes of the light
        fall = cv2.GaussianBlur(np.roll(area, rng.integers(-3, 6, 2), (0, 1)), (0, 0), rng.uniform(1, 5)) * (1 - area)
        picture *= (1 - rng.uniform(0.1, 0.6) * fall)[..., None]
    np.maximum(covered, area, out=covered)


def sticker(rng, picture, covered, mesh, fonts):
    """A channel's logo, a symbol, a smiling sticker: flat, with an edge, clear or not, and with something on it."""
    centre = mesh[rng.choice([13, 14, 17, 200, 152, 61, 291, 214, 434])] + rng.uniform(-10, 10, 2)
    radius = np.exp(rng.uniform(np.log(8), np.log(46)))
    sides, turn = int(rng.choice([4, 5, 6, 48])), rng.uniform(0, 7)
    angles = np.linspace(0, 2 * np.pi, 2 * sides, endpoint=False) + turn
    radii = np.where(np.arange(2 * sides) % 2, 1.0 if sides > 6 or chance(rng, 0.5) else rng.uniform(0.4, 0.8), 1.0)
    outline = centre + radius * radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], 1)
    flat = colour(rng)
    if chance(rng, 0.4):
        flat = np.array([rng.uniform(0, 0.35), rng.uniform(0.65, 0.9), rng.uniform(0.85, 1)], np.float32)
    alpha = 1.0 if chance(rng, 0.55) else rng.uniform(0.5, 0.95)
    plane = polygon(outline, rng.uniform(0, 0.6))
    drawn, ink = picture.copy(), colour(rng) * rng.uniform(0, 1)
    blend(drawn, flat.astype(np.float32), plane)
    if chance(rng, 0.5):  # a face
        size = max(1, int(radius * rng.uniform(0.06, 0.16)))
        for side in (-1, 1):
            cv2.circle(drawn, tuple(int(v) for v in centre + radius * np.array([0.38 * side, -0.3])), size, ink.tolist(), -1, cv2.LINE_AA)
        wide, high = (max(1, int(radius * v)) for v in rng.uniform(0.25, 0.6, 2))
        at = tuple(int(v) for v in centre + [0, radius * rng.uniform(0.05, 0.3)])
        cv2.ellipse(drawn, at, (wide, high), 0, *((10, 170) if chance(rng, 0.8) else (0, 360)), ink.tolist(), -1 if chance(rng, 0.3) else size, cv2.LINE_AA)
    else:
        letters = Image.new("L", (FINE, FINE))
        text, font = fonts.line(rng, max(7, int(radius * rng.uniform(0.5, 1.4))))
        ImageDraw.Draw(letters).text(tuple(centre), text[: int(rng.integers(1, 4))], 255, font=font, anchor="mm")
        blend(drawn, ink.astype(np.float32), np.asarray(letters, np.float32) / 255 * plane)
    if chance(rng, 0.4):
        cv2.polylines(drawn, [outline.round().astype(np.int32)], True, (flat * rng.uniform(0.3, 0.8)).tolist(), int(rng.integers(1, 4)), cv2.LINE_AA)
    picture += alpha * (drawn - picture)
    np.maximum(covered, plane, out=covered)


def glass(rng, picture, covered, centre):
    """A tumbler held to the lips: clear, with rims that shine, and something to drink in it."""
    angle, height, top = rng.uniform(-1.2, 1.2), rng.uniform(50, 120), rng.uniform(16, 34)
    bottom = top * rng.uniform(0.6, 1)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    corners = np.array([[-top, 0], [top, 0], [bottom, height], [-bottom, height]]) @ turn + centre
    plane = polygon(corners)
    blend(picture, np.full(3, rng.uniform(0.6, 1), np.float32), plane * rng.uniform(0.05, 0.4))
    level = rng.uniform(0.1, 0.9)
    wide = top + (bottom - top) * level
    drink = np.array([[-wide, height * level], [wide, height * level], [bottom, height], [-bottom, height]]) @ turn + centre
    blend(picture, colour(rng), polygon(drink) * rng.uniform(0.2, 0.95))
    edge = np.zeros((FINE, FINE), np.float32)
    cv2.polylines(edge, [corners.round().astype(np.int32)], True, 1.0, int(rng.integers(1, 4)), cv2.LINE_AA)
    blend(picture, np.full(3, rng.choice([0.1, 0.9, 1.0]), np.float32), edge * rng.uniform(0.3, 0.9))
    np.maximum(covered, np.maximum(plane, edge), out=covered)


def thing(rng, picture, covered, mesh, scenery):
    """Anything else: a cup, a telephone, a sheet of paper, a piece of another picture, a bar or a mosaic."""
    centre = mesh[rng.choice([14, 17, 200, 152, 61, 291, 214, 434])] + rng.uniform(-14, 14, 2)
    size = rng.uniform(8, 45, 2)
    if chance(rng, 0.5):
        outline = ellipse(rng, centre, size, rng.uniform(0, 3), rng.uniform(0, 0.15))
    else:
        angle = 0.0 if chance(rng, 0.5) else rng.uniform(-0.8, 0.8)
        corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * size
        outline = corners @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) + centre
    plane = polygon(outline, rng.uniform(0, 0.9))
    kind = rng.integers(5)
    if kind == 4:
        glass(rng, picture, covered, centre)
        return
    if kind == 0:
        n = int(rng.choice([6, 8, 12]))
        inside = cv2.resize(cv2.resize(picture, (FINE // n,) * 2, interpolation=cv2.INTER_AREA), (FINE, FINE), interpolation=cv2.INTER_NEAREST)
    elif kind == 1:
        inside = scenery
    else:
        inside = np.ones((FINE, FINE, 3), np.float32) * colour(rng)
        inside = inside * (1 + rng.uniform(0, 0.25) * noise(rng, FINE, rng.uniform(2, 40)))[..., None]
    blend(picture, inside.astype(np.float32), plane)
    np.maximum(covered, plane, out=covered)


def scene(rng, patch, mesh, scenery, fonts):
    """One example: RGB, lips and face [5, 64, 64], what is covered [64, 64], what of it counts [64, 64], and what lies there.

    Beside a face, lettering and microphones have to be found, as they go on over it: all else there is often clothes.
    """
    angle, scale = rng.normal(0, 0.06), np.exp(rng.normal(0, 0.05))
    linear = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle = np.array([47.5, 40.0])
    shift = middle - ORIGIN + 0.5 + rng.normal(0, 2, 2) - linear @ middle
    matrix = np.hstack([linear, (shift - linear @ MARGIN)[:, None]])
    picture = cv2.warpAffine(patch, matrix, (FINE, FINE), borderMode=cv2.BORDER_REPLICATE).astype(np.float32) / 255
    mesh = mesh @ linear.T + shift
    if chance(rng, 0.5):
        picture, flipped = np.ascontiguousarray(picture[:, ::-1]), True
    else:
        flipped = False
    # Contours only have to be the same on both sides.
    drawn = mesh * [-1, 1] + [FINE - 1, 0] if flipped else mesh
    covered, written = np.zeros((2, FINE, FINE), np.float32)
    scenery = cv2.resize(scenery, (FINE, FINE)).astype(np.float32) / 255
    if chance(rng, 0.7):
        drawn = reshape(rng, picture, drawn)
    if chance(rng, 0.2):
        drawn = turn(rng, picture, drawn)
    if chance(rng, 0.3):
        borrow(rng, picture, scenery)
    before = drawn
    mouth = rng.random()
    if mouth < 0.35:
        drawn = open_mouth(rng, picture, drawn)
    elif mouth < 0.6:
        drawn = press(rng, picture, drawn)
    if chance(rng, 0.6):
        dress(rng, picture, drawn, scenery)
    for p, alter in ((0.3, make_up), (0.42, beard), (0.12, glasses), (0.25, fold)):
        if chance(rng, p):
            alter(rng, picture, drawn)
    recolour(rng, picture)
    for p, alter in ((0.45, shadow), (0.2, shadow), (0.22, paint), (0.7, degrade)):
        if chance(rng, p):
            alter(rng, picture)
    np.clip(picture, 0, 1, out=picture)
    kind = rng.choice(list(KINDS), p=list(KINDS.values()))
    again = 2 if chance(rng, 0.12) else 1
    for name in [kind] * again:
        if name == "lettering":
            lettering(rng, picture, written, drawn, fonts, scenery)
        elif name == "sticker":
            sticker(rng, picture, written, drawn, fonts)
        elif name != "nothing":
            draw = {"mask": mask, "microphone": microphone, "hand": hand, "thing": thing}[name]
            draw(rng, picture, written if name == "microphone" else covered, drawn, scenery)
        kind = name
    if chance(rng, 0.1) and kind not in ("nothing", "lettering"):
        lettering(rng, picture, written, drawn, fonts, scenery)
    if chance(rng, 0.2):
        smear(rng, picture)
    if chance(rng, 0.5):
        degrade(rng, picture)
    # A mesh may be late: it has not yet seen all of the jaw's way, nor the head's.
    seen = drawn + rng.uniform(0, 0.6) * (before - drawn) + rng.normal(0, 2.2 if chance(rng, 0.25) else 0.6, (1, 2)) + rng.normal(0, 0.4, drawn.shape)
    planes = [np.clip(picture[..., 2 - c], 0, 1) for c in range(3)]
    cells = [cv2.resize(plane, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for plane in planes]
    cells += [contour(seen[points] / STEP - 0.25) for points in (geometry.LIPS_OUTER, OVAL)]
    near = cv2.dilate(polygon(drawn[OVAL]), np.ones((7, 7)))
    counts = np.maximum(np.maximum(near, written), 1 - covered)
    label, counts = (cv2.resize(p, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for p in (np.maximum(covered, written), counts))
    return np.stack(cells), label, counts, list(KINDS).index(kind)


def contour(points):
    """1 where the middle of a cell lies within, else 0. `points` in cells."""
    out = np.zeros((SIDE, SIDE), np.float32)
    for (x0, y0), (x1, y1) in zip(points, np.roll(points, -1, 0)):
        rows = range(*(int(np.clip(np.ceil(y), 0, SIDE)) for y in (min(y0, y1), max(y0, y1))))
        for y in rows:
            x = int(np.clip(np.ceil(x0 + (y - y0) / (y1 - y0) * (x1 - x0)), 0, SIDE))
            out[y, x:] = 1 - out[y, x:]
    return out


def scenes(data, count, seed):
    patches, meshes, names = data
    rng, fonts = np.random.default_rng(seed), Fonts()
    people = {}
    for i, name in enumerate(names):
        people.setdefault(person(name), []).append(i)
    people = list(people.values())
    inputs = np.zeros((count, 5, SIDE, SIDE), np.uint8)
    labels, counts, kinds = *np.zeros((2, count, SIDE, SIDE), np.uint8), np.zeros(count, np.uint8)
    for n in range(count):
        one, other = (rng.choice(people[rng.integers(len(people))]) for _ in range(2))
        x, label, weight, kinds[n] = scene(rng, patches[one], meshes[one], patches[other], fonts)
        inputs[n], labels[n], counts[n] = np.round(x * 255), np.round(label * 255), np.round(weight * 255)
    return inputs, labels, counts, kinds


#: Names of clips that show one person.
SAME = {"x16": "s4", "x20": "s26", "x17": "s2", "x21": "s2", "x19": "s32", "x15": "id23"}
SAME |= {x: "s30" for x in ("x05", "x07", "x09", "x11")} | {x: "s33" for x in ("x04", "x08", "x10")}


def person(name):
    stem = name.split("_")[0].split(".")[0]
    return SAME.get(stem, stem)


# --- the network ------------------------------------------------------------------------------------------------------


def conv(i, o, kernel=3, stride=1):
    return nn.Sequential(nn.Conv2d(i, o, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(o), nn.ReLU(True))


def double(x):
    return F.interpolate(x, scale_factor=2, mode="nearest")


class Cover(nn.Module):
    """A U-Net over [N, 5, 64, 64]: R, G, B 0..1, lips, face. Gives [N, 1, 64, 64] before the sigmoid."""

    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(conv(5, 16, 5, 2), conv(16, 16))
        self.second = nn.Sequential(conv(16, 32, 3, 2), conv(32, 32))
        self.third = nn.Sequential(conv(32, 48, 3, 2), conv(48, 48), conv(48, 48))
        self.fourth = nn.Sequential(conv(48, 64, 3, 2), conv(64, 64))
        self.up_third = nn.Sequential(conv(112, 48, 1), conv(48, 48))
        self.up_second = nn.Sequential(conv(80, 32, 1), conv(32, 32))
        self.up_first = nn.Sequential(conv(48, 16, 1), conv(16, 16))
        self.out = nn.Conv2d(16, 4, 3, 1, 1)

    def forward(self, x):
        first = self.first(x - 0.5)
        second = self.second(first)
        third = self.third(second)
        up = self.up_third(torch.cat([double(self.fourth(third)), third], 1))
        up = self.up_second(torch.cat([double(up), second], 1))
        up = self.up_first(torch.cat([double(up), first], 1))
        return F.pixel_shuffle(self.out(up), 2)


def train(data, steps, seed, threads, count, rate, out, start=None):
    torch.manual_seed(seed)
    torch.set_num_threads(threads)
    inputs, labels, counts, _ = data
    network = Cover().train()
    if start:
        network.load_state_dict(torch.load(start))
    average = torch.optim.swa_utils.AveragedModel(network, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.995), use_buffers=True)
    optimiser = torch.optim.AdamW(network.parameters(), rate, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, steps, pct_start=0.1)
    rng = np.random.default_rng(seed)
    for step in range(steps):
        pick = rng.choice(len(inputs), count)
        x, y, weight = (torch.from_numpy(part[pick]).float() / 255 for part in (inputs, labels[:, None], counts[:, None]))
        if step % 2:
            x, y, weight = x.flip(3), y.flip(3), weight.flip(3)
        with torch.autocast("cpu", torch.bfloat16):
            logits = network(x).float()
        cross = F.binary_cross_entropy_with_logits(logits, y, weight)
        # Rare mistakes count: a few cells of a bare face taken for covered are seen, and a missed word is.
        share, y = torch.sigmoid(logits) * weight, y * weight
        overlap = 1 - (2 * (share * y).sum((1, 2, 3)) + 20) / ((share + y).sum((1, 2, 3)) + 20)
        loss = cross + 0.3 * overlap.mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        average.update_parameters(network)
        if step % 100 == 99:
            print(f"{step + 1}: {loss.item():.4f}", flush=True)
            torch.save(average.module.state_dict(), out / "face_cover.pt")
    return average.module.eval()


def judge(network, data):
    """Of each kind: cells found of those covered, and wrongly covered cells of a scene."""
    inputs, labels, counts, kinds = data
    with torch.no_grad():
        parts = np.array_split(np.arange(len(inputs)), max(1, len(inputs) // 128))
        found = np.concatenate([torch.sigmoid(network(torch.from_numpy(inputs[p]).float() / 255))[:, 0].numpy() for p in parts])
    for index, kind in enumerate(KINDS):
        of = kinds == index
        real, told = labels[of] > 127, (found[of] > 0.5) & (counts[of] > 127)
        wrong = (told & (labels[of] == 0)).sum((1, 2))
        real &= counts[of] > 127
        print(f"{kind:11} {of.sum():5} found {(told & real).sum() / max(real.sum(), 1):.3f}  wrong cells: mean {wrong.mean():.2f}, scenes with more than 20: {(wrong > 20).mean():.3f}")


class Exported(nn.Module):
    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, face):
        return torch.sigmoid(self.network(face))


def export(network, folder):
    path = folder / "face_cover.onnx"
    torch.onnx.export(Exported(network), (torch.zeros(1, 5, SIDE, SIDE),), str(path), input_names=["face"], output_names=["cover"], opset_version=17, dynamo=False)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    print(path, path.stat().st_size, digest)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--clips", type=pathlib.Path, nargs="+", required=True, help="folders with clips of bare faces")
    parser.add_argument("--pictures", type=pathlib.Path, nargs="*", default=[])
    parser.add_argument("--models", type=pathlib.Path, required=True, help="folder with face_detector.onnx and face_mesh.onnx")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--leave-out", nargs="*", default=[], help="people that are only judged on")
    parser.add_argument("--faces", type=pathlib.Path, help="a file for the faces of the clips, for the next pass")
    parser.add_argument("--scenes", type=int, default=14000)
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--start", type=pathlib.Path, help="weights to go on from")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    rng = np.random.default_rng(arguments.seed)
    clips = [path for folder in arguments.clips for path in sorted(folder.iterdir()) if path.suffix in {".mkv", ".mpg", ".mp4"}]
    if arguments.faces and arguments.faces.exists():
        data = list(np.load(arguments.faces).values())
    else:
        data = gather(clips + arguments.pictures, arguments.models, rng)
        if arguments.faces:
            np.savez(arguments.faces, *data)
    bare = ~np.isin(data[2], list(NOT_BARE))
    data = [part[bare] for part in data]
    held = np.array([person(name) in arguments.leave_out for name in data[2]])
    drawn = scenes([part[~held] for part in data], arguments.scenes, arguments.seed)
    network = train(drawn, arguments.steps, arguments.seed, arguments.threads, arguments.batch, arguments.rate, arguments.out, arguments.start)
    torch.save(network.state_dict(), arguments.out / "face_cover.pt")
    if held.any():
        judge(network, scenes([part[held] for part in data], 2000, 1000 + arguments.seed))
    export(network, arguments.out)


if __name__ == "__main__":
    main()
