"""Train the sync judge: two towers that give a mouth and the sound it says the same embedding.

    python training/sync_judge.py train --data DATA --more MORE --out RUN        # again to go on
    python training/sync_judge.py export --run RUN --out models/judge

judge.py says what the windows are, and measures the result. The towers learn by contrast: each window of a picture must find its
own sound among all windows of the step (the same clip at other moments, other clips), and the clip as a whole its offset among
-15..15 frames.

What it is trained on: clips that the generator never saw, and nobody of the unseen people (prepare.JUDGED), so that both can be
measured on those. These are the `held` clips of DATA and the clips of MORE, a second folder that prepare.py wrote, of clips of
the same corpus that are not in DATA. For comparison only: --wide adds the generator's own clips of other people than s1, --fold P
the other unseen people (a judge for P alone).
"""

import argparse
import math
import pathlib
import time

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import export
import geometry
import mel
import prepare
from judge import COLUMNS, FPS, FRAMES, LUMA, REACH

#: The part of the canonical crop that the judge looks at: lips, chin, some cheek.
LEFT, TOP, SIDE = 12, 14, 72
#: ... and the pixels of it.
SEEN = 48
EMBEDDING = 128
#: Windows of one clip in one training step, and clips in a step.
WINDOWS = 56
BATCH = 6


# --- the towers ---------------------------------------------------------------------------------------------------


def block(inputs, outputs, kernel, stride):
    padding = [k // 2 for k in kernel] if isinstance(kernel, tuple) else kernel // 2
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )


class MouthTower(nn.Module):
    """Three neighbouring frames -> features; three of those, one frame apart -> an embedding of five frames."""

    def __init__(self, width=16, dropout=0.2):
        super().__init__()
        w = width
        self.still = nn.Sequential(
            block(3, w, 5, 2), block(w, 2 * w, 3, 2), block(2 * w, 4 * w, 3, 2), block(4 * w, 6 * w, 3, 2),
            nn.Conv2d(6 * w, 96, 3), nn.Flatten(), nn.BatchNorm1d(96), nn.ReLU(inplace=True),
        )  # fmt: skip
        self.joined = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(3 * 96, 192), nn.BatchNorm1d(192), nn.ReLU(inplace=True), nn.Dropout(dropout), nn.Linear(192, EMBEDDING)
        )

        # bilinear samples of the part that is looked at
        at = torch.linspace(0, SIDE - 1, SEEN)
        triangle = (1 - (at[:, None] - torch.arange(SIDE)[None]).abs()).clamp(min=0)
        self.register_buffer("rows", F.pad(triangle, (TOP, geometry.SIZE - TOP - SIDE)), persistent=False)
        self.register_buffer("columns", F.pad(triangle, (LEFT, geometry.SIZE - LEFT - SIDE)), persistent=False)

    @staticmethod
    def normal(pictures):
        """[N, 3, H, W] with mean 0 and contrast 1 in each."""
        centred = pictures - pictures.mean((1, 2, 3), keepdim=True)
        return centred / (centred.square().mean((1, 2, 3), keepdim=True).sqrt() + 1e-6)

    def clips(self, pictures):
        """[B, T, 48, 48] -> [B, T - 4, E]: every window of the clips, each frame seen once."""
        count, length = pictures.shape[:2]
        threes = self.normal(torch.stack([pictures[:, i : length - 2 + i] for i in range(3)], 2).flatten(0, 1))
        features = self.still(threes.contiguous(memory_format=torch.channels_last)).view(count, length - 2, -1)
        fives = torch.cat([features[:, i : length - 4 + i] for i in range(3)], 2)
        return F.normalize(self.joined(fives.flatten(0, 1)).float(), dim=1).view(count, length - 4, -1)

    def forward(self, frames):
        return self.clips(self.rows @ frames @ self.columns.T)[:, 0]


