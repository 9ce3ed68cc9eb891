"""The canonical lower face: its points, the fit of a face to it, and the closed (rest) mouth.

This file is the definition; the plugin mirrors it (core/src/face/geometry.rs) and reads the tables from
models/builtin/manifest.toml, which export.py writes from here.

Canonical space is a picture of 96x96 pixels that shows the lower face. Integer coordinates are pixel centres: x = 0 is the
centre of the first pixel, x = 95 of the last. Normalised coordinates are x / 95 * 2 - 1 (grid_sample's align_corners=True).
The scale is 78 pixels between the outer corners of the eyes; those lie above the picture, at y = -25.
All point numbers are those of the 468-point face mesh.
"""

import numpy as np

SIZE = 96

# --- the alignment ------------------------------------------------------------------------------------------------

#: Mesh points that hardly move with speech (corners of the eyes, bridge, tip and wings of the nose, temples) and where they
#: lie in canonical space: the mean of 20 GRID clips in square pixels, made symmetric. The jaw is not among them, so an
#: opening mouth cannot leak into the alignment.
RIGID = {
    33: (8.50, -25.10), 263: (86.50, -25.10),  # outer corners of the eyes
    133: (32.39, -23.71), 362: (62.61, -23.71),  # inner corners
    168: (47.50, -28.58), 6: (47.50, -21.84), 197: (47.50, -15.52), 195: (47.50, -9.62),  # bridge of the nose
    5: (47.50, -3.27), 4: (47.50, 4.44), 1: (47.50, 10.29),  # tip of the nose
    98: (33.03, 13.58), 327: (61.97, 13.58),  # wings of the nose
    127: (-12.94, -21.46), 356: (107.94, -21.46),  # temples
    234: (-12.08, -9.07), 454: (107.08, -9.07),
}

# --- the points that speech moves ---------------------------------------------------------------------------------

#: Outer contour of the lips: right corner, along the lower lip to the left corner, back along the upper lip.
LIPS_OUTER = [61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185]
#: Inner contour, in the same order.
LIPS_INNER = [78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191]
#: Jaw, chin and the skin round the mouth: on the midline, then pairs (right, left).
SKIN_MIDLINE = [2, 164, 18, 200, 199, 175, 152]
SKIN_PAIRS = [
    (148, 377), (176, 400), (149, 378), (150, 379), (136, 365),  # edge of the jaw, from the chin outwards
    (165, 391), (206, 426), (186, 410), (216, 436),  # beside and above the upper lip
    (57, 287), (212, 432), (214, 434), (43, 273), (202, 422),  # beside the corners, cheeks
    (83, 313), (201, 421), (194, 418), (204, 424), (32, 262), (208, 428),  # under the lower lip, chin
]
#: The points the networks know, in their order: L = 87.
LANDMARKS = LIPS_OUTER + LIPS_INNER + SKIN_MIDLINE + [p for pair in SKIN_PAIRS for p in pair]
COUNT = len(LANDMARKS)
#: Index into LANDMARKS of a mesh point.
INDEX = {point: i for i, point in enumerate(LANDMARKS)}

# --- the closed mouth ---------------------------------------------------------------------------------------------

#: Points of the inner lips that touch when the mouth is closed: (upper, lower), from the right corner to the left.
CLOSING_PAIRS = [
    (191, 95), (80, 88), (81, 178), (82, 87), (13, 14), (312, 317), (311, 402), (310, 318), (415, 324),
]
MIDDLE_PAIR = 4
#: The upper lip comes down by this share of the gap, the lower lip comes up by the rest.
UPPER_SHARE = 0.25
#: How far skin follows the middle of the lower lip: 1 = fully, 0 = not at all. Measured: the regression of each
#: point's height on the lip gap over 20 GRID clips, divided by the lower lip's own, rounded. Points not named: 0.
FOLLOWS_LOWER_LIP = {
    18: 1.0, 83: 0.95, 200: 0.8, 201: 0.7, 199: 0.7, 175: 0.65, 152: 0.6, 208: 0.6, 148: 0.55, 194: 0.55,
    176: 0.45, 32: 0.45, 204: 0.35, 149: 0.35, 43: 0.3, 150: 0.25, 202: 0.2, 136: 0.2, 57: 0.15, 214: 0.15, 212: 0.1,
}


