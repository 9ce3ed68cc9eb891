"""Train audio2mouth: first to hear, on speech without a picture, then to move a mouth.

    python training/learn.py --speech SPEECH --hear --out RUN0
    python training/learn.py --speech SPEECH --data DATA --music MUSIC --start RUN0/audio2mouth.pt --out RUN [--leave-out s31 x12]

The first knows nobody's face: it learns what phone is spoken (phones.py) and how FACEGOOD's face moves. The second goes on with the people
in DATA, and with the mouths that teacher.py gives to SPEECH. A run that was broken off goes on where it was.
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
import prepare
from audio2mouth import (
    CODES, COLUMNS, LIPS, POINT_WEIGHT, SILENCE, AudioToMouth, Lessons, level_speakers, load, load_voices, mean_shape, principal_shapes, windows,
)  # fmt: skip
from batches import Batches
from renderer import Average
from teacher import Teacher

#: Lips this far apart, in pixels, count as shut: the mesh sees about so much between lips that touch.
SHUT = 1.5
#: Weight of the phones and of FACEGOOD's channels in the loss; weight of a frame in which nothing changes, against 1 on average.
PHONES_WEIGHT, FACES_WEIGHT, STEADY = 6.0, 0.1, 0.6
#: Of the shipped network.
STEPS = 2600
#: Checkpoints are this many steps apart.
SAVE_EVERY = 150


def correlation(a, b):
    a, b = a - a.mean(), b - b.mean()
    return (a * b).sum() / ((a * a).sum() * (b * b).sum()).clamp(min=1e-6).sqrt()


def loss_of(network, x, y, lesson=None, lessons=None):
    """Distance of landmarks, of their change in 40 ms, and correlation of opening and width over the batch; the lesson, if there is one."""
    with torch.autocast("cpu", torch.bfloat16):
        heard = network.hear(x)
        codes = network.out(heard)
        answers = lessons(network, heard) if lessons else None
    linear = (codes.float() @ network.decoder.basis).view_as(y)
    row = torch.ones(len(y)) if lesson is None else STEADY + (1 - STEADY) * lesson.moving.clamp(max=3)
    weight = torch.from_numpy(POINT_WEIGHT)[None, :, None] * row[:, None, None]
    distance = (F.smooth_l1_loss(linear, y, beta=0.5, reduction="none") * weight).mean()
    change = ((linear[1::2] - linear[::2]) - (y[1::2] - y[::2])).abs() * weight[::2]
    opening, expected = geometry.opening(linear), geometry.opening(y)
    width, wide = linear[:, 10, 0] - linear[:, 0, 0], y[:, 10, 0] - y[:, 0, 0]
    loss = (
        distance
        + 0.5 * change.mean()
        + 0.15 * ((opening - expected).abs() * row).mean()
        + 0.15 * (F.relu(opening - expected) * 2 * torch.exp(-((expected / SHUT) ** 2))).mean()  # lips that meet do meet
        + 0.3 * (1 - correlation(opening, expected))
        + 0.3 * (1 - correlation(width, wide))
    )
    return loss if lesson is None else loss + lesson_loss(answers, lesson)


def lesson_loss(answers, lesson):
    """Cross-entropy of each class of phones, and the distance of FACEGOOD's channels where they are known."""
    said, faces = (a.float() for a in answers)
    known = ~lesson.faces.isnan()
    loss = PHONES_WEIGHT * F.binary_cross_entropy_with_logits(said, lesson.phones)
    if known.any():
        loss = loss + FACES_WEIGHT * F.smooth_l1_loss(faces[known], lesson.faces[known])
    return loss


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


def save(checkpoint, path):
    """Write it whole or not at all: a run may be broken off while it writes."""
    partial = path.with_suffix(".partial")
    torch.save(checkpoint, partial)
    partial.replace(path)