class SoundTower(nn.Module):
    def __init__(self, width=16, dropout=0.2):
        super().__init__()
        w = width
        self.layers = nn.Sequential(
            block(1, w, (5, 3), (2, 1)), block(w, 2 * w, 3, 2), block(2 * w, 3 * w, 3, 2), block(3 * w, 4 * w, 3, (2, 1)),
            nn.Conv2d(4 * w, 128, (5, 4)), nn.Flatten(), nn.BatchNorm1d(128), nn.ReLU(inplace=True),
            nn.Dropout(dropout), nn.Linear(128, 192), nn.BatchNorm1d(192), nn.ReLU(inplace=True), nn.Dropout(dropout), nn.Linear(192, EMBEDDING),
        )  # fmt: skip

    def forward(self, spectrum):
        return F.normalize(self.layers(spectrum / 4).float(), dim=1)


class Judge(nn.Module):
    def __init__(self):
        super().__init__()
        self.mouth, self.sound = MouthTower(), SoundTower()
        self.scale = nn.Parameter(torch.tensor(math.log(10.0)))


# --- data ---------------------------------------------------------------------------------------------------------


class Clip:
    """Luma with its margin [T, 128, 128] (uint8), mel [80, C], name and person."""

    def __init__(self, path):
        with np.load(path) as z:
            self.grey = (z["crops"] @ LUMA).round().astype(np.uint8)
            self.mel, fps = z["mel"], float(z["fps"])
        if abs(fps - FPS) > 0.01:
            raise SystemExit(f"{path} has {fps} frames a second, not {FPS}")
        self.name = path.stem
        self.person = prepare.speaker(path.stem)


def load(folder, names=None):
    return [Clip(p) for p in sorted(folder.glob("*.npz")) if names is None or p.stem in names]


def varied_pictures(clip, times, random):
    """The frames at `times` (in frames), as another face, camera and light would show them: [T, 48, 48]."""
    whole = np.clip(np.round(times).astype(int), 0, len(clip.grey) - 1)
    frames = torch.from_numpy(clip.grey[whole]).float()
    if random.random() < 0.5 and np.abs(times - whole).max() > 0.01:
        low = np.clip(np.floor(times).astype(int), 0, len(clip.grey) - 1)
        part = torch.from_numpy((times - low).astype(np.float32))[:, None, None]
        high = torch.from_numpy(clip.grey[np.minimum(low + 1, len(clip.grey) - 1)]).float()
        frames = torch.from_numpy(clip.grey[low]).float() * (1 - part) + high * part
    count = len(times)
    angle = random.uniform(-0.14, 0.14)
    size = random.uniform(0.84, 1.2)
    sx, sy = size * random.uniform(0.92, 1.08), size * random.uniform(0.92, 1.08)
    if random.random() < 0.5:
        sx = -sx
    shear = random.uniform(-0.08, 0.08)
    linear = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) @ np.array([[sx, shear], [0, sy]])
    centre = np.array([47.5, TOP + (SIDE - 1) / 2]) + prepare.MARGIN + random.uniform(-4, 4, 2)
    # the alignment trembles, frame by frame and slowly
    tremble = random.normal(0, random.uniform(0, 0.5), (count, 2)) + np.cumsum(random.normal(0, 0.1, (count, 2)), 0)
    last = prepare.CROP - 1
    matrix = np.zeros((count, 2, 3), np.float32)
    matrix[:, :, :2] = linear * (SIDE - 1) / last
    matrix[:, :, 2] = (centre + tremble) / last * 2 - 1
    grid = F.affine_grid(torch.from_numpy(matrix), (count, 1, SEEN, SEEN), align_corners=True)
    # other shapes of face: a smooth warp that stays the same through the clip
    warp = F.interpolate(torch.from_numpy(random.normal(0, 0.035, (1, 2, 4, 4)).astype(np.float32)), (SEEN, SEEN), mode="bicubic", align_corners=True)
    pictures = F.grid_sample(frames[:, None], grid + warp.permute(0, 2, 3, 1), align_corners=True, padding_mode="border")[:, 0]
    if random.random() < 0.4:  # out of focus, or from a small picture
        small = int(random.integers(22, SEEN))
        pictures = F.interpolate(F.interpolate(pictures[None], (small, small), mode="area"), (SEEN, SEEN), mode="bilinear", align_corners=False)[0]
    pictures = (pictures / 255).clamp(0, 1) ** float(np.exp(random.uniform(-0.5, 0.5)))
    light = F.interpolate(torch.from_numpy(random.normal(0, 0.15, (1, 1, 3, 3)).astype(np.float32)), (SEEN, SEEN), mode="bicubic", align_corners=True)
    pictures = pictures * (1 + light[0]) + 0.02 * random.random() * torch.randn(pictures.shape)
    return pictures


