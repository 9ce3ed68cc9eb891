"""Sound to mouth shape: a window of log-mel -> displacement of the mouth's landmarks from the closed rest mouth.

The network, its window and its target; batches.py draws what it learns from, learn.py trains it.

Window
    W = 32 columns of mel.py, 80 a second. For a frame whose exposure starts at t the last column is
    floor((t + LOOK_AHEAD - 0.025) * 80): it is centred 0.025 s before t + LOOK_AHEAD, and half an STFT window reaches to
    t + LOOK_AHEAD, so no later sound is needed. Training draws t anywhere between frames, so that every frame rate is met.

Target
    Landmarks minus the clip's closed rest mouth (geometry.rest_mouth), in canonical pixels, each speaker scaled to the common
    amplitude (how widely a stranger opens the mouth cannot be heard). The network gives codes of an uncentred PCA: code 0 is the
    closed mouth. Inside the graph the codes are decoded with a basis that is calibrated before export (Decoder.calibrate), and lips that would cross
    are made to meet.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import geometry
import mel
import noise
import phones
import prepare
import spoken

COLUMNS = 32
#: Where in the window the network has features before its last layers, and how many columns apart.
PLACES, PLACE_STEP = 8, 4
LOOK_AHEAD = 0.160
HALF_STFT = 0.025
CODES = 16
SILENCE = -4.0
SPEEDS = (0.82, 0.88, 0.94, 1.0, 1.07, 1.15, 1.23)
LIPS = 40  # the first 40 landmarks
#: Weight of lips and of skin in the PCA and in the loss.
POINT_WEIGHT = np.array([1.0] * LIPS + [0.4] * (geometry.COUNT - LIPS), np.float32)


def last_column(t):
    """Index of the window's last mel column for an exposure that starts at t seconds."""
    return np.floor((np.asarray(t) + LOOK_AHEAD - HALF_STFT) * mel.COLUMNS_PER_SECOND + 1e-6).astype(int)


def windows(spectrum, t, edge=False):
    """Mel windows for times t: [80, C] -> [T, 80, W]. Outside the clip there is silence (or the edge repeated)."""
    index = last_column(t)[:, None] + np.arange(1 - COLUMNS, 1)
    found = spectrum[:, np.clip(index, 0, spectrum.shape[1] - 1)].transpose(1, 0, 2)
    if not edge:
        outside = (index < 0) | (index >= spectrum.shape[1])
        found = np.where(outside[:, None], SILENCE, found)
    return found.astype(np.float32)


class Decoder(nn.Module):
    """Codes [N, K] -> displacement [N, L, 2]: PCA basis, closing, and lips that never cross."""

    def __init__(self, basis):
        super().__init__()
        self.register_buffer("basis", torch.as_tensor(basis, dtype=torch.float32))  # K, L * 2
        gap = np.zeros((geometry.COUNT, len(geometry.CLOSING_PAIRS)), np.float32)
        push = np.zeros((len(geometry.CLOSING_PAIRS), geometry.COUNT), np.float32)
        for i, (upper, lower) in enumerate(geometry.CLOSING_PAIRS):
            gap[geometry.INDEX[upper], i], gap[geometry.INDEX[lower], i] = 1, -1
        for i in range(geometry.COUNT):
            push[geometry.CLOSE_PAIR[i], i] = -geometry.CLOSE_WEIGHT[i]
        self.register_buffer("closing", torch.from_numpy(geometry.CLOSE_WEIGHT.astype(np.float32)) * 0)
        self.register_buffer("habit", torch.zeros(geometry.COUNT, 2))
        self.register_buffer("gap", torch.from_numpy(gap))
        self.register_buffer("push", torch.from_numpy(push))

    @torch.no_grad()
    def calibrate(self, mean_shape, mean_share, opening, closing, widening, spread):
        """Change the basis so that the motion suits people whose habits are not known. Once, before export.

        mean_shape [L, 2] is the mean displacement in training. That part of every motion (corners down and in, whether or
        not this person does so) is kept to `mean_share`; the opening, which sound does tell, is multiplied by `opening`,
        since a network trained on a distance shrinks towards the mean. So is the width, by `widening`: spread [L, 2] is what
        becomes of the landmarks as the corners get a pixel further apart. Then the lips are closed by `closing` pixels: the
        mesh sees a small gap between closed lips, and the network learned it.
        """
        rows = self.basis.numpy().astype(np.float64)
        weight = np.repeat(POINT_WEIGHT, 2)
        mean = np.asarray(mean_shape, np.float64).ravel()
        shared = np.outer(rows * weight @ mean / (mean * weight @ mean), mean)
        changed = (rows - (1 - mean_share) * shared).reshape(len(rows), geometry.COUNT, 2)
        wanted = opening * geometry.gaps(rows.reshape(changed.shape)) - geometry.gaps(changed)
        changed[:, :, 1] -= geometry.CLOSE_WEIGHT * wanted[:, geometry.CLOSE_PAIR]
        wider = (widening - 1) * (changed[:, 10, 0] - changed[:, 0, 0])
        changed += wider[:, None, None] * np.asarray(spread, np.float64)
        self.basis.copy_(torch.from_numpy(changed.reshape(rows.shape).astype(np.float32)))
        self.closing.copy_(torch.from_numpy(geometry.CLOSE_WEIGHT * closing))

    def forward(self, codes):
        moved = (codes @ self.basis).view(-1, geometry.COUNT, 2)
        # codes have unit mean square in speech and are 0 in digital silence
        speaking = 1 - torch.exp(-4 * (codes * codes).mean(1))
        moved = moved + speaking[:, None, None] * self.habit
        x, y = moved[:, :, 0], moved[:, :, 1]
        y = y + self.closing
        y = y + F.relu(y @ self.gap) @ self.push  # lips that crossed are pushed apart until they touch
        return torch.stack([x, y], 2)


