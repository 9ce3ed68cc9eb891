"""Sound to mouth shape: a window of log-mel -> displacement of the mouth's landmarks from the closed rest mouth.

    python training/audio2mouth.py --data DATA --out RUN [--steps 4000]

Window
    W = 32 columns of mel.py, 80 a second. For a frame whose exposure starts at t the last column is
    floor((t + LOOK_AHEAD - 0.025) * 80): it is centred 0.025 s before t + LOOK_AHEAD, and half an STFT window reaches to
    t + LOOK_AHEAD, so no later sound is needed. Training draws t anywhere between frames, so that every frame rate is met.

Target
    Landmarks minus the clip's closed rest mouth (geometry.rest_mouth), in canonical pixels, each speaker scaled to the common
    amplitude (how widely a stranger opens the mouth cannot be heard). The network gives codes of an uncentred PCA: code 0 is the
    closed mouth. Inside the graph the codes are decoded with a basis that is calibrated before export (Decoder.calibrate), and lips that would cross
    are made to meet.

Generalisation comes from rare speakers drawn more often, mirrored mouths, other voices (clips played slower and faster, warped
frequency axis; synthetic ones: spoken.py), gain, rooms, codecs, an expander, and from what else sounds (noise.py): under a voice with
the target unchanged, alone with a closed mouth as its target.
"""

import argparse
import json
import pathlib
import time

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import geometry
import mel
import noise
import prepare

COLUMNS = 32
LOOK_AHEAD = 0.160
HALF_STFT = 0.025
CODES = 16
SILENCE = -4.0
SPEEDS = (0.82, 0.88, 0.94, 1.0, 1.07, 1.15, 1.23)
#: Share of the windows that come from synthetic voices (spoken.py).
SPOKEN = 0.4
#: Lips this far apart, in pixels, count as shut: the mesh sees about so much between lips that touch.
SHUT = 1.5
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
    def calibrate(self, mean_shape, mean_share, opening, closing):
        """Change the basis so that the motion suits people whose habits are not known. Once, before export.

        mean_shape [L, 2] is the mean displacement in training. That part of every motion (corners down and in, whether or
        not this person does so) is kept to `mean_share`; the opening, which sound does tell, is multiplied by `opening`,
        since a network trained on a distance shrinks towards the mean. Then the lips are closed by `closing` pixels: the
        mesh sees a small gap between closed lips, and the network learned it.
        """
        rows = self.basis.numpy().astype(np.float64)
        weight = np.repeat(POINT_WEIGHT, 2)
        mean = np.asarray(mean_shape, np.float64).ravel()
        shared = np.outer(rows * weight @ mean / (mean * weight @ mean), mean)
        changed = (rows - (1 - mean_share) * shared).reshape(len(rows), geometry.COUNT, 2)
        wanted = opening * geometry.gaps(rows.reshape(changed.shape)) - geometry.gaps(changed)
        changed[:, :, 1] -= geometry.CLOSE_WEIGHT * wanted[:, geometry.CLOSE_PAIR]
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


