"""Fine-tune the built-in networks on a clip of one person, and say what it gained.

    python training/personalize.py --clip CLIP --models models --out FOLDER [--minutes 8]

Writes a folder that `lipsync model=FOLDER` runs: manifest.toml, audio2mouth.onnx, renderer.onnx, README.md with the figures, NOTICE.
The clip is any video of one person who speaks, with the sound that belongs to it; its first 5 minutes are used.

The last fifth of the clip is kept back for the report. Of the rest a quarter, in blocks, chooses and the others teach:

1. the sound's offset, by the generic network (a clip that is not in sync would teach lips that are not);
2. the rest mouth: what a glimpse tells of it, for this person (rest.py);
3. shapes: a regression from the generic network's codes to this person's displacements, drawn towards the generic shapes as
   firmly as blocks that were left out want;
4. the later layers of audio2mouth, with the augmentation they were trained with;
5. the inside of the mouth (inner_mouth.py);
6. the renderer, on pairs of frames of the clip;
7. how far the mouth opens: frames are redrawn and measured, and the opening scaled to this person's amplitude.

Of 4 and 6 as much is kept (a share of the way from the generic weights to the learned ones) as the choosing part gains by, and a network
that does not gain on the report's part either stays the generic one. What learns is small and what chooses has not been learned from, so a
short clip changes little rather than spoiling the mouth.

The generic weights come out of the ONNX files themselves (`recover`): batch normalisation is folded in there, and stays as it is.
"""

import argparse
import hashlib
import pathlib
import shutil
import tempfile
import time

import cv2
import numpy as np
import torch
from torch import nn

import audio2mouth
import evaluate
import export
import geometry
import habits
import inner_mouth
import learn
import mel
import prepare
import renderer
import rest
from batches import Batches
from compose import Mouth
from faces import FaceTracker
from person import Person, pictures
from recover import recover

#: The report redraws at most so many frames of its part.
REPORTED_FRAMES = 250
#: From which the figures for a mouth that says other words mean something.
SHIFTED_FRAMES = 60
#: How late sound may be found to be, in frames either way.
LATEST_FRAMES = 5
#: Strengths with which the regression holds on to the generic shapes, in frames that speak for them.
HOLDS = (20000, 6000, 2000, 600, 200, 60, 20)
#: How far to go from the generic weights to the learned ones.
STEPS_OF_THE_WAY = (0.0, 0.25, 0.5, 0.75, 1.0)
#: The opening is scaled by this factor at most, either way, in so many corrections, on so many frames.
MOST_GAIN = 2.2
CORRECTIONS, CORRECTED_FRAMES = 2, 100
#: Sharp enough, beside the clip: what `cargo xtask eval` asks of the generic networks.
SHARP = 0.85
#: Of the time to learn, for audio2mouth; the rest is the renderer's.
SOUND_SHARE = 0.35


# --- audio2mouth --------------------------------------------------------------------------------------------------


@torch.no_grad()
def codes(network, takes, person, late):
    network.eval()
    return np.concatenate([network.codes(torch.from_numpy(t.windows(person, late))[:, None]).numpy() for t in takes])


@torch.no_grad()
def decoded(decoder, found):
    return decoder(torch.from_numpy(found.astype(np.float32))).numpy()


def truth(takes):
    return np.concatenate([t.raw for t in takes])


def find_late(network, takes, person):
    """How much later than the picture the sound is, in seconds: where the generic network's opening fits best."""
    real = geometry.opening(truth(takes))
    scores = []
    for frames in range(-LATEST_FRAMES, LATEST_FRAMES + 1):
        moved = decoded(network.decoder, codes(network, takes, person, frames / person.fps))
        scores.append(np.corrcoef(geometry.opening(moved), real)[0, 1])
    best = int(np.argmax(scores)) - LATEST_FRAMES
    return best / person.fps if abs(best) > 1 else 0.0, max(scores)


def speaking(found):
    return 1 - np.exp(-4 * (found * found).mean(1, keepdims=True))


def regress(decoder, found, real, hold):
    """(basis, habit): least squares from codes to displacement, drawn towards the decoder's own with the weight of `hold` frames."""
    x = np.concatenate([found, speaking(found)], 1).astype(np.float64)
    start = np.concatenate([decoder.basis.numpy(), decoder.habit.numpy().reshape(1, -1)]).astype(np.float64)
    rest = real.reshape(len(real), -1) - x @ start
    change = np.linalg.solve(x.T @ x + hold * np.eye(x.shape[1]) * (x * x).mean(0).mean(), x.T @ rest)
    new = (start + change).astype(np.float32)
    return new[:-1], new[-1].reshape(geometry.COUNT, 2)