def varied_sound(clip, times, random):
    """Mel windows round the frames at `times`, as another voice, room and microphone would sound: [T, 1, 80, 16]."""
    # columns follow the speed at which the frames are taken
    speed = (times[-1] - times[0]) / (len(times) - 1)
    start = (times - speed * (FRAMES // 2)) / FPS * mel.COLUMNS_PER_SECOND
    index = np.round(start[:, None] + speed * np.arange(COLUMNS)).astype(int)
    spectrum = clip.mel
    bands = np.arange(80) * random.uniform(0.85, 1.18) + random.uniform(-2, 2)
    low = np.clip(np.floor(bands).astype(int), 0, 78)
    part = np.clip(bands - low, 0, 1)[:, None]
    spectrum = spectrum[low] * (1 - part) + spectrum[low + 1] * part
    curve = np.interp(np.arange(80), np.linspace(0, 79, 6), random.normal(0, 0.35, 6))[:, None]
    spectrum = spectrum + curve + random.uniform(-1.2, 1.0)
    if random.random() < 0.6:  # a floor of noise
        floor = random.uniform(-3.5, -0.5) + np.interp(np.arange(80), np.linspace(0, 79, 5), random.normal(0, 0.5, 5))[:, None]
        noise = floor + 0.35 * random.standard_normal(spectrum.shape)
        spectrum = np.maximum(spectrum, noise)
    if random.random() < 0.3:  # a room: every column fades into the next ones
        decay = random.uniform(0.08, 0.35)
        wet = spectrum.copy()
        for column in range(1, wet.shape[1]):
            wet[:, column] = np.maximum(wet[:, column], wet[:, column - 1] - decay)
        spectrum = wet
    spectrum = np.clip(spectrum, -4, 4)
    found = spectrum[:, np.clip(index, 0, spectrum.shape[1] - 1)].transpose(1, 0, 2)
    outside = (index < 0) | (index >= spectrum.shape[1])
    return torch.from_numpy(np.where(outside[:, None], -4.0, found).astype(np.float32))[:, None]


def varied_clip(clip, random):
    """Pictures [WINDOWS + 4, 48, 48] and mel windows [WINDOWS, 1, 80, 16] of a part of the clip, at some speed."""
    speed = random.uniform(0.85, 1.18) if random.random() < 0.6 else 1.0
    span = speed * (WINDOWS + FRAMES - 2)
    start = random.uniform(0, max(len(clip.grey) - 1 - span, 0))
    times = (start if speed != 1.0 else round(start)) + speed * np.arange(WINDOWS + FRAMES - 1)
    return varied_pictures(clip, times, random), varied_sound(clip, times[2:-2], random)


# --- training -----------------------------------------------------------------------------------------------------


def loss_of(judge, pictures, spectra):
    """Each window must find its own sound among all of the step, each clip its own offset."""
    count = len(pictures)
    seen = judge.mouth.clips(pictures)
    heard = judge.sound(spectra.flatten(0, 1)).view(count, WINDOWS, -1)
    scale = judge.scale.clamp(max=math.log(30.0)).exp()
    with torch.autocast("cpu", enabled=False):
        alike = scale * (seen.flatten(0, 1) @ heard.flatten(0, 1).T)
    place = torch.arange(count * WINDOWS)
    clip, at = place // WINDOWS, place % WINDOWS
    near = (clip[:, None] == clip[None]) & ((at[:, None] - at[None]).abs() == 1)
    masked = alike.masked_fill(near, -1e4)
    windows = (F.cross_entropy(masked, place) + F.cross_entropy(masked.T, place)) / 2
    # the same windows of the picture at every offset, as the judge will be used
    blocks = alike.view(count, WINDOWS, count, WINDOWS)[torch.arange(count), :, torch.arange(count)]
    middle = torch.arange(REACH, WINDOWS - REACH)
    offsets = torch.stack([blocks[:, middle, middle + d].mean(1) for d in range(-REACH, REACH + 1)], 1)
    found = F.cross_entropy(offsets, torch.full((count,), REACH))
    return windows, found, (offsets.argmax(1) == REACH).float().mean()


def train(arguments):
    torch.set_num_threads(1)
    torch.manual_seed(arguments.seed)
    random = np.random.default_rng(arguments.seed)
    arguments.out.mkdir(parents=True, exist_ok=True)
    parts = prepare.split(p.stem for p in arguments.data.glob("*.npz"))
    names = set(parts["held"])
    if arguments.wide:
        names |= {n for n in parts["train"] if prepare.speaker(n) != "s1"}
    if arguments.fold:
        names |= {n for n in parts["unseen"] if prepare.speaker(n) != arguments.fold}
    clips = load(arguments.data, names)
    known = {p.stem for p in arguments.data.glob("*.npz")}
    if arguments.more:
        clips += [c for c in load(arguments.more) if c.name not in known]
    people = {}
    for clip in clips:
        people.setdefault(clip.person, []).append(clip)
    # people with few clips are drawn more often than their share
    weight = {p: len(c) ** 0.4 for p, c in people.items()}
    print("trains on " + ", ".join(f"{p} ({len(c)} clips, drawn {weight[p] / sum(weight.values()):.0%})" for p, c in people.items()), flush=True)
    order = sorted(people)
    chance = np.array([weight[p] for p in order]) / sum(weight.values())
    judge = Judge().to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(judge.parameters(), lr=arguments.rate, weight_decay=0.02)
    checkpoint = arguments.out / "judge.pt"
    step, spent, average = 0, 0.0, None
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=False)
        judge.load_state_dict(state["judge"])
        optimiser.load_state_dict(state["optimiser"])
        step, spent, average = state["step"], state["spent"], state["average"]
        random = np.random.default_rng(arguments.seed + step)
        torch.manual_seed(arguments.seed + step)
    began, log = time.process_time() - spent, []
    while step < arguments.steps and time.process_time() - began < arguments.minutes * 60:
        for group in optimiser.param_groups:
            progress = max(step / arguments.steps, (time.process_time() - began) / (arguments.minutes * 60))
            group["lr"] = arguments.rate * min(1, (step + 1) / 100) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(progress, 1))))
        drawn = [people[p][random.integers(len(people[p]))] for p in random.choice(order, BATCH, p=chance)]
        pictures, spectra = zip(*(varied_clip(c, random) for c in drawn))
        judge.train()
        with torch.autocast("cpu", torch.bfloat16):
            windows, found, right = loss_of(judge, torch.stack(pictures), torch.stack(spectra))
        optimiser.zero_grad()
        (windows + 0.5 * found).backward()
        nn.utils.clip_grad_norm_(judge.parameters(), 2.0)
        optimiser.step()
        step += 1
        state = {k: v.detach().clone() for k, v in judge.state_dict().items()}
        if average is None:
            average = state
        keep = min(0.995, step / (step + 20))
        for k, v in state.items():
            average[k] = keep * average[k] + (1 - keep) * v if v.is_floating_point() else v
        log.append((windows.item(), found.item(), right.item()))
        if step % 50 == 0 or step == arguments.steps:
            mean = np.mean(log[-50:], 0)
            print(f"step {step}: windows {mean[0]:.3f}, offset {mean[1]:.3f}, right {mean[2]:.2f}, {(time.process_time() - began) / 60:.1f} min", flush=True)
        if step % 200 == 0:
            save(checkpoint, judge, optimiser, step, time.process_time() - began, average, people)
    save(checkpoint, judge, optimiser, step, time.process_time() - began, average, people)