def train(network, lessons, batches, steps, path, rate=1.5e-3, pairs=64, hear_only=False):
    """Train in place and leave the averaged weights there. `path` keeps what a run that is broken off needs to go on."""
    both = nn.ModuleDict(dict(network=network) | (dict(lessons=lessons) if lessons else {}))
    optimiser = torch.optim.AdamW(both.parameters(), rate, weight_decay=2e-2)
    average, first, start, total = Average(both), 1, time.time(), 0.0
    if path.exists():
        saved = torch.load(path, weights_only=False)
        both.load_state_dict(saved["both"])
        optimiser.load_state_dict(saved["optimiser"])
        average.state, average.count, first = saved["average"], saved["step"], saved["step"] + 1
        batches.random.bit_generator.state = saved["random"]
        torch.set_rng_state(saved["torch"])
    for step in range(first, steps + 1):
        for group in optimiser.param_groups:
            group["lr"] = rate * min(1, step / 100) * max(0.02, 1 - step / steps)
        x, y, lesson = batches.draw(pairs)
        if hear_only:
            with torch.autocast("cpu", torch.bfloat16):
                answers = lessons(network, network.hear(x))
            loss = lesson_loss(answers, lesson)
        else:
            loss = loss_of(network, x, y, lesson, lessons)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(both.parameters(), 1.0)
        optimiser.step()
        average.update(both)
        total += loss.item()
        if step % SAVE_EVERY == 0 or step == steps:
            print(f"{step} {time.time() - start:.0f}s loss {total / SAVE_EVERY:.4f}", flush=True)
            total = 0.0
            save(dict(both=both.state_dict(), optimiser=optimiser.state_dict(), average=average.state, step=step,
                      random=batches.random.bit_generator.state, torch=torch.get_rng_state()), path)  # fmt: skip
    both.load_state_dict(average.state)


def people(folder, left_out=()):
    """Clips of prepare.py to train on, in sync and of a common amplitude, and those of the people left out."""
    clips = load(folder, sorted(p.stem for p in folder.glob("*.npz")))
    offsets = json.loads((folder / "sync.json").read_text())
    for c in clips:
        c.late = offsets[c.person] if abs(offsets[c.person]) >= 0.02 else 0.0
    taught = [c for c in clips if c.person not in left_out]
    level_speakers(taught)
    return taught, [c for c in clips if c.person in left_out]


def load_music(folder):
    """What music.py wrote."""
    return [np.load(path) for path in sorted(folder.glob("*.npy"))]


def learn(taught, voices, start, steps, path, seed=0, pairs=64, pieces=()):
    """The network of these clips and voices: (network, basis)."""
    torch.manual_seed(seed)
    basis = principal_shapes(taught, CODES)
    network, lessons = AudioToMouth(basis), Lessons()
    if start:
        network.load_state_dict({k: v for k, v in start["state"].items() if not k.startswith("decoder.")}, strict=False)
        lessons.load_state_dict(start["lessons"])
    if voices:
        teacher = Teacher(taught)
        voices = [v.taught(teacher) for v in voices]
    train(network, lessons, Batches(taught + voices, seed, pieces), steps, path, pairs=pairs)
    network.eval().settle()
    return network, basis


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--speech", type=pathlib.Path, required=True, help="folder that spoken.py wrote")
    parser.add_argument("--data", type=pathlib.Path, help="folder that prepare.py and phones.py wrote")
    parser.add_argument("--music", type=pathlib.Path, help="folder that music.py wrote; not needed with --hear")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder for checkpoints")
    parser.add_argument("--hear", action="store_true", help="learn to hear alone, without --data")
    parser.add_argument("--start", type=pathlib.Path, help="checkpoint whose weights to start from")
    parser.add_argument("--leave-out", nargs="*", default=[], help="people not to learn from")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--seed", type=int, default=0, help="of the windows drawn and what is done to them")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    arguments.out.mkdir(parents=True, exist_ok=True)
    voices, broken_off = load_voices(arguments.speech), arguments.out / "going-on.pt"
    if arguments.hear:
        torch.manual_seed(arguments.seed)
        network, lessons = AudioToMouth(np.zeros((CODES, 2 * geometry.COUNT), np.float32)), Lessons()
        train(network, lessons, Batches(voices, arguments.seed), arguments.steps, broken_off, hear_only=True)
        save(dict(state=network.state_dict(), lessons=lessons.state_dict()), arguments.out / "audio2mouth.pt")
        return
    taught, kept = people(arguments.data, arguments.leave_out)
    start = torch.load(arguments.start, weights_only=False) if arguments.start else None
    pieces = load_music(arguments.music)
    network, basis = learn(taught, voices, start, arguments.steps, broken_off, arguments.seed, pieces=pieces)
    report(network, dict(taught=taught[::9], left_out=kept), Batches(taught, arguments.seed, pieces))
    save(dict(state=network.state_dict(), basis=basis, mean=mean_shape(taught)), arguments.out / "audio2mouth.pt")


if __name__ == "__main__":
    main()