def with_opening(basis, factor):
    """A basis whose mouths open `factor` times as far."""
    rows = basis.reshape(len(basis), geometry.COUNT, 2).astype(np.float64)
    wanted = (factor - 1) * geometry.gaps(rows)
    rows[:, :, 1] -= geometry.CLOSE_WEIGHT * wanted[:, geometry.CLOSE_PAIR]
    return rows.reshape(basis.shape).astype(np.float32)


def set_decoder(decoder, basis, habit):
    with torch.no_grad():
        decoder.basis.copy_(torch.from_numpy(basis))
        decoder.habit.copy_(torch.from_numpy(habit))


def misfit(moved, real):
    """What a choice goes by: landmark error of the lips against the closed mouth's, and how badly the opening follows. Less is better."""
    follows = np.corrcoef(geometry.opening(moved), geometry.opening(real))[0, 1]
    return lip_error(moved, real) / lip_error(real, 0) + (1 - follows) if np.isfinite(follows) else np.inf


def fit_rest(takes, generic):
    """Step 2: what a glimpse tells of the rest mouth. Returns the Relaxing, and a line for the report.

    From here on the takes' displacements are those from the rest mouth that it estimates, so what it misses is learned with the shapes.
    """

    def missed(relaxing):
        return np.concatenate([t.rest - geometry.close_lips(t.raw + t.rest) - relaxing.shift(t.raw + t.rest) for t in takes])

    def spread(values):
        return np.linalg.norm(values - values.mean(0), axis=2)[:, : audio2mouth.LIPS].mean()

    own = rest.fit(takes)
    left_over, before = missed(own), missed(generic)
    for take in takes:
        for name in ("raw", "shape"):
            setattr(take, name, getattr(take, name) + left_over.mean(0).astype(np.float32))
    return own, f"rest mouth: known from one frame to {spread(left_over):.2f} pixels of 96, generic {spread(before):.2f}"


def fit_shapes(network, parts, person, late):
    """Step 3: the decoder's shapes. Returns a line for the report."""
    decoder, takes = network.decoder, parts["teach"] + parts["choose"]
    start = decoder.basis.numpy().copy(), decoder.habit.numpy().copy()
    found = [codes(network, [t], person, late) for t in takes]
    real = [t.raw for t in takes]

    def without(rows, i):
        return np.concatenate([r for k, r in enumerate(rows) if k != i])

    def left_out(hold):
        """Every block by what the others teach."""
        moved = []
        for i, block in enumerate(found):
            set_decoder(decoder, *start)
            set_decoder(decoder, *regress(decoder, without(found, i), without(real, i), hold))
            moved.append(decoded(decoder, block))
        set_decoder(decoder, *start)
        return np.concatenate(moved)

    everything = np.concatenate(real)
    least, best = misfit(decoded(decoder, np.concatenate(found)), everything), None
    generic = least
    for hold in HOLDS:
        score = misfit(left_out(hold), everything)
        if score < 0.995 * least:
            least, best = score, hold
    if best is None:
        return "shapes: the generic ones"
    set_decoder(decoder, *regress(decoder, np.concatenate(found), everything, best))
    return f"shapes: held by {best} frames; misfit {generic:.3f} with the generic ones, {least:.3f} with these, on frames left out"


def fit_opening(network, folder, shown):
    """Step 7: how far the mouth opens, measured on redrawn frames. `folder` has the renderer. Returns a line for the report."""
    mouth, factor = Mouth(folder), 1.0
    real = geometry.opening(landmarks(shown, shown.frames))
    basis, ratios = network.decoder.basis.numpy().copy(), []
    for _ in range(CORRECTIONS):
        with torch.no_grad():
            moved = network(torch.from_numpy(audio2mouth.windows(shown.mel, shown.times))[:, None])[1].numpy()
        redrawn = [evaluate.rerender(mouth, shown, order, moved) for order in protocols(shown).values()]
        drawn = [geometry.opening(landmarks(shown, frames)).std() for frames in redrawn]
        ratios.append(np.exp(np.mean(np.log(np.maximum(drawn, 1e-3)))) / max(real.std(), 1e-3))
        factor = float(np.clip(factor / ratios[-1], 1 / MOST_GAIN, MOST_GAIN))
        set_decoder(network.decoder, with_opening(basis, factor), network.decoder.habit.numpy())
    return f"opening: drawn {ratios[0]:.2f} of the real amplitude, hence times {factor:.2f}"


