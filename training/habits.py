"""What is a person's own in how a mouth moves, and no sound tells: how far it opens, and whether it spreads or narrows as it opens.

The plugin learns both from the stream (core/src/families/warp/articulation.rs). It reads from the manifest which landmarks move how far where a
mouth spreads by a pixel: `spread`.
"""

import pathlib
import tomllib

import numpy as np

import geometry

RIGHT, LEFT = geometry.INDEX[61], geometry.INDEX[291]


def width(points):
    """Distance of the corners of the mouth along x: [..., L, 2] -> [...]."""
    return points[..., LEFT, 0] - points[..., RIGHT, 0]


def by_person(clips):
    people = {}
    for c in clips:
        people.setdefault(c.person, []).append(c.raw - c.raw.mean(0))
    return {person: np.concatenate(moved).astype(np.float64) for person, moved in people.items()}


def slope(moved, opening):
    """Pixels by which what moves goes along with each of opening: [T, ...], [T] -> [...]."""
    return np.tensordot(opening, moved, (0, 0)) / (opening @ opening)


def spread(clips):
    """How landmarks move for each pixel by which a mouth spreads, whatever it opens: a regression over people, each counting once. [L, 2]"""
    moves, weight = np.zeros((geometry.COUNT, 2)), 0.0
    for moved in by_person(clips).values():
        opening = geometry.opening(moved)
        rest = moved - opening[:, None, None] * slope(moved, opening)
        wide = width(rest)
        moves += np.tensordot(wide, rest, (0, 0)) / len(wide)
        weight += wide @ wide / len(wide)
    moves /= weight
    moves = (moves + moves[geometry.MIRROR] * (-1, 1)) / 2  # neither side of a face is the wider one
    together = moves[[geometry.UPPER, geometry.LOWER], 1].mean(0)  # lips that touch go on touching
    moves[geometry.UPPER, 1] = moves[geometry.LOWER, 1] = together
    return moves / width(moves)


def read_spread(folder):
    """The table of the manifest in `folder`, None where there is none."""
    table = tomllib.loads((pathlib.Path(folder) / "manifest.toml").read_text()).get("articulation")
    return table and np.array(table["spread"])