def _closing_tables():
    """For each landmark: the pair whose gap moves it, and by how much of that gap (y points down)."""
    pair, weight = np.full(COUNT, MIDDLE_PAIR), np.zeros(COUNT)
    lower_outer, upper_outer = LIPS_OUTER[1:10], LIPS_OUTER[:10:-1]
    for i, (upper, lower) in enumerate(CLOSING_PAIRS):
        for point in (upper, upper_outer[i]):
            pair[INDEX[point]], weight[INDEX[point]] = i, UPPER_SHARE
        for point in (lower, lower_outer[i]):
            pair[INDEX[point]], weight[INDEX[point]] = i, UPPER_SHARE - 1
    partner = dict(SKIN_PAIRS)
    for point, follows in FOLLOWS_LOWER_LIP.items():
        for p in {point, partner.get(point, point)}:
            weight[INDEX[p]] = (UPPER_SHARE - 1) * follows
    return pair, weight


CLOSE_PAIR, CLOSE_WEIGHT = _closing_tables()
#: The upper and the lower landmark of each closing pair.
UPPER = np.array([INDEX[u] for u, _ in CLOSING_PAIRS])
LOWER = np.array([INDEX[l] for _, l in CLOSING_PAIRS])


def gaps(points):
    """The gap of each closing pair (negative if the lips cross): [..., L, 2] -> [..., 9]."""
    return points[..., LOWER, 1] - points[..., UPPER, 1]


def close_lips(points):
    """The same face with the inner lips touching: [..., L, 2] canonical points -> [..., L, 2].

    Only y changes. gap[i] = max(0, y of the lower point - y of the upper point) of closing pair i; then every landmark
    moves by y += CLOSE_WEIGHT * gap[CLOSE_PAIR]: upper lip +0.25 of its gap, lower lip -0.75 of its gap, jaw and chin
    -0.75 of the middle gap times how far they follow the lower lip; corners of the mouth, cheeks and nose stay.
    """
    points = np.asarray(points)
    gap = np.maximum(0, gaps(points))
    closed = points.copy()
    closed[..., 1] += (CLOSE_WEIGHT * gap[..., CLOSE_PAIR]).astype(points.dtype)
    return closed


def opening(points):
    """How far the mouth is open: inner-lip gap at the middle (13-14), in pixels. [..., L, 2] -> [...]."""
    return points[..., INDEX[14], 1] - points[..., INDEX[13], 1]


def rest_mouth(points, share=0.2):
    """The closed rest mouth of a clip: mean of its most closed `share` of frames, then closed. [T, L, 2] -> [L, 2]."""
    gap = opening(points)
    return close_lips(points[gap <= np.quantile(gap, share)].mean(0))


# --- similarity ---------------------------------------------------------------------------------------------------

RIGID_POINTS = list(RIGID)
RIGID_XY = np.array([RIGID[p] for p in RIGID_POINTS])


def fit_similarity(source, target):
    """Least-squares similarity (scale, rotation, shift; no mirror) from source to target [n, 2] as a 2x3 matrix."""
    ms, mt = source.mean(0), target.mean(0)
    s, t = source - ms, target - mt
    norm = (s * s).sum()
    a = (s * t).sum() / norm
    b = (s[:, 0] * t[:, 1] - s[:, 1] * t[:, 0]).sum() / norm
    linear = np.array([[a, -b], [b, a]])
    return np.hstack([linear, (mt - linear @ ms)[:, None]])


def fit_face(mesh):
    """The similarity from picture pixels to canonical pixels for one mesh [468, 2]."""
    return fit_similarity(mesh[RIGID_POINTS], RIGID_XY)


def apply(matrix, points):
    """A 2x3 matrix applied to points [..., 2]."""
    return points @ matrix[:, :2].T + matrix[:, 2]


def invert(matrix):
    """The inverse of a 2x3 affine matrix."""
    linear = np.linalg.inv(matrix[:, :2])
    return np.hstack([linear, -(linear @ matrix[:, 2])[:, None]])


# --- mirror images ------------------------------------------------------------------------------------------------


def _mirror_order():
    partner = {}
    for contour in (LIPS_OUTER, LIPS_INNER):
        for i, point in enumerate(contour):
            partner[point] = contour[(10 - i) % 20]
    for point in SKIN_MIDLINE:
        partner[point] = point
    for right, left in SKIN_PAIRS:
        partner[right], partner[left] = left, right
    return np.array([INDEX[partner[p]] for p in LANDMARKS])


#: mirrored[i] = points[MIRROR[i]] with x -> 95 - x.
MIRROR = _mirror_order()


def mirror_points(points):
    """Points [..., L, 2] of the mirrored picture."""
    turned = points[..., MIRROR, :].copy()
    turned[..., 0] = SIZE - 1 - turned[..., 0]
    return turned