def tune_layers(network, parts, person, late, seconds, steps):
    """Step 4: the later layers, for so many seconds of processor time and so many steps at most. Returns a line for the report."""
    start = {k: v.clone() for k, v in network.state_dict().items()}
    for take in parts["teach"]:
        take.late, take.shape = late, take.shape - network.decoder.habit.numpy()  # which the decoder adds
    batches = Batches(parts["teach"])
    learning = [p for m in (network.time2, network.time3, network.out) for p in m.parameters()]
    optimiser = torch.optim.AdamW(learning, 3e-4, weight_decay=2e-2)
    average = renderer.Average(network, 0.99)
    began, step = time.process_time(), 0
    while step < steps and time.process_time() - began < seconds:
        network.out.train()  # its dropout; the normalisations stay folded
        loss = learn.loss_of(network, *batches.draw(48)[:2])
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(learning, 1.0)
        optimiser.step()
        average.update(network)
        step += 1
    judged, best, least = truth(parts["choose"]), 0.0, np.inf
    for share in STEPS_OF_THE_WAY:
        network.load_state_dict(learn.blend(start, average.state, share))
        network.eval().settle()
        score = misfit(decoded(network.decoder, codes(network, parts["choose"], person, late)), judged)
        if score < (0.99 if share else 1) * least:
            best, least = share, score
    network.load_state_dict(learn.blend(start, average.state, best))
    network.eval().settle()
    return f"later layers: {step} steps, {best:.0%} of the way taken"


# --- renderer -----------------------------------------------------------------------------------------------------


class OwnPairs(renderer.Pairs):
    """Pairs of frames of this person's takes."""

    def __init__(self, takes, seed=0):
        self.random = np.random.default_rng(seed)
        self.clips = [(t.crops, t.points, np.argsort(geometry.opening(t.points))) for t in takes]
        self.people = {"person": list(range(len(takes)))}
        self.names, self.share = ["person"], np.ones(1)


def fixed_pairs(takes):
    """Batches that networks are compared by."""
    pairs = OwnPairs(takes, 1)
    return [pairs.batch(12, jitter=False) for _ in range(6)]


def show_inside(network, parts, fixed):
    """Step 5: the inside of the mouth as the clip shows it. Returns whether that is nearer than the rule, and a line for the report."""
    by_rule = judge_renderer(network, fixed)
    network.inner_mouth = inner_mouth.of(parts["teach"], network.geometry, prepare.MARGIN)
    as_seen = judge_renderer(network, fixed)
    nearer = as_seen < 0.99 * by_rule
    if not nearer:
        network.inner_mouth = None
    kept = "as the clip shows it" if nearer else "by rule"
    return nearer, f"inside of the mouth: {kept}; frames redrawn as the clip shows it are {as_seen / by_rule:.2f} as wrong as by rule"


def tune_renderer(network, parts, fixed, seconds, steps):
    """Step 6: the renderer, as long. Returns whether it learned anything of use, and a line for the report."""
    training = OwnPairs(parts["teach"])
    start = {k: v.clone() for k, v in network.state_dict().items()}
    network.to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(network.parameters(), 2e-4, weight_decay=1e-3)
    average = renderer.Average(network, 0.99)
    began, step = time.process_time(), 0
    while step < steps and time.process_time() - began < seconds:
        a, b, la, lb = training.batch(8, jitter=step % 2 == 0)
        source, target = renderer.tell(la, lb)
        terms = renderer.losses(network, a, b, source, target, lb)
        loss = sum(renderer.WEIGHTS[k] * v for k, v in terms.items())
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        average.update(network)
        step += 1
    best, least = 0.0, np.inf
    for share in STEPS_OF_THE_WAY:
        network.load_state_dict(learn.blend(start, average.state, share))
        network.eval()
        error = judge_renderer(network, fixed)
        if error < (0.99 if share else 1) * least:
            best, least = share, error
    network.load_state_dict(learn.blend(start, average.state, best))
    network.eval()
    return best > 0, f"renderer: {step} steps, {best:.0%} of the way taken"


def judge_renderer(network, fixed):
    error, _, _ = renderer.validate(network, fixed)
    network.eval()
    return error


# --- the report ---------------------------------------------------------------------------------------------------


