"""What is a person's own in how a mouth moves, and no sound tells: how far it opens, and whether it spreads or narrows as it opens.

The plugin learns both from the stream (core/src/families/warp/articulation.rs), as `Learner` and `known` do here, for measuring. It reads from the
manifest which landmarks move how far where a mouth spreads by a pixel: `spread`.
"""

import pathlib
import tomllib

import numpy as np

import geometry

RIGHT, LEFT = geometry.INDEX[61], geometry.INDEX[291]
#: As in articulation.rs.
MEMORY_SECONDS, HALF_SECONDS, MOTION_SECONDS, WATCHED_SECONDS = 12.0, 0.7, 1.0, 0.2
MOVES, USUAL, RIDGE, REACH, RATE, FACTOR = 5.0, 2.7, 0.5, 1.0, 0.4, 0.9
#: The mesh sees a drawn mouth open by this share of what was aimed at.
SEEN = 0.62


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


class Learner:
    """What is known of a mouth's movement in speech: `manner` is (logarithm of its reach over the usual one, habit, how far both are known)."""

    def __init__(self):
        self.last, self.watched, self.motion, self.spoken = None, 0.0, 0.0, 0.0
        self.mean, self.variance, self.covariance, self.manner = np.zeros(2), 0.0, 0.0, np.zeros(3)

    def watch(self, opening, wide, seconds):
        """Looks at a frame so many seconds after the one before."""
        last, self.last = self.last, opening
        if last is None:
            return
        self.watched += seconds
        self.motion += min(1, seconds / min(self.watched, MOTION_SECONDS)) * (abs(opening - last) / seconds - self.motion)
        if self.watched >= WATCHED_SECONDS and self.motion >= MOVES:
            self.spoken = min(self.spoken + seconds, MEMORY_SECONDS)
            share, apart = seconds / self.spoken, np.array([opening, wide]) - self.mean
            self.mean += share * apart
            self.variance = (1 - share) * (self.variance + share * apart[0] ** 2)
            self.covariance = (1 - share) * (self.covariance + share * apart[0] * apart[1])
        known = self.spoken / (self.spoken + HALF_SECONDS)
        reach = np.clip(0.5 * np.log(max(self.variance, 1e-30)) - np.log(USUAL), -REACH, REACH)
        habit = np.clip(self.covariance / (self.variance + RIDGE), -1, 1)
        aim = np.array([known * reach, known * habit, known])
        self.manner = self.manner + np.clip(aim - self.manner, -RATE * seconds, RATE * seconds)


def known(own, drawn, fps, times=3, shift=1.2):
    """The landmarks `drawn` [T, L, 2] as the plugin draws them once it has seen this person's `own` say other words, `times` over: the opening
    that a mesh sees and the width, of the last time. [T], [T]"""
    order = (np.arange(len(own)) + round(shift * fps)) % len(own)
    person, voice, shown = Learner(), Learner(), []
    rows = np.stack([geometry.opening(own[order]), width(own[order]), geometry.opening(drawn), width(drawn)], 1)
    for opening, wide, gap, spreads in np.tile(rows, (times, 1)):
        person.watch(opening, wide, 1 / fps)
        voice.watch(gap, spreads, 1 / fps)
        reach, habit, share = person.manner
        opened = gap * np.exp(np.clip(reach - share * (voice.manner[0] + np.log(SEEN)), -FACTOR, FACTOR))
        shown.append((SEEN * opened, spreads + (habit - share * voice.manner[1]) * opened))
    return np.array(shown[-len(own) :]).T
