"""Mouths for speech that has no picture: what follows from the spectrum and from what the phone recogniser hears, linearly.

A ridge regression from 0.3 s of mel (prepare.mel_windows) and from phones.py's classes, 0.24 s either side of the frame, to the
displacement of the landmarks, fitted on clips with a picture, every person counting alike but for how much there is of each. It looks further ahead than
audio2mouth may, and knows the phones: so it knows better, and audio2mouth learns from it how other voices and other words look.
"""

import numpy as np

import geometry
import phones
import prepare

#: Where the phones are looked at, in seconds from the middle of the frame.
OFFSETS = np.arange(-6, 7) * 0.04
#: Penalty on weights, as a share of the mean square of a feature.
RIDGE = 0.2


def features(clip, seconds):
    """What is heard around times in seconds of the sound, one row each."""
    seen = prepare.mel_windows(clip.mel, seconds)
    heard = phones.at(clip.phones, np.asarray(seconds)[:, None] + OFFSETS)
    return np.hstack([seen, heard.reshape(len(seen), -1)])


class Teacher:
    def __init__(self, clips, ridge=RIDGE):
        x = [features(c, c.times() + 0.5 / c.fps + c.late) for c in clips]
        y = [(c.shape * c.scale).reshape(len(c.shape), -1) for c in clips]
        each = {p: sum(c.person == p for c in clips) for p in {c.person for c in clips}}
        weight = np.concatenate([np.full(len(rows), each[c.person] ** -0.55) for rows, c in zip(x, clips)])[:, None]
        x, y, weight = np.concatenate(x), np.concatenate(y), weight / weight.mean()
        self.mean, self.centre = (x * weight).mean(0), (y * weight).mean(0)
        x, y = x - self.mean, y - self.centre
        self.spread = np.sqrt((x * x * weight).mean(0)) + 0.05
        x = x / self.spread
        gram = x.T @ (x * weight) / len(x)
        self.weights = np.linalg.solve(gram + ridge * np.eye(len(gram)), x.T @ (y * weight) / len(x)) / self.spread[:, None]

    def mouth(self, clip, seconds):
        """Displacement [T, L, 2] of the landmarks at times in seconds of the sound."""
        moved = (features(clip, seconds) - self.mean) @ self.weights + self.centre
        return moved.reshape(len(moved), geometry.COUNT, 2).astype(np.float32)