class Shown:
    """The first run of frames of some takes, as evaluate.py wants a clip."""

    def __init__(self, person, takes, late, most, tracker):
        first = takes[0].first
        last = max((t.first + len(t.raw) for t in takes if all(person.used[first : t.first])), default=first)
        last = min(last, first + most)
        self.tracker = tracker
        self.frames = [f for i, f in enumerate(pictures(person.path, last)) if i >= first]
        self.fps, self.mel = person.fps, person.mel
        self.matrix, self.points = person.matrix[first:last], person.points[first:last]
        self.times = np.arange(first, last) / person.fps + late


def protocols(shown):
    """Name -> which frame goes in at each time: the first one frozen, and where there are enough, frames that say other words."""
    n = len(shown.frames)
    orders = dict(frozen=np.zeros(n, int))
    if n >= SHIFTED_FRAMES:
        orders["shifted"] = (np.arange(n) + round(evaluate.SHIFT_SECONDS * shown.fps)) % n
    return orders


def landmarks(shown, frames):
    return evaluate.measure(shown.tracker, frames)


def lip_error(a, b):
    return np.linalg.norm(a - b, axis=2)[:, : audio2mouth.LIPS].mean()


def figures(folder, shown, picture):
    """Name -> value of one pair of networks on the report's frames, as evaluate.py measures them, and the redrawn frames.

    `picture` is the renderer's own error.
    """
    mouth, found, kept = Mouth(folder), {}, {}
    real = landmarks(shown, shown.frames)
    truth = geometry.opening(real)
    moved = mouth.displacement(audio2mouth.windows(shown.mel, shown.times))
    for name, order in protocols(shown).items():
        kept[name] = evaluate.rerender(mouth, shown, order, moved)
        points = landmarks(shown, kept[name])
        gap = geometry.opening(points)
        found[name, "correlation"] = np.corrcoef(gap, truth)[0, 1]
        found[name, "amplitude"] = gap.std() / truth.std()
        found[name, "distance"] = lip_error(points, real) / lip_error(real[order], real)
        found[name, "sharpness"] = np.mean([evaluate.sharpness(f, shown.matrix[k]) for f, k in zip(kept[name], order)]) / np.mean(
            [evaluate.sharpness(shown.frames[k], shown.matrix[k]) for k in order]
        )
    silent = mouth.displacement(np.full((1, mel.BANDS, audio2mouth.COLUMNS), audio2mouth.SILENCE, np.float32))
    shut = evaluate.rerender(mouth, shown, np.arange(len(truth)), np.repeat(silent, len(truth), 0))
    gap = geometry.opening(landmarks(shown, shut))
    found["silence", "open %"] = 100 * np.mean(gap > np.quantile(truth, 0.1) + evaluate.OPEN)
    found["picture", "error"] = picture
    return found, kept


def shortfall(found):
    """What a decision goes by: how far the mouths are from the real ones. Less is better."""
    terms = []
    for protocol in {"frozen", "shifted"} & {p for p, _ in found}:
        value = {f: found[protocol, f] for f in ("correlation", "amplitude", "distance")}
        terms.append((1 - value["correlation"]) + value["distance"] + 0.5 * abs(1 - value["amplitude"]))
    return float(np.mean(terms)) + found["picture", "error"]


def harmless(found, base):
    """Not less in sync than the generic networks; as sharp as they are, or as they have to be. On a short clip the rest may look better by chance."""
    in_sync = all(found[key] > value - 0.03 for key, value in base.items() if key[1] == "correlation")
    return in_sync and all(found[key] > min(value, SHARP) for key, value in base.items() if key[1] == "sharpness")


def table(generic, personal):
    titles = dict(frozen="first frame frozen", shifted="source says other words", silence="digital silence")
    titles["picture"] = "frames redrawn with true landmarks"
    lines = [f"{'':52}{'generic':>9}{'personal':>10}"]
    for key in generic:
        what = {"distance": "landmark distance", "open %": "open mouths, %", "error": "picture error"}.get(key[1], key[1])
        lines.append(f"{what + ', ' + titles[key[0]]:52}{generic[key]:9.2f}{personal[key]:10.2f}")
    return "\n".join(lines)


