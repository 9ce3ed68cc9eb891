"""How well are strangers followed? Every person is left out once, with the people of his fold, and the networks that never saw him are measured.

    python training/folds.py --data DATA --speech SPEECH --music MUSIC --start RUN0/audio2mouth.pt --work WORK

RUN0 has learned to hear on SPEECH alone (learn.py --hear), so it knows nobody of DATA. Each fold's network is trained as the shipped one is, and
calibrated as export.py does by the people it was trained on, then compared with the mesh of the real frames: landmarks alone, nothing is drawn. `known` is
what becomes of them once the plugin has seen this person's own mouth say other words for two clips (habits.py). Nothing is chosen by
these figures. A run that was broken off goes on where it was. WORK/without-<lever>/<fold> is a folder of models for `lipsync model=` and
`cargo xtask eval --model` that knows nobody of the fold, WORK/without-<lever>.md the table.

--without leaves one lever of the recipe out, --only leaves all but one out, for comparison: `phones` (what the recogniser hears), `speech` (the
synthetic voices), `facegood` (FACEGOOD's voice and the channels of its face), `hear` (the start that has learned to hear), `moving` (frames weighted
by how fast the phones change); `--without all` is the recipe before.
"""

import argparse
import pathlib

import numpy as np
import torch

import export
import geometry
import habits
import learn
import rest
from audio2mouth import level_speakers, load_voices, mean_shape, windows

FOLDS = (("bbab8n", "s31", "x02"), ("s1", "s32", "x12"), ("s2", "s33", "x15"), ("s26", "s4"), ("s30", "x00"))
LEVERS = ("phones", "speech", "facegood", "hear", "moving")
#: At most so many clips of one person are measured.
MOST_CLIPS = 20
REACH = 5  # frames
RENDERER = pathlib.Path(__file__).resolve().parent.parent / "models" / "builtin" / "renderer.onnx"
FIGURES = (
    "opening correlation", "width correlation", "amplitude", "amplitude off", "lag", "landmark error",
    "known: opening correlation", "known: width correlation", "known: amplitude, as seen", "known: amplitude off",
)  # fmt: skip


def correlation(a, b):
    return float(np.corrcoef(a, b)[0, 1])


def lag(a, b):
    """Frames by which a comes after b."""
    found = [correlation(a[max(0, d) : len(a) + min(0, d)], b[max(0, -d) : len(b) + min(0, -d)]) for d in range(-REACH, REACH + 1)]
    return int(np.argmax(found)) - REACH


@torch.no_grad()
def follow(network, clip):
    """One clip's FIGURES."""
    moved = network(torch.from_numpy(windows(clip.mel, clip.times()))[:, None])[1].numpy()
    opening, real = geometry.opening(moved), geometry.opening(clip.raw)
    wide, really = habits.width(moved), habits.width(clip.raw)
    amplitude = opening.std() / real.std()
    error = np.linalg.norm(moved - clip.raw, axis=2)[:, :40].mean() / np.linalg.norm(clip.raw, axis=2)[:, :40].mean()
    known, spread = habits.known(clip.raw, moved, clip.fps)
    shown = known.std() / real.std()
    return (
        correlation(opening, real), correlation(wide, really), amplitude, abs(np.log(amplitude)), lag(opening, real), error,
        correlation(known, real), correlation(spread, really), shown, abs(np.log(shown)),
    )  # fmt: skip


def measure(network, kept):
    """Person -> mean FIGURES of his clips."""
    network.eval()
    of_person = {}
    for clip in kept:
        of_person.setdefault(clip.person, []).append(clip)
    return {person: np.mean([follow(network, c) for c in clips[:MOST_CLIPS]], 0) for person, clips in of_person.items()}


def interval(values, seed=0):
    """The mean over people and its 95 % interval, people drawn again."""
    random = np.random.default_rng(seed)
    means = [np.mean(random.choice(values, len(values))) for _ in range(4000)]
    return np.mean(values), *np.quantile(means, (0.025, 0.975))