class Lessons(nn.Module):
    """What is asked of the network beside the mouth while it learns, and left off on export: which phones are spoken at each place of the
    window, and FACEGOOD's channels of the face."""

    def __init__(self):
        super().__init__()
        self.phones = nn.Conv1d(128, phones.COUNT, 1)
        self.faces = nn.Linear(192, len(spoken.FACES))

    def forward(self, network, heard):
        """From AudioToMouth.hear: logits [N, phones, PLACES], faces [N, F]."""
        return self.phones(heard), self.faces(network.out[:-2](heard))


class AudioToMouth(nn.Module):
    """mel [N, 1, 80, 32] -> codes [N, K], displacement [N, 87, 2]."""

    def __init__(self, basis, drop=0.2):
        super().__init__()
        self.bands = nn.Sequential(  # along frequency, weights shared: voices differ in where their formants lie
            nn.Conv2d(1, 16, (5, 3), (2, 1), (2, 1), bias=False), nn.BatchNorm2d(16), nn.ReLU(),
            nn.Conv2d(16, 24, (5, 3), (2, 2), (2, 1), bias=False), nn.BatchNorm2d(24), nn.ReLU(),
        )  # fmt: skip
        width = 128

        def step(i, stride=1, kernel=3):
            return nn.Sequential(
                nn.Conv1d(i, width, kernel, stride, kernel // 2, bias=False), nn.BatchNorm1d(width), nn.ReLU()
            )

        self.enter = nn.Sequential(nn.Dropout1d(0.1), step(24 * 20, kernel=1))
        self.time1 = nn.Sequential(step(width), step(width, 2))
        self.time2 = nn.Sequential(step(width), step(width))
        self.time3 = step(width)
        self.out = nn.Sequential(
            nn.Flatten(), nn.Dropout(drop), nn.Linear(width * PLACES, 192), nn.ReLU(), nn.Dropout(drop), nn.Linear(192, len(basis))
        )
        self.decoder = Decoder(basis)

    def hear(self, spectrum):
        """What is spoken: [N, 128, PLACES], PLACE_STEP columns apart, the first centred on the first column."""
        x = self.bands((spectrum + 2) * 0.5).flatten(1, 2)
        return self.time3(self.time2(self.time1(self.enter(x))))

    def codes(self, spectrum):
        return self.out(self.hear(spectrum))

    def forward(self, spectrum):
        codes = self.codes(spectrum)
        return codes, self.decoder(codes)

    @torch.no_grad()
    def settle(self):
        """Shift the last bias so that digital silence gives code 0, the closed rest mouth, exactly. Call in eval mode."""
        self.out[-1].bias -= self.codes(torch.full((1, 1, mel.BANDS, COLUMNS), SILENCE))[0]


# --- data ---------------------------------------------------------------------------------------------------------


class Clip:
    """One clip: its mel and the displacement of its landmarks from its own rest mouth."""

    phones = faces = change = None  # until listened to

    def __init__(self, folder, name):
        with np.load(folder / f"{name}.npz") as z:
            points = z["points"][:, geometry.LANDMARKS]
            self.mel, self.fps, self.sound = z["mel"], float(z["fps"]), z["sound"]
        self.name, self.person = name, prepare.speaker(name)
        self.rest = geometry.rest_mouth(points)
        self.raw = points - self.rest
        padded = np.pad(self.raw, ((1, 1), (0, 0), (0, 0)), "edge")
        self.shape = (0.25 * padded[:-2] + 0.5 * padded[1:-1] + 0.25 * padded[2:]).astype(np.float32)  # less tracker noise
        self.settle(self.sound[mel.SAMPLE_RATE // 2 : -mel.SAMPLE_RATE // 2])
        heard = folder / "phones" / f"{name}.npy"
        self.listen(np.load(heard) if heard.exists() else None)

    def listen(self, heard):
        """Take what the recogniser heard (phones.py), or None."""
        self.phones, self.faces = heard, None
        self.change = None if heard is None else phones.change(heard)

    def settle(self, words):
        """What is the same for every kind of clip, once its sound is known; `words` is the part of it that is spoken."""
        self.level = noise.level_db(words)
        self.played = []
        self.late = 0.0  # how late the sound is
        self.scale = 1.0  # to the common amplitude

    def speeds(self):
        """(speed, mel) of the clip played slower and faster: other voices (pitch, formants) and other tempos."""
        if not self.played:
            n = len(self.sound)
            for speed in SPEEDS:
                at = np.arange(int(n / speed)) * speed
                self.played.append((speed, self.mel if speed == 1 else mel.melspectrogram(np.interp(at, np.arange(n), self.sound))))
        return self.played

    def times(self):
        return np.arange(len(self.raw)) / self.fps

    def at(self, t):
        """Displacement at any time, between frames interpolated: [T, L, 2]."""
        at = np.clip(np.asarray(t) * self.fps, 0, len(self.shape) - 1.001)
        i = at.astype(int)
        f = (at - i)[:, None, None].astype(np.float32)
        return (self.shape[i] * (1 - f) + self.shape[i + 1] * f) * self.scale


    def spoken_at(self, t, speed):
        """Which phones are spoken at the places of the windows for times t, if the sound is played at `speed`: [T, phones, PLACES]."""
        first = last_column(t) + 1 - COLUMNS
        seconds = (first[:, None] + PLACE_STEP * np.arange(PLACES)) / mel.COLUMNS_PER_SECOND * speed
        return phones.at(self.phones, seconds).transpose(0, 2, 1)

    def faces_at(self, t):
        """FACEGOOD's channels in standard deviations at times t of the sound, NaN where they are not known: [T, F]."""
        if self.faces is None:
            return np.full((len(t), len(spoken.FACES)), np.nan, np.float32)
        at = np.asarray(t) * spoken.FACES_RATE
        return np.stack([np.interp(at, np.arange(len(self.faces)), f) for f in self.faces.T], 1).astype(np.float32)


class Voice(Clip):
    """Speech without a picture, as spoken.py writes it. Until it is `taught` its mouth stays shut."""

    FPS = 50
    #: Lips close and open in about this time, in seconds.
    RAMP = 0.055

    def __init__(self, path):
        with np.load(path) as z:
            self.sound, heard, self.closures, self.vowels = z["sound"], z["phones"], z["closures"], z["vowels"]
            faces = z["faces"] if "faces" in z else None
        self.mel, self.fps = mel.melspectrogram(self.sound), self.FPS
        self.name, self.person = path.stem, "synthetic " + path.stem.split("_")[0]
        self.raw = self.shape = np.zeros((int(len(self.sound) / mel.SAMPLE_RATE * self.fps), geometry.COUNT, 2), np.float32)
        self.settle(self.sound)
        self.listen(heard)
        self.faces = faces

    def may_open(self, t):
        """How far the lips may open at times t: 0 where they are shut, 1 away from all closures."""
        share = np.ones(len(t))
        for begin, end, least in self.closures:
            away = np.maximum(0, np.maximum(begin - t, t - end)) / self.RAMP
            share = np.minimum(share, least + (1 - least) * np.clip(away, 0, 1) ** 1.5)
        return share

    def taught(self, teacher):
        """With the mouth that the teacher hears, and the vowels and closures that the synthesiser tells."""
        t = self.times()
        moved = teacher.widths.given(teacher.mouth(self, t + 0.02), self.vowels, t + 0.02, self.RAMP)
        shut = np.maximum(geometry.gaps(moved), 0) * (1 - self.may_open(t + 0.02))[:, None]
        moved[..., 1] += geometry.CLOSE_WEIGHT * shut[:, geometry.CLOSE_PAIR]
        self.raw = self.shape = moved.astype(np.float32)
        return self


def load(folder, names):
    return [Clip(folder, n) for n in names]


def load_voices(folder):
    """What spoken.py wrote; FACEGOOD's channels in their standard deviations."""
    voices = [Voice(p) for p in sorted(folder.glob("*.npz"))]
    known = [v.faces for v in voices if v.faces is not None]
    if known:
        spread = np.concatenate(known).std(0) + 1e-6
        for v in voices:
            v.faces = None if v.faces is None else v.faces / spread
    return voices


def level_speakers(clips):
    """Scale every speaker to the common amplitude: the median over speakers of the opening's deviation."""
    people = sorted({c.person for c in clips})
    spread = {p: np.sqrt(np.mean([geometry.opening(c.raw).var() for c in clips if c.person == p])) for p in people}
    common = float(np.median(list(spread.values())))
    for c in clips:
        c.scale = float(np.clip(common / spread[c.person], 0.5, 2.0))
    return common


def principal_shapes(clips, count):
    """Uncentred PCA of the displacements, so that code 0 is the rest mouth; rows scaled to unit mean square codes."""
    weight = np.repeat(np.sqrt(POINT_WEIGHT), 2)
    rows = []
    for c in clips:
        both = np.concatenate([c.shape, mirror(c.shape)]) * c.scale
        share = 1 / np.sqrt(sum(o.person == c.person for o in clips))
        rows.append(both.reshape(len(both), -1) * weight * share)
    rows = np.concatenate(rows)
    values, vectors = np.linalg.eigh(rows.T @ rows / len(rows))
    keep = np.argsort(values)[::-1][:count]
    print(f"{count} shapes carry {values[keep].sum() / values.sum():.4f} of the motion")
    basis = vectors[:, keep].T
    codes = np.concatenate([c.shape.reshape(len(c.shape), -1) * c.scale for c in clips]) * weight @ basis.T
    return (basis * np.sqrt((codes**2).mean(0))[:, None] / weight).astype(np.float32)


def mirror(shape):
    """Displacements of the mirrored face."""
    turned = shape[..., geometry.MIRROR, :].copy()
    turned[..., 0] *= -1
    return turned


def mean_shape(clips):
    """Mean displacement over people, each counting once: [L, 2]."""
    people = sorted({c.person for c in clips})
    return np.mean([np.mean([c.shape.mean(0) for c in clips if c.person == p], 0) for p in people], 0)


@torch.no_grad()
def habit(network, clips, relaxing, each=6):
    """What speech does to mouths beyond the calibrated motion: mean over people of (real - drawn) landmarks, [L, 2].

    Drawn from each clip's first frame alone, relaxed (rest.py) and its lips closed, as the plugin does with a still picture. For people whose
    own habits are not known, the mean of others' is the best guess.
    """
    left_over = {}
    for c in clips:
        if len(left_over.setdefault(c.person, [])) < each:
            moved = network(torch.from_numpy(windows(c.mel, c.times()))[:, None])[1].numpy()
            start = c.raw[:1]
            closed = geometry.close_lips(c.rest + start) + relaxing.shift(c.rest + start) - c.rest
            left_over[c.person].append((c.raw - closed - moved).mean(0))
    return np.mean([np.mean(of_person, 0) for of_person in left_over.values()], 0)