README = """# A mouth of one person

Made by `training/personalize.py` of gst-plugin-lipsync out of the plugin's built-in networks and one clip:

| | |
| --- | --- |
| clip | `{clip}`, {seconds:.1f} s used, sha256 {clip_hash} |
| generic audio2mouth.onnx | sha256 {generic_hashes[audio2mouth]} |
| generic renderer.onnx | sha256 {generic_hashes[renderer]} |
| audio2mouth.onnx here | {kinds[audio2mouth]} |
| renderer.onnx here | {kinds[renderer]} |

Run it with `lipsync model=` and this folder's path. It is made for this person, and says how this person's mouth moves: use it with
their consent only, and tell viewers that mouths were redrawn.

## Figures

On the last fifth of the clip, which nothing was learned from; only whether a network is the personal one was decided by them.
Correlation and amplitude of the lips' opening are against the real frames; landmark distance and picture error are shares of what
they are untouched, less is better. `docs/measuring.md` explains them.

```
{table}
```

{verdict}

## How

{steps}
"""

NOTICE = """The networks in this folder are derived from the built-in networks of gst-plugin-lipsync, licence MPL-2.0, which were trained on clips of
the GRID audiovisual sentence corpus: M. Cooke, J. Barker, S. Cunningham, X. Shao, "An audio-visual corpus for speech perception and
automatic speech recognition", Journal of the Acoustical Society of America 120, 2421 (2006), CC BY 4.0.
They were changed with a clip of one person: see README.md. Rights in that clip, and that person's rights, are not granted by this licence.
"""


def sha256(path):
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()


def write(folder, sound, drawing):
    """Both networks as ONNX; the hashes."""
    folder.mkdir(parents=True, exist_ok=True)
    points = torch.rand(1, geometry.COUNT, 2) * 60 + 18
    return dict(
        audio2mouth=export.write(
            sound, dict(mel=torch.rand(1, 1, mel.BANDS, audio2mouth.COLUMNS) * 8 - 4), ["coefficients", "displacement"],
            folder / "audio2mouth.onnx",
        ),
        renderer=export.write(
            export.RendererGraph(drawing.to(memory_format=torch.contiguous_format)),
            dict(crop=torch.rand(1, 3, 96, 96), source=points, target=points + torch.randn_like(points)),
            ["flow", "alpha", "rgb"], folder / "renderer.onnx",
        ),
    )  # fmt: skip


def picture_error(network, takes):
    """How wrong the mouth is when a frame is given the landmarks of another, over how wrong the untouched frame is."""
    pairs = OwnPairs(takes, 2)
    error, still, _ = renderer.validate(network, [pairs.batch(12, jitter=False) for _ in range(8)])
    network.eval()
    return error / still