def save(path, judge, optimiser, step, spent, average, people):
    trained_on = {person: len(clips) for person, clips in people.items()}
    torch.save(
        dict(judge=judge.state_dict(), optimiser=optimiser.state_dict(), step=step, spent=spent, average=average, people=trained_on),
        path.with_suffix(".new"),
    )
    path.with_suffix(".new").rename(path)


# --- export -------------------------------------------------------------------------------------------------------


def manifest(hashes, trained_on):
    people = ", ".join(f"{count} clips of {person}" for person, count in trained_on.items())
    return f"""# Written by training/sync_judge.py
version = 1
name = "Sync judge"
licence = "MPL-2.0"
source = "trained by training/sync_judge.py on clips of the GRID corpus (CC BY 4.0) that the generator never saw: {people}"

[files]
mouth = {{ path = "mouth.onnx", sha256 = "{hashes["mouth"]}" }}
sound = {{ path = "sound.onnx", sha256 = "{hashes["sound"]}" }}

[sound]
sample-rate = {mel.SAMPLE_RATE}
columns-per-second = {int(mel.COLUMNS_PER_SECOND)}
window = {COLUMNS}

[picture]
size = {geometry.SIZE}
frames-per-second = {FPS}
window = {FRAMES}

[embedding]
size = {EMBEDDING}
"""