class AudioToMouth(nn.Module):
    """mel [N, 1, 80, 32] -> codes [N, K], displacement [N, 87, 2]."""

    def __init__(self, basis, drop=0.2):
        super().__init__()
        self.bands = nn.Sequential(  # along frequency, weights shared: voices differ in where their formants lie
            nn.Conv2d(1, 16, (5, 3), (2, 1), (2, 1), bias=False), nn.BatchNorm2d(16), nn.ReLU(),
            nn.Conv2d(16, 24, (5, 3), (2, 1), (2, 1), bias=False), nn.BatchNorm2d(24), nn.ReLU(),
        )  # fmt: skip
        width = 128

        def step(i, stride=1, kernel=3):
            return nn.Sequential(
                nn.Conv1d(i, width, kernel, stride, kernel // 2, bias=False), nn.BatchNorm1d(width), nn.ReLU()
            )

        self.enter = nn.Sequential(nn.Dropout1d(0.1), step(24 * 20, kernel=1))
        self.time1 = nn.Sequential(step(width), step(width, 2))
        self.time2 = nn.Sequential(step(width), step(width, 2))
        self.time3 = step(width)
        self.out = nn.Sequential(
            nn.Flatten(), nn.Dropout(drop), nn.Linear(width * COLUMNS // 4, 192), nn.ReLU(), nn.Dropout(drop), nn.Linear(192, len(basis))
        )
        self.decoder = Decoder(basis)

    def codes(self, spectrum):
        x = self.bands((spectrum + 2) * 0.5).flatten(1, 2)
        return self.out(self.time3(self.time2(self.time1(self.enter(x)))))

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

    def __init__(self, folder, name):
        with np.load(folder / f"{name}.npz") as z:
            points = z["points"][:, geometry.LANDMARKS]
            self.mel, self.fps, self.sound = z["mel"], float(z["fps"]), z["sound"]
        self.name, self.person = name, prepare.speaker(name)
        self.rest = geometry.rest_mouth(points)
        self.raw = points - self.rest
        padded = np.pad(self.raw, ((1, 1), (0, 0), (0, 0)), "edge")
        self.shape = (0.25 * padded[:-2] + 0.5 * padded[1:-1] + 0.25 * padded[2:]).astype(np.float32)  # less tracker noise
        self.settle()

    def settle(self):
        """What is the same for every kind of clip, once its sound is known."""
        self.level = noise.level_db(self.sound[mel.SAMPLE_RATE // 2 : -mel.SAMPLE_RATE // 2])  # of the words
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


def load(folder, names):
    return [Clip(folder, n) for n in names]


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


class Batches:
    """Random windows, augmented, with their displacements. Rows come in pairs of neighbours in time (40 ms apart)."""

    def __init__(self, clips, seed=0):
        self.clips, self.random = clips, np.random.default_rng(seed)
        people = sorted({c.person for c in clips})
        self.by_person = [[c for c in clips if c.person == p] for p in people]
        seen = np.array([not p.startswith("synthetic") for p in people])
        share = np.array([len(c) ** 0.45 for c in self.by_person])
        self.share = np.where(seen, (1 - SPOKEN) * share / share[seen].sum(), SPOKEN / max(1, (~seen).sum()))
        self.share /= self.share.sum()
        self.sounds = noise.library(np.random.default_rng(1), [c.sound[8000:40000] for c in clips[::4]])

    def draw(self, pairs):
        r, spectra, shapes, levels = self.random, [], [], []
        for person in r.choice(len(self.by_person), pairs, p=self.share):
            clip = self.by_person[person][r.integers(len(self.by_person[person]))]
            speed, spectrum = clip.speeds()[r.integers(len(SPEEDS))]
            t = r.uniform(0, len(clip.raw) / clip.fps / speed - 0.04) + np.array([0, 0.04])
            spectra.append(windows(spectrum, t + clip.late / speed, edge=r.random() < 0.5))
            shape = clip.at(t * speed)
            shapes.append(mirror(shape) if r.random() < 0.5 else shape)
            levels.append(clip.level)
        spectra, shapes = self.augment(np.stack(spectra), np.array(levels)), np.stack(shapes)
        quiet = r.random(pairs) < 0.16
        if quiet.any():
            spectra[quiet] = self.silence(int(quiet.sum()))
            shapes[quiet] = 0
        return torch.from_numpy(spectra).flatten(0, 1)[:, None], torch.from_numpy(shapes).flatten(0, 1)

    def augment(self, x, level):
        """x [P, 2, 80, W] of voices `level` dBFS loud: the same change for both rows of a pair."""
        r, n = self.random, len(x)

        def some(share):
            return r.random((n, 1, 1, 1)) < share

        # another voice: the frequency axis stretched and shifted
        stretch, shift = r.normal(0, 0.06, (n, 1)).clip(-0.15, 0.15), r.normal(0, 1.0, (n, 1))
        at = np.clip((np.arange(80) - 30) * (1 + stretch) + 30 + shift, 0, 78.999)
        low = at.astype(int)
        f = (at - low).astype(np.float32)[:, None, :, None]
        rows = np.arange(n)[:, None]
        x = x.transpose(0, 2, 1, 3)
        x = (x[rows, low] * (1 - f.transpose(0, 2, 1, 3)) + x[rows, low + 1] * f.transpose(0, 2, 1, 3)).transpose(0, 2, 1, 3)
        # reverberation: every band falls no faster than so much a column
        tail = x.copy()
        fall = r.uniform(0.08, 0.5, (n, 1, 1))
        for i in range(1, COLUMNS):
            tail[..., i] = np.maximum(tail[..., i], tail[..., i - 1] - fall)
        x = np.where(some(0.2), tail, x)
        # what else sounds in the room
        kinds = r.choice(list(self.sounds), n)
        least = np.where(np.isin(kinds, noise.MUTE[:5]), 0, 5)  # dB by which the voice is louder
        loud = level - r.uniform(least, 45)
        x = np.where(some(0.5), noise.add(x, self.sound(kinds, loud)), x)
        # gain and colour of the microphone, an expander
        bend = np.cumsum(r.normal(0, 0.06, (n, 1, 80, 1)), 2)
        x = x + r.uniform(-1.3, 1.0, (n, 1, 1, 1)) + bend - bend.mean(2, keepdims=True) + r.normal(0, 0.08, (n, 1, 80, 1))
        threshold = r.uniform(-3.5, -1.0, (n, 1, 1, 1))
        gated = np.where(x < threshold, np.maximum(SILENCE, threshold - (threshold - x) * r.uniform(1, 5, (n, 1, 1, 1))), x)
        x = np.where(some(0.25), gated, x)
        # codecs and telephones: nothing above one band, little below another
        band = np.arange(80)[None, None, :, None]
        dull = np.where(band >= r.integers(45, 80, (n, 1, 1, 1)), np.minimum(x, r.uniform(-4.5, -2.5, (n, 1, 1, 1))), x)
        x = np.where(some(0.25), dull, x)
        thin = np.where(band < r.integers(1, 10, (n, 1, 1, 1)), x - r.uniform(0.5, 3, (n, 1, 1, 1)), x)
        x = np.where(some(0.15), thin, x)
        return (x + r.normal(0, 0.06, x.shape)).clip(-4, 4).astype(np.float32)

    def sound(self, kinds, level):
        """Excerpts of the library `level` dBFS loud, now and then beginning or ending in the window: [n, 2, 80, W]."""
        r, out = self.random, []
        for kind, loud in zip(kinds, level):
            of_kind = self.sounds[kind]
            spectrum = of_kind[r.integers(len(of_kind))]
            start = r.integers(spectrum.shape[1] - COLUMNS - 3)
            pair = np.stack([spectrum[:, start + i : start + i + COLUMNS] for i in (0, 3)]) + loud / noise.UNIT_DB
            if r.random() < 0.3:
                edge = r.integers(COLUMNS)
                for row, i in zip(pair, (0, 3)):
                    if edge % 2:
                        row[:, : max(edge - i, 0)] = 2 * SILENCE
                    else:
                        row[:, max(edge - i, 0) :] = 2 * SILENCE
            out.append(pair)
        return np.stack(out) + r.normal(0, 0.1, (len(out), 1, 80, 1))

    def silence(self, n):
        """Nobody speaks: digital silence, rooms, machines, music; talkers far away."""
        r = self.random
        kinds = r.choice(list(self.sounds), n)
        level = r.uniform(-75, np.where(kinds == "talkers", -50, -18))
        x = self.sound(kinds, level) + np.cumsum(r.normal(0, 0.06, (n, 1, 80, 1)), 2)
        x = np.where(r.random((n, 1, 1, 1)) < 0.2, SILENCE, x)
        return x.clip(-4, 4).astype(np.float32)


# --- training -----------------------------------------------------------------------------------------------------


def correlation(a, b):
    a, b = a - a.mean(), b - b.mean()
    return (a * b).sum() / ((a * a).sum() * (b * b).sum()).clamp(min=1e-6).sqrt()


def loss_of(network, x, y):
    """Distance of landmarks, of their change in 40 ms, and correlation of the opening over the batch."""
    with torch.autocast("cpu", torch.bfloat16):
        codes = network.codes(x)
    linear = (codes.float() @ network.decoder.basis).view_as(y)
    weight = torch.from_numpy(POINT_WEIGHT)[None, :, None]
    distance = (F.smooth_l1_loss(linear, y, beta=0.5, reduction="none") * weight).mean()
    change = ((linear[1::2] - linear[::2]) - (y[1::2] - y[::2])).abs() * weight
    opening, wanted = geometry.opening(linear), geometry.opening(y)
    width, wide = linear[:, 10, 0] - linear[:, 0, 0], y[:, 10, 0] - y[:, 0, 0]
    return (
        distance
        + 0.5 * change.mean()
        + 0.15 * (opening - wanted).abs().mean()
        + 0.15 * (F.relu(opening - wanted) * 2 * torch.exp(-((wanted / SHUT) ** 2))).mean()  # lips that meet do meet
        + 0.3 * (1 - correlation(opening, wanted))
        + 0.15 * (1 - correlation(width, wide))
    )


@torch.no_grad()
def predict(network, clip):
    return network(torch.from_numpy(windows(clip.mel, clip.times()))[:, None])[1].numpy()


def figures(network, clips):
    """Mean over clips: correlation of the opening, deviation predicted / real, best lag, landmark error / closed mouth's."""
    network.eval()
    rows = []
    for c in clips:
        moved = predict(network, c)
        a, b = geometry.opening(moved), geometry.opening(c.raw)
        lags = [np.corrcoef(a[max(0, d) : len(a) + min(0, d)], b[max(0, -d) : len(b) + min(0, -d)])[0, 1] for d in range(-10, 11)]
        error = np.linalg.norm(moved - c.raw, axis=2)[:, :LIPS].mean() / np.linalg.norm(c.raw, axis=2)[:, :LIPS].mean()
        rows.append((np.corrcoef(a, b)[0, 1], a.std() / b.std(), int(np.argmax(lags)) - 10, error))
    network.train()
    return np.array(rows)


@torch.no_grad()
def silence_opening(network, batches):
    """Largest and mean opening under digital silence and under noise, in canonical pixels."""
    network.eval()
    digital = geometry.opening(network(torch.full((1, 1, 80, COLUMNS), SILENCE))[1]).item()
    quiet = torch.from_numpy(batches.silence(200)).flatten(0, 1)[:, None]
    opened = geometry.opening(network(quiet)[1])
    network.train()
    return digital, opened.mean().item(), opened.quantile(0.95).item()


def report(network, parts, batches):
    for part, clips in parts.items():
        if not clips:
            continue
        people = sorted({c.person for c in clips})
        rows = figures(network, clips)
        who = np.array([c.person for c in clips])
        each = np.array([rows[who == p].mean(0) for p in people])  # every person counts once
        lag = np.abs([rows[who == p][:, 2].mean() for p in people]).max()
        print(f"  {part}: opening correlation {each[:, 0].mean():.3f}, amplitude {each[:, 1].mean():.2f}, largest mean lag "
              f"{lag:.1f}, landmark error {each[:, 3].mean():.2f} of a closed mouth's"
              + ("  [" + " ".join(f"{p} {e[0]:.2f}/{e[1]:.2f}" for p, e in zip(people, each)) + "]"))  # fmt: skip
    digital, mean, most = silence_opening(network, batches)
    print(f"  silence opens the mouth by {digital:.3f} px, noise by {mean:.2f} (95 %: {most:.2f})", flush=True)


def blend(start, end, share):
    """Weights between two states: what was learned of closures is kept in good part, what was forgotten of pictures hardly lost."""
    return {k: torch.lerp(v, end[k], share) if v.is_floating_point() else end[k] for k, v in start.items()}


def mean_of(states):
    """The mean of the weights of several networks that began as one: near the best of them, whichever that is."""
    mean = dict(states[0])
    for i, state in enumerate(states[1:], 2):
        mean = blend(mean, state, 1 / i)
    return mean


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=pathlib.Path, required=True, help="folder that prepare.py wrote")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder for checkpoints")
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--rate", type=float, default=1.5e-3)
    parser.add_argument("--pairs", type=int, default=96)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--voices", type=int, default=0, help="sentences of each voice of flite and each language of espeak-ng (needs --start)")
    parser.add_argument("--start", type=pathlib.Path, nargs="+", help="checkpoint whose weights to start from; of several, their mean")
    parser.add_argument("--seed", type=int, default=0, help="of the windows drawn and what is done to them")
    parser.add_argument("--tail-only", action="store_true", help="leave the layers along frequency as they are (needs --start)")
    parser.add_argument("--share", type=float, default=1.0, help="how far to go from --start to what was learned, 0 to 1")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    arguments.out.mkdir(parents=True, exist_ok=True)
    names = prepare.split(p.stem for p in arguments.data.glob("*.npz"))
    parts = {k: load(arguments.data, v) for k, v in names.items()}
    offsets = json.loads((arguments.data / "sync.json").read_text())
    for c in parts["train"]:
        c.late = offsets[c.person] if abs(offsets[c.person]) >= 0.02 else 0.0
    level_speakers(parts["train"])
    basis = principal_shapes(parts["train"], CODES)
    network = AudioToMouth(basis)
    if arguments.start:
        states = [torch.load(path, weights_only=False)["state"] for path in arguments.start]
        network.load_state_dict(mean_of(states), strict=False)
    print(f"{len(parts['train'])} clips, {sum(p.numel() for p in network.parameters())} parameters", flush=True)
    heard = parts["train"]
    if arguments.voices:
        import spoken

        network.eval().settle()
        heard = heard + spoken.voices(network, arguments.voices)
    start_state = {k: v.clone() for k, v in network.state_dict().items()}
    batches = Batches(heard, arguments.seed)
    if arguments.tail_only:
        network.bands.requires_grad_(False)
        network.enter.requires_grad_(False)
    learning = [p for p in network.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(learning, arguments.rate, weight_decay=2e-2)
    from renderer import Average

    average, judge = Average(network), AudioToMouth(basis)
    start, total = time.time(), 0.0
    for step in range(1, arguments.steps + 1):
        left = 1 - step / arguments.steps
        for group in optimiser.param_groups:
            group["lr"] = arguments.rate * min(1, step / 100) * max(0.02, left)
        if arguments.tail_only:
            network.bands.eval()
            network.enter[1].eval()
        x, y = batches.draw(arguments.pairs)
        loss = loss_of(network, x, y)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        average.update(network)
        total += loss.item()
        if step % 150 == 0 or step == arguments.steps:
            print(f"{step} {time.time() - start:.0f}s loss {total / 150:.4f}", flush=True)
            total = 0.0
            state = blend(start_state, average.state, arguments.share)
            judge.load_state_dict(state)
            judge.eval().settle()
            report(judge, {k: parts[k] for k in ("held", "unseen")}, batches)
            torch.save(dict(state=state, basis=basis, mean=mean_shape(parts["train"])), arguments.out / "audio2mouth.pt")


if __name__ == "__main__":
    main()