def decide(generic, candidates, tries, errors, shown, work):
    """Which networks gain on the report's frames: (which parts are personal, generic figures, figures of those, pictures of both).

    `errors` are the picture errors of the generic and of the personal renderer.
    """
    base, before = figures(generic, shown, errors[False])
    best, found, after = (), base, before
    for parts in tries:
        folder = work / "-".join(parts)
        folder.mkdir()
        for name in ("audio2mouth", "renderer"):
            shutil.copy((candidates if name in parts else generic) / f"{name}.onnx", folder)
        shutil.copy((candidates if "audio2mouth" in parts else generic) / "manifest.toml", folder)  # for its rest mouth
        tried, redrawn = figures(folder, shown, errors["renderer" in parts])
        harm = "" if harmless(tried, base) else ", but less in sync, or softer"
        print(f"personal {' and '.join(parts)}: {shortfall(tried):.2f} from real, generic {shortfall(base):.2f}{harm}", flush=True)
        if shortfall(tried) < shortfall(found) - 0.01 and not harm:
            best, found, after = parts, tried, redrawn
    return best, base, found, before, after


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--clip", type=pathlib.Path, required=True, help="video of one person who speaks, with its sound")
    parser.add_argument("--models", type=pathlib.Path, required=True, help="folder with the face models and builtin/")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder for the networks and their manifest")
    parser.add_argument("--minutes", type=float, default=8, help="processor time to learn, beside what following the face takes")
    parser.add_argument("--steps", type=int, default=4000, help="steps of each network at most, and no more than there are frames to teach")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--sheets", type=pathlib.Path, help="folder for pictures to look at, before and after")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    cv2.setNumThreads(arguments.threads)
    torch.manual_seed(0)
    generic = arguments.models / "builtin"
    sound, drawing = audio2mouth.AudioToMouth(np.zeros((audio2mouth.CODES, 2 * geometry.COUNT), np.float32)), renderer.Renderer()
    for name, network in (("audio2mouth", sound), ("renderer", drawing)):
        print(f"{name}: weights recovered, outputs differ by {recover(network, generic / f'{name}.onnx'):.1e} at most", flush=True)
    began = time.time()
    person = Person(arguments.clip, arguments.models)
    parts = person.split()
    counts = {p: sum(len(t.raw) for t in takes) for p, takes in parts.items()}
    print(f"{person.frames} frames in {len(person.takes)} takes, followed in {time.time() - began:.0f} s: {counts}", flush=True)
    if any(not takes for takes in parts.values()):
        raise SystemExit(f"{arguments.clip} is too short, or cut too often: 15 s of one take are wanted")
    if person.frames < 15 * person.fps:
        print("less than 15 s: little can be learned, and the figures say little", flush=True)
    late, follows = find_late(sound, parts["teach"], person)
    seconds, tracker = 60 * arguments.minutes, FaceTracker(arguments.models)
    most = min(arguments.steps, counts["teach"])  # more, and a short clip is learned by heart
    steps = []

    def say(line):
        steps.append(line)
        print(line, flush=True)

    say(f"sound: {1000 * late:+.0f} ms later than the picture; the generic opening then correlates by {follows:.2f}")
    generic_rest, spread = rest.Relaxing.read(generic), habits.read_spread(generic)
    relaxing, line = fit_rest(parts["teach"] + parts["choose"], generic_rest)
    say(line)
    say(fit_shapes(sound, parts, person, late))
    say(tune_layers(sound, parts, person, late, SOUND_SHARE * seconds, most))
    errors = {False: picture_error(drawing, parts["report"])}
    fixed = fixed_pairs(parts["choose"])
    shows_better, line = show_inside(drawing, parts, fixed)
    say(line)
    draws_better, line = tune_renderer(drawing, parts, fixed, (1 - SOUND_SHARE) * seconds, most)
    say(line)
    errors[True] = picture_error(drawing, parts["report"])
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        candidates = work / "candidates"
        (candidates / "manifest.toml").write_text(export.manifest(write(candidates, sound, drawing), relaxing, spread, inside="renderer"))
        say(fit_opening(sound, candidates, Shown(person, parts["teach"], late, CORRECTED_FRAMES, tracker)))
        write(candidates, sound, drawing)
        shown = Shown(person, parts["report"], late, REPORTED_FRAMES, tracker)
        tries = [("audio2mouth", "renderer")] * (shows_better or draws_better) + [("audio2mouth",)]
        chosen, base, found, before, after = decide(generic, candidates, tries, errors, shown, work)
        arguments.out.mkdir(parents=True, exist_ok=True)
        hashes, kinds = {}, {}
        for name in ("audio2mouth", "renderer"):
            personal = name in chosen
            shutil.copy((candidates if personal else generic) / f"{name}.onnx", arguments.out)
            hashes[name] = sha256(arguments.out / f"{name}.onnx")
            kinds[name] = "personal" if personal else "the generic one, as the personal one gained nothing"
    if chosen:
        verdict = f"Personal: {' and '.join(chosen)}. The mouths are nearer to the real ones: {shortfall(base):.2f} before, {shortfall(found):.2f} after (0 = as real)."
    else:
        verdict = "No gain over the generic networks on this clip: both are the generic ones."
    shown_table = table(base, found)
    print(f"\n{shown_table}\n\n{verdict}")
    clip_hash = sha256(arguments.clip)
    text = README.format(
        clip=arguments.clip.name, seconds=person.frames / person.fps, clip_hash=clip_hash, kinds=kinds, table=shown_table, verdict=verdict,
        generic_hashes={n: sha256(generic / f"{n}.onnx") for n in hashes}, steps="\n".join(f"- {s}" for s in steps),
    )  # fmt: skip
    (arguments.out / "README.md").write_text(text)
    (arguments.out / "NOTICE").write_text(NOTICE)
    source = f"built-in networks, changed by training/personalize.py with a clip of sha256 {clip_hash}"
    (arguments.out / "manifest.toml").write_text(
        export.manifest(
            hashes, relaxing if "audio2mouth" in chosen else generic_rest, spread, "Mouth of one person", source, "training/personalize.py",
            "renderer" if "renderer" in chosen else "remembered",
        )  # fmt: skip
    )
    if arguments.sheets:
        arguments.sheets.mkdir(parents=True, exist_ok=True)
        for name, kept in (("generic", before), ("personal", after)):
            cv2.imwrite(str(arguments.sheets / f"{name}.png"), evaluate.sheet(shown, kept | {"shifted": kept.get("shifted", shown.frames)}))
    print(f"{arguments.out} is ready: lipsync model={arguments.out}")


if __name__ == "__main__":
    main()