def export_run(arguments):
    """The averaged weights of a run as mouth.onnx, sound.onnx and judge.toml."""
    state = torch.load(arguments.run / "judge.pt", weights_only=False)
    judge = Judge()
    judge.load_state_dict(state["average"])
    arguments.out.mkdir(parents=True, exist_ok=True)
    hashes = dict(
        mouth=export.write(judge.mouth, dict(frames=torch.rand(1, FRAMES, geometry.SIZE, geometry.SIZE) * 255), ["embedding"], arguments.out / "mouth.onnx"),
        sound=export.write(judge.sound, dict(mel=torch.rand(1, 1, 80, COLUMNS) * 8 - 4), ["embedding"], arguments.out / "sound.onnx"),
    )
    (arguments.out / "judge.toml").write_text(manifest(hashes, state["people"]))
    print(f"{state['step']} steps, {state['spent'] / 60:.1f} minutes of CPU; trained on {state['people']}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("train")
    command.add_argument("--data", type=pathlib.Path, required=True, help="folder that prepare.py wrote of the generator's clips")
    command.add_argument("--more", type=pathlib.Path, help="folder that prepare.py wrote of clips that the generator was not given")
    command.add_argument("--out", type=pathlib.Path, required=True)
    command.add_argument("--minutes", type=float, default=10, help="of CPU time, at most")
    command.add_argument("--steps", type=int, default=400)
    command.add_argument("--rate", type=float, default=2e-3)
    command.add_argument("--seed", type=int, default=1)
    command.add_argument("--fold", help="trains on the other unseen people too, for judging this one")
    command.add_argument("--wide", action="store_true", help="trains on the generator's clips of other people than s1 too")
    command.set_defaults(act=train)
    command = commands.add_parser("export")
    command.add_argument("--run", type=pathlib.Path, required=True)
    command.add_argument("--out", type=pathlib.Path, required=True)
    command.set_defaults(act=export_run)
    arguments = parser.parse_args()
    arguments.act(arguments)


if __name__ == "__main__":
    main()
