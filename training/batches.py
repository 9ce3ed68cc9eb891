"""Random windows of mel, augmented, and what is asked of the network in them.

Generalisation comes from rare speakers drawn more often, mirrored mouths, other voices (clips played slower and faster, warped
frequency axis; synthetic ones: spoken.py), gain, rooms, codecs, an expander, and from what else sounds (noise.py): under a voice with
the target unchanged, alone with a closed mouth as its target.
"""

from typing import NamedTuple

import numpy as np
import torch

import noise
import phones
from audio2mouth import COLUMNS, SILENCE, SPEEDS, mirror, windows

#: Share of the windows that come from synthetic voices (spoken.py).
SPOKEN = 0.4
#: Share of the windows in which nobody speaks.
QUIET = 0.2


class Lesson(NamedTuple):
    """What is asked beside the mouth."""

    phones: torch.Tensor  # [N, phones, PLACES], 0..1
    faces: torch.Tensor  # [N, F], NaN where not known
    moving: torch.Tensor  # [N], how fast the phones change, 1 on average over speech


class Batches:
    """Random windows, augmented, with their displacements. Rows come in pairs of neighbours in time (40 ms apart)."""

    def __init__(self, clips, seed=0, pieces=()):
        self.clips, self.random = clips, np.random.default_rng(seed)
        people = sorted({c.person for c in clips})
        self.by_person = [[c for c in clips if c.person == p] for p in people]
        seen = np.array([not p.startswith("synthetic") for p in people])
        share = np.array([len(c) ** 0.45 for c in self.by_person])
        self.share = np.where(seen, (1 - SPOKEN) * share / max(1, share[seen].sum()), SPOKEN / max(1, (~seen).sum()))
        self.share /= self.share.sum()
        self.listened = all(c.phones is not None for c in clips)
        long = [c for c in clips[::4] if len(c.sound) > 24000] or clips[::4]
        self.sounds = noise.library(np.random.default_rng(1), [c.sound[8000:40000] for c in long], pieces)

    def draw(self, pairs):
        """Windows [2 * pairs, 1, 80, W], displacements [2 * pairs, L, 2] and, if all clips were listened to, the lesson."""
        r, spectra, shapes, levels, lessons = self.random, [], [], [], []
        for person in r.choice(len(self.by_person), pairs, p=self.share):
            clip = self.by_person[person][r.integers(len(self.by_person[person]))]
            speed, spectrum = clip.speeds()[r.integers(len(SPEEDS))]
            t = r.uniform(0, len(clip.raw) / clip.fps / speed - 0.04) + np.array([0, 0.04])
            heard = t + clip.late / speed
            spectra.append(windows(spectrum, heard, edge=r.random() < 0.5))
            shape = clip.at(t * speed)
            shapes.append(mirror(shape) if r.random() < 0.5 else shape)
            levels.append(clip.level)
            if self.listened:
                middle = (heard + 0.02) * speed
                moving = np.interp(middle * phones.RATE, np.arange(len(clip.change)), clip.change)
                lessons.append((clip.spoken_at(heard, speed), clip.faces_at(middle), moving))
        spectra, shapes = self.augment(np.stack(spectra), np.array(levels)), np.stack(shapes)
        quiet = r.random(pairs) < QUIET
        if quiet.any():
            spectra[quiet] = self.silence(int(quiet.sum()))
            shapes[quiet] = 0
        lesson = None
        if self.listened:
            said, faces, moving = (np.stack(rows).astype(np.float32) for rows in zip(*lessons))
            said[quiet], faces[quiet], moving[quiet] = 0, np.nan, 1
            lesson = Lesson(*(torch.from_numpy(rows).flatten(0, 1) for rows in (said, faces, moving)))
        return torch.from_numpy(spectra).flatten(0, 1)[:, None], torch.from_numpy(shapes).flatten(0, 1), lesson

    def augment(self, x, level):
        """x [P, 2, 80, W] of voices `level` dBFS loud: the same change for both rows of a pair."""
        r, n = self.random, len(x)
        # another voice: the frequency axis stretched and shifted
        stretch, shift = r.normal(0, 0.06, (n, 1)).clip(-0.15, 0.15), r.normal(0, 1.0, (n, 1))
        at = np.clip((np.arange(80) - 30) * (1 + stretch) + 30 + shift, 0, 78.999)
        low = at.astype(int)
        f = (at - low).astype(np.float32)[:, None, :, None]
        rows, sides = np.arange(n)[:, None, None], np.arange(2)[None, :, None]
        x = x[rows, sides, low[:, None]] * (1 - f) + x[rows, sides, low[:, None] + 1] * f
        # reverberation: every band falls no faster than so much a column
        some = r.random(n) < 0.2
        tail, fall = x[some], r.uniform(0.08, 0.5, (int(some.sum()), 1, 1)).astype(np.float32)
        for i in range(1, COLUMNS):
            tail[..., i] = np.maximum(tail[..., i], tail[..., i - 1] - fall)
        x[some] = tail
        # what else sounds in the room
        some = r.random(n) < 0.5
        kinds = noise.pick(r, self.sounds, int(some.sum()))
        least = np.where(np.isin(kinds, noise.MUTE[:5]), 0, 5)  # dB by which the voice is louder
        x[some] = noise.add(x[some], self.sound(kinds, level[some] - r.uniform(least, 45)))
        # gain and colour of the microphone, an expander
        bend = np.cumsum(r.normal(0, 0.06, (n, 1, 80, 1)), 2)
        bend = r.uniform(-1.3, 1.0, (n, 1, 1, 1)) + bend - bend.mean(2, keepdims=True) + r.normal(0, 0.08, (n, 1, 80, 1))
        x = x + bend.astype(np.float32)
        some = r.random(n) < 0.25
        threshold, slope = (r.uniform(a, b, (int(some.sum()), 1, 1, 1)).astype(np.float32) for a, b in ((-3.5, -1), (1, 5)))
        loud = x[some]
        x[some] = np.where(loud < threshold, np.maximum(SILENCE, threshold - (threshold - loud) * slope), loud)
        # codecs and telephones: nothing above one band, little below another
        for i in np.flatnonzero(r.random(n) < 0.25):
            top = r.integers(45, 80)
            x[i, :, top:] = np.minimum(x[i, :, top:], r.uniform(-4.5, -2.5))
        for i in np.flatnonzero(r.random(n) < 0.15):
            x[i, :, : r.integers(1, 10)] -= r.uniform(0.5, 3)
        return (x + 0.06 * r.standard_normal(x.shape, np.float32)).clip(-4, 4)

    def sound(self, kinds, level):
        """Excerpts of the library `level` dBFS loud, now and then beginning or ending in the window: [n, 2, 80, W]."""
        r, out = self.random, []
        for kind, loud in zip(kinds, level):
            of_kind = self.sounds[kind]
            spectrum = of_kind[r.integers(len(of_kind))]
            start = r.integers(spectrum.shape[1] - COLUMNS - 3)
            pair = np.stack([spectrum[:, start + i : start + i + COLUMNS] for i in (0, 3)]) + np.float32(loud / noise.UNIT_DB)
            if r.random() < 0.3:
                edge = r.integers(COLUMNS)
                for row, i in zip(pair, (0, 3)):
                    if edge % 2:
                        row[:, : max(edge - i, 0)] = 2 * SILENCE
                    else:
                        row[:, max(edge - i, 0) :] = 2 * SILENCE
            out.append(pair)
        return np.stack(out) + r.normal(0, 0.1, (len(out), 1, 80, 1)).astype(np.float32)

    def silence(self, n):
        """Nobody speaks: digital silence, rooms, machines, music; talkers far away."""
        r = self.random
        kinds = noise.pick(r, self.sounds, n)
        level = r.uniform(-75, np.where(kinds == "talkers", -50, -10))
        x = self.sound(kinds, level) + np.cumsum(r.normal(0, 0.06, (n, 1, 80, 1)), 2).astype(np.float32)
        x[r.random(n) < 0.2] = SILENCE
        return x.clip(-4, 4).astype(np.float32)