def table(found):
    lines = ["| figure | mean of people | 95 % interval | " + " | ".join(found) + " |", "|" + " --- |" * (len(found) + 3)]
    for i, figure in enumerate(FIGURES):
        values = np.array([row[i] for row in found.values()])
        mean, low, high = interval(values)
        lines.append(f"| {figure} | {mean:.3f} | {low:.3f} to {high:.3f} | " + " | ".join(f"{v:.2f}" for v in values) + " |")
    return "\n".join(lines) + "\n"


def chosen_elsewhere(found):
    """Which factor on the opening (export.OPENING) a fold's people would get, chosen so that the people of all other folds are seen to open as far as
    they do, and how far off in amplitude its own people are then, as seen: lines of text."""
    lines, off = [], []
    for people in FOLDS:
        mine, others = ([np.log(habits.SEEN * row[2]) for p, row in found.items() if (p in people) == inside] for inside in (True, False))
        if mine and others:
            lines.append(f"{export.OPENING / np.exp(np.mean(others)):.2f} for {', '.join(people)}")
            off += [abs(m - np.mean(others)) for m in mine]
    return f"opening's factor chosen on the other folds' people: {'; '.join(lines)}; amplitude off {np.mean(off):.2f}\n" if lines else ""


def fold(clips, voices, out, path, arguments):
    """Train the network of one fold unless it is there, and measure it on the people it does not know."""
    taught, kept = [c for c in clips if c.person not in out], [c for c in clips if c.person in out]
    level_speakers(taught)
    if not path.exists():
        start = torch.load(arguments.start, weights_only=False) if arguments.start else None
        network, basis = learn.learn(taught, voices, start, arguments.steps, path.with_suffix(".going-on"), arguments.seed, pieces=arguments.pieces)
        learn.save(dict(state=network.state_dict(), basis=basis, mean=mean_shape(taught)), path)
    relaxing = rest.fit(taught)
    network = export.calibrated(path, taught, relaxing)
    export.folder(network, arguments.renderer, relaxing, habits.spread(taught), path.with_suffix(""))
    return measure(network, kept)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=pathlib.Path, required=True, help="folder that prepare.py and phones.py wrote")
    parser.add_argument("--speech", type=pathlib.Path, required=True, help="folder that spoken.py wrote")
    parser.add_argument("--music", type=pathlib.Path, required=True, help="folder that music.py wrote")
    parser.add_argument("--start", type=pathlib.Path, required=True, help="checkpoint of learn.py --hear")
    parser.add_argument("--work", type=pathlib.Path, required=True, help="folder for checkpoints and tables")
    parser.add_argument("--renderer", type=pathlib.Path, default=RENDERER, help="for the folders of models")
    compared = parser.add_mutually_exclusive_group()
    compared.add_argument("--without", default="nothing", choices=("nothing", *LEVERS, "all"), help="lever of the recipe to leave out")
    compared.add_argument("--only", choices=LEVERS, help="the one lever to keep")
    parser.add_argument("--steps", type=int, default=learn.STEPS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folds", type=int, nargs="*", default=range(len(FOLDS)), help="numbers of the folds, if not all")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    used = {"nothing": set(LEVERS), "all": set()}.get(arguments.without, set(LEVERS) - {arguments.without})
    name = f"without-{arguments.without}"
    if arguments.only:
        used, name = {arguments.only}, f"only-{arguments.only}"
    folder = arguments.work / name
    folder.mkdir(parents=True, exist_ok=True)
    voices = load_voices(arguments.speech) if used & {"speech", "facegood"} else []
    voices = [v for v in voices if ("speech" if v.faces is None else "facegood") in used]
    if "phones" not in used:
        learn.PHONES_WEIGHT = 0.0
    if "facegood" not in used:
        learn.FACES_WEIGHT = 0.0
    if "moving" not in used:
        learn.STEADY = 1.0
    if "hear" not in used:
        arguments.start = None
    clips, arguments.pieces = learn.people(arguments.data)[0], learn.load_music(arguments.music)
    found = {}
    for i in arguments.folds:
        found |= fold(clips, voices, FOLDS[i], folder / f"{'-'.join(FOLDS[i])}.pt", arguments)
        print(table(found), flush=True)
    print(chosen_elsewhere(found))
    folder.with_suffix(".md").write_text(table(found))


if __name__ == "__main__":
    main()
