"""Mouths for speech that has no picture: what follows from the spectrum and from what the phone recogniser hears, linearly.

A ridge regression from 0.3 s of mel (prepare.mel_windows) and from phones.py's classes, 0.24 s either side of the frame, to the
displacement of the landmarks, fitted on clips with a picture, every person counting alike but for how much there is of each. It looks further ahead than
audio2mouth may, and knows the phones: so it knows better, and audio2mouth learns from it how other voices and other words look.
"""

import numpy as np

import geometry
import phones
import prepare
from habits import width

#: Where the phones are looked at, in seconds from the middle of the frame.
OFFSETS = np.arange(-6, 7) * 0.04
#: Vowels that round or spread the lips, and the phones that are taken for them.
WIDTHS = {"u": ("u", "ʊ", "ju", "y"), "o": ("o", "oʊ", "ɔ"), "i": ("i", "ɪ", "e", "eɪ")}
#: Above this share a class of phones is heard.
HEARD = 0.4
#: Frames of a person in which each of these vowels has to be heard, so that the person counts.
FEWEST = 5
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
        self.widths = Widths(clips)

    def mouth(self, clip, seconds):
        """Displacement [T, L, 2] of the landmarks at times in seconds of the sound."""
        moved = (features(clip, seconds) - self.mean) @ self.weights + self.centre
        return moved.reshape(len(moved), geometry.COUNT, 2).astype(np.float32)


class Widths:
    """How wide mouths are in rounded and in spread vowels: the mean over people who are heard to say them.

    A person's displacement is fitted as a line in how far the mouth opens, and a step for each kind of vowel. The regression
    above shrinks such steps, and other voices are not heard as well as these.
    """

    def __init__(self, clips):
        classes = [[i for i, names in enumerate(phones.CLASSES) if names.split()[0] in like] for like in WIDTHS.values()]
        lines, steps = [], []
        for person in {c.person for c in clips}:
            own = [c for c in clips if c.person == person]
            heard = np.concatenate([phones.at(c.phones, c.times() + 0.5 / c.fps + c.late) for c in own])
            shape = np.concatenate([c.shape * c.scale for c in own])
            said = np.stack([heard[:, kind].max(1) > HEARD for kind in classes], 1)
            speaks = heard[:, :-2].max(1) > HEARD  # neither length nor the border of a word
            if (said.sum(0) < FEWEST).any():
                continue
            known = np.hstack([np.ones((speaks.sum(), 1)), geometry.opening(shape)[speaks, None], said[speaks]])
            fit = np.linalg.lstsq(known, shape[speaks].reshape(len(known), -1), rcond=None)[0].reshape(-1, geometry.COUNT, 2)
            lines.append(width(fit[:2]))
            steps.append(fit[2:])
        if not steps:  # nobody says all of them: vowels are as wide as they are heard
            lines, steps = [np.zeros(2)], [np.zeros((len(WIDTHS), geometry.COUNT, 2))]
        #: Width of a mouth that is shut, and what each pixel of opening adds.
        self.line = np.mean(lines, 0)
        steps = np.mean(steps, 0)
        #: By how much each kind of vowel is wider than the line.
        self.steps = width(steps)
        print("mouths are wider by " + ", ".join(f"{step:.2f} px in {vowel}" for vowel, step in zip(WIDTHS, self.steps)))
        #: What becomes of the lips as they get wider by a pixel.
        apart = steps[2] - steps[0]
        self.spreading = apart / width(apart) if apart.any() else apart

    def given(self, moved, vowels, t, ramp):
        """`moved` [T, L, 2] with the width that mouths have in `vowels` (spoken.py), reached `ramp` seconds before and left as long after."""
        base = self.line[0] + self.line[1] * geometry.opening(moved)
        change = np.zeros(len(t))
        for begin, end, kind in vowels:
            share = np.clip(1 - np.maximum(0, np.maximum(begin - t, t - end)) / ramp, 0, 1)
            step = self.steps[int(kind)]
            missing = base + step - width(moved)
            own = share * (np.minimum(missing, 0) if step < 0 else np.maximum(missing, 0))
            change = np.where(np.abs(own) > np.abs(change), own, change)
        return moved + change[:, None, None] * self.spreading
